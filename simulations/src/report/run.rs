//! One run in detail.

use super::graph::Graph;
use super::moments::{LANES_MAX, Moments};
use super::scenario::Chosen;
use super::summary::NAME_CHARS;
use super::text::{Bytes, Count, Seconds, Text, clipped};
use super::timeline;
use crate::outcome::{Failure, MarkKind, Outcome};
use std::fmt::Write;

/// A section about it. `prefix` names it and begins the names of everything in it.
pub(super) fn write(out: &mut String, chosen: &Chosen<'_>, prefix: &str) {
    let run = chosen.run;
    let failed = u8::from(run.failure.is_some());
    let _ = writeln!(
        out,
        "<article id=\"{prefix}\" data-scenario=\"{}\" data-failed=\"{failed}\"><h3>{} <span class=\"seed\">seed {}</span></h3>",
        chosen.scenario,
        Text(&clipped(&run.scenario, NAME_CHARS)),
        run.seed,
    );
    if let Some(failure) = &run.failure {
        verdict(out, failure);
    }
    facts(out, run);
    let moments = Moments::of(run);
    legend(out);
    out.push_str(&timeline::draw(&moments, prefix));
    if run.peers > moments.lanes.len() {
        let _ = writeln!(
            out,
            "<p class=\"note\">{} of {} peers have a lane: at most {LANES_MAX}, those that are most behind in the end, \
             then those that changed most.</p>",
            moments.lanes.len(),
            run.peers
        );
    }
    marks(out, &moments, prefix);
    if let Some(failure) = &run.failure {
        graph(out, run, failure, prefix);
        story(out, failure);
    }
    out.push_str("</article>\n");
}

fn verdict(out: &mut String, failure: &Failure) {
    let _ = writeln!(
        out,
        "<div class=\"verdict\"><p><b>{}</b> is broken at {}.</p>\n<pre tabindex=\"0\">{}</pre>",
        Text(&clipped(&failure.rule, NAME_CHARS)),
        Seconds(failure.at_s),
        Text(&clipped(&failure.what, WHAT_CHARS)),
    );
    if let Some(command) = &failure.reproduce {
        let _ = writeln!(out, "<p>Again: <code>{}</code></p>", Text(&clipped(command, STORY_CHARS)));
    }
    out.push_str("</div>\n");
}

fn facts(out: &mut String, run: &Outcome) {
    out.push_str("<dl class=\"facts\">");
    let mut fact = |name: &str, value: String| {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    };
    fact("Peers", run.peers.to_string());
    if let Some(heal_s) = run.heal_s {
        fact("Healed in", Seconds(heal_s).to_string());
        let over = run.minimum_bytes.filter(|minimum| *minimum > 0).map_or_else(String::new, |minimum| {
            format!(" ({:.2} × the minimum)", run.heal.bytes as f64 / minimum as f64)
        });
        fact("Bytes to heal", format!("{}{over}", Bytes(run.heal.bytes)));
    }
    fact("Virtual time", Seconds(run.virtual_s).to_string());
    fact("Messages", format!("{}, {}", Count(run.traffic.messages), Bytes(run.traffic.bytes)));
    fact("Announces", format!("{}, {}", Count(run.traffic.announces), Bytes(run.traffic.announce_bytes)));
    fact("Events delivered", Count(run.traffic.delivered).to_string());
    fact("Steps", Count(run.steps).to_string());
    let digest: String = run.digest.chars().take(16).collect();
    fact("Digest", format!("<code>{}</code>", Text(&digest)));
    out.push_str("</dl>\n");
}

fn legend(out: &mut String) {
    out.push_str("<ul class=\"legend\" aria-label=\"Legend\">");
    let bars = [
        ("up", 12, "up"),
        ("asleep", 6, "asleep"),
        ("down", 3, "down"),
        ("split", 14, "partition, groups A, B …"),
    ];
    for (class, height, name) in
        bars.into_iter().chain([("cut", 4, "cut one way"), ("healing", 14, "until all are equal")])
    {
        let _ = write!(
            out,
            "<li><svg width=\"20\" height=\"14\" aria-hidden=\"true\"><rect class=\"{class}\" y=\"{}\" width=\"18\" height=\"{height}\"/></svg>{name}</li>",
            7 - height / 2
        );
    }
    let kinds = [
        (MarkKind::Crash, "crash"),
        (MarkKind::Start, "start"),
        (MarkKind::Sleep, "sleep"),
        (MarkKind::Wake, "wake"),
        (MarkKind::Clock, "clock"),
        (MarkKind::Disk, "disk"),
        (MarkKind::Heal, "network whole"),
        (MarkKind::Other, "other"),
    ];
    for (kind, name) in kinds {
        let _ = write!(out, "<li>{}{name}</li>", icon(&kind));
    }
    out.push_str("</ul>\n");
}

fn icon(kind: &MarkKind) -> String {
    let (class, shape) = timeline::shape(kind);
    format!(
        "<svg class=\"mark {class}\" width=\"14\" height=\"14\" aria-hidden=\"true\"><path transform=\"translate(7 7)\" d=\"{shape}\"/></svg>"
    )
}

fn marks(out: &mut String, moments: &Moments<'_>, prefix: &str) {
    if moments.marks.is_empty() {
        return;
    }
    let total = moments.marks_before + moments.marks.len() as u64;
    let open = if moments.marks.len() <= MARKS_OPEN { " open=\"open\"" } else { "" };
    let _ = write!(out, "<details{open}><summary>What was done to the world ({})</summary>", Count(total));
    if moments.marks_before > 0 {
        let _ = write!(out, "<p class=\"note\">The first {} are left out.</p>", Count(moments.marks_before));
    }
    out.push_str(
        "<p class=\"note\">Times here count from the beginning; those in a scenario from when all have joined.</p>\
         <ol class=\"marks\">\n",
    );
    for (number, mark) in moments.marks.iter().enumerate() {
        let _ = writeln!(
            out,
            "<li id=\"{prefix}m{number}\"><span class=\"t\">{}</span>{}<span>{}</span></li>",
            Seconds(mark.at_s),
            icon(&mark.kind),
            Text(&clipped(&mark.what, 160)),
        );
    }
    out.push_str("</ol></details>\n");
}

fn graph(out: &mut String, run: &Outcome, failure: &Failure, prefix: &str) {
    let graph = Graph::of(run, failure);
    if graph.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "<h4>The newest events</h4><p>{} Under each event a box for each peer in order, filled if it has the event; \
         dashed edges lead to what an author wrote before.</p>\n{}\
         <details><summary>The same as a table</summary><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Events, scrolls sideways\">{}</div></details>",
        graph.summary(),
        graph.draw(prefix),
        graph.table(prefix),
    );
}

fn story(out: &mut String, failure: &Failure) {
    if failure.story.is_empty() {
        return;
    }
    let first = failure.story.len().saturating_sub(STORY_LINES);
    let _ = write!(
        out,
        "<h4>The last that happened</h4><pre class=\"story\" tabindex=\"0\" role=\"region\" aria-label=\"The last that happened\">"
    );
    for line in failure.story.iter().skip(first) {
        let _ = writeln!(out, "{}", Text(&clipped(line, STORY_CHARS)));
    }
    out.push_str("</pre>\n");
}

const WHAT_CHARS: usize = 6_000;
const STORY_LINES: usize = 60;
const STORY_CHARS: usize = 400;
/// So many marks are shown without being asked for.
const MARKS_OPEN: usize = 14;
