//! Making a scenario that fails smaller, within a time.

use crate::choice::{self, Chosen};
use crate::guarded;
use crate::screen::Screen;
use anyhow::Context;
use reknit_sim::outcome::{Failure, Outcome};
use reknit_sim::shrink::{Shrunk, shrink};
use std::path::Path;
use std::time::{Duration, Instant};

/// How to go about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience<'a> {
    /// How long to look.
    pub(crate) seconds: u64,
    /// Where to write what was found.
    pub(crate) artifacts: &'a Path,
    /// Whether every candidate is run twice.
    pub(crate) twice: bool,
}

/// Looks for a smaller scenario that breaks the same rule, writes it to a file, and tells how to run it.
pub(crate) fn shrink_failure(
    screen: Screen,
    chosen: &Chosen,
    outcome: &Outcome,
    patience: Patience<'_>,
) -> anyhow::Result<()> {
    // A recorded session is as long as it is.
    let Some(failure) = outcome.failure.as_ref().filter(|_| chosen.recording.is_none()) else {
        return Ok(());
    };
    let began = Instant::now();
    let longest = Duration::from_secs(patience.seconds);
    let mut shrunk = shrink(&chosen.scenario, outcome.seed, |candidate| {
        let again = (began.elapsed() < longest)
            .then(|| guarded::run((candidate, None), outcome.seed, patience.twice))?;
        Some(again.failure.is_some_and(|found| found.rule == failure.rule))
    });
    if let Some(line) = chosen.seed_line(outcome.seed, &format!("{}: {}", failure.rule, failure.what)) {
        screen.say(&format!("\nfor seeds.txt:  {line}"));
    }
    let took = began.elapsed().as_secs_f64();
    screen.say(&format!("{} under seed {}: {}", chosen.spoken, outcome.seed, effort(&shrunk, took)));
    if shrunk.kept == 0 {
        return Ok(());
    }
    let name = format!("{}-{}", chosen.scenario.name, outcome.seed);
    let path = patience.artifacts.join(format!("reknit-sim-{name}.toml"));
    shrunk.scenario.name = name;
    let reproduce = small_command(&path, outcome);
    let text = file(chosen, outcome.seed, failure, &shrunk, &reproduce);
    std::fs::create_dir_all(patience.artifacts)
        .and_then(|()| std::fs::write(&path, text))
        .with_context(|| format!("{} cannot be written", path.display()))?;
    screen.say(&format!("SMALLER {reproduce}"));
    Ok(())
}

fn effort(shrunk: &Shrunk, took_s: f64) -> String {
    let end = if shrunk.complete { "nothing more can be left out" } else { "time ran out" };
    let scenario = &shrunk.scenario;
    let actions: usize = scenario.at.iter().map(|planned| planned.actions.len()).sum();
    let turns: usize = scenario.repeat.iter().map(|repeated| repeated.turns.len()).sum();
    format!(
        "{} of {} smaller scenarios fail as well, in {took_s:.1} s; {end}: {} peers, {} s, {} kinds of people, {actions} \
         actions, {turns} turns",
        shrunk.kept,
        shrunk.tried,
        scenario.peers,
        scenario.seconds,
        scenario.people.len()
    )
}

fn small_command(path: &Path, outcome: &Outcome) -> String {
    guarded::reproduce(&path.display().to_string(), outcome)
}

fn file(chosen: &Chosen, seed: u64, failure: &Failure, shrunk: &Shrunk, reproduce: &str) -> String {
    let from = choice::command(&chosen.spoken, seed);
    format!(
        "# Breaks the rule {}. Made smaller from: {from}\n# {reproduce}\n{}",
        failure.rule,
        shrunk.scenario.to_toml()
    )
}
