//! Every source file, read as text.

use std::path::{Path, PathBuf};

use super::root;

/// No source file is longer than this, its tests not counted.
const LINES_MAX: usize = 500;

/// Files that may be longer, each with the reason.
const LONGER: &[(&str, &str)] = &[];

/// Folders at the root whose sources the rules hold for.
const FOLDERS: &[&str] =
    &["crates", "peer", "bootstrap", "simulations", "tests", "examples", "bench", "fuzz"];

/// A Rust source file, read.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Source {
    /// The path below the root of the checkout, with forward slashes.
    pub(super) fn name(&self) -> String {
        let below = self.path.strip_prefix(root()).expect("sources lie in the checkout");
        below.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
    }

    /// Whether all of the file is test code.
    pub(super) fn is_test(&self) -> bool {
        let name = self.name();
        name.contains("/tests/") || name.ends_with("/tests.rs")
    }

    /// The lines before the tests at the bottom.
    pub(super) fn code(&self) -> impl Iterator<Item = &str> {
        let mut lines = self.text.lines().peekable();
        std::iter::from_fn(move || {
            let line = lines.next()?;
            let starts_tests = line == "#[cfg(test)]"
                && lines.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'));
            (!starts_tests).then_some(line)
        })
    }
}

pub(super) fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        collect(&root().join(folder), &mut found);
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a folder entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && name != "corpus" && !name.starts_with('.') {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            // A file may vanish while an editor writes it anew.
            if let Ok(text) = std::fs::read_to_string(&path) {
                found.push(Source { path, text });
            }
        }
    }
}

#[test]
fn files_stay_short_enough_to_hold_one_idea() {
    let mut long = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let lines = source.code().count();
        let excused = LONGER.iter().any(|(name, _)| *name == source.name());
        if lines > LINES_MAX && !excused {
            long.push(format!("{}: {lines} lines", source.name()));
        }
    }
    assert!(long.is_empty(), "split these: {long:#?}");
}

#[test]
fn no_file_names_the_machine_it_was_written_on() {
    // Spelled apart, or this file would be its own first finding.
    let homes = [concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Use", "rs/"), concat!("/ho", "me/")];
    let mut texts = sources();
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "BENCHMARKS.md",
        "Cargo.toml",
        "deny.toml",
    ] {
        if let Ok(text) = std::fs::read_to_string(root().join(name)) {
            texts.push(Source { path: root().join(name), text });
        }
    }
    let found = lines_with(&texts, |line| homes.iter().any(|home| line.contains(home)));
    assert!(found.is_empty(), "absolute paths: {found:#?}");
}

#[test]
fn nothing_is_left_undone_in_the_sources() {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("db", "g!("),
    ];
    let found = lines_with(&sources(), |line| marks.iter().any(|mark| line.contains(mark)));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_lint_is_only_put_off_with_a_reason() {
    let sources = sources();
    let found = lines_with(&sources, |line| {
        line.contains(concat!("#[al", "low(")) || line.contains(concat!("#![al", "low("))
    });
    assert!(found.is_empty(), "use #[expect(.., reason = \"..\")]: {found:#?}");
}

fn lines_with(sources: &[Source], wrong: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for (number, line) in source.text.lines().enumerate() {
            if wrong(line) {
                found.push(format!("{}:{}: {}", source.name(), number + 1, line.trim()));
            }
        }
    }
    found
}
