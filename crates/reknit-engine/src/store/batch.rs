use std::{collections::BTreeMap, ops::Bound};

use super::{KeyRange, StoreError, Table, is_inverted};

/// Longest key a store takes, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;

/// Longest value a store takes, in bytes.
pub const VALUE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Most key and value bytes in one commit. What the engine writes for one frame of the most hostile kind takes less than
/// half of it; a round that has gathered far less takes no more inputs.
pub const BATCH_BYTES_MAX: usize = 512 * 1024 * 1024;

/// The write set of one commit. Of two writes to one key, the last wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    tables: BTreeMap<Table, Changes>,
    len: usize,
    bytes: usize,
}

/// What a batch does to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The key gets this value.
    Put(Vec<u8>),
    /// The key goes, if it is there.
    Delete,
}

type Changes = BTreeMap<Vec<u8>, Change>;

impl Batch {
    /// A batch that changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives `key` this value.
    pub fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.change(table, key.into(), Change::Put(value.into()));
    }

    /// Removes `key`, if it is there.
    pub fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.change(table, key.into(), Change::Delete);
    }

    /// Adds what `later` does, after what this batch does.
    pub fn append(&mut self, later: Self) {
        if self.is_empty() {
            *self = later;
            return;
        }
        for (table, changes) in later.tables {
            for (key, change) in changes {
                self.change(table, key, change);
            }
        }
    }

    /// What this batch does to `key`, if anything.
    pub fn get(&self, table: Table, key: &[u8]) -> Option<&Change> {
        self.tables.get(&table)?.get(key)
    }

    /// Every change, by table and then by key.
    pub fn iter(&self) -> impl Iterator<Item = (Table, &[u8], &Change)> {
        self.tables
            .iter()
            .flat_map(|(table, changes)| changes.iter().map(|(key, change)| (*table, key.as_slice(), change)))
    }

    /// The changes to keys of one table within `range`, by key.
    pub fn range(
        &self,
        table: Table,
        range: KeyRange<'_>,
    ) -> impl DoubleEndedIterator<Item = (&[u8], &Change)> {
        // Ordered maps panic on inverted bounds; an empty pair of bounds stands in for them.
        let range =
            if is_inverted(range) { (Bound::Included(&[][..]), Bound::Excluded(&[][..])) } else { range };
        self.tables
            .get(&table)
            .into_iter()
            .flat_map(move |changes| changes.range::<[u8], _>(range))
            .map(|(key, change)| (key.as_slice(), change))
    }

    /// How many keys it changes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Key and value bytes in all.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether every key, every value and the whole are within their limits. Stores ask before they write.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], naming the first limit that is passed.
    pub fn check(&self) -> Result<(), StoreError> {
        within("a batch", self.bytes, BATCH_BYTES_MAX)?;
        for (_, key, change) in self.iter() {
            within("a key", key.len(), KEY_BYTES_MAX)?;
            within("a value", change.bytes(), VALUE_BYTES_MAX)?;
        }
        Ok(())
    }

    fn change(&mut self, table: Table, key: Vec<u8>, change: Change) {
        let key_bytes = key.len();
        self.bytes += change.bytes();
        match self.tables.entry(table).or_default().insert(key, change) {
            Some(earlier) => self.bytes -= earlier.bytes(),
            None => {
                self.len += 1;
                self.bytes += key_bytes;
            }
        }
    }
}

impl Change {
    fn bytes(&self) -> usize {
        match self {
            Self::Put(value) => value.len(),
            Self::Delete => 0,
        }
    }
}

fn within(what: &'static str, bytes: usize, max: usize) -> Result<(), StoreError> {
    if bytes > max { Err(StoreError::TooLarge { what, bytes, max }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_write_to_a_key_replaces_the_earlier_one_in_content_and_in_size() {
        let mut batch = Batch::new();
        batch.put(Table::Rows, b"key", vec![0; 100]);
        batch.put(Table::Rows, b"key", b"short");
        assert_eq!((batch.len(), batch.bytes()), (1, 8));
        batch.delete(Table::Rows, b"key");
        assert_eq!((batch.len(), batch.bytes()), (1, 3));
        assert_eq!(batch.get(Table::Rows, b"key"), Some(&Change::Delete));
    }

    #[test]
    fn appending_equals_making_the_same_writes_in_one_batch() {
        let (mut first, mut second, mut both) = (Batch::new(), Batch::new(), Batch::new());
        for (batch, value) in [(&mut first, b"1"), (&mut second, b"2")] {
            batch.put(Table::Log, b"same", value);
            batch.put(Table::Rows, value, b"own");
            both.put(Table::Log, b"same", value);
            both.put(Table::Rows, value, b"own");
        }
        first.append(second);
        assert_eq!(first, both);
    }

    #[test]
    fn changes_come_in_order_of_table_and_key() {
        let mut batch = Batch::new();
        batch.put(Table::Rows, b"b", b"");
        batch.delete(Table::Rows, b"a");
        batch.put(Table::Log, b"z", b"");
        let order: Vec<_> = batch.iter().map(|(table, key, _)| (table, key)).collect();
        assert_eq!(order, [(Table::Log, &b"z"[..]), (Table::Rows, b"a"), (Table::Rows, b"b")]);
    }

    #[test]
    fn each_limit_is_named_when_it_is_passed() {
        let mut long_key = Batch::new();
        long_key.put(Table::Rows, vec![0; KEY_BYTES_MAX], b"");
        assert!(long_key.check().is_ok());
        long_key.put(Table::Rows, vec![0; KEY_BYTES_MAX + 1], b"");
        assert!(matches!(long_key.check(), Err(StoreError::TooLarge { what: "a key", .. })));

        let mut large_value = Batch::new();
        large_value.put(Table::Rows, b"a", vec![0; VALUE_BYTES_MAX + 1]);
        assert!(matches!(large_value.check(), Err(StoreError::TooLarge { what: "a value", .. })));

        let mut large_batch = Batch::new();
        large_batch.put(Table::Rows, b"a", b"");
        large_batch.bytes += BATCH_BYTES_MAX;
        assert!(matches!(large_batch.check(), Err(StoreError::TooLarge { what: "a batch", .. })));
    }
}
