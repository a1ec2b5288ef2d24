use std::{collections::BTreeMap, sync::Arc};

use super::{
    Batch, Change, Direction, Durability, KeyRange, Reads, Store, StoreError, Table, Visit, is_inverted,
};

/// A store in memory: for tests, and for peers that keep nothing.
///
/// Snapshots share their tables with the store. The first commit to a table after a snapshot of it copies that
/// table's pointers, not its bytes.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    tables: BTreeMap<Table, Arc<Entries>>,
    state: State,
}

type Entries = BTreeMap<Arc<[u8]>, Arc<[u8]>>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    Stopped,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Reads for MemoryStore {
    fn with(&self, table: Table, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, StoreError> {
        let value = self.tables.get(&table).and_then(|entries| entries.get(key));
        Ok(value.map(|value| visit(value)).is_some())
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange<'_>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let Some(entries) = self.tables.get(&table).filter(|_| !is_inverted(range)) else {
            return Ok(());
        };
        let mut entries = entries.range::<[u8], _>(range);
        while let Some((key, value)) = match direction {
            Direction::Forward => entries.next(),
            Direction::Backward => entries.next_back(),
        } {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Store for MemoryStore {
    fn commit(&mut self, batch: Batch, _: Durability) -> Result<(), StoreError> {
        self.flush()?;
        if let Err(refusal) = batch.check() {
            self.state = State::Stopped;
            return Err(refusal);
        }
        for (table, key, change) in batch.iter() {
            let entries = Arc::make_mut(self.tables.entry(table).or_default());
            match change {
                Change::Put(value) => entries.insert(key.into(), value.as_slice().into()),
                Change::Delete => entries.remove(key),
            };
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        match self.state {
            State::Open => Ok(()),
            State::Stopped => Err(StoreError::Stopped),
        }
    }

    fn snapshot(&self) -> Result<Box<dyn Reads + Send + Sync>, StoreError> {
        Ok(Box::new(self.clone()))
    }
}
