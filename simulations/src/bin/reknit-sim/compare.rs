//! `reknit-sim compare`.

use crate::args::CompareArgs;
use crate::screen::Screen;
use crate::table::Table;
use anyhow::{Context, ensure};
use reknit_sim::compare::{Change, Comparison, ScenarioChange};
use reknit_sim::results::{Results, VERSION};
use std::path::Path;

/// Compares; whether nothing got worse than it was allowed to.
pub(crate) fn compare(args: &CompareArgs) -> anyhow::Result<bool> {
    let comparison = Comparison::of(&read(&args.base)?, &read(&args.head)?);
    let changed: Vec<&ScenarioChange> = comparison
        .scenarios
        .iter()
        .filter(|scenario| scenario.same < scenario.seeds && is_measured(scenario))
        .collect();
    let screen = Screen::Output;
    if !changed.is_empty() {
        let table = table(&changed);
        screen.say(&if args.markdown { table.markdown() } else { table.to_string() });
        screen.say("");
    }
    for line in notes(&comparison) {
        screen.say(&if args.markdown { format!("- {line}") } else { line });
    }
    let worse = args.fail_above.map(|percent| comparison.worse_than(percent)).unwrap_or_default();
    for line in &worse {
        screen.say(&if args.markdown { format!("- **worse:** {line}") } else { format!("WORSE  {line}") });
    }
    Ok(worse.is_empty())
}

fn read(path: &Path) -> anyhow::Result<Results> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let about = || format!("{} is no result of `reknit-sim run --json`", path.display());
    let any: serde_json::Value = serde_json::from_str(&text).with_context(about)?;
    let version = any.get("version").and_then(serde_json::Value::as_u64);
    ensure!(
        version.is_none_or(|version| version == u64::from(VERSION)),
        "{} has version {}, and this command reads version {VERSION}",
        path.display(),
        version.unwrap_or_default()
    );
    serde_json::from_value(any).with_context(about)
}

/// Whether there is a seed under which no rule is broken before or after.
fn is_measured(scenario: &ScenarioChange) -> bool {
    scenario.measures.iter().any(|measure| measure.base.is_some())
}

fn table(changed: &[&ScenarioChange]) -> Table {
    let mut table = Table::new(["SCENARIO", "SEEDS", "SAME", "MEASURE", "BASE", "HEAD", "CHANGE"]);
    for scenario in changed {
        for measure in &scenario.measures {
            table.row([
                scenario.name.clone(),
                scenario.seeds.to_string(),
                scenario.same.to_string(),
                measure.name.to_owned(),
                value(measure, measure.base),
                value(measure, measure.head),
                measure.percent().map_or_else(|| "-".to_owned(), |percent| format!("{percent:+.1} %")),
            ]);
        }
    }
    table
}

fn value(measure: &Change, value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if measure.name.starts_with("heal p") => format!("{value:.3} s"),
        Some(value) => format!("{value:.0}"),
    }
}

fn notes(comparison: &Comparison) -> Vec<String> {
    let mut notes = vec![];
    let same: Vec<&str> = comparison
        .scenarios
        .iter()
        .filter(|scenario| scenario.seeds > 0 && scenario.same == scenario.seeds)
        .map(|scenario| scenario.name.as_str())
        .collect();
    if !same.is_empty() {
        notes.push(format!("exactly the same: {}", same.join(", ")));
    }
    for scenario in &comparison.scenarios {
        if scenario.seeds == 0 {
            notes.push(format!("{}: no seed is in both", scenario.name));
        }
        if !scenario.newly_broken.is_empty() {
            notes.push(format!(
                "{}: now breaks a rule under seeds {:?}",
                scenario.name, scenario.newly_broken
            ));
        }
        if !scenario.newly_whole.is_empty() {
            notes.push(format!(
                "{}: no longer breaks a rule under seeds {:?}",
                scenario.name, scenario.newly_whole
            ));
        }
    }
    if !comparison.gone.is_empty() {
        notes.push(format!("only before: {}", comparison.gone.join(", ")));
    }
    if !comparison.new.is_empty() {
        notes.push(format!("only after: {}", comparison.new.join(", ")));
    }
    notes
}
