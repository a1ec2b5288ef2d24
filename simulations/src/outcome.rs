//! What came of one run of a scenario.

use crate::world::Traffic;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What came of a scenario under one seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The name of the scenario.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// How many peers there were in the end.
    pub peers: usize,
    /// What went wrong, if anything did.
    pub failure: Option<Failure>,
    /// Virtual seconds from when the network was whole until all peers were equal.
    pub heal_s: Option<f64>,
    /// What was carried in that time.
    pub heal: Traffic,
    /// Bytes of what peers lacked at that moment, compressed: nobody could have done with less. None if unknown.
    pub minimum_bytes: Option<u64>,
    /// Virtual seconds in all.
    pub virtual_s: f64,
    /// What was carried in all.
    pub traffic: Traffic,
    /// Steps of the simulation.
    pub steps: u64,
    /// Names everything that happened, as hexadecimal digits: equal for equal seeds.
    pub digest: String,
    /// How the run went, for a report.
    pub timeline: Timeline,
    /// How often enemies attacked, by what they attacked.
    #[serde(default)]
    pub attacks: BTreeMap<String, u64>,
    /// What honest peers did about it, by why.
    #[serde(default)]
    pub answers: BTreeMap<String, u64>,
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Its name.
    pub rule: String,
    /// Virtual seconds since the start.
    pub at_s: f64,
    /// What was found.
    pub what: String,
    /// The last that happened before.
    pub story: Vec<String>,
    /// The newest events and who has them.
    pub events: Vec<EventSeen>,
    /// The command that shows it again, if there is one.
    #[serde(default)]
    pub reproduce: Option<String>,
}

/// An event as a failure's picture shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventSeen {
    /// The first digits of its id.
    pub id: String,
    /// Its author, by its place among the peers; none if it is no peer of the simulation.
    pub author: Option<usize>,
    /// Its number in its author's chain.
    pub seq: u64,
    /// The first digits of its parents' ids.
    pub parents: Vec<String>,
    /// The peers that have it.
    pub at: Vec<usize>,
}

/// How a run went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Moments, in order.
    pub samples: Vec<Sample>,
    /// What was done to the world, in order: the last of it, if it was a lot.
    pub marks: Vec<Mark>,
    /// How many marks there were before those.
    #[serde(default)]
    pub marks_before: u64,
}

impl Timeline {
    /// Notes what was done to the world. Of very many marks only the last are kept.
    pub(crate) fn mark(&mut self, mark: Mark) {
        if self.marks.len() >= MARKS_MAX {
            self.marks.drain(..MARKS_MAX / 2);
            self.marks_before += (MARKS_MAX / 2) as u64;
        }
        self.marks.push(mark);
    }
}

/// One moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Virtual seconds since the start.
    pub at_s: f64,
    /// Each peer.
    pub peers: Vec<PeerSample>,
}

/// One peer at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PeerSample {
    /// Whether it runs, sleeps, or is down.
    pub standing: Standing,
    /// Events that it has.
    pub events: u64,
    /// Heads of its graph.
    pub heads: u32,
    /// Peers that it is connected with.
    pub connected: u32,
}

/// Whether a peer acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It runs.
    Up,
    /// It sleeps.
    Asleep,
    /// Its process does not run.
    Down,
}

/// Something that was done to the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// Virtual seconds since the start.
    pub at_s: f64,
    /// What.
    pub what: String,
    /// Whom it is about; nobody in particular if empty.
    pub peers: Vec<usize>,
    /// What it means for a picture.
    pub kind: MarkKind,
}

/// What a mark means for a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// Peers reach each other only inside these groups from now on.
    Partition(Vec<Vec<usize>>),
    /// The first of the peers no longer reaches the second.
    Cut,
    /// The first of the peers reaches the second again.
    Mend,
    /// Every partition and cut ends.
    Heal,
    /// A process ends, wanted or not.
    Crash,
    /// A process starts.
    Start,
    /// A peer falls asleep.
    Sleep,
    /// A peer wakes.
    Wake,
    /// A clock is changed.
    Clock,
    /// A disk is changed, or will fail, or no longer will.
    Disk,
    /// Anything else.
    Other,
}

const MARKS_MAX: usize = 2_000;
