//! What changed between two results: for a pull request.

use crate::results::{Results, RunResult, ScenarioResults, Summary};
use std::collections::BTreeMap;

/// What changed, scenario by scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Scenarios that are in both.
    pub scenarios: Vec<ScenarioChange>,
    /// Names of those that are in the first only.
    pub gone: Vec<String>,
    /// Names of those that are in the second only.
    pub new: Vec<String>,
}

/// What changed in one scenario, over the seeds that both have.
#[derive(Debug, Clone, PartialEq)]
pub struct ScenarioChange {
    /// Its name.
    pub name: String,
    /// How many seeds both have.
    pub seeds: usize,
    /// Of those, the seeds under which exactly the same happened.
    pub same: usize,
    /// Of those, how many broke a rule before, and after.
    pub failures: (u64, u64),
    /// Seeds that broke no rule at first and break one now.
    pub newly_broken: Vec<u64>,
    /// Seeds that broke a rule at first and break none now.
    pub newly_whole: Vec<u64>,
    /// What is measured, always in the same order, over the seeds under which neither broke a rule.
    pub measures: Vec<Change>,
}

/// One number, before and after. None where there is nothing to measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// What it counts.
    pub name: &'static str,
    /// Before.
    pub base: Option<f64>,
    /// After.
    pub head: Option<f64>,
}

impl Comparison {
    /// Compares results of the same scenarios.
    pub fn of(base: &Results, head: &Results) -> Self {
        let (earlier, later) = (by_name(base), by_name(head));
        let both = head.scenarios.iter().filter_map(|head| Some((*earlier.get(head.name.as_str())?, head)));
        Self {
            scenarios: both.map(|(base, head)| ScenarioChange::of(base, head)).collect(),
            gone: missing(base, &later),
            new: missing(head, &earlier),
        }
    }

    /// What got worse: rules that are broken now and were not, and measures that grew by more than so many percent.
    pub fn worse_than(&self, percent: f64) -> Vec<String> {
        self.scenarios.iter().flat_map(|scenario| scenario.worse_than(percent)).collect()
    }
}

impl ScenarioChange {
    fn of(base: &ScenarioResults, head: &ScenarioResults) -> Self {
        let earlier: BTreeMap<u64, &RunResult> = base.runs.iter().map(|run| (run.seed, run)).collect();
        let both: Vec<(&RunResult, &RunResult)> =
            head.runs.iter().filter_map(|run| Some((*earlier.get(&run.seed)?, run))).collect();
        let turned = |from: bool| {
            let turned = both
                .iter()
                .filter(move |(base, head)| base.failure.is_some() == from && head.failure.is_some() != from);
            turned.map(|(_, head)| head.seed).collect()
        };
        let broken = |of: &dyn Fn(&(&'_ RunResult, &'_ RunResult)) -> bool| {
            both.iter().filter(|pair| of(pair)).count() as u64
        };
        // A run that broke a rule ended early.
        let whole = || both.iter().filter(|(base, head)| base.failure.is_none() && head.failure.is_none());
        let before = Summary::of(whole().map(|(base, _)| *base));
        let after = Summary::of(whole().map(|(_, head)| *head));
        Self {
            name: head.name.clone(),
            seeds: both.len(),
            same: both.iter().filter(|(base, head)| base.digest == head.digest).count(),
            failures: (
                broken(&|(base, _)| base.failure.is_some()),
                broken(&|(_, head)| head.failure.is_some()),
            ),
            newly_broken: turned(false),
            newly_whole: turned(true),
            measures: measures(&before, &after),
        }
    }

    fn worse_than(&self, percent: f64) -> Vec<String> {
        let mut worse = vec![];
        if !self.newly_broken.is_empty() {
            worse.push(format!("{}: breaks a rule under seeds {:?}", self.name, self.newly_broken));
        }
        for measure in &self.measures {
            if let Some(grown) = measure.percent().filter(|grown| *grown > percent) {
                worse.push(format!("{}: {} grew by {grown:.1} %", self.name, measure.name));
            }
        }
        worse
    }
}

impl Change {
    /// By how many percent it grew; negative if it shrank. From nothing to something is infinite.
    pub fn percent(&self) -> Option<f64> {
        let (base, head) = (self.base?, self.head?);
        Some(if base == head { 0.0 } else { (head - base) / base * 100.0 })
    }
}

