//! The runs of one scenario, and which runs are worth a closer look.

use crate::outcome::Outcome;
use std::collections::BTreeMap;

/// The runs of one scenario, by seed.
pub(super) struct Scenario<'a> {
    pub(super) name: &'a str,
    pub(super) runs: Vec<&'a Outcome>,
}

/// A run that is shown in detail.
pub(super) struct Chosen<'a> {
    pub(super) run: &'a Outcome,
    /// The place of its scenario among all.
    pub(super) scenario: usize,
}

impl<'a> Scenario<'a> {
    /// All of them, by name.
    pub(super) fn all(outcomes: &'a [Outcome]) -> Vec<Self> {
        let mut runs: BTreeMap<&str, Vec<&Outcome>> = BTreeMap::new();
        for outcome in outcomes {
            runs.entry(&outcome.scenario).or_default().push(outcome);
        }
        let sorted = runs.into_iter().map(|(name, mut runs)| {
            runs.sort_by_key(|run| run.seed);
            Self { name, runs }
        });
        sorted.collect()
    }

    pub(super) fn failed(&self) -> impl Iterator<Item = &'a Outcome> + '_ {
        self.runs.iter().copied().filter(|run| run.failure.is_some())
    }

    pub(super) fn heals(&self) -> Vec<f64> {
        self.runs.iter().filter(|run| run.failure.is_none()).filter_map(|run| run.heal_s).collect()
    }

    /// The run whose peers took longest to become equal.
    fn slowest(&self) -> Option<&'a Outcome> {
        let healed = self.runs.iter().copied().filter(|run| run.failure.is_none() && run.heal_s.is_some());
        // Of equals the first seed.
        healed.rev().max_by(|a, b| a.heal_s.unwrap_or(0.0).total_cmp(&b.heal_s.unwrap_or(0.0)))
    }
}

/// The failures, at most [`FAILURES_MAX`], those of different scenarios and rules first; then the slowest run of each
/// scenario, at most [`SLOWEST_MAX`], the slowest of all first.
pub(super) fn choose<'a>(scenarios: &[Scenario<'a>]) -> (Vec<Chosen<'a>>, Vec<Chosen<'a>>) {
    let mut seen: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut failures = vec![];
    let mut slowest = vec![];
    for (scenario, runs) in scenarios.iter().enumerate() {
        for run in runs.failed() {
            let rule = run.failure.as_ref().map_or("", |failure| &failure.rule);
            let times = seen.entry((runs.name, rule)).or_default();
            *times += 1;
            failures.push((*times, Chosen { run, scenario }));
        }
        slowest.extend(runs.slowest().map(|run| Chosen { run, scenario }));
    }
    failures.sort_by_key(|(times, _)| *times);
    failures.truncate(FAILURES_MAX);
    failures.sort_by_key(|(_, chosen)| (chosen.scenario, chosen.run.seed));
    slowest.sort_by(|a, b| b.run.heal_s.unwrap_or(0.0).total_cmp(&a.run.heal_s.unwrap_or(0.0)));
    slowest.truncate(SLOWEST_MAX);
    (failures.into_iter().map(|(_, chosen)| chosen).collect(), slowest)
}

pub(super) const FAILURES_MAX: usize = 20;
pub(super) const SLOWEST_MAX: usize = 20;
