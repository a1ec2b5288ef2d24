//! A scenario: what a simulation is made of, as data.

mod embedded;
mod faults;
mod text;

pub use embedded::{EMBEDDED, embedded};
pub use faults::{Fault, Place};
pub use text::LoadError;

use crate::action::Action;
use crate::enemy::Enemy;
use crate::link::Link;
use crate::people::Person;
use crate::settled::Budget;
use crate::world::Disks;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a simulation is made of. In a file it is TOML; times are virtual seconds from when all have joined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What people call it.
    pub name: String,
    /// What it is for, in a sentence.
    pub about: String,
    /// How many peers there are at the start.
    pub peers: usize,
    /// Each peer stays connected with at least so many others; with all if none.
    #[serde(default)]
    pub degree: Option<usize>,
    /// What peers keep their data on.
    #[serde(default)]
    pub disks: Disks,
    /// What lies between any two peers.
    #[serde(default)]
    pub link: Link,
    /// How long people work and faults happen. Then everything is healed, and the peers must become equal.
    pub seconds: f64,
    /// Who works.
    #[serde(default)]
    pub people: Vec<Person>,
    /// The file of a recorded session that is typed again instead, where there is a folder of those
    /// ([`run_recorded`](crate::run_recorded)): the people and faults of this scenario then stay out.
    #[serde(default)]
    pub trace: Option<String>,
    /// What is done at a time.
    #[serde(default)]
    pub at: Vec<Planned>,
    /// What is done again and again.
    #[serde(default)]
    pub repeat: Vec<Repeated>,
    /// Who attacks.
    #[serde(default)]
    pub enemies: Vec<Enemy>,
    /// Faults drawn by chance.
    #[serde(default)]
    pub chaos: Option<Chaos>,
    /// What peers may need to become equal.
    #[serde(default)]
    pub budget: Budget,
}

/// Actions at a time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// When.
    pub time: f64,
    /// What.
    pub actions: Vec<Action>,
}

/// Actions that are done in turn, again and again: those of the first entry, those of the next, and so on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeated {
    /// When first.
    pub from: f64,
    /// Not after this.
    pub until: f64,
    /// Seconds between one turn and the next.
    pub every: f64,
    /// What, turn by turn.
    pub turns: Vec<Vec<Action>>,
}

/// A number of seconds as a scenario has it. What is less than none is none.
pub(crate) fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

/// Faults drawn by chance: which, when, and to whom follows from the seed. Each is undone after a while.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chaos {
    /// Seconds between one fault and the next, on average; zero for none.
    pub every: f64,
    /// How long a fault lasts, on average.
    pub lasts: f64,
    /// Each seed has a random part of the kinds of faults only, so that rare combinations come up as well.
    pub swarm: bool,
    /// Partitions of every shape.
    pub partitions: bool,
    /// Directions that are cut.
    pub one_way: bool,
    /// Links that turn bad.
    pub bad_links: bool,
    /// Announces that are lost.
    pub gossip_loss: bool,
    /// Processes that are killed.
    pub kills: bool,
    /// Power that fails, with what that does to disks.
    pub power: bool,
    /// Disks that fill up or fail.
    pub disks: bool,
    /// Peers that sleep.
    pub sleep: bool,
    /// Clocks that jump and drift.
    pub clocks: bool,
    /// Disks that come back as they were a while ago.
    pub restores: bool,
}
