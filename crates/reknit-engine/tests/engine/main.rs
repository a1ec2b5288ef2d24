//! Laws of the engine, over several peers in virtual time.

mod faults;
mod joining;
mod merging;
mod support;
mod transactions;
