//! What happened in the demo, in order: what its pictures are made from.

use crate::exit::Failure;
use crate::output::Output;
use crate::view::EntityView;
use serde::Serialize;
use std::time::Instant;

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Who {
    Ada,
    Ben,
    Cleo,
}

impl Who {
    pub(super) const ALL: [Self; 3] = [Self::Ada, Self::Ben, Self::Cleo];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ada => "Ada",
            Self::Ben => "Ben",
            Self::Cleo => "Cleo",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum What {
    /// The three processes run.
    Start,
    /// They found each other.
    Meet,
    /// They are members of one space.
    Share,
    /// One of them wrote.
    Edit {
        who: Who,
        /// What kind of field, by its letter in the pictures.
        letter: char,
        /// In a few characters.
        label: String,
    },
    /// Cleo is cut off from the other two.
    Cut,
    /// Cleo is back on the network.
    Heal,
    /// All three have the same events.
    Equal,
}

/// Something that happened, and when.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Moment {
    /// Milliseconds since the demo began.
    pub(super) at_ms: u64,
    #[serde(flatten)]
    pub(super) what: What,
    /// In words.
    pub(super) text: String,
}

/// What the demo came to.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) equal: bool,
    /// From Cleo's return until all three held receipts for the same frontier.
    pub(super) heal_ms: u64,
    /// Whether they found each other by mDNS.
    pub(super) met_by_mdns: bool,
    pub(super) receipts: Vec<Receipts>,
    pub(super) apart_two: EntityView,
    pub(super) apart_one: EntityView,
    pub(super) healed: EntityView,
}

/// What one of the three holds in the end.
#[derive(Debug, Serialize)]
pub(super) struct Receipts {
    pub(super) who: Who,
    pub(super) events: u64,
    pub(super) frontier: String,
    pub(super) signed_by: Vec<&'static str>,
}

/// Says and keeps what happens.
#[derive(Debug)]
pub(super) struct Recorder {
    output: Output,
    began: Instant,
    moments: Vec<Moment>,
}

impl Recorder {
    pub(super) fn new(output: Output) -> Self {
        Self { output, began: Instant::now(), moments: Vec::new() }
    }

    pub(super) fn moments(&self) -> &[Moment] {
        &self.moments
    }

    /// A moment that shows in the pictures.
    pub(super) fn moment(&mut self, what: What, text: impl Into<String>) -> Result<(), Failure> {
        let at_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let moment = Moment { at_ms, what, text: text.into() };
        self.output.result(&moment, |page| page.line(line(at_ms, &moment.text)))?;
        self.moments.push(moment);
        Ok(())
    }

    /// Words only.
    pub(super) fn say(&self, text: &str) {
        let at_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.output.note(line(at_ms, text));
    }
}

fn line(at_ms: u64, text: &str) -> String {
    format!("{:>3}.{:02} s  {text}", at_ms / 1000, at_ms % 1000 / 10)
}
