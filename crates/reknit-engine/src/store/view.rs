use std::{cmp::Ordering, iter::Peekable, ops::ControlFlow};

use super::{Batch, Change, Direction, KeyRange, Reads, StoreError, Table, Visit};

/// A store as it will be once a batch is committed: what the rest of one round of the engine reads.
#[derive(Clone, Copy)]
pub struct View<'a> {
    below: &'a dyn Reads,
    batch: &'a Batch,
}

impl<'a> View<'a> {
    /// `batch` over `below`.
    pub fn new(below: &'a dyn Reads, batch: &'a Batch) -> Self {
        Self { below, batch }
    }
}

impl Reads for View<'_> {
    fn with(&self, table: Table, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, StoreError> {
        match self.batch.get(table, key) {
            Some(Change::Put(value)) => {
                visit(value);
                Ok(true)
            }
            Some(Change::Delete) => Ok(false),
            None => self.below.with(table, key, visit),
        }
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange<'_>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        match direction {
            Direction::Forward => {
                let merge = Merge { changes: self.batch.range(table, range).peekable(), direction, visit };
                merge.over(self.below, table, range)
            }
            Direction::Backward => {
                let merge =
                    Merge { changes: self.batch.range(table, range).rev().peekable(), direction, visit };
                merge.over(self.below, table, range)
            }
        }
    }
}

/// A scan of the store below with the changes of the batch woven in. `changes` runs the way of the scan.
struct Merge<'v, 'u, I: Iterator> {
    changes: Peekable<I>,
    direction: Direction,
    visit: &'v mut Visit<'u>,
}

impl<'b, I: Iterator<Item = (&'b [u8], &'b Change)>> Merge<'_, '_, I> {
    fn over(mut self, below: &dyn Reads, table: Table, range: KeyRange<'_>) -> Result<(), StoreError> {
        let mut flow = ControlFlow::Continue(());
        below.scan(table, range, self.direction, &mut |key, value| {
            flow = self.on_entry(key, value);
            flow
        })?;
        while let (ControlFlow::Continue(()), Some((key, change))) = (flow, self.changes.next()) {
            flow = self.show(key, change);
        }
        Ok(())
    }

    fn on_entry(&mut self, key: &[u8], value: &[u8]) -> ControlFlow<()> {
        while let Some((changed, _)) = self.changes.peek() {
            let order = match self.direction {
                Direction::Forward => (*changed).cmp(key),
                Direction::Backward => key.cmp(changed),
            };
            if order == Ordering::Greater {
                break;
            }
            let Some((changed, change)) = self.changes.next() else { break };
            self.show(changed, change)?;
            if order == Ordering::Equal {
                return ControlFlow::Continue(());
            }
        }
        (self.visit)(key, value)
    }

    fn show(&mut self, key: &[u8], change: &Change) -> ControlFlow<()> {
        match change {
            Change::Put(value) => (self.visit)(key, value),
            Change::Delete => ControlFlow::Continue(()),
        }
    }
}
