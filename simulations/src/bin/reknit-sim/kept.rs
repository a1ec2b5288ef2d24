//! Runs kept for a page about them: all, but only some with their timelines, which are large.

use reknit_sim::outcome::{Outcome, Timeline};
use std::collections::BTreeMap;

/// Runs by the place of their scenario and by seed.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    runs: BTreeMap<(usize, u64), Outcome>,
    /// The slowest run of each scenario.
    slowest: BTreeMap<usize, u64>,
    failures: usize,
}

impl Kept {
    pub(crate) fn add(&mut self, scenario: usize, mut outcome: Outcome) {
        let seed = outcome.seed;
        if outcome.failure.is_some() {
            self.failures += 1;
            if self.failures > FAILURES_WITH_TIMELINE_MAX {
                outcome.timeline = Timeline::default();
            }
        } else if self.is_slowest(scenario, &outcome) {
            if let Some(before) = self.slowest.insert(scenario, seed) {
                self.forget_timeline(scenario, before);
            }
        } else {
            outcome.timeline = Timeline::default();
        }
        self.runs.insert((scenario, seed), outcome);
    }

    pub(crate) fn html(self) -> String {
        reknit_sim::report::html(&self.runs.into_values().collect::<Vec<_>>())
    }

    /// Of equally slow runs, that with the least seed is the slowest.
    fn is_slowest(&self, scenario: usize, outcome: &Outcome) -> bool {
        let rank = |outcome: &Outcome| (outcome.heal_s.unwrap_or(-1.0), std::cmp::Reverse(outcome.seed));
        let slowest = self.slowest.get(&scenario).and_then(|seed| self.runs.get(&(scenario, *seed)));
        slowest.is_none_or(|slowest| rank(outcome) > rank(slowest))
    }

    fn forget_timeline(&mut self, scenario: usize, seed: u64) {
        if let Some(outcome) = self.runs.get_mut(&(scenario, seed)) {
            outcome.timeline = Timeline::default();
        }
    }
}

/// More than a page shows in detail.
const FAILURES_WITH_TIMELINE_MAX: usize = 200;
