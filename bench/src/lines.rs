//! The lines of the table: what is done, and which moments are compared.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::{
    measure::{Stats, disk, percentile},
    network::Network,
    pair::{Arrival, Dirs, Pair, Setup, TIMEOUT_MS, WRITERS},
    protocol::{Command, Reply},
    results::{Results, Sample},
    side::{Side, Span},
    systems::Role,
    work::Work,
};

/// What can be asked for; one scenario may fill several rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Line {
    /// Cold sync, idle resync, disk and restart.
    Cold,
    /// Latency of one edit at a time.
    Live,
    /// Many edits at once.
    Burst,
    /// Edits on both sides while cut.
    Heal,
    /// Writes without a network.
    Local,
    /// A recorded editing session.
    Trace,
}

impl Line {
    /// The row that says so if the whole scenario fails.
    pub(crate) fn metric(self) -> &'static str {
        match self {
            Self::Cold => "cold.time",
            Self::Live => "live.p50",
            Self::Burst => "burst.time",
            Self::Heal => "heal.time",
            Self::Local => "local.one",
            Self::Trace => "trace.stored",
        }
    }
}

/// All that a scenario needs.
pub(crate) struct Bench {
    pub(crate) network: Network,
    pub(crate) data: PathBuf,
    pub(crate) keep: bool,
    pub(crate) traces: Option<PathBuf>,
    pub(crate) trace_cap: Option<usize>,
    pub(crate) results: Results,
}

impl Bench {
    pub(crate) async fn run(&mut self, system: &'static str, line: Line) -> Result<()> {
        match line {
            Line::Cold => self.cold(system).await,
            Line::Live => self.live(system).await,
            Line::Burst => self.burst(system).await,
            Line::Heal => self.heal(system).await,
            Line::Local => self.local(system).await,
            Line::Trace => self.trace(system).await,
        }
    }

    /// A has 1,000 entities of 10 edits, B is empty and joins.
    async fn cold(&mut self, system: &'static str) -> Result<()> {
        let work = Work::new(SEED, 1_000, 0, 10_000);
        let mut pair = Pair::open(self.setup(system, "cold")?, work).await?;
        pair.b.done(Command::Expect { work }).await?;
        let wire = pair.a.stats().await?.wire;
        let connect = pair.connect().await?;
        let arrival = pair.b.arrival(Command::Await { timeout_ms: TIMEOUT_MS }).await?;
        self.record_arrival(system, "cold.time", connect.started, arrival);
        if !matches!(arrival, Arrival::At(_)) {
            return Ok(());
        }
        self.number(system, "cold.wire", pair.settled_wire().await? - wire);
        self.number(system, "cold.rss", pair.b.stats().await?.rss);
        pair.b.verify(work).await?;
        self.idle(system, &mut pair).await?;
        let locator = pair.a.text(Command::Locate { entity: work.entities - 1 }).await?;
        let dirs = pair.stop().await?;
        let size = disk(&dirs.a)?;
        self.number(system, "disk.bytes", size.bytes);
        self.number(system, "disk.allocated", size.allocated);
        self.number(system, "disk.files", size.files);
        self.number(system, "disk.joined", disk(&dirs.b)?.bytes);
        self.restart(system, &dirs, work, locator).await
    }

    /// Both are equal; B hangs up and connects again.
    async fn idle(&mut self, system: &'static str, pair: &mut Pair) -> Result<()> {
        pair.b.done(Command::Disconnect).await?;
        let wire = pair.settled_wire().await?;
        let await_equal = Command::AwaitEqual { timeout_ms: EQUAL_TIMEOUT_MS };
        pair.a.send(&await_equal).await?;
        let connect = pair.connect().await?;
        let arrival = pair.b.arrival(await_equal).await?.earliest(pair.a.arrived().await?);
        self.record_arrival(system, "idle.time", connect.started, arrival);
        self.record_arrival(system, "idle.after", connect.finished, arrival);
        self.number(system, "idle.wire", pair.settled_wire().await? - wire);
        // Does the subscription live again?
        let one = Work::new(SEED + 1, 1_000, 0, 1);
        pair.b.done(Command::Expect { work: one }).await?;
        let edit = pair.a.timed(Command::Apply { work: one, writers: 1 }).await?;
        let arrival = pair.b.arrival(Command::Await { timeout_ms: RESUME_TIMEOUT_MS }).await?;
        self.record_arrival(system, "idle.resumed", edit.started, arrival);
        Ok(())
    }

