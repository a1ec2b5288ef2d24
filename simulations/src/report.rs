//! What came of many runs, as one page: readable on its own, without a network, and without scripts.

mod graph;
mod moments;
mod run;
mod scenario;
mod summary;
#[cfg(test)]
mod tests;
mod text;
mod timeline;

use crate::outcome::Outcome;
use scenario::{Chosen, FAILURES_MAX, SLOWEST_MAX, Scenario};
use std::collections::BTreeMap;
use std::fmt::Write;
use text::{Count, Seconds};

/// A page about these runs: a table of the scenarios, every failure, and in detail the first failures of each kind and
/// the slowest run of each scenario. Equal outcomes give equal pages.
///
/// Whatever names and texts are in the outcomes, they are shown as text. The page is also well-formed XML.
pub fn html(outcomes: &[Outcome]) -> String {
    let scenarios = Scenario::all(outcomes);
    let (failures, slowest) = scenario::choose(&scenarios);
    let failures = detailed(failures, "f", DETAIL_BYTES_MAX);
    let slowest = detailed(slowest, "s", DETAIL_BYTES_MAX);
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'\"/>\n\
         <link rel=\"icon\" href=\"data:,\"/>\n<title>{}</title>\n<style>\n{STYLE}</style></head>\n<body><main>",
        title(outcomes)
    );
    head(&mut out, outcomes);
    let names = failures.iter().chain(&slowest).map(|shown| (shown.run, shown.name.as_str())).collect();
    summary::write(&mut out, &scenarios, &names);
    summary::failures(&mut out, &scenarios, &names);
    details(&mut out, &failures, &slowest);
    let _ = writeln!(out, "</main>\n<script>\n{SCRIPT}</script>\n</body></html>");
    out
}

fn title(outcomes: &[Outcome]) -> String {
    let all = Count(outcomes.len() as u64);
    let noun = if outcomes.len() == 1 { "simulation" } else { "simulations" };
    match outcomes.iter().filter(|run| run.failure.is_some()).count() {
        0 => format!("{all} {noun} passed"),
        failed => format!("{} of {all} {noun} failed", Count(failed as u64)),
    }
}

fn head(out: &mut String, outcomes: &[Outcome]) {
    let failed = outcomes.iter().filter(|run| run.failure.is_some()).count();
    let class = if failed == 0 { "good" } else { "bad" };
    let virtual_s: f64 = outcomes.iter().map(|run| text::finite(run.virtual_s)).sum();
    let steps = outcomes.iter().fold(0u64, |steps, run| steps.saturating_add(run.steps));
    let delivered = outcomes.iter().fold(0u64, |sum, run| sum.saturating_add(run.traffic.delivered));
    let _ = writeln!(
        out,
        "<header><p class=\"kicker\">Reknit partition simulations</p><h1 class=\"{class}\">{}</h1>\n\
         <dl class=\"facts\"><div><dt>Virtual time</dt><dd>{}</dd></div><div><dt>Steps</dt><dd>{}</dd></div>\
         <div><dt>Events delivered</dt><dd>{}</dd></div></dl></header>",
        title(outcomes),
        Seconds(virtual_s),
        Count(steps),
        Count(delivered),
    );
}

/// The runs in detail, by scenario and seed, and the names of their sections.
type Names<'a> = BTreeMap<(&'a str, u64), &'a str>;

/// A run in detail.
struct Detailed<'a> {
    run: (&'a str, u64),
    name: String,
    section: String,
}

/// Sections about these runs, as far as there is room.
fn detailed<'a>(chosen: Vec<Chosen<'a>>, prefix: &str, bytes_max: usize) -> Vec<Detailed<'a>> {
    let mut bytes = 0;
    let sections = chosen.into_iter().enumerate().map(|(at, chosen)| {
        let (name, mut section) = (format!("{prefix}{at}"), String::new());
        run::write(&mut section, &chosen, &name);
        Detailed { run: (&chosen.run.scenario, chosen.run.seed), name, section }
    });
    let fitting = sections.take_while(|detailed| {
        bytes += detailed.section.len();
        bytes <= bytes_max
    });
    fitting.collect()
}

fn details(out: &mut String, failures: &[Detailed<'_>], slowest: &[Detailed<'_>]) {
    let room = DETAIL_BYTES_MAX / 1_000_000;
    if !failures.is_empty() {
        let _ = writeln!(
            out,
            "<section><h2>Failures in detail</h2><p class=\"note\">At most {FAILURES_MAX}, and at most {room} MB: of each \
             scenario and rule the first seeds. Every failing seed is in the table above.</p>"
        );
        failures.iter().for_each(|detailed| out.push_str(&detailed.section));
        out.push_str("</section>\n");
    }
    if !slowest.is_empty() {
        let _ = writeln!(
            out,
            "<section><h2>Slowest to heal</h2><p class=\"note\">Of each scenario the run that passed and took longest \
             until all peers were equal: at most {SLOWEST_MAX}, and at most {room} MB, the slowest first.</p>"
        );
        slowest.iter().for_each(|detailed| out.push_str(&detailed.section));
        out.push_str("</section>\n");
    }
}

/// Of sections about failures, and again of those about slow runs.
const DETAIL_BYTES_MAX: usize = 4_000_000;
const STYLE: &str = include_str!("report/page.css");
const SCRIPT: &str = include_str!("report/page.js");
