//! A deterministic simulator of Reknit peers: the production engine over the production store, under virtual time.
//!
//! Everything follows from one seed: what people do, what the network loses, when power fails. Nothing sleeps, no thread or
//! socket is involved, and the same seed gives the same run, byte for byte. What must hold is checked at every step, and when
//! the network is whole again all peers must become equal, as an oracle works out that knows nothing of the engine.
//!
//! It simulates what lies below the engine: links, connections, gossip, disks, clocks. It never simulates the engine, the
//! store, merging or sync, which are those of production.
//!
//! Read [`Sim`] first, to test an app, and then [`World`]; [`Scenario`] is the same as data, for the command `reknit-sim`.
//!
//! ```
//! use reknit_sim::{Link, Sim, Time, heal, partition};
//!
//! Sim::new(7)
//!     .peers(3)
//!     .link(Link::new(20.0, 0.01))
//!     .at(1.s(), partition([&[0, 1], &[2]]))
//!     .at(10.s(), heal())
//!     .run(|world| {
//!         for peer in 0..3 {
//!             world.transact(peer, move |tx| tx.create("notes")?.set("by", peer as i64).map(drop))?;
//!             world.pass(2.s())?;
//!         }
//!         Ok(())
//!     })
//!     .assert_converged();
//! ```

/// The Rust in the README compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod action;
mod agenda;
pub mod chance;
mod chaos;
mod check;
pub mod clock;
pub mod compare;
pub mod disk;
pub mod enemy;
pub mod link;
mod minimum;
mod network;
pub mod oracle;
pub mod outcome;
mod peer;
pub mod people;
mod prepared;
mod recorded;
pub mod replay;
pub mod report;
pub mod results;
mod run;
pub mod scenario;
pub mod seeds;
mod settled;
pub mod shrink;
mod sim;
pub mod trace;
mod world;

pub use action::{Action, heal, partition};
pub use enemy::{Enemy, EnemyKind};
pub use link::{Latency, Link};
pub use network::{Nat, PeerNo};
pub use recorded::Recording;
pub use run::{run, run_recorded};
pub use scenario::Scenario;
pub use settled::{Budget, Settled};
pub use sim::{Ran, Sim, Time};
pub use world::{AskError, Disks, HOME, Traffic, Violation, World};

pub use reknit_crdt::FieldValue;
pub use reknit_engine::read::Entity;
pub use reknit_engine::{Tx, TxError};
pub use reknit_traces::{Trace, TraceError};
pub use reknit_types::{Dot, EntityId, Name, Value};
