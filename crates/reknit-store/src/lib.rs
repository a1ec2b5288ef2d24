//! The store of a Reknit peer: one [redb] file and a journal, behind the engine's [`Store`](reknit_engine::store::Store) port.
//!
//! It knows bytes, tables and commits. It never knows events, spaces or fields: every record format lives in the
//! engine, above the port.
//!
//! Read [`RedbStore`] first, then [`OpenError`].
//!
//! ```
//! use reknit_engine::store::{Batch, Durability, Reads, Store, Table};
//! use reknit_store::{Options, RedbStore};
//!
//! # let folder = tempfile::tempdir()?;
//! let path = folder.path().join("peer/store.redb");
//! let mut store = RedbStore::open(&path, Options::default())?;
//! let mut batch = Batch::new();
//! batch.put(Table::Rows, b"key", b"value");
//! store.commit(batch, Durability::Durable)?;
//! drop(store);
//!
//! let store = RedbStore::open(&path, Options::default())?;
//! assert_eq!(store.get(Table::Rows, b"key")?.as_deref(), Some(&b"value"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The file
//!
//! | redb table | key | value |
//! |---|---|---|
//! | `reknit` | `"format"` | the format version, `u32` |
//! | `journal` | `"base"` | the mark of the journal that goes on top, 16 bytes |
//! | `log` | key of [`Table::Log`](reknit_engine::store::Table::Log) | value |
//! | `state` | number of the table, one byte, then its key | value |
//!
//! The log has a tree of its own because its keys only grow: redb then fills each page, where appends in the middle of
//! a shared tree leave pages half full. Everything else shares one tree, because each tree that a commit touches
//! costs it a path of pages. Measured on an in-memory disk, 10,000 commits of 600 bytes over five tables:
//!
//! | layout | CPU a commit | written a commit | pages in the end |
//! |---|---|---|---|
//! | a tree for each table | 62 µs | 57 KB | 1,429 |
//! | one tree for all | 53 µs | 48 KB | 2,413 |
//! | the log apart, one tree for the rest | 57 µs | 50 KB | 1,509 |
//!
//! # Durability and recovery
//!
//! A durable commit is one write and one fsync of a *journal* beside the file, named as the file with `.journal`
//! after it; the commit to redb that follows is not synced. A durable redb commit writes a dozen scattered pages: in
//! one run on ext4, 3,600 commits a second through redb alone, and 6,560 with the journal. When the journal is full
//! ([`JOURNAL_BYTES_MAX`]), a *checkpoint* makes redb durable and the journal begins anew. A close checkpoints too and
//! empties the journal, so a closed store is whole in the redb file.
//!
//! A fast commit is noted for the journal and written there by the next durable one or a flush, unless so much gathers that
//! a checkpoint is the cheaper way.
//!
//! After a kill, redb goes back to its last checkpoint, and the changes in the journal are made again. Checkpoints are
//! redb's two-phase commits with quick repair, so this does not read the whole file: 9 ms for 10,000 events. redb
//! then does not verify pages either. A damaged page that is met later, and a journal that is damaged before its end,
//! are [`StoreError::Corrupt`](reknit_engine::store::StoreError).
//!
//! The file and its journal belong together: to copy a store, stop its peer first, or copy both.
//!
//! `cargo run --release -p reknit-store --example commits` measures the times of this section anew.

mod disk;
mod fault;
mod journal;
mod open;
mod store;
mod tables;

pub use journal::JOURNAL_BYTES_MAX;
pub use open::{CACHE_BYTES, FORMAT, OpenError, Options};
pub use store::{FAST_BYTES_MAX, RedbReader, RedbStore, Stats};
