use std::ops::Bound;

use redb::{
    Error, ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, TableError,
    TableStats, WriteTransaction,
};
use reknit_engine::store::{
    Batch, Change, Direction, KeyRange, Reads, StoreError, Table, Visit, is_inverted,
};

use crate::{
    fault::{Guarded, guarded, meaning},
    journal::Entry,
};

/// One consistent state of the file.
pub(crate) struct Tables {
    log: Guarded<ReadOnlyTable<&'static [u8], &'static [u8]>>,
    state: Guarded<ReadOnlyTable<&'static [u8], &'static [u8]>>,
}

type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

impl Tables {
    pub(crate) fn open(transaction: &ReadTransaction) -> Result<Self, TableError> {
        Ok(Self {
            log: Guarded::new(transaction.open_table(LOG)?),
            state: Guarded::new(transaction.open_table(STATE)?),
        })
    }

    pub(crate) fn stats(&self) -> Result<[TableStats; 2], StoreError> {
        guarded(|| Ok([self.log.stats().map_err(meaning)?, self.state.stats().map_err(meaning)?]))
    }
}

impl Reads for Tables {
    fn with(&self, table: Table, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, StoreError> {
        let found = guarded(|| match Place::of(table) {
            Place::Log => ReadableTable::get(&*self.log, key).map_err(meaning),
            Place::State(number) => {
                ReadableTable::get(&*self.state, prefixed(number, key).as_slice()).map_err(meaning)
            }
        })?;
        let Some(found) = found else { return Ok(false) };
        visit(guarded(|| Ok(found.value()))?);
        Ok(true)
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange<'_>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        if is_inverted(range) {
            return Ok(());
        }
        match Place::of(table) {
            Place::Log => scan(&self.log, range, direction, visit),
            Place::State(number) => {
                let (start, end) =
                    (range.0.map(|key| prefixed(number, key)), range.1.map(|key| prefixed(number, key)));
                let (first, past) = ([number], [number + 1]);
                let range = (
                    or(start.as_ref().map(Vec::as_slice), Bound::Included(&first[..])),
                    or(end.as_ref().map(Vec::as_slice), Bound::Excluded(&past[..])),
                );
                scan(&self.state, range, direction, &mut |key, value| {
                    visit(key.get(1..).unwrap_or_default(), value)
                })
            }
        }
    }
}

/// Creates the tables, so that every later read finds them.
pub(crate) fn create(transaction: &WriteTransaction) -> Result<(), TableError> {
    transaction.open_table(LOG)?;
    transaction.open_table(STATE)?;
    Ok(())
}

/// Writes a batch, each tree in the order of its keys.
pub(crate) fn write(transaction: &WriteTransaction, batch: &Batch) -> Result<(), Error> {
    let log = batch.iter().filter(|(table, ..)| Place::of(*table) == Place::Log);
    apply(transaction, LOG, log.map(|(_, key, change)| (key, change)))?;
    let state = batch.iter().filter_map(|(table, key, change)| match Place::of(table) {
        Place::Log => None,
        Place::State(number) => Some((prefixed(number, key), change)),
    });
    apply(transaction, STATE, state)
}

/// Makes the changes of a journal again, in their order.
pub(crate) fn replay<'j>(
    transaction: &WriteTransaction,
    entries: impl IntoIterator<Item = Entry<'j>>,
) -> Result<(), Error> {
    let (mut log, mut state) = (transaction.open_table(LOG)?, transaction.open_table(STATE)?);
    for (table, key, value) in entries {
        let (tree, key) = match Place::of(table) {
            Place::Log => (&mut log, key.to_vec()),
            Place::State(number) => (&mut state, prefixed(number, key)),
        };
        match value {
            Some(value) => drop(tree.insert(key.as_slice(), value)?),
            None => drop(tree.remove(key.as_slice())?),
        }
    }
    Ok(())
}

fn apply<'b, K: AsRef<[u8]>>(
    transaction: &WriteTransaction,
    definition: Definition,
    changes: impl Iterator<Item = (K, &'b Change)>,
) -> Result<(), Error> {
    let mut changes = changes.peekable();
    if changes.peek().is_none() {
        return Ok(());
    }
    let mut tree = transaction.open_table(definition)?;
    for (key, change) in changes {
        match change {
            Change::Put(value) => drop(tree.insert(key.as_ref(), value.as_slice())?),
            Change::Delete => drop(tree.remove(key.as_ref())?),
        }
    }
    Ok(())
}

/// Where a table lies in the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Log,
    State(u8),
}

impl Place {
    fn of(table: Table) -> Self {
        match table {
            Table::Log => Self::Log,
            table => Self::State(table.number()),
        }
    }
}

fn scan(
    tree: &ReadOnlyTable<&'static [u8], &'static [u8]>,
    range: KeyRange<'_>,
    direction: Direction,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    let mut entries = guarded(|| ReadableTable::range::<&[u8]>(tree, range).map_err(meaning))?;
    let mut next = || match direction {
        Direction::Forward => entries.next(),
        Direction::Backward => entries.next_back(),
    };
    while let Some((key, value)) = guarded(|| next().transpose().map_err(meaning))? {
        let (key, value) = guarded(|| Ok((key.value(), value.value())))?;
        if visit(key, value).is_break() {
            break;
        }
    }
    Ok(())
}

fn prefixed(number: u8, key: &[u8]) -> Vec<u8> {
    let mut prefixed = Vec::with_capacity(1 + key.len());
    prefixed.push(number);
    prefixed.extend_from_slice(key);
    prefixed
}

fn or<'k>(bound: Bound<&'k [u8]>, unbounded: Bound<&'k [u8]>) -> Bound<&'k [u8]> {
    match bound {
        Bound::Unbounded => unbounded,
        bound => bound,
    }
}

const LOG: Definition = TableDefinition::new("log");
const STATE: Definition = TableDefinition::new("state");
