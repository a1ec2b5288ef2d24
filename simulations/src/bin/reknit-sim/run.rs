//! `reknit-sim run`.

use crate::args::RunArgs;
use crate::choice::{self, Chosen};
use crate::failures::{self, Detail};
use crate::jobs::{Done, How, Task, run_all};
use crate::junit;
use crate::kept::Kept;
use crate::screen::Screen;
use crate::shrinking::{Patience, shrink_failure};
use crate::table::Table;
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use reknit_sim::outcome::{Outcome, Timeline};
use reknit_sim::results::{Results, RunResult, ScenarioResults, Summary, VERSION};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

/// Runs; whether no rule was broken.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<bool> {
    let chosen = choice::chosen(&args.scenarios, args.traces.as_deref())?;
    let tasks = tasks(args, &chosen)?;
    let to_output = args.json.as_deref() == Some(Path::new(STANDARD_OUTPUT));
    let screen = if to_output { Screen::Error } else { Screen::Output };
    let began = Instant::now();
    let mut ran = run_tasks(args, &chosen, &tasks, screen);
    let results = ran.results(&chosen);
    screen.say(&summary(&results).to_string());
    let failed = ran.failed.len();
    let real_s = began.elapsed().as_secs_f64();
    screen.say(&format!("{} runs, {failed} failed, in {real_s:.1} s", tasks.len()));
    write(args, &results)?;
    if let (Some(path), Some(kept)) = (&args.report, ran.kept.take()) {
        write_file(path, &kept.html())?;
    }
    if !args.no_shrink {
        shrink_each(args, &chosen, &ran, screen)?;
    }
    Ok(failed == 0)
}

fn tasks(args: &RunArgs, chosen: &[Chosen]) -> anyhow::Result<Vec<Task>> {
    let mut tasks = vec![];
    for (scenario, chosen) in chosen.iter().enumerate() {
        let seeds = match args.seed {
            Some(seed) => BTreeSet::from([seed]),
            None => chosen.seeds(&args.seeds)?,
        };
        tasks.extend(seeds.into_iter().map(|seed| Task { scenario, seed }));
    }
    Ok(tasks)
}

/// Everything that came of all runs.
#[derive(Default)]
struct AllRan {
    /// By the place of the scenario.
    runs: BTreeMap<usize, Vec<RunResult>>,
    /// With the place of the scenario.
    failed: Vec<(usize, Outcome)>,
    /// For a page, if one is wanted.
    kept: Option<Kept>,
}

fn run_tasks(args: &RunArgs, chosen: &[Chosen], tasks: &[Task], screen: Screen) -> AllRan {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let how = How { jobs: args.jobs.map_or_else(cores, usize::from), twice: args.twice };
    let detail = if tasks.len() == 1 { Detail::Story } else { Detail::Found };
    let bar = progress(tasks.len());
    let mut ran = AllRan { kept: args.report.as_ref().map(|_| Kept::default()), ..AllRan::default() };
    run_all(chosen, tasks, how, |done| {
        let chosen = &chosen[done.task.scenario];
        if let Some(failure) = &done.outcome.failure {
            let reproduce = chosen.reproduce(&done.outcome);
            bar.suspend(|| failures::tell(screen, &reproduce, failure, detail));
        }
        ran.add(chosen, done);
        bar.set_message(format!("{}, {} failed", chosen.spoken, ran.failed.len()));
        bar.inc(1);
    });
    bar.finish_and_clear();
    ran
}

/// Drawn on standard error, if that is a terminal.
fn progress(runs: usize) -> ProgressBar {
    let bar = ProgressBar::new(runs as u64);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {eta} left: {msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

impl AllRan {
    fn add(&mut self, chosen: &Chosen, done: Done) {
        let Done { task, mut outcome, real_s } = done;
        let reproduce = chosen.reproduce(&outcome);
        if let Some(failure) = &mut outcome.failure {
            failure.reproduce = Some(reproduce.clone());
        }
        let runs = self.runs.entry(task.scenario).or_default();
        runs.push(RunResult::new(&outcome, real_s, &reproduce));
        if outcome.failure.is_some() {
            // A timeline is of no use to whoever makes it smaller, and there may be thousands.
            self.failed.push((task.scenario, Outcome { timeline: Timeline::default(), ..outcome.clone() }));
        }
        if let Some(kept) = &mut self.kept {
            kept.add(task.scenario, outcome);
        }
    }

    fn results(&self, chosen: &[Chosen]) -> Results {
        let results = |(place, runs): (&usize, &Vec<RunResult>)| {
            let scenario = &chosen[*place].scenario;
            let mut runs = runs.clone();
            runs.sort_by_key(|run| run.seed);
            let (name, about) = (scenario.name.clone(), scenario.about.clone());
            ScenarioResults { name, about, summary: Summary::of(&runs), runs }
        };
        Results { version: VERSION, scenarios: self.runs.iter().map(results).collect() }
    }
}

/// For each rule that a scenario breaks, the smallest seed that shows it is made smaller.
fn shrink_each(args: &RunArgs, chosen: &[Chosen], ran: &AllRan, screen: Screen) -> anyhow::Result<()> {
    let mut first: BTreeMap<(usize, &str), &Outcome> = BTreeMap::new();
    for (scenario, outcome) in &ran.failed {
        let Some(failure) = &outcome.failure else { continue };
        let kept = first.entry((*scenario, &failure.rule)).or_insert(outcome);
        if outcome.seed < kept.seed {
            *kept = outcome;
        }
    }
    for ((scenario, _), outcome) in first {
        let patience =
            Patience { seconds: args.shrink_seconds, artifacts: &args.artifacts, twice: args.twice };
        shrink_failure(screen, &chosen[scenario], outcome, patience)?;
    }
    Ok(())
}

fn summary(results: &Results) -> Table {
    let mut table = Table::new([
        "SCENARIO",
        "SEEDS",
        "FAILED",
        "HEAL P50",
        "HEAL P99",
        "MESSAGES",
        "BYTES",
        "HEAL BYTES",
        "OVER MIN",
        "STEPS/S",
    ]);
    for scenario in &results.scenarios {
        let summary = &scenario.summary;
        let heal = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2} s"));
        table.row([
            scenario.name.clone(),
            summary.runs.to_string(),
            summary.failures.to_string(),
            heal(summary.heal_s.map(|spread| spread.p50)),
            heal(summary.heal_s.map(|spread| spread.p99)),
            format!("{:.0}", summary.messages),
            format!("{:.0}", summary.bytes),
            format!("{:.0}", summary.heal_bytes),
            summary.over_minimum.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}x")),
            summary.steps_per_s().map_or_else(|| "-".to_owned(), |steps| format!("{steps:.0}")),
        ]);
    }
    table
}

fn write(args: &RunArgs, results: &Results) -> anyhow::Result<()> {
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(results)?;
        if path.as_path() == Path::new(STANDARD_OUTPUT) {
            Screen::Output.say(&json);
        } else {
            write_file(path, &json)?;
        }
    }
    if let Some(path) = &args.junit {
        write_file(path, &junit::junit(results))?;
    }
    Ok(())
}

fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

const STANDARD_OUTPUT: &str = "-";