    /// A fresh process on A's data, until it has read a field of the last entity.
    async fn restart(
        &mut self,
        system: &'static str,
        dirs: &Dirs,
        work: Work,
        locator: String,
    ) -> Result<()> {
        let last = work.edit(work.first + work.count - 1);
        for _ in 0..RESTARTS {
            let mut side = Side::spawn(system, Role::A, &self.network, &dirs.a)?;
            let before = side.stats().await?.rss;
            drop(side);
            let mut side = Side::spawn(system, Role::A, &self.network, &dirs.a)?;
            let reopen = Command::Reopen { locator: locator.clone(), field: last.field };
            let Reply::Reopened { started, finished, value } = side.call(reopen).await? else {
                bail!("unexpected reply to reopen");
            };
            if value.as_ref() != Some(&last.value) {
                bail!("the first read after a restart gave {value:?}");
            }
            self.results.add(system, "restart.time", Sample::Number(Span { started, finished }.seconds()));
            let Stats { rss, anonymous, .. } = side.stats().await?;
            self.number(system, "restart.rss", rss);
            self.number(system, "restart.anonymous", anonymous);
            self.number(system, "restart.rss_own", rss.saturating_sub(before));
            side.stop().await?;
        }
        Ok(())
    }

    /// One edit at a time on A, each seen by B's subscriber before the next is made.
    async fn live(&mut self, system: &'static str) -> Result<()> {
        let base = Work::new(SEED, 100, 0, 100);
        let mut pair = Pair::joined(self.setup(system, "live")?, base).await?;
        let mut samples = Vec::new();
        let wire = pair.settled_wire().await?;
        for number in 0..LIVE_WARM + LIVE_EDITS {
            let work = Work::new(SEED, base.entities, base.count + number, 1);
            pair.b.done(Command::Expect { work }).await?;
            pair.b.send(&Command::Await { timeout_ms: TIMEOUT_MS }).await?;
            let edit = pair.a.timed(Command::Apply { work, writers: 1 }).await?;
            let Arrival::At(at) = pair.b.arrived().await? else {
                self.results.add(system, "live.p50", Sample::TimedOut { unseen: 1, lost: 0 });
                return Ok(());
            };
            if number >= LIVE_WARM {
                samples.push(Span { started: edit.started, finished: at }.seconds());
            }
        }
        let edits = u64::from(LIVE_WARM + LIVE_EDITS);
        self.number(system, "live.wire", (pair.settled_wire().await? - wire) / edits);
        for (metric, share) in [("live.p50", 0.5), ("live.p99", 0.99)] {
            let Some(value) = percentile(&samples, share) else { bail!("no samples") };
            self.results.add(system, metric, Sample::Number(value));
        }
        pair.stop().await?;
        Ok(())
    }

    /// 64 writers on A, as fast as it takes them.
    async fn burst(&mut self, system: &'static str) -> Result<()> {
        let base = Work::new(SEED, 100, 0, 100);
        let work = Work::new(SEED, base.entities, base.count, 10_000);
        let mut pair = Pair::joined(self.setup(system, "burst")?, base).await?;
        let wire = pair.settled_wire().await?;
        pair.b.done(Command::Expect { work }).await?;
        pair.b.send(&Command::Await { timeout_ms: TIMEOUT_MS }).await?;
        let writing = pair.a.timed(Command::Apply { work, writers: WRITERS }).await?;
        let arrival = pair.b.arrived().await?;
        self.record_arrival(system, "burst.time", writing.started, arrival);
        self.results.add(system, "burst.taken", Sample::Number(writing.seconds()));
        if matches!(arrival, Arrival::At(_)) {
            self.number(system, "burst.wire", pair.settled_wire().await? - wire);
            self.number(system, "burst.rss", pair.b.stats().await?.rss);
            pair.b.verify(work).await?;
            pair.stop().await?;
        }
        Ok(())
    }

    /// Both have 1,000 entities; cut, each edits all of them; connected again.
    async fn heal(&mut self, system: &'static str) -> Result<()> {
        let base = Work::new(SEED, 1_000, 0, 1_000);
        let on_a = Work::new(SEED + 2, base.entities, 1_000, 1_000);
        let on_b = Work::new(SEED + 3, base.entities, 2_000, 1_000);
        let mut pair = Pair::joined(Setup { a_watches: true, ..self.setup(system, "heal")? }, base).await?;
        pair.b.done(Command::Disconnect).await?;
        pair.a.timed(Command::Apply { work: on_a, writers: WRITERS }).await?;
        pair.b.timed(Command::Apply { work: on_b, writers: WRITERS }).await?;
        pair.a.done(Command::Expect { work: on_b }).await?;
        pair.b.done(Command::Expect { work: on_a }).await?;
        let wire = pair.settled_wire().await?;
        let connect = pair.connect().await?;
        let await_all = Command::Await { timeout_ms: TIMEOUT_MS };
        pair.a.send(&await_all).await?;
        pair.b.send(&await_all).await?;
        let arrivals = (pair.a.arrived().await?, pair.b.arrived().await?);
        let arrival = match arrivals {
            (Arrival::At(a), Arrival::At(b)) => Arrival::At(a.max(b)),
            (Arrival::TimedOut { unseen, lost }, Arrival::TimedOut { unseen: more, lost: more_lost }) => {
                Arrival::TimedOut { unseen: unseen + more, lost: lost + more_lost }
            }
            (Arrival::At(_), other) | (other, _) => other,
        };
        self.record_arrival(system, "heal.time", connect.started, arrival);
        if matches!(arrival, Arrival::At(_)) {
            self.number(system, "heal.wire", pair.settled_wire().await? - wire);
            for side in [&mut pair.a, &mut pair.b] {
                side.verify(on_a).await?;
                side.verify(on_b).await?;
            }
            pair.stop().await?;
        }
        Ok(())
    }

