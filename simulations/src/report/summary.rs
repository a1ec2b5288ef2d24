//! The table of scenarios, and the list of everything that failed.

use super::Names;
use super::scenario::Scenario;
use super::text::{Bytes, Count, Px, Seconds, Text, clipped, ranges};
use crate::outcome::Outcome;
use crate::results::Spread;
use std::fmt::Write;

/// One row for each scenario.
pub(super) fn write(out: &mut String, scenarios: &[Scenario<'_>], names: &Names<'_>) {
    out.push_str(
        "<section><h2>Scenarios</h2>\n<form class=\"filter\" hidden=\"hidden\"><label>Scenario <select name=\"scenario\">\
         <option value=\"\">all</option>",
    );
    for (at, scenario) in scenarios.iter().take(ROWS_MAX).enumerate() {
        let _ = write!(out, "<option value=\"{at}\">{}</option>", Text(&clipped(scenario.name, NAME_CHARS)));
    }
    out.push_str(
        "</select></label> <label><input type=\"checkbox\" name=\"failed\"/> failures only</label></form>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Scenarios, scrolls sideways\">\
         <table class=\"scenarios\"><thead><tr><th>Scenario</th><th class=\"n\">Seeds</th><th class=\"n\">Failed</th>\
         <th class=\"n\">Heal p50</th><th class=\"n\">Heal p99</th><th>Heal times</th><th class=\"n\">Bytes to heal</th>\
         <th class=\"n\">Over minimum</th><th class=\"n\">Messages to heal</th><th class=\"n\">Bytes in all</th></tr></thead><tbody>\n",
    );
    let longest = scenarios.iter().flat_map(Scenario::heals).fold(0.0, f64::max);
    for (at, scenario) in scenarios.iter().take(ROWS_MAX).enumerate() {
        row(out, at, scenario, longest, names);
    }
    out.push_str("</tbody></table></div>\n");
    if scenarios.len() > ROWS_MAX {
        let _ = writeln!(
            out,
            "<p class=\"note\">{} more scenarios are not listed.</p>",
            scenarios.len() - ROWS_MAX
        );
    }
    out.push_str(
        "<p class=\"note\">Heal: virtual time from when the network was whole until all peers had the same events. Bytes and \
         messages to heal, and bytes in all: median of the runs that passed. Over minimum: median of the bytes to heal, as a \
         multiple of what peers lacked, compressed.",
    );
    if longest > 0.0 {
        let _ =
            write!(out, " Under “Heal times” each tick is a run, on a scale from 0 to {}.", Seconds(longest));
    }
    out.push_str("</p></section>\n");
}

fn row(out: &mut String, at: usize, scenario: &Scenario<'_>, longest: f64, names: &Names<'_>) {
    let failed = scenario.failed().count();
    let heals = scenario.heals();
    let heal = Spread::of(heals.iter().copied());
    let class = if failed > 0 { " class=\"failing\"" } else { "" };
    let name = Text(&clipped(scenario.name, NAME_CHARS)).to_string();
    let first = scenario.runs.iter().find_map(|run| names.get(&(run.scenario.as_str(), run.seed)));
    let name = first.map_or_else(|| name.clone(), |first| format!("<a href=\"#{first}\">{name}</a>"));
    let median = |of: fn(&Outcome) -> u64| {
        let healed = scenario.runs.iter().filter(|run| run.failure.is_none());
        Spread::of(healed.map(|run| of(run) as f64)).map(|spread| spread.p50 as u64)
    };
    let over = scenario.runs.iter().filter(|run| run.failure.is_none()).filter_map(|run| {
        let minimum = run.minimum_bytes.filter(|minimum| *minimum > 0)?;
        Some(run.heal.bytes as f64 / minimum as f64)
    });
    let over = Spread::of(over).map(|over| format!("{:.2} ×", over.p50));
    let failing = if failed > 0 { format!("<b>{failed}</b>") } else { "0".to_owned() };
    let _ = writeln!(
        out,
        "<tr data-scenario=\"{at}\" data-failed=\"{failed}\"{class}><th scope=\"row\">{name}</th><td class=\"n\">{}</td><td class=\"n\">{failing}</td>\
         <td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
        Count(scenario.runs.len() as u64),
        or_none(heal.map(|heal| Seconds(heal.p50))),
        or_none(heal.map(|heal| Seconds(heal.p99))),
        strip(&heals, longest),
        or_none(median(|run| run.heal.bytes).map(Bytes)),
        or_none(over),
        or_none(median(|run| run.heal.messages).map(Count)),
        or_none(median(|run| run.traffic.bytes).map(Bytes)),
    );
}

fn or_none(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

/// The heal times of a scenario as ticks on a line; of very many every so-manyth, in order of time.
fn strip(heals: &[f64], longest: f64) -> String {
    let mut sorted = heals.to_vec();
    sorted.sort_by(f64::total_cmp);
    let stride = sorted.len().div_ceil(TICKS_MAX).max(1);
    let mut ticks = String::new();
    for heal in sorted.iter().rev().step_by(stride) {
        let x = if longest > 0.0 { heal / longest * STRIP } else { 0.0 };
        let _ = write!(ticks, "M{} 2v12", Px(x + 2.0));
    }
    let end = Px(STRIP + 4.0);
    format!(
        "<svg class=\"strip\" width=\"{end}\" height=\"16\" aria-hidden=\"true\"><path class=\"grid\" d=\"M2 8H{}\"/><path d=\"{ticks}\"/></svg>",
        Px(STRIP + 2.0)
    )
}

/// Every failing seed: by scenario and rule, and the first of them one by one.
pub(super) fn failures(out: &mut String, scenarios: &[Scenario<'_>], names: &Names<'_>) {
    let failing = || scenarios.iter().enumerate().filter(|(_, scenario)| scenario.failed().next().is_some());
    if failing().next().is_none() {
        return;
    }
    out.push_str(
        "<section><h2>Failures</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Failures, scrolls sideways\">\
         <table class=\"failures\"><thead><tr><th>Scenario</th><th class=\"n\">Seed</th><th>Rule</th><th class=\"n\">At</th><th>Found</th></tr></thead><tbody>\n",
    );
    let mut listed = 0;
    for (at, scenario) in failing() {
        for run in scenario.failed().take(LISTED_MAX - listed) {
            listed += 1;
            let name = names.get(&(run.scenario.as_str(), run.seed));
            failure(out, at, run, name);
        }
    }
    out.push_str("</tbody></table></div>\n");
    let total: usize = scenarios.iter().map(|scenario| scenario.failed().count()).sum();
    if total > listed {
        let _ = write!(
            out,
            "<p class=\"note\">The first {listed} of {total} are listed. The failing seeds of each scenario:</p>\n<ul>"
        );
        for (at, scenario) in failing().take(ROWS_MAX) {
            let seeds = ranges(scenario.failed().map(|run| run.seed));
            let name = clipped(scenario.name, NAME_CHARS);
            let _ = write!(out, "<li data-scenario=\"{at}\" data-failed=\"1\">{}: {seeds}</li>", Text(&name));
        }
        out.push_str("</ul>\n");
    }
    out.push_str("</section>\n");
}

fn failure(out: &mut String, scenario: usize, run: &Outcome, section: Option<&&str>) {
    let Some(failure) = &run.failure else { return };
    let seed = match section {
        Some(section) => format!("<a href=\"#{section}\">{}</a>", run.seed),
        None => run.seed.to_string(),
    };
    let words: Vec<&str> = failure.what.split_whitespace().take(FOUND_CHARS).collect();
    let _ = writeln!(
        out,
        "<tr data-scenario=\"{scenario}\" data-failed=\"1\"><th scope=\"row\">{}</th><td class=\"n\">{seed}</td><td><b>{}</b></td>\
         <td class=\"n\">{}</td><td>{}</td></tr>",
        Text(&clipped(&run.scenario, NAME_CHARS)),
        Text(&clipped(&failure.rule, NAME_CHARS)),
        Seconds(failure.at_s),
        Text(&shortened(&words.join(" "))),
    );
}

/// The first words of what was found; the rest is in the section about the run.
fn shortened(found: &str) -> String {
    match found.char_indices().nth(FOUND_CHARS) {
        None => found.to_owned(),
        Some((end, _)) => format!("{} …", &found[..end]),
    }
}

const FOUND_CHARS: usize = 110;
pub(super) const NAME_CHARS: usize = 80;
const ROWS_MAX: usize = 500;
const LISTED_MAX: usize = 500;
/// The width of a strip of heal times, in pixels.
const STRIP: f64 = 120.0;
const TICKS_MAX: usize = 200;
