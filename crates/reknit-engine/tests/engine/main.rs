//! Laws of the engine, over several peers in virtual time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod faults;
mod joining;
mod merging;
mod support;
mod transactions;
