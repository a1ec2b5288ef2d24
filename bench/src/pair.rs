//! Two sides of one system, A with the work and B who joins.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, bail};

use crate::{
    network::Network,
    protocol::{Command, Reply},
    side::{Side, Span},
    systems::Role,
    work::Work,
};

pub(crate) struct Pair {
    pub(crate) a: Side,
    pub(crate) b: Side,
    pub(crate) invite: String,
    pub(crate) dirs: Dirs,
}

/// How a pair is opened.
pub(crate) struct Setup<'a> {
    pub(crate) system: &'a str,
    pub(crate) network: &'a Network,
    pub(crate) dirs: Dirs,
    pub(crate) a_watches: bool,
}

/// Where both sides keep their data; removed when dropped, unless kept.
#[derive(Debug)]
pub(crate) struct Dirs {
    root: PathBuf,
    keep: bool,
    pub(crate) a: PathBuf,
    pub(crate) b: PathBuf,
}

impl Dirs {
    pub(crate) fn new(root: &Path, system: &str, line: &str, keep: bool) -> Result<Self> {
        let root = root.join(format!("{system}-{line}"));
        let _ = fs::remove_dir_all(&root);
        let (a, b) = (root.join("a"), root.join("b"));
        fs::create_dir_all(&a)?;
        fs::create_dir_all(&b)?;
        Ok(Self { root, keep, a, b })
    }
}

impl Drop for Dirs {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.root);
        }
    }
}

/// How a wait on the other side's edits ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arrival {
    At(u64),
    TimedOut { unseen: usize, lost: usize },
    NoAnswer,
}

impl Arrival {
    /// When either side knew.
    pub(crate) fn earliest(self, other: Self) -> Self {
        match (self, other) {
            (Self::At(one), Self::At(two)) => Self::At(one.min(two)),
            (Self::At(at), _) | (_, Self::At(at)) => Self::At(at),
            (Self::TimedOut { .. }, _) => self,
            (Self::NoAnswer, other) => other,
        }
    }
}

impl Pair {
    /// Both open, A has done `base`; not connected yet. A's own subscription is not fed unless it is `a_watches`.
    pub(crate) async fn open(setup: Setup<'_>, base: Work) -> Result<Self> {
        let Setup { system, network, dirs, a_watches } = setup;
        let mut a = Side::spawn(system, Role::A, network, &dirs.a)?;
        let mut b = Side::spawn(system, Role::B, network, &dirs.b)?;
        a.done(Command::Open { watch: a_watches }).await?;
        b.done(Command::Open { watch: true }).await?;
        a.timed(Command::Apply { work: base, writers: WRITERS }).await?;
        let invite = a.text(Command::Invite).await?;
        Ok(Self { a, b, invite, dirs })
    }

    /// As `open`, then B connects and gets all of `base`.
    pub(crate) async fn joined(setup: Setup<'_>, base: Work) -> Result<Self> {
        let mut pair = Self::open(setup, base).await?;
        pair.b.done(Command::Expect { work: base }).await?;
        pair.connect().await?;
        match pair.b.arrival(Command::Await { timeout_ms: TIMEOUT_MS }).await? {
            Arrival::At(_) => Ok(pair),
            _ => bail!("B never got the base"),
        }
    }

    pub(crate) async fn connect(&mut self) -> Result<Span> {
        self.b.timed(Command::Connect { invite: self.invite.clone() }).await
    }

    /// Bytes on the wire so far, when late acknowledgements have passed.
    pub(crate) async fn settled_wire(&mut self) -> Result<u64> {
        tokio::time::sleep(SETTLE).await;
        Ok(self.a.stats().await?.wire)
    }

    pub(crate) async fn stop(self) -> Result<Dirs> {
        // The client first: a hub may wait for its connections.
        self.b.stop().await?;
        self.a.stop().await?;
        Ok(self.dirs)
    }
}

impl Side {
    /// For `Await` and `AwaitEqual`.
    pub(crate) async fn arrival(&mut self, command: Command) -> Result<Arrival> {
        self.send(&command).await?;
        self.arrived().await
    }

    /// The answer to an `Await` that was sent before.
    pub(crate) async fn arrived(&mut self) -> Result<Arrival> {
        match self.reply().await? {
            Reply::Seen { at } => Ok(Arrival::At(at)),
            Reply::TimedOut { unseen, lost } => Ok(Arrival::TimedOut { unseen, lost }),
            Reply::NoAnswer => Ok(Arrival::NoAnswer),
            other => bail!("unexpected reply {other:?}"),
        }
    }
}

/// Concurrent writers, wherever there is more than one.
pub(crate) const WRITERS: u32 = 64;
/// After this long without the last edit, a line has timed out.
pub(crate) const TIMEOUT_MS: u64 = 15_000;
const SETTLE: Duration = Duration::from_millis(300);
