//! Laws of the engine, over several peers in virtual time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod checked;
mod faults;
mod forged;
mod joining;
mod journal;
mod merging;
mod rows;
mod size;
mod slow;
mod support;
mod transactions;
