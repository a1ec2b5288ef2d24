//! What can be asked of the command.

use clap::{Args, Parser, Subcommand};
use std::ops::Range;
use std::path::PathBuf;

/// Simulates peers that lose each other, and checks that nothing is lost.
///
/// Exit codes: 0 all is well; 1 a rule was broken, or `compare` found what it was told to fail on; 2 the command could not
/// do what it was asked to.
#[derive(Debug, Parser)]
#[command(name = "reknit-sim", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs scenarios under many seeds.
    Run(RunArgs),
    /// Names the scenarios that come with the command, and what each is for.
    List,
    /// Prints a scenario that comes with the command, as TOML: a start for one's own.
    Show {
        /// Its name.
        name: String,
    },
    /// Says what changed between two results of `run --json`, over the seeds that both have; sizes and times over those
    /// that break no rule in either.
    Compare(CompareArgs),
    /// Does again what a peer's journal tells, and compares bit for bit: then says how its spaces stand, and why.
    Replay {
        /// What `reknit up --journal FILE` wrote.
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Names of scenarios, paths of TOML files, or `all`.
    #[arg(value_name = "NAME|FILE", default_value = "all")]
    pub(crate) scenarios: Vec<String>,
    /// The seeds, as `0..100` or `0..=99`. Seeds that showed something earlier are run as well.
    #[arg(long, value_parser = seeds, default_value = "0..10", conflicts_with = "seed")]
    pub(crate) seeds: Range<u64>,
    /// This seed only.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// A folder of recorded editing sessions: scenarios that name one have it typed again instead of typing by chance.
    #[arg(long, value_name = "DIR", env = "REKNIT_SIM_TRACES")]
    pub(crate) traces: Option<PathBuf>,
    /// How many runs at a time: as many as there are cores unless told.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
    /// Writes the results as JSON; `-` is standard output, which then has nothing else.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Writes the results as JUnit XML, a suite for each scenario and a case for each seed.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Writes a page about the runs: timelines of the failures and of the slowest runs. It needs nothing but a browser.
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
    /// Runs every seed twice: it fails if not exactly the same happens.
    #[arg(long)]
    pub(crate) twice: bool,
    /// How long to look for a smaller scenario that breaks the same rule, for each rule that a scenario breaks.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) shrink_seconds: u64,
    /// Leaves failing scenarios as they are.
    #[arg(long, conflicts_with = "shrink_seconds")]
    pub(crate) no_shrink: bool,
    /// Where smaller scenarios are written.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) artifacts: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Results from before.
    pub(crate) base: PathBuf,
    /// Results from after.
    pub(crate) head: PathBuf,
    /// As a table for a comment on a pull request.
    #[arg(long)]
    pub(crate) markdown: bool,
    /// Fails if heal time, bytes, messages or steps grew by more than so many percent, or if a seed breaks a rule that did not.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) fail_above: Option<f64>,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let shape = || format!("{text:?} is not of the form 0..100");
    let (first, last) = text.split_once("..").ok_or_else(shape)?;
    let first: u64 = first.parse().map_err(|_| shape())?;
    let end = match last.strip_prefix('=') {
        Some(last) => last.parse::<u64>().ok().and_then(|last| last.checked_add(1)),
        None => last.parse().ok(),
    };
    let end = end.ok_or_else(shape)?;
    match end.checked_sub(first) {
        None | Some(0) => Err(format!("there is no seed in {text}")),
        Some(count) if count > SEEDS_MAX => Err(format!("{count} seeds: at most {SEEDS_MAX} at once")),
        Some(_) => Ok(first..end),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let percent: Result<f64, _> = text.trim_end_matches('%').trim().parse();
    percent
        .ok()
        .filter(|percent| percent.is_finite() && *percent >= 0.0)
        .ok_or_else(|| "a number from 0 up".to_owned())
}

/// Results are kept in memory.
const SEEDS_MAX: u64 = 1_000_000;
