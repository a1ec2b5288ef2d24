//! The store of a Reknit peer: one [redb] file, behind the engine's [`Store`](reknit_engine::store::Store) port.
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
//! A durable commit is one redb transaction with one fsync. A fast commit writes nothing until a durable one, a
//! flush, or a full write buffer. After a kill, redb reads the whole file once to check it and find its free
//! pages ([`Recovery::Scan`], the default); [`Recovery::Quick`] spares that and pays in every commit. Measured on two busy
//! cores, with the commit of above:
//!
//! | | a commit | opening 5.7 MB after a kill | 1 GB |
//! |---|---|---|---|
//! | scan | 57 µs of CPU, 1 fsync | 11 ms | 2.0 s |
//! | quick | 106 µs of CPU, 2 fsyncs | 1.6 ms | 0.5 s |
//!
//! A peer commits all day and is killed seldom, and a close spares the scan in any case: so scan. redb verifies pages
//! only in that scan. A damaged page that is met later is [`StoreError::Corrupt`](reknit_engine::store::StoreError).
//!
//! `cargo run --release -p reknit-store --example commits` measures all of this anew.

mod disk;
mod fault;
mod open;
mod store;
mod tables;

pub use open::{CACHE_BYTES, FORMAT, OpenError, Options, Recovery};
pub use store::{FAST_BYTES_MAX, RedbReader, RedbStore, Stats};
