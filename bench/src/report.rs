//! The table, written by the program.

use std::{fmt::Write as _, fs, process::Command as Process};

use crate::{
    results::{Results, Sample},
    systems::Name,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Seconds,
    Bytes,
    PerSecond,
    Count,
    Share,
}

/// Which way is ahead; `Neither` gives no ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Better {
    Lower,
    Higher,
    Neither,
}

struct Metric {
    id: &'static str,
    label: &'static str,
    unit: Unit,
    better: Better,
    goal: &'static str,
}

const fn metric(
    id: &'static str,
    label: &'static str,
    unit: Unit,
    better: Better,
    goal: &'static str,
) -> Metric {
    Metric { id, label, unit, better, goal }
}

const METRICS: &[Metric] = &[
    metric("cold.time", "cold sync, 1,000 entities x 10 edits", Unit::Seconds, Better::Lower, "80 ms"),
    metric("cold.wire", "- bytes on the wire", Unit::Bytes, Better::Lower, "1.3 MB"),
    metric("cold.rss", "- RSS of the side that joined", Unit::Bytes, Better::Lower, ""),
    metric(
        "live.p50",
        "live latency, edit to the other side's subscriber, p50",
        Unit::Seconds,
        Better::Lower,
        "0.45 ms",
    ),
    metric("live.p99", "- p99", Unit::Seconds, Better::Lower, "1 ms"),
    metric("live.wire", "- bytes on the wire an edit", Unit::Bytes, Better::Lower, ""),
    metric("burst.time", "burst of 10,000 edits over 100 entities", Unit::Seconds, Better::Lower, "250 ms"),
    metric("burst.taken", "- until the writing side had taken them", Unit::Seconds, Better::Neither, ""),
    metric("burst.wire", "- bytes on the wire", Unit::Bytes, Better::Lower, "1.5 MB"),
    metric("burst.rss", "- RSS of the receiving side", Unit::Bytes, Better::Lower, ""),
    metric(
        "heal.time",
        "heal: 1,000 entities, 1,000 edits on each side while cut",
        Unit::Seconds,
        Better::Lower,
        "60 ms",
    ),
    metric("heal.wire", "- bytes on the wire", Unit::Bytes, Better::Lower, "0.3 MB"),
    metric("idle.time", "idle resync of 10,000 edits, connect included", Unit::Seconds, Better::Lower, ""),
    metric("idle.after", "- after connect returned", Unit::Seconds, Better::Lower, "2 ms"),
    metric("idle.wire", "- bytes on the wire", Unit::Bytes, Better::Lower, "2 KB"),
    metric(
        "idle.resumed",
        "- then one edit, until the old subscription has it",
        Unit::Seconds,
        Better::Neither,
        "",
    ),
    metric(
        "local.one",
        "local writes, one after the other, acknowledged",
        Unit::PerSecond,
        Better::Neither,
        "",
    ),
    metric("local.one_stored", "- until all are stored", Unit::PerSecond, Better::Higher, "4,500/s"),
    metric("local.one_syncs", "- fsyncs per 1,000 writes", Unit::Count, Better::Neither, "1,000"),
    metric("local.many", "local writes, 64 writers, acknowledged", Unit::PerSecond, Better::Neither, ""),
    metric("local.many_stored", "- until all are stored", Unit::PerSecond, Better::Higher, "40,000/s"),
    metric("local.many_syncs", "- fsyncs per 1,000 writes", Unit::Count, Better::Neither, ""),
    metric("restart.time", "restart to first read, 10,000 edits", Unit::Seconds, Better::Lower, "4 ms"),
    metric("restart.rss", "- RSS then", Unit::Bytes, Better::Lower, "12 MB"),
    metric(
        "restart.rss_own",
        "- of it, beyond a process that has opened nothing",
        Unit::Bytes,
        Better::Lower,
        "",
    ),
    metric("restart.anonymous", "- of it, heap and stacks", Unit::Bytes, Better::Lower, ""),
    metric("disk.bytes", "disk for 1,000 entities x 10 edits", Unit::Bytes, Better::Lower, "2.5 MB"),
    metric("disk.allocated", "- blocks allocated", Unit::Bytes, Better::Lower, ""),
    metric("disk.files", "- files", Unit::Count, Better::Neither, ""),
    metric("disk.joined", "- on the side that joined", Unit::Bytes, Better::Lower, ""),
    metric(
        "trace.rate",
        "`automerge-paper`, one commit an edit, accepted",
        Unit::PerSecond,
        Better::Neither,
        "",
    ),
    metric("trace.stored", "- until all are stored", Unit::PerSecond, Better::Higher, "20,000/s"),
    metric("trace.edits", "- edits replayed", Unit::Count, Better::Neither, ""),
    metric("trace.share", "- of the whole trace", Unit::Share, Better::Neither, ""),
    metric("trace.rss", "- RSS peak", Unit::Bytes, Better::Lower, "120 MB"),
    metric("trace.disk", "- bytes on disk an edit", Unit::Bytes, Better::Lower, "64 B"),
];

