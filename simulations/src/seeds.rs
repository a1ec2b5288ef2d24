//! Seeds that once showed something: every run of their scenario includes them.

/// A seed that showed something once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundSeed<'a> {
    /// The name of the scenario.
    pub scenario: &'a str,
    /// The seed.
    pub seed: u64,
    /// What it showed.
    pub showed: &'a str,
}

/// A line of a list of seeds cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {text:?} is not `scenario seed  # what it showed`")]
pub struct SeedsError {
    /// Counted from one.
    pub line: usize,
    /// What stands there.
    pub text: String,
}

/// The seeds found so far, of the scenarios that come with this crate.
pub const FOUND: &str = include_str!("../seeds.txt");

/// Reads a list of seeds: `scenario seed  # what it showed` in each line; empty lines and comments between them.
///
/// # Errors
/// The first line that is anything else.
pub fn read(text: &str) -> Result<Vec<FoundSeed<'_>>, SeedsError> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    lines
        .map(|(number, line)| one(line).ok_or(SeedsError { line: number + 1, text: line.to_owned() }))
        .collect()
}

/// A line of such a list.
pub fn line(scenario: &str, seed: u64, showed: &str) -> String {
    let showed = showed.lines().next().unwrap_or_default();
    format!("{scenario} {seed}  # {showed}")
}

fn one(line: &str) -> Option<FoundSeed<'_>> {
    let (what, showed) = line.split_once('#')?;
    let mut words = what.split_whitespace();
    let (scenario, seed) = (words.next()?, words.next()?.parse().ok()?);
    let showed = showed.trim();
    (words.next().is_none() && !showed.is_empty()).then_some(FoundSeed { scenario, seed, showed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::embedded;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let text = format!("# found\n\n{}\n", line("split_brain", 17, "agrees: heads differ\nand more"));
        let seed = FoundSeed { scenario: "split_brain", seed: 17, showed: "agrees: heads differ" };
        assert_eq!(read(&text), Ok(vec![seed]));
    }

    #[test]
    fn a_seed_without_a_reason_is_refused() {
        assert_eq!(read("# x\nsplit_brain 17\n").unwrap_err().line, 2);
        assert_eq!(read("split_brain 17 #\n").unwrap_err().line, 1);
        assert_eq!(read("split_brain x # y\n").unwrap_err().line, 1);
    }

    #[test]
    fn the_seeds_found_so_far_are_of_scenarios_that_exist() {
        for found in read(FOUND).unwrap() {
            assert!(embedded(found.scenario).is_some(), "{found:?}");
        }
    }
}
