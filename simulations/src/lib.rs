//! A deterministic simulator of Reknit peers: the production engine over the production store, under virtual time.

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
pub use run::run;
pub use scenario::Scenario;
pub use settled::{Budget, Settled};
pub use sim::{Ran, Sim, Time};
pub use world::{AskError, Disks, HOME, Traffic, Violation, World};
