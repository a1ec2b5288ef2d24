//! The store port: an ordered key-value store with atomic commits, as the engine needs it and no more.
//!
//! The engine owns every record format above this port, so a memory store, the redb store and a simulated disk all
//! share them. Reads are a synchronous trait ([`Reads`]); writes are data ([`Batch`]) that the runtime hands to
//! [`Store::commit`] once a round of the engine is done. Inside a round, a [`View`] shows the batch over the store.
//!
//! Every implementation passes the suite in [`conformance`].
//!
//! ```
//! use reknit_engine::store::{Batch, Durability, MemoryStore, Reads, Store, Table, View};
//!
//! let mut store = MemoryStore::new();
//! let mut batch = Batch::new();
//! batch.put(Table::Rows, b"a", b"1");
//! assert_eq!(View::new(&store, &batch).get(Table::Rows, b"a")?.as_deref(), Some(&b"1"[..]));
//! assert_eq!(store.get(Table::Rows, b"a")?, None);
//!
//! store.commit(batch, Durability::Durable)?;
//! assert_eq!(store.get(Table::Rows, b"a")?.as_deref(), Some(&b"1"[..]));
//! # Ok::<(), reknit_engine::store::StoreError>(())
//! ```

mod batch;
pub mod conformance;
mod error;
mod memory;
mod table;
mod view;

#[cfg(test)]
mod tests;

use std::ops::{Bound, ControlFlow};

pub use batch::{BATCH_BYTES_MAX, Batch, Change, KEY_BYTES_MAX, VALUE_BYTES_MAX};
pub use error::{Cause, StoreError};
pub use memory::MemoryStore;
pub use table::Table;
pub use view::View;

/// Reading one consistent state of a store.
pub trait Reads {
    /// Shows the value of `key` to `visit` without copying it; `false` if the table has no such key.
    ///
    /// # Errors
    /// [`StoreError::Io`] or [`StoreError::Corrupt`] when the disk does not give the value back.
    fn with(&self, table: Table, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, StoreError>;

    /// Shows the entries of `table` whose keys lie in `range`, in key order or against it, until `visit` breaks.
    /// An inverted range has no entries.
    ///
    /// # Errors
    /// As for [`Reads::with`]; entries already shown stay true.
    fn scan(
        &self,
        table: Table,
        range: KeyRange<'_>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError>;

    /// The value of `key`, copied.
    ///
    /// # Errors
    /// As for [`Reads::with`].
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let mut value = None;
        self.with(table, key, &mut |bytes| value = Some(bytes.to_vec()))?;
        Ok(value)
    }

    /// Whether `table` has `key`.
    ///
    /// # Errors
    /// As for [`Reads::with`].
    fn contains(&self, table: Table, key: &[u8]) -> Result<bool, StoreError> {
        self.with(table, key, &mut |_| {})
    }

    /// [`Reads::scan`] over every key that starts with `prefix`.
    ///
    /// # Errors
    /// As for [`Reads::scan`].
    fn scan_prefix(
        &self,
        table: Table,
        prefix: &[u8],
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        let end = prefix_end(prefix);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.scan(table, (Bound::Included(prefix), end), direction, visit)
    }

    /// The first entry that a scan would show, copied. With [`Direction::Backward`] that is the last entry of the range.
    ///
    /// # Errors
    /// As for [`Reads::scan`].
    fn first(
        &self,
        table: Table,
        range: KeyRange<'_>,
        direction: Direction,
    ) -> Result<Option<Entry>, StoreError> {
        let mut found = None;
        self.scan(table, range, direction, &mut |key, value| {
            found = Some((key.to_vec(), value.to_vec()));
            ControlFlow::Break(())
        })?;
        Ok(found)
    }
}

/// A store of ordered tables with one writer. Reading it shows the state of its last commit.
pub trait Store: Reads + Send + Sync {
    /// Applies the whole batch or nothing of it; later reads and snapshots see it.
    ///
    /// After an error the store takes no further commit until it is reopened: what the engine holds in memory may
    /// be ahead of the disk, and only a rebuild from the disk mends that.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`], [`StoreError::Io`], [`StoreError::Corrupt`], [`StoreError::TooLarge`], or
    /// [`StoreError::Stopped`] after an earlier one of these.
    fn commit(&mut self, batch: Batch, durability: Durability) -> Result<(), StoreError>;

    /// [`Store::commit`] that calls `then` as soon as the batch would survive what its durability promises, if that is
    /// before it can be read. Whoever is told by `then` and reads this store is told after the commit has returned,
    /// since nobody else has the store meanwhile.
    ///
    /// # Errors
    /// As for [`Store::commit`]. If `then` was called all the same, the batch is there when the store is reopened.
    fn commit_then(
        &mut self,
        batch: Batch,
        durability: Durability,
        then: &mut dyn FnMut(),
    ) -> Result<(), StoreError> {
        self.commit(batch, durability)?;
        then();
        Ok(())
    }

    /// Makes every earlier [`Durability::Fast`] commit durable. Costs nothing when there is none.
    ///
    /// # Errors
    /// As for [`Store::commit`].
    fn flush(&mut self) -> Result<(), StoreError>;

    /// Gives back disk space that is no longer used, if that takes no more than a moment. Called before a store is
    /// closed.
    ///
    /// # Errors
    /// As for [`Store::commit`].
    fn tidy(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// The state of the last commit, unaffected by later ones. The space it pins on disk is freed when it is dropped.
    /// Once its store is closed, it may answer [`StoreError::Closed`].
    ///
    /// # Errors
    /// As for [`Reads::with`].
    fn snapshot(&self) -> Result<Box<dyn Reads + Send + Sync>, StoreError>;
}

/// What a commit waits for before it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Returns after the batch, and every commit before it, would survive a power loss.
    Durable,
    /// Returns at once. Survives the end of the process only once a later durable commit or a flush has
    /// returned; until then a crash may lose it, with every fast commit after it, but never a part of it.
    Fast,
}

/// The order in which a scan shows keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Smallest key first.
    Forward,
    /// Greatest key first.
    Backward,
}

/// The bounds of a scan, as [`std::ops::RangeBounds`] has them.
pub type KeyRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// What a scan shows each entry to: key, then value. Breaking ends the scan.
pub type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'v;

/// A key and its value, copied out of a store.
pub type Entry = (Vec<u8>, Vec<u8>);

/// The range of all keys.
pub const EVERY_KEY: KeyRange<'static> = (Bound::Unbounded, Bound::Unbounded);

/// The smallest key greater than every key that starts with `prefix`; `None` if there is none.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=last)?.to_vec();
    *end.last_mut()? += 1;
    Some(end)
}

/// Whether no key can lie in `range`. Ordered maps differ in what they do with an inverted range (some panic), so
/// every implementation asks this first.
pub fn is_inverted(range: KeyRange<'_>) -> bool {
    match range {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => {
            start >= end
        }
    }
}
