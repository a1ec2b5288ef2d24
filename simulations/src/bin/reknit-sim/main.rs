//! The `reknit-sim` command: runs scenarios under many seeds, and says what broke and how to see it again.
//!
//! What a scenario does and what must hold is the business of the crate `reknit_sim`; here are threads, real time, files
//! and the terminal.
//!
//! It ends with 0 if all is well; with 1 if a rule was broken, if `compare` found what it was told to fail on, or if a
//! replay came to something else; and with 2
//! if it could not do what it was asked to, be it a misspelt option, a scenario with a mistake, or a file.

mod args;
mod choice;
mod compare;
mod failures;
mod guarded;
mod jobs;
mod junit;
mod kept;
mod run;
mod screen;
mod shrinking;
mod table;

use anyhow::ensure;
use args::{Cli, Command};
use clap::Parser;
use screen::Screen;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    guarded::catch_panics();
    let cli = Cli::parse();
    let done = match &cli.command {
        Command::Run(args) => run::run(args),
        Command::List => list(),
        Command::Show { name } => show(name),
        Command::Compare(args) => compare::compare(args),
        Command::Replay { file } => replay(file),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(BROKEN),
        Err(error) => {
            Screen::Error.say(&format!("{error:#}"));
            ExitCode::from(CANNOT)
        }
    }
}

fn list() -> anyhow::Result<bool> {
    let mut table = table::Table::default();
    for chosen in choice::all()? {
        table.row([chosen.scenario.name, chosen.scenario.about]);
    }
    Screen::Output.say(&table.to_string());
    Ok(true)
}

fn replay(file: &Path) -> anyhow::Result<bool> {
    let replayed = reknit_sim::replay::replay(file)?;
    Screen::Output.say(reknit_sim::replay::report(&replayed).trim_end());
    let equal = replayed.is_equal();
    ensure!(
        !(equal && replayed.is_damaged()),
        "{} is damaged: the rest of it was not replayed",
        file.display()
    );
    Ok(equal)
}

fn show(name: &str) -> anyhow::Result<bool> {
    let text = reknit_sim::scenario::embedded(name).ok_or_else(|| choice::unknown(name))?;
    Screen::Output.say(text.trim_end());
    Ok(true)
}

/// A rule was broken.
const BROKEN: u8 = 1;
/// The command could not do what it was asked to.
const CANNOT: u8 = 2;
