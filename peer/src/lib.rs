//! Reknit: a local-first database whose copies find each other and reknit after any partition, with no server.
//!
//! A [`Peer`] is one full node with its own store. It holds spaces; a [`Space`] holds collections of entities, and is
//! shared by its members. Every peer reads and writes with no network, and converges with those it can reach.
//!
//! This crate never starts a server, and needs none. Read [`Peer`] and [`Space`] first, then [`model`] for entities that
//! are described by structs.
//!
//! ```
//! use futures::StreamExt;
//! use reknit::Peer;
//!
//! # #[tokio::main]
//! # async fn main() -> anyhow::Result<()> {
//! # let folder = tempfile::tempdir()?;
//! # let file = folder.path().join("peer.redb");
//! let peer = Peer::builder(file).loopback().start().await?;
//! let space = peer.create_space("home").await?;
//! let mut changes = space.watch();
//! space.transact(|tx| tx.create("notes")?.set("title", "Hello, world").map(|_| ())).await?;
//! println!("{:?}", changes.next().await);
//! println!("{:?}", space.list("notes")?);
//! # peer.shutdown().await?;
//! # Ok(())
//! # }
//! ```

mod arrivals;
mod builder;
mod changes;
mod clock;
mod core;
mod ending;
mod entity;
mod error;
mod events;
mod journal;
mod live;
mod log;
pub mod model;
mod network;
mod peer;
mod query;
mod runtime;
mod space;
mod status;
mod streams;
mod transaction;

pub use builder::PeerBuilder;
pub use changes::{Change, ChangeKind, Changes, EntityChange};
pub use entity::{Entity, FieldValue};
pub use error::Error;
pub use events::PeerEvent;
pub use journal::JournalOptions;
pub use live::{Live, LiveStep};
pub use log::{LogEntry, LogOp};
pub use model::{Counter, Document, Model, ModelError, ModelTx, Ref, Register, Text};
pub use peer::Peer;
pub use reknit_access::{Role, Ticket, TicketError};
pub use reknit_derive::Model;
pub use reknit_engine::read::Page;
pub use reknit_engine::store::Durability;
pub use reknit_engine::{DocumentMut, EntityMut, MemberInfo, TextMut, Tx, TxError};
pub use reknit_net::Multiaddr;
pub use reknit_query::{Answer, Cursor, Difference, Params, Plan, Query};
pub use reknit_types::{CrdtKind, DeviceId, Dot, EntityId, EventId, Name, SpaceId, Value};
pub use space::{Snapshot, Space};
pub use status::{
    EventRef, LinkStatus, NetworkStatus, PeerInfo, PeerStatus, Reason, ReceiptInfo, SpaceStatus,
};
pub use transaction::Transaction;

/// The snippets of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

// What the derive macro writes names the crate from outside.
#[cfg(test)]
extern crate self as reknit;
