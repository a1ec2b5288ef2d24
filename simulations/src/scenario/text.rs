//! Scenarios as TOML.

use super::{Fault, Place, Scenario};
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Why a text is no scenario.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is no such file, or it cannot be read.
    #[error("{} cannot be read: {cause}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// It is not TOML, or not of the shape of a scenario.
    #[error("{file}:{line}: {what}")]
    Malformed {
        /// What people call the text.
        file: String,
        /// Counted from one.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// It has the shape of a scenario, but cannot be run.
    #[error("{}", .faults.iter().map(|(line, fault)| format!("{file}:{line}: {fault}")).collect::<Vec<_>>().join("\n"))]
    Faulty {
        /// What people call the text.
        file: String,
        /// Everything that is wrong, each with its line, counted from one.
        faults: Vec<(usize, Fault)>,
    },
}

impl Scenario {
    /// Reads a scenario; `file` is what errors call it.
    ///
    /// # Errors
    /// What is wrong with it, and in which line.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, LoadError> {
        let malformed = |error: toml::de::Error| LoadError::Malformed {
            file: file.to_owned(),
            line: line_of(text, error.span()),
            what: error.message().to_owned(),
        };
        let scenario: Self = toml::from_str(text).map_err(malformed)?;
        let faults = scenario.faults();
        if faults.is_empty() {
            return Ok(scenario);
        }
        let document = DeTable::parse(text).map_err(malformed)?;
        let line = |fault: &Fault| line_of(text, span_of(document.get_ref(), &fault.place));
        let faults = faults.into_iter().map(|fault| (line(&fault), fault)).collect();
        Err(LoadError::Faulty { file: file.to_owned(), faults })
    }

    /// Reads a scenario from a file.
    ///
    /// # Errors
    /// As for [`Scenario::from_toml`], and if the file cannot be read.
    pub fn from_file(path: &Path) -> Result<Self, LoadError> {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| LoadError::Unreadable { path: path.to_owned(), cause })?;
        Self::from_toml(&path.display().to_string(), &text)
    }

    /// The scenario as a file, which [`Scenario::from_toml`] reads back.
    ///
    /// # Panics
    /// If a number is greater than TOML can say (2^63).
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("everything in a scenario has a form in TOML")
    }
}

/// The innermost part of the document on the way to a place.
fn span_of(document: &DeTable<'_>, place: &[Place]) -> Option<Range<usize>> {
    let (first, rest) = place.split_first()?;
    let Place::Field(name) = first else { return None };
    let (key, value) = document.get_key_value(*name)?;
    let deeper = span_within(value, rest);
    Some(deeper.unwrap_or_else(|| key.span()))
}

fn span_within(value: &Spanned<DeValue<'_>>, place: &[Place]) -> Option<Range<usize>> {
    let Some((first, rest)) = place.split_first() else { return Some(value.span()) };
    let inner = match (first, value.get_ref()) {
        (Place::Item(number), DeValue::Array(items)) => items.get(*number),
        (Place::Field(name), DeValue::Table(table)) => table.get(*name),
        _ => None,
    };
    inner.and_then(|inner| span_within(inner, rest)).or_else(|| Some(value.span()))
}

/// The line that a part of a text begins in, counted from one.
fn line_of(text: &str, span: Option<Range<usize>>) -> usize {
    let before = text.as_bytes().iter().take(span.map_or(0, |span| span.start));
    before.filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "name = 'x'\nabout = 'y'\npeers = 3\nseconds = 10\n";

    fn refused(rest: &str) -> String {
        Scenario::from_toml("x.toml", &format!("{HEAD}{rest}")).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_is_named_with_its_file_line_and_field() {
        let unknown = refused("colour = 3\n");
        assert!(unknown.starts_with("x.toml:5: unknown field `colour`"), "{unknown}");
        let peer =
            refused("[[at]]\ntime = 1\nactions = [\n  'heal',\n  { partition = [[0, 1], [2, 3]] },\n]\n");
        assert_eq!(peer, "x.toml:9: at[0].actions[1]: there is no peer 3 at 1 s: peers are 0 to 2");
        let time = refused("[[at]]\ntime = -1\nactions = []\n");
        assert!(time.starts_with("x.toml:6: at[0].time: -1 is not between 0 and"), "{time}");
        let two = refused("[link]\nloss = 2\nlatency = { uniform = [9, 3] }\n");
        assert_eq!(two.lines().count(), 2, "{two}");
        assert!(two.contains("x.toml:7: link.latency.uniform: 3 is not between 9 and"), "{two}");
        let action = refused("[[at]]\ntime = 1\nactions = ['explode']\n");
        assert!(action.starts_with("x.toml:7: unknown variant `explode`"), "{action}");
        let person = refused("[[people]]\nat = [5]\nwork = 'mixed'\nper_second = 1\n");
        assert_eq!(person, "x.toml:6: people[0].at: there is no peer 5 at 0 s: peers are 0 to 2");
    }

    #[test]
    fn a_peer_is_there_once_it_has_joined() {
        let joins = "[[at]]\ntime = 2\nactions = ['join']\n[[at]]\ntime = 3\nactions = [{ kill = 3 }]\n";
        assert!(Scenario::from_toml("x.toml", &format!("{HEAD}{joins}")).is_ok());
        let early = refused(&joins.replace("time = 3", "time = 1"));
        assert_eq!(early, "x.toml:10: at[1].actions[0]: there is no peer 3 at 1 s: peers are 0 to 2");
        let no_disk = refused(&joins.replace("kill", "disk_full"));
        assert!(no_disk.starts_with("x.toml:10: at[1].actions[0]: nothing happens to peers"), "{no_disk}");
    }

    #[test]
    fn an_enemy_is_a_peer_or_comes_besides() {
        let enemy = |rest: &str| format!("{HEAD}[[enemies]]\nkind = 'forker'\n{rest}\n");
        assert!(Scenario::from_toml("x.toml", &enemy("at = [2]")).is_ok());
        let nowhere = Scenario::from_toml("x.toml", &enemy("")).unwrap_err().to_string();
        assert_eq!(nowhere, "x.toml:5: enemies[0].at: which peers turn hostile?");
        let stranger = refused("[[enemies]]\nkind = 'stranger'\nat = [1]\n");
        assert!(stranger.starts_with("x.toml:7: enemies[0].at: strangers are no peers"), "{stranger}");
        let turned = "[[at]]\ntime = 1\nactions = [{ turn_hostile = [3, 'liar'] }]\n";
        assert!(refused(turned).contains("there is no peer 3"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = Scenario::from_toml("x.toml", "name = 'x'\n").unwrap_err().to_string();
        assert!(missing.contains("missing field"), "{missing}");
    }
}
