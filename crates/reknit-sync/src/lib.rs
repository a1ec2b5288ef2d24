//! Replication of an event DAG between two peers, without any IO.
//!
//! This crate decides what two peers tell each other so that both end with the same events, and it writes the bytes
//! they say it in. It never opens a connection, reads a clock, draws a random number, or touches a store: the caller
//! brings messages, the time and a [`History`], and carries out the [`Output`]s.
//!
//! Read [`Session`] first (the conversation of two peers about one space), then [`frame`] (the form in which runs of
//! events travel and are stored).
//!
//! ```
//! use reknit_sync::{Frontier, Message};
//!
//! let credit = Message::Credit(4096);
//! assert_eq!(Message::decode(&credit.encode()).unwrap(), credit);
//! assert_eq!(Frontier::default().digest(), Frontier::default().digest());
//! ```

mod announce;
mod close;
mod delta;
pub mod frame;
mod frontier;
pub mod limits;
mod message;
mod missing;
mod segment;
mod session;
mod sketch;

pub use announce::Announce;
pub use close::CloseReason;
pub use delta::{Delta, Entry};
pub use frame::{Frame, FrameError};
pub use frontier::{Frontier, Inserted};
pub use message::{Against, Hello, Locate, Message, Opening, Probe, Receipt, Want};
pub use missing::{Missing, Range};
pub use segment::Segment;
pub use session::{
    History, HistoryError, Output, PROTOCOL_VERSION, Phase, Role, Session, SessionStatus, Source, Waiting,
};
pub use sketch::{Sketch, Symbol};
