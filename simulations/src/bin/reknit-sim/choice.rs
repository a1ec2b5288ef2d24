//! Which scenarios were asked for.

use crate::guarded;
use anyhow::{anyhow, bail};
use reknit_sim::outcome::Outcome;
use reknit_sim::scenario::{EMBEDDED, embedded};
use reknit_sim::{Recording, Scenario, seeds};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A scenario to run.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    pub(crate) scenario: Scenario,
    /// What to say on a command line to get it.
    pub(crate) spoken: String,
    /// The session that is typed again, if it names one and there is a folder of them.
    pub(crate) recording: Option<Recording>,
    /// That folder.
    traces: Option<PathBuf>,
    /// It comes with the command.
    ours: bool,
}

/// Everything that comes with the command.
pub(crate) fn all() -> anyhow::Result<Vec<Chosen>> {
    EMBEDDED.iter().map(|(name, text)| ours(name, text)).collect()
}

/// What these words name, with recorded sessions from this folder. Nothing is named twice.
pub(crate) fn chosen(words: &[String], traces: Option<&Path>) -> anyhow::Result<Vec<Chosen>> {
    let mut found: Vec<Chosen> = vec![];
    for word in words {
        let new = if word == "all" { all()? } else { vec![one(word)?] };
        for chosen in new {
            if !found.iter().any(|known| known.spoken == chosen.spoken) {
                found.push(chosen);
            }
        }
    }
    distinct(&found)?;
    found.iter_mut().try_for_each(|chosen| chosen.record(traces))?;
    Ok(found)
}

/// Results are told apart by the names of scenarios.
fn distinct(chosen: &[Chosen]) -> anyhow::Result<()> {
    let mut spoken: BTreeMap<&str, &str> = BTreeMap::new();
    for chosen in chosen {
        let name = chosen.scenario.name.as_str();
        if let Some(other) = spoken.insert(name, &chosen.spoken) {
            bail!(
                "{other} and {} both have the name {name:?}: each scenario needs one of its own",
                chosen.spoken
            );
        }
    }
    Ok(())
}

/// No scenario has this name.
pub(crate) fn unknown(name: &str) -> anyhow::Error {
    let names: Vec<&str> = EMBEDDED.iter().map(|(name, _)| *name).collect();
    anyhow!("there is no scenario {name:?}; there are {}, and any TOML file by its path", names.join(", "))
}

impl Chosen {
    /// The seeds to run: those that were asked for, and those that showed something earlier.
    pub(crate) fn seeds(&self, asked: &Range<u64>) -> anyhow::Result<BTreeSet<u64>> {
        let found = seeds::read(seeds::FOUND).map_err(|error| anyhow!("seeds.txt: {error}"))?;
        let mine = found.iter().filter(|found| self.ours && found.scenario == self.scenario.name);
        Ok(asked.clone().chain(mine.map(|found| found.seed)).collect())
    }

    fn record(&mut self, traces: Option<&Path>) -> anyhow::Result<()> {
        if let (Some(name), Some(folder)) = (&self.scenario.trace, traces) {
            // Its words tell the cause already.
            let recording = Recording::read(&folder.join(name)).map_err(|error| anyhow!("{error}"))?;
            self.recording = Some(recording);
            self.traces = Some(folder.to_owned());
        }
        Ok(())
    }

    /// The command that shows a failure again.
    pub(crate) fn reproduce(&self, outcome: &Outcome) -> String {
        let traces =
            self.traces.as_ref().map(|folder| format!(" --traces {}", quoted(&folder.display().to_string())));
        format!("{}{}", guarded::reproduce(&self.spoken, outcome), traces.unwrap_or_default())
    }

    /// A line for the list of found seeds; none if the scenario is somebody's own.
    pub(crate) fn seed_line(&self, seed: u64, showed: &str) -> Option<String> {
        self.ours.then(|| seeds::line(&self.scenario.name, seed, showed))
    }
}

/// A command that runs this under a seed.
pub(crate) fn command(spoken: &str, seed: u64) -> String {
    format!("reknit-sim run {} --seed {seed}", quoted(spoken))
}

/// As a word of a shell.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./+,:=@%".contains(letter);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

fn one(word: &str) -> anyhow::Result<Chosen> {
    if let Some(text) = embedded(word) {
        return ours(word, text);
    }
    let path = Path::new(word);
    if !word.ends_with(".toml") && !path.exists() {
        return Err(unknown(word));
    }
    let scenario = Scenario::from_file(path)?;
    Ok(Chosen { scenario, spoken: word.to_owned(), recording: None, traces: None, ours: false })
}

fn ours(name: &str, text: &str) -> anyhow::Result<Chosen> {
    let scenario = Scenario::from_toml(name, text)?;
    Ok(Chosen { scenario, spoken: name.to_owned(), recording: None, traces: None, ours: true })
}
