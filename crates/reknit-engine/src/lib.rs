//! The deterministic state machine of a Reknit peer, and the port through which it reads and writes its store.

pub mod store;
