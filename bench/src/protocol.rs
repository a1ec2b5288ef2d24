//! What the parent asks of a child and what it answers: one line of JSON each, on stdin and stdout.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{measure::Stats, work::Work};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    Open {
        watch: bool,
    },
    /// Opens what an earlier process left, and reads one register of it.
    Reopen {
        locator: String,
        field: u8,
    },
    /// Applies edits, by this many concurrent writers.
    Apply {
        work: Work,
        writers: u32,
    },
    Invite,
    Connect {
        invite: String,
    },
    Disconnect,
    /// Names what the next `Await` waits for.
    Expect {
        work: Work,
    },
    Await {
        timeout_ms: u64,
    },
    AwaitEqual {
        timeout_ms: u64,
    },
    /// Compares every register that the work touches with its final value, through plain reads.
    Verify {
        work: Work,
    },
    Locate {
        entity: u32,
    },
    Stats,
    Replay {
        trace: PathBuf,
        cap: usize,
        budget_ms: u64,
    },
    Stop,
}

/// Times are of [`crate::measure::now_ns`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    Ran {
        started: u64,
        finished: u64,
    },
    Text(String),
    Seen {
        at: u64,
    },
    /// Timed out: this many registers were never seen, and this many of them are not there for plain reads either.
    TimedOut {
        unseen: usize,
        lost: usize,
    },
    /// This many registers do not read as they should.
    Wrong {
        count: usize,
    },
    /// The system cannot say.
    NoAnswer,
    Stats(Stats),
    Reopened {
        started: u64,
        finished: u64,
        value: Option<String>,
    },
    Replayed {
        started: u64,
        finished: u64,
        edits: usize,
        total: usize,
    },
    Failed(String),
}
