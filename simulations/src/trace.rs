//! What happened, as one number and as the last lines of a story.

use std::collections::VecDeque;
use std::fmt::Arguments;
use std::time::Duration;

/// The trace of a run. Equal seeds give equal digests, or something in the run was not determined by the seed.
#[derive(Debug, Clone)]
pub struct Trace {
    hasher: blake3::Hasher,
    line: String,
    last: VecDeque<String>,
    kept: usize,
    steps: u64,
}

impl Trace {
    /// Keeps the last `kept` lines as text.
    pub fn new(kept: usize) -> Self {
        Self { hasher: blake3::Hasher::new(), line: String::new(), last: VecDeque::new(), kept, steps: 0 }
    }

    /// Notes one step.
    pub fn note(&mut self, now: Duration, what: Arguments<'_>) {
        use std::fmt::Write;
        self.steps += 1;
        self.line.clear();
        // Writing to a string does not fail.
        let _ = write!(self.line, "{:>14.6} {what}", now.as_secs_f64());
        self.hasher.update(self.line.as_bytes()).update(b"\n");
        if self.kept > 0 {
            if self.last.len() == self.kept {
                self.last.pop_front();
            }
            self.last.push_back(self.line.clone());
        }
    }

    /// Steps so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Names everything that happened.
    pub fn digest(&self) -> [u8; 32] {
        self.hasher.finalize().into()
    }

    /// The last lines.
    pub fn last(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }
}
