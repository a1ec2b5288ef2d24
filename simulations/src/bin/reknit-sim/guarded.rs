//! One run of a scenario, whatever it does.

use reknit_sim::outcome::{Failure, Outcome, Timeline};
use reknit_sim::{Recording, Scenario, Traffic};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    static PANICKED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on a panic within a run is a finding like any other, and is told as such.
pub(crate) fn catch_panics() {
    let usual = take_hook();
    set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        if RUNNING.get() {
            PANICKED.set(Some(info.to_string()));
        } else {
            usual(info);
        }
    }));
}

/// A scenario, and the session that is typed again in it, if one is.
pub(crate) type What<'a> = (&'a Scenario, Option<&'a Recording>);

/// Runs a scenario; twice if asked to, and then not exactly the same happening is a failure.
pub(crate) fn run(what: What<'_>, seed: u64, twice: bool) -> Outcome {
    let mut outcome = once(what, seed);
    if !twice || outcome.failure.as_ref().is_some_and(|failure| failure.rule == PANICS) {
        return outcome;
    }
    let again = once(what, seed);
    if outcome.digest != again.digest {
        let what = format!(
            "{} steps with digest {}, then {} steps with digest {}",
            outcome.steps, outcome.digest, again.steps, again.digest
        );
        outcome.failure = Some(failure(SAME_TRACE, what));
    }
    outcome
}

/// The command that shows a failure again.
pub(crate) fn reproduce(spoken: &str, outcome: &Outcome) -> String {
    let command = crate::choice::command(spoken, outcome.seed);
    let twice = outcome.failure.as_ref().is_some_and(|failure| failure.rule == SAME_TRACE);
    if twice { format!("{command} --twice") } else { command }
}

fn once((scenario, recording): What<'_>, seed: u64) -> Outcome {
    RUNNING.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(|| match recording {
        Some(recording) => reknit_sim::run_recorded(scenario, seed, recording),
        None => reknit_sim::run(scenario, seed),
    }));
    RUNNING.set(false);
    outcome.unwrap_or_else(|_| panicked(scenario, seed))
}

fn panicked(scenario: &Scenario, seed: u64) -> Outcome {
    let what = PANICKED.take().unwrap_or_else(|| "no more is known".to_owned());
    Outcome {
        scenario: scenario.name.clone(),
        seed,
        peers: scenario.peers,
        failure: Some(failure(PANICS, what)),
        heal_s: None,
        heal: Traffic::default(),
        minimum_bytes: None,
        virtual_s: 0.0,
        traffic: Traffic::default(),
        steps: 0,
        digest: String::new(),
        timeline: Timeline::default(),
        attacks: BTreeMap::new(),
        answers: BTreeMap::new(),
    }
}

fn failure(rule: &str, what: String) -> Failure {
    Failure { rule: rule.to_owned(), at_s: 0.0, what, story: vec![], events: vec![], reproduce: None }
}

/// The rule that equal seeds give equal traces.
const SAME_TRACE: &str = "same-seed-same-trace";
/// The rule that nothing panics.
const PANICS: &str = "no-panic";
