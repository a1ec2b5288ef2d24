//! What came of many runs, as the data that programs read: the JSON of `reknit-sim run --json`.
//!
//! The shape is stable: fields are added within a [`VERSION`], and anything else is a new one. Times are virtual seconds
//! unless a name says `real`.

use crate::outcome::{Failure, Outcome};
use crate::world::Traffic;
use serde::{Deserialize, Serialize};

/// The version of the shape of [`Results`].
pub const VERSION: u32 = 1;

/// The runs of some scenarios.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`VERSION`].
    pub version: u32,
    /// One for each scenario, in the order in which they were asked for.
    pub scenarios: Vec<ScenarioResults>,
}

/// The runs of one scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScenarioResults {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub about: String,
    /// All runs in short.
    pub summary: Summary,
    /// One for each seed, in the order of seeds.
    pub runs: Vec<RunResult>,
}

/// One run, without its timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// The seed.
    pub seed: u64,
    /// How many peers there were in the end.
    pub peers: usize,
    /// What went wrong; null if nothing did.
    pub failure: Option<FailureResult>,
    /// From when the network was whole until all peers were equal; null if they did not become so.
    pub heal_s: Option<f64>,
    /// What was carried in that time.
    pub heal: Traffic,
    /// Bytes of what peers lacked at that moment, compressed; null if unknown.
    pub minimum_bytes: Option<u64>,
    /// How long the run was.
    pub virtual_s: f64,
    /// How long it took.
    pub real_s: f64,
    /// What was carried in all.
    pub traffic: Traffic,
    /// Steps of the simulation.
    pub steps: u64,
    /// Names everything that happened: equal for equal seeds and equal code.
    pub digest: String,
}

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureResult {
    /// Its name.
    pub rule: String,
    /// When.
    pub at_s: f64,
    /// What was found.
    pub what: String,
    /// The last that happened before.
    pub story: Vec<String>,
    /// The command that shows it again.
    pub reproduce: String,
}

/// Many runs in short.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How many there were.
    pub runs: u64,
    /// How many broke a rule.
    pub failures: u64,
    /// How long healing took, over the runs that healed; null if none did.
    pub heal_s: Option<Spread>,
    /// Mean messages of a run, streams and gossip.
    pub messages: f64,
    /// Mean bytes of a run, streams and gossip.
    pub bytes: f64,
    /// Mean bytes of healing.
    pub heal_bytes: f64,
    /// Bytes of healing over the least that could have done, over the runs where that is known; null if none.
    pub over_minimum: Option<f64>,
    /// Steps of all runs.
    pub steps: u64,
    /// Virtual time of all runs.
    pub virtual_s: f64,
    /// Real time of all runs, as if one had run after the other.
    pub real_s: f64,
}

/// How values are spread, by nearest rank.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Half of them are not greater.
    pub p50: f64,
    /// All but one in a hundred are not greater.
    pub p99: f64,
    /// None is greater.
    pub max: f64,
}

impl RunResult {
    /// A run that took so long; `reproduce` is the command that shows it again.
    pub fn new(outcome: &Outcome, real_s: f64, reproduce: &str) -> Self {
        Self {
            seed: outcome.seed,
            peers: outcome.peers,
            failure: outcome.failure.as_ref().map(|failure| FailureResult::new(failure, reproduce)),
            heal_s: outcome.heal_s,
            heal: outcome.heal,
            minimum_bytes: outcome.minimum_bytes,
            virtual_s: outcome.virtual_s,
            real_s,
            traffic: outcome.traffic,
            steps: outcome.steps,
            digest: outcome.digest.clone(),
        }
    }
}

impl FailureResult {
    fn new(failure: &Failure, reproduce: &str) -> Self {
        Self {
            rule: failure.rule.clone(),
            at_s: failure.at_s,
            what: failure.what.clone(),
            story: failure.story.clone(),
            reproduce: reproduce.to_owned(),
        }
    }
}

impl Summary {
    /// Of these runs.
    pub fn of<'a>(runs: impl IntoIterator<Item = &'a RunResult>) -> Self {
        let runs: Vec<&RunResult> = runs.into_iter().collect();
        let mean = |value: fn(&RunResult) -> u64| {
            let total: u64 = runs.iter().map(|run| value(run)).sum();
            total as f64 / runs.len().max(1) as f64
        };
        Self {
            runs: runs.len() as u64,
            failures: runs.iter().filter(|run| run.failure.is_some()).count() as u64,
            heal_s: Spread::of(runs.iter().filter_map(|run| run.heal_s)),
            messages: mean(|run| run.traffic.messages + run.traffic.announces),
            bytes: mean(|run| carried(&run.traffic)),
            heal_bytes: mean(|run| carried(&run.heal)),
            over_minimum: over_minimum(&runs),
            steps: runs.iter().map(|run| run.steps).sum(),
            virtual_s: runs.iter().map(|run| run.virtual_s).sum(),
            real_s: runs.iter().map(|run| run.real_s).sum(),
        }
    }

    /// Steps in a second of real time, on one core; none if it was too short to tell.
    pub fn steps_per_s(&self) -> Option<f64> {
        (self.real_s > 0.0).then(|| self.steps as f64 / self.real_s)
    }
}

impl Spread {
    /// Of these values; none if there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at_rank = |percent: usize| values.get((values.len() * percent).div_ceil(100).max(1) - 1).copied();
        Some(Self { p50: at_rank(50)?, p99: at_rank(99)?, max: at_rank(100)? })
    }
}

fn carried(traffic: &Traffic) -> u64 {
    traffic.bytes + traffic.announce_bytes
}

fn over_minimum(runs: &[&RunResult]) -> Option<f64> {
    let known = runs.iter().filter_map(|run| run.minimum_bytes.map(|least| (carried(&run.heal), least)));
    let (bytes, least) = known.fold((0, 0), |(bytes, least), run| (bytes + run.0, least + run.1));
    (least > 0).then(|| bytes as f64 / least as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([7.0]), Some(Spread { p50: 7.0, p99: 7.0, max: 7.0 }));
        let spread = Spread::of((1..=200).rev().map(f64::from)).unwrap();
        assert_eq!(spread, Spread { p50: 100.0, p99: 198.0, max: 200.0 });
    }
}
