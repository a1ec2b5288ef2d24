//! Which scenarios were asked for.

use anyhow::anyhow;
use reknit_sim::Scenario;
use reknit_sim::scenario::{EMBEDDED, embedded};
use reknit_sim::seeds;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

/// A scenario to run.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    pub(crate) scenario: Scenario,
    /// What to say on a command line to get it.
    pub(crate) spoken: String,
    /// It comes with the command.
    ours: bool,
}

/// Everything that comes with the command.
pub(crate) fn all() -> anyhow::Result<Vec<Chosen>> {
    EMBEDDED.iter().map(|(name, text)| ours(name, text)).collect()
}

/// What these words name. Nothing is named twice.
pub(crate) fn chosen(words: &[String]) -> anyhow::Result<Vec<Chosen>> {
    let mut found: Vec<Chosen> = vec![];
    for word in words {
        let new = if word == "all" { all()? } else { vec![one(word)?] };
        for chosen in new {
            if !found.iter().any(|known| known.spoken == chosen.spoken) {
                found.push(chosen);
            }
        }
    }
    Ok(found)
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

    /// A line for the list of found seeds; none if the scenario is somebody's own.
    pub(crate) fn seed_line(&self, seed: u64, showed: &str) -> Option<String> {
        self.ours.then(|| seeds::line(&self.scenario.name, seed, showed))
    }
}

/// A command that runs this under a seed.
pub(crate) fn command(spoken: &str, seed: u64) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./+,:=@%".contains(letter);
    let word = if spoken.chars().all(plain) {
        spoken.to_owned()
    } else {
        format!("'{}'", spoken.replace('\'', r"'\''"))
    };
    format!("reknit-sim run {word} --seed {seed}")
}

fn one(word: &str) -> anyhow::Result<Chosen> {
    if let Some(text) = embedded(word) {
        return ours(word, text);
    }
    let path = Path::new(word);
    if !word.ends_with(".toml") && !path.exists() {
        return Err(unknown(word));
    }
    Ok(Chosen { scenario: Scenario::from_file(path)?, spoken: word.to_owned(), ours: false })
}

fn ours(name: &str, text: &str) -> anyhow::Result<Chosen> {
    Ok(Chosen { scenario: Scenario::from_toml(name, text)?, spoken: name.to_owned(), ours: true })
}
