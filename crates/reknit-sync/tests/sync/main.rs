//! The laws of replication, what liars achieve, and the bytes that are pinned.

#![expect(clippy::unwrap_used, reason = "a failure here is a failure of the test")]

mod golden;
mod liars;
mod relaying;
mod sessions;
mod slow;
mod support;