    /// No network: one writer, then (another process) 64.
    async fn local(&mut self, system: &'static str) -> Result<()> {
        for (name, writers, count) in [("one", 1, 5_000), ("many", WRITERS, 20_000)] {
            let base = Work::new(SEED, 100, 0, 100);
            let work = Work::new(SEED, base.entities, base.count, count);
            let dirs = Dirs::new(&self.data, system, "local", self.keep)?;
            let mut side = Side::spawn(system, Role::A, &self.network, &dirs.a)?;
            side.done(Command::Open { watch: false }).await?;
            side.timed(Command::Apply { work: base, writers: 1 }).await?;
            let syncs = side.stats().await?.syncs;
            let writing = side.timed(Command::Apply { work, writers }).await?;
            let synced = side.stats().await?.syncs - syncs;
            // Not verified here: reading would give the storing time that is not counted. The burst verifies.
            let stopping = side.stop().await?;
            let count = f64::from(count);
            let stored = Span { started: writing.started, finished: stopping.finished }.seconds();
            self.results.add(system, &format!("local.{name}"), Sample::Number(count / writing.seconds()));
            self.results.add(system, &format!("local.{name}_stored"), Sample::Number(count / stored));
            let per_thousand = synced as f64 * 1_000.0 / count;
            self.results.add(system, &format!("local.{name}_syncs"), Sample::Number(per_thousand));
        }
        Ok(())
    }

    /// One commit an edit, in one process.
    async fn trace(&mut self, system: &'static str) -> Result<()> {
        let Some(path) = self.traces.as_deref().map(trace_file) else { return Ok(()) };
        let cap = self.trace_cap.unwrap_or(if system == "samod" { SAMOD_TRACE_CAP } else { usize::MAX });
        let dirs = Dirs::new(&self.data, system, "trace", self.keep)?;
        let mut side = Side::spawn(system, Role::A, &self.network, &dirs.a)?;
        side.done(Command::Open { watch: false }).await?;
        let replay = Command::Replay { trace: path, cap, budget_ms: TRACE_BUDGET_MS };
        let (writing, edits, total) = match side.call(replay).await? {
            Reply::Replayed { started, finished, edits, total } => (Span { started, finished }, edits, total),
            Reply::NoAnswer => {
                self.results.add(system, "trace.stored", Sample::NoAnswer);
                return Ok(());
            }
            other => bail!("unexpected reply {other:?}"),
        };
        let peak = side.stats().await?.rss_peak;
        let stopping = side.stop().await?;
        let stored = writing.seconds() + stopping.seconds();
        self.results.add(system, "trace.rate", Sample::Number(edits as f64 / writing.seconds()));
        self.results.add(system, "trace.stored", Sample::Number(edits as f64 / stored));
        self.results.add(system, "trace.edits", Sample::Number(edits as f64));
        self.results.add(system, "trace.share", Sample::Number(edits as f64 / total as f64));
        self.number(system, "trace.rss", peak);
        let size = disk(&dirs.a)?;
        self.results.add(system, "trace.disk", Sample::Number(size.bytes as f64 / edits as f64));
        Ok(())
    }

    fn setup<'a>(&'a self, system: &'a str, line: &str) -> Result<Setup<'a>> {
        let dirs = Dirs::new(&self.data, system, line, self.keep)?;
        Ok(Setup { system, network: &self.network, dirs, a_watches: false })
    }

    fn number(&mut self, system: &'static str, metric: &str, value: u64) {
        self.results.add(system, metric, Sample::Number(value as f64));
    }

    fn record_arrival(&mut self, system: &'static str, metric: &str, started: u64, arrival: Arrival) {
        let sample = match arrival {
            Arrival::At(finished) => Sample::Number(Span { started, finished }.seconds()),
            Arrival::TimedOut { unseen, lost } => Sample::TimedOut { unseen, lost },
            Arrival::NoAnswer => Sample::NoAnswer,
        };
        self.results.add(system, metric, sample);
    }
}

fn trace_file(traces: &Path) -> PathBuf {
    if traces.is_dir() { traces.join("automerge-paper.json.gz") } else { traces.to_owned() }
}

const SEED: u64 = 20_250_101;
const RESTARTS: usize = 3;
const LIVE_WARM: u32 = 50;
const LIVE_EDITS: u32 = 550;
const EQUAL_TIMEOUT_MS: u64 = 10_000;
const RESUME_TIMEOUT_MS: u64 = 8_000;
const TRACE_BUDGET_MS: u64 = 40_000;
/// samod takes edits far faster than it stores them; more of them would only wait longer at the end.
const SAMOD_TRACE_CAP: usize = 30_000;
