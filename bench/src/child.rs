//! One side of one system, in a process of its own: does what the parent says, one command after the other.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::{
    checker::Checker,
    measure::{Stats, now_ns},
    protocol::{Command, Reply},
    systems::{Options, Role, System},
    work::{Edit, Work, read_trace, replay},
};

/// What the command line of a child says.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) dir: PathBuf,
    pub(crate) ip: IpAddr,
    pub(crate) role: Role,
    pub(crate) device: String,
    /// When the process began.
    pub(crate) born: u64,
}

impl Child {
    pub(crate) async fn run<S: System>(self) -> Result<()> {
        let mut running = Running::<S> { checker: Arc::default(), system: None, child: self };
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let mut out = tokio::io::stdout();
        while let Some(line) = lines.next_line().await? {
            let command: Command = serde_json::from_str(&line).context("unreadable command")?;
            let last = matches!(command, Command::Stop);
            let reply =
                running.handle(command).await.unwrap_or_else(|error| Reply::Failed(format!("{error:#}")));
            let mut line = serde_json::to_string(&reply)?;
            line.push('\n');
            out.write_all(line.as_bytes()).await?;
            out.flush().await?;
            if last {
                break;
            }
        }
        Ok(())
    }
}

struct Running<S> {
    child: Child,
    checker: Arc<Checker>,
    system: Option<Arc<S>>,
}

impl<S: System> Running<S> {
    async fn handle(&mut self, command: Command) -> Result<Reply> {
        Ok(match command {
            Command::Open { watch } => {
                self.open(watch).await?;
                Reply::Done
            }
            Command::Reopen { locator, field } => self.reopen(&locator, field).await?,
            Command::Apply { work, writers } => self.apply(work, writers).await?,
            Command::Invite => Reply::Text(self.system()?.invite().await?),
            Command::Connect { invite } => {
                let started = now_ns();
                self.system()?.connect(&invite).await?;
                Reply::Ran { started, finished: now_ns() }
            }
            Command::Disconnect => {
                self.system()?.disconnect().await?;
                Reply::Done
            }
            Command::Expect { work } => {
                self.checker.expect(work);
                Reply::Done
            }
            Command::Await { timeout_ms } => self.await_all(timeout_ms).await?,
            Command::AwaitEqual { timeout_ms } => self.await_equal(timeout_ms).await?,
            Command::Verify { work } => self.verify(work).await?,
            Command::Locate { entity } => Reply::Text(self.system()?.locate(entity).await?),
            Command::Stats => Reply::Stats(Stats::of_this_process(&self.child.device)?),
            Command::Replay { trace, cap, budget_ms } => self.replay(&trace, cap, budget_ms).await?,
            Command::Stop => self.stop().await?,
        })
    }

    async fn open(&mut self, watch: bool) -> Result<()> {
        let options = Options {
            dir: self.child.dir.clone(),
            ip: self.child.ip,
            role: self.child.role,
            watch,
            checker: self.checker.clone(),
        };
        self.system = Some(Arc::new(S::open(options).await?));
        Ok(())
    }

    async fn reopen(&mut self, locator: &str, field: u8) -> Result<Reply> {
        self.open(false).await?;
        let value = self.system()?.read_located(locator, field).await?;
        Ok(Reply::Reopened { started: self.child.born, finished: now_ns(), value })
    }

    /// Each entity belongs to one writer, so its edits keep their order.
    async fn apply(&self, work: Work, writers: u32) -> Result<Reply> {
        let mut shares: Vec<Vec<Edit>> = (0..writers).map(|_| Vec::new()).collect();
        for edit in work.edits() {
            shares[(edit.entity % writers) as usize].push(edit);
        }
        let started = now_ns();
        let mut tasks = Vec::new();
        for share in shares {
            let system = self.system()?.clone();
            tasks.push(tokio::spawn(async move {
                for edit in &share {
                    system.apply(edit).await?;
                }
                anyhow::Ok(())
            }));
        }
        for task in tasks {
            task.await??;
        }
        Ok(Reply::Ran { started, finished: now_ns() })
    }

    /// What the subscription never told of may still be there: plain reads find out.
    async fn await_all(&self, timeout_ms: u64) -> Result<Reply> {
        if let Some(at) = self.checker.wait(Duration::from_millis(timeout_ms)).await {
            return Ok(Reply::Seen { at });
        }
        let unseen = self.checker.unseen();
        let mut lost = 0;
        for ((entity, field), expected) in &unseen {
            lost += usize::from(self.system()?.read(*entity, *field).await?.as_ref() != Some(expected));
        }
        Ok(Reply::TimedOut { unseen: unseen.len(), lost })
    }

    async fn await_equal(&self, timeout_ms: u64) -> Result<Reply> {
        let known_equal = self.system()?.known_equal();
        let Ok(answered) = tokio::time::timeout(Duration::from_millis(timeout_ms), known_equal).await else {
            return Ok(Reply::TimedOut { unseen: 0, lost: 0 });
        };
        Ok(if answered? { Reply::Seen { at: now_ns() } } else { Reply::NoAnswer })
    }

    async fn verify(&self, work: Work) -> Result<Reply> {
        let mut count = 0;
        for ((entity, field), expected) in work.final_values() {
            if self.system()?.read(entity, field).await?.is_none_or(|value| value != expected) {
                count += 1;
            }
        }
        Ok(Reply::Wrong { count })
    }

    /// Applies as many edits as the cap and the time allow, and checks the text that they give.
    async fn replay(&self, trace: &Path, cap: usize, budget_ms: u64) -> Result<Reply> {
        let edits = read_trace(trace)?;
        let system = self.system()?;
        let (mut done, started) = (0, now_ns());
        for edit in edits.iter().take(cap) {
            if now_ns() - started > budget_ms * 1_000_000 {
                break;
            }
            if !system.splice(edit).await? {
                return Ok(Reply::NoAnswer);
            }
            done += 1;
        }
        system.settle().await?;
        let finished = now_ns();
        if system.text().await? != replay(&edits[..done]) {
            bail!("the text is wrong after {done} edits");
        }
        Ok(Reply::Replayed { started, finished, edits: done, total: edits.len() })
    }

    async fn stop(&mut self) -> Result<Reply> {
        let started = now_ns();
        if let Some(system) = self.system.take() {
            let system = Arc::into_inner(system).context("the system is still in use")?;
            system.stop().await?;
        }
        Ok(Reply::Ran { started, finished: now_ns() })
    }

    fn system(&self) -> Result<&Arc<S>> {
        self.system.as_ref().context("not open")
    }
}