/// What goes above and below the table.
pub(crate) struct Context<'a> {
    pub(crate) names: &'a [Name],
    pub(crate) runs: u32,
    pub(crate) network: &'static str,
    pub(crate) command: String,
    pub(crate) seconds: f64,
    /// What else the machine was doing when the run began.
    pub(crate) load: String,
}

pub(crate) fn markdown(results: &Results, context: &Context<'_>) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "# Benchmarks\n\nWritten by `bench/`, a crate outside of the workspace. The command, from that directory:\n"
    );
    let _ = writeln!(text, "```sh\n{}\n```\n", context.command);
    method(&mut text, context);
    table(&mut text, results, context.names);
    notes(&mut text, context);
    text
}

fn method(text: &mut String, context: &Context<'_>) {
    let _ = writeln!(
        text,
        "Two processes each on one machine ({}), storage on disk. {} Every system gets the same seeded edits: an edit sets one field of one \
         entity to 100 random lowercase letters and digits. Times are of the clock that both processes share; each cell is \
         the median of {} run{} (latencies: of 550 edits a run). All data was on a real file system; this run took {:.0} s, and the \
         machine's load average was {} when it began.\n",
        machine(),
        sentence(context.network),
        context.runs,
        if context.runs == 1 { "" } else { "s" },
        context.seconds,
        context.load,
    );
}

fn table(text: &mut String, results: &Results, names: &[Name]) {
    let peers: Vec<&Name> = names.iter().filter(|name| name.id != REKNIT).collect();
    let reknit = names.iter().any(|name| name.id == REKNIT);
    let mut head: Vec<String> = vec!["work".into()];
    if reknit {
        head.push("Reknit".into());
    }
    head.extend(peers.iter().map(|name| format!("{} {}", name.id, version(name.package))));
    if reknit {
        head.push("Reknit against the best of them".into());
        head.push("goal".into());
    }
    let _ = writeln!(text, "| {} |", head.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(head.len()));
    for metric in METRICS {
        let mut row = vec![metric.label.to_owned()];
        if reknit {
            row.push(cell(results, REKNIT, metric));
        }
        row.extend(peers.iter().map(|name| cell(results, name.id, metric)));
        if reknit {
            row.push(ratio(results, metric, &peers));
            row.push(metric.goal.to_owned());
        }
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
}

fn notes(text: &mut String, context: &Context<'_>) {
    let _ = writeln!(text, "\nA ratio above 1 means that Reknit is ahead.\n\n## How each is set up\n");
    for name in context.names {
        let _ = writeln!(text, "- **{}** {}: {}.", name.id, version(name.package), name.setup);
    }
    let _ = writeln!(text, "\n## What the lines mean\n\n{LEGEND}");
    let _ = writeln!(text, "\n## Where a goal is missed\n\n{}", MISSED.trim_end());
}

fn cell(results: &Results, system: &str, metric: &Metric) -> String {
    let Some(cell) = results.cell(system, metric.id) else { return String::new() };
    let wrong = cell.wrong.map(|(sample, count)| (explain(&sample, metric.unit), count));
    match (cell.median, wrong) {
        (None, None) => String::new(),
        (None, Some((why, _))) => why,
        (Some(median), None) => show(median, metric.unit),
        (Some(median), Some((why, count))) => {
            format!("{} ({count} of {} runs: {why})", show(median, metric.unit), cell.runs)
        }
    }
}

fn explain(sample: &Sample, unit: Unit) -> String {
    match sample {
        Sample::Number(number) => show(*number, unit),
        Sample::TimedOut { unseen: 0, .. } => "never (timed out)".into(),
        Sample::TimedOut { unseen, lost } => {
            let (unseen, lost) = (thousands(*unseen as f64), thousands(*lost as f64));
            format!("never (timed out: {unseen} fields not told of, {lost} of them not there)")
        }
        Sample::NoAnswer => "-".into(),
        Sample::Failed(reason) => format!("failed: {}", reason.replace(['|', '\n'], " ")),
    }
}

/// How far Reknit is ahead of the best of the others: above 1 is ahead.
fn ratio(results: &Results, metric: &Metric, peers: &[&Name]) -> String {
    let others = peers.iter().filter_map(|name| results.median(name.id, metric.id));
    let Some(own) = results.median(REKNIT, metric.id) else { return String::new() };
    let ratio = match metric.better {
        Better::Lower => others.reduce(f64::min).map(|best| best / own),
        Better::Higher => others.reduce(f64::max).map(|best| own / best),
        Better::Neither => None,
    };
    ratio.map(|ratio| format!("{ratio:.1}x")).unwrap_or_default()
}

fn show(number: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds if number >= 1.0 => format!("{number:.2} s"),
        Unit::Seconds if number >= 0.01 => format!("{:.0} ms", number * 1e3),
        Unit::Seconds => format!("{:.2} ms", number * 1e3),
        Unit::Bytes if number >= 1e7 => format!("{:.1} MB", number / 1e6),
        Unit::Bytes if number >= 1e6 => format!("{:.2} MB", number / 1e6),
        Unit::Bytes if number >= 1e4 => format!("{:.0} KB", number / 1e3),
        Unit::Bytes if number >= 1e3 => format!("{:.1} KB", number / 1e3),
        Unit::Bytes => format!("{number:.0} B"),
        Unit::PerSecond => format!("{}/s", thousands(number)),
        Unit::Count => thousands(number),
        Unit::Share => format!("{:.0}%", number * 100.0),
    }
}

fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The release in the lock file that this binary was built with.
fn version(package: &str) -> &'static str {
    let needle = format!("name = \"{package}\"\nversion = \"");
    LOCK.split_once(needle.as_str()).and_then(|(_, rest)| rest.split('"').next()).unwrap_or("")
}

fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("an unknown processor");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = Process::new("uname").arg("-sr").output();
    let kernel =
        kernel.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    format!("{cores} cores of {}, {kernel}", model.trim_start_matches([' ', '\t', ':']))
}

pub(crate) fn load_average() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or("unknown").to_owned()
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| format!("{}{}.", first.to_uppercase(), letters.as_str())).unwrap_or_default()
}

const REKNIT: &str = "reknit";
const LOCK: &str = include_str!("../Cargo.lock");
const MISSED: &str = include_str!("missed.md");
const LEGEND: &str = "\
- *Cold sync*: A has done the edits, B is empty and is told to connect; until B has every field of every entity in its \
hands, compared with what it should be.
- *Never (timed out)*: 15 s passed without the last edit. Plain reads then tell what is not there at all.
- *Live*: one edit on A at a time; from before A's call until B's subscriber has the value.
- *Burst*: 64 writers on A; until B has the last value of every field.
- *Heal*: connected and equal, then B hangs up; each side edits all 1,000 entities, B connects again; until each side has \
all of the other's edits.
- *Idle resync*: nothing was edited while B was away; until the system itself, on either side, knows that both are equal.
- *Stored*: until `stop` has returned, after which nothing is left to store. fsync, fdatasync and sync_file_range all \
count as fsyncs, until the last write was acknowledged.
- *Restart*: from the first instruction of `main` in a fresh process, page cache warm, until a field of the last entity \
was read.
- *Disk*: the lengths of all files of A after a clean stop.
- *Trace*: every transaction of the recorded session is committed by itself. samod replays the first 30,000 only, since \
it stores for minutes what it takes in seconds; every system stops after 40 s.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_their_units() {
        assert_eq!(show(1.474, Unit::Seconds), "1.47 s");
        assert_eq!(show(0.0123, Unit::Seconds), "12 ms");
        assert_eq!(show(0.000_454, Unit::Seconds), "0.45 ms");
        assert_eq!(show(1_790_000.0, Unit::Bytes), "1.79 MB");
        assert_eq!(show(1_234_567.0, Unit::PerSecond), "1,234,567/s");
        assert_eq!(show(123.0, Unit::Count), "123");
    }

    #[test]
    fn a_ratio_above_one_is_ahead_whichever_way_is_better() {
        let peer = Name { id: "peer", package: "", setup: "" };
        let mut results = Results::default();
        for (system, time, rate) in [(REKNIT, 1.0, 10.0), ("peer", 3.0, 5.0)] {
            results.add(system, "cold.time", Sample::Number(time));
            results.add(system, "local.one_stored", Sample::Number(rate));
        }
        let find = |id| METRICS.iter().find(|metric| metric.id == id).unwrap();
        assert_eq!(ratio(&results, find("cold.time"), &[&peer]), "3.0x");
        assert_eq!(ratio(&results, find("local.one_stored"), &[&peer]), "2.0x");
    }

    #[test]
    fn versions_come_from_the_lock_file() {
        assert_eq!(version("samod"), "0.16.0");
        assert_eq!(version("no such package"), "");
    }
}
