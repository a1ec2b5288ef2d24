//! Runs scenarios until the first failure: `cargo run --release -p reknit-sim --example catch -- FOLDER ROUNDS`.
//!
//! Prints one line: `caught by RULE in SCENARIO seed N` and ends with 1, or `clean` and ends with 0. A round is every
//! scenario of the folder under one seed; those whose names come first run first. `simulations/mutations/run.sh` uses it.

use reknit_sim::{Scenario, run};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name a folder with scenarios, and a number of rounds")?;
    let rounds: u64 = arguments.next().map_or(Ok(1), |rounds| rounds.parse())?;
    let only = arguments.next();
    let scenarios = scenarios(Path::new(&folder), only.as_deref())?;
    for seed in 0..rounds {
        for scenario in &scenarios {
            let began = Instant::now();
            let failure = failure(scenario, seed);
            let (name, took) = (&scenario.name, began.elapsed().as_secs_f64());
            if let Some((rule, what)) = failure {
                eprintln!("{what}");
                println!("caught by {rule} in {name} seed {seed}");
                return Ok(ExitCode::FAILURE);
            }
            eprintln!("{name} seed {seed}: clean in {took:.1} s");
        }
    }
    println!("clean");
    Ok(ExitCode::SUCCESS)
}

/// The scenarios of a folder, by file name.
fn scenarios(folder: &Path, only: Option<&str>) -> Result<Vec<Scenario>, Box<dyn std::error::Error>> {
    let files = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut files = files.collect::<Result<Vec<PathBuf>, std::io::Error>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let mut scenarios = vec![];
    for file in files {
        let scenario = Scenario::from_toml(&file.to_string_lossy(), &std::fs::read_to_string(&file)?)?;
        if only.is_none_or(|only| scenario.name == only) {
            scenarios.push(scenario);
        }
    }
    Ok(scenarios)
}

/// The rule that was broken and what was found, if anything was.
fn failure(scenario: &Scenario, seed: u64) -> Option<(String, String)> {
    match catch_unwind(AssertUnwindSafe(|| run(scenario, seed))) {
        Ok(outcome) => outcome.failure.map(|failure| {
            let story = failure.story.iter().rev().take(STORY_LINES).rev();
            let story: Vec<&str> = story.map(String::as_str).collect();
            (failure.rule, format!("{:.WHAT_MAX$}\n{}", failure.what, story.join("\n")))
        }),
        Err(_) => Some(("panic".to_owned(), format!("{} panicked under seed {seed}", scenario.name))),
    }
}

const STORY_LINES: usize = 20;
const WHAT_MAX: usize = 3_000;