fn measures(before: &Summary, after: &Summary) -> Vec<Change> {
    let steps = |summary: &Summary| summary.steps as f64 / summary.runs as f64;
    let of = |summary: &Summary, value: &dyn Fn(&Summary) -> Option<f64>| {
        Some(summary).filter(|summary| summary.runs > 0).and_then(value)
    };
    let change = |name, value: &dyn Fn(&Summary) -> Option<f64>| Change {
        name,
        base: of(before, value),
        head: of(after, value),
    };
    vec![
        change("heal p50", &|summary| summary.heal_s.map(|spread| spread.p50)),
        change("heal p99", &|summary| summary.heal_s.map(|spread| spread.p99)),
        change("heal bytes", &|summary| Some(summary.heal_bytes)),
        change("messages", &|summary| Some(summary.messages)),
        change("bytes", &|summary| Some(summary.bytes)),
        change("steps", &|summary| Some(steps(summary))),
    ]
}

fn by_name(results: &Results) -> BTreeMap<&str, &ScenarioResults> {
    results.scenarios.iter().map(|scenario| (scenario.name.as_str(), scenario)).collect()
}

fn missing(of: &Results, from: &BTreeMap<&str, &ScenarioResults>) -> Vec<String> {
    let names = of.scenarios.iter().map(|scenario| &scenario.name);
    names.filter(|name| !from.contains_key(name.as_str())).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{FailureResult, VERSION};

    fn results(name: &str, heals: &[(u64, f64)]) -> Results {
        let run = |(seed, heal_s): &(u64, f64)| RunResult {
            seed: *seed,
            peers: 3,
            failure: None,
            heal_s: Some(*heal_s),
            heal: Default::default(),
            minimum_bytes: None,
            virtual_s: 1.0,
            real_s: 0.0,
            traffic: Default::default(),
            steps: 10,
            digest: heal_s.to_string(),
        };
        let runs: Vec<RunResult> = heals.iter().map(run).collect();
        let (name, about, summary) = (name.to_owned(), String::new(), Summary::of(&runs));
        Results { version: VERSION, scenarios: vec![ScenarioResults { name, about, summary, runs }] }
    }

    #[test]
    fn only_seeds_that_both_have_are_compared() {
        let base = results("a", &[(0, 1.0), (1, 2.0), (2, 100.0)]);
        let head = results("a", &[(0, 1.0), (1, 3.0), (9, 500.0)]);
        let comparison = Comparison::of(&base, &head);
        let change = &comparison.scenarios[0];
        assert_eq!((change.seeds, change.same), (2, 1));
        let p99 = change.measures.iter().find(|measure| measure.name == "heal p99").unwrap();
        assert_eq!((p99.base, p99.head, p99.percent()), (Some(2.0), Some(3.0), Some(50.0)));
        assert_eq!(comparison.worse_than(60.0), Vec::<String>::new());
        assert_eq!(comparison.worse_than(40.0), ["a: heal p99 grew by 50.0 %"]);
    }

    #[test]
    fn a_seed_that_breaks_a_rule_no_longer_makes_nothing_worse() {
        let (mut base, head) = (results("a", &[(0, 1.0), (1, 2.0)]), results("a", &[(0, 1.0), (1, 3.0)]));
        let (rule, what) = ("converges".to_owned(), "they are not equal".to_owned());
        let failure = FailureResult { rule, at_s: 1.0, what, story: vec![], reproduce: String::new() };
        base.scenarios[0].runs[1].failure = Some(failure);
        base.scenarios[0].runs[1].heal_s = None;
        let fixed = Comparison::of(&base, &head);
        assert_eq!(fixed.scenarios[0].newly_whole, [1]);
        assert_eq!(fixed.scenarios[0].failures, (1, 0));
        assert_eq!(fixed.worse_than(0.0), Vec::<String>::new());
        assert_eq!(Comparison::of(&head, &base).worse_than(0.0), ["a: breaks a rule under seeds [1]"]);
    }

    #[test]
    fn scenarios_that_came_or_went_are_named() {
        let comparison = Comparison::of(&results("a", &[]), &results("b", &[]));
        assert_eq!((comparison.gone, comparison.new), (vec!["a".to_owned()], vec!["b".to_owned()]));
    }
}
