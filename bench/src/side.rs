//! The parent's end of a child process. Every wait is bounded, and dropping a side kills it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
};

use crate::{
    measure::Stats,
    network::Network,
    protocol::{Command, Reply},
    systems::Role,
    work::Work,
};

#[derive(Debug)]
pub(crate) struct Side {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
}

/// A span of the shared clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) started: u64,
    pub(crate) finished: u64,
}

impl Span {
    pub(crate) fn seconds(self) -> f64 {
        self.finished.saturating_sub(self.started) as f64 / 1e9
    }
}

impl Side {
    pub(crate) fn spawn(system: &str, role: Role, network: &Network, dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let log = dir.with_extension("log");
        let program = std::env::current_exe()?;
        let address = network.address(role).to_string();
        let letter = if role == Role::A { "a" } else { "b" };
        let mut words: Vec<&std::ffi::OsStr> = network.prefix(role).into_iter().map(AsRef::as_ref).collect();
        words.push(program.as_os_str());
        words.extend(
            ["child", system, letter, &address, network.device()].map(AsRef::<std::ffi::OsStr>::as_ref),
        );
        words.push(dir.as_os_str());
        let (first, rest) = words.split_first().context("no program")?;
        let mut child = tokio::process::Command::new(first)
            .args(rest)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::options().create(true).append(true).open(&log)?)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a child")?;
        let input = child.stdin.take().context("no stdin")?;
        let output = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        Ok(Self { child, input, output, log })
    }

    pub(crate) async fn send(&mut self, command: &Command) -> Result<()> {
        let mut line = serde_json::to_string(command)?;
        line.push('\n');
        self.input.write_all(line.as_bytes()).await?;
        Ok(self.input.flush().await?)
    }

    pub(crate) async fn reply(&mut self) -> Result<Reply> {
        let Ok(line) = tokio::time::timeout(REPLY_TIMEOUT, self.output.next_line()).await else {
            bail!("no answer within {} s", REPLY_TIMEOUT.as_secs());
        };
        let Some(line) = line? else {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            bail!("the process ended: {}", log.lines().last().unwrap_or("it said nothing"));
        };
        match serde_json::from_str(&line).with_context(|| format!("unreadable reply {line}"))? {
            Reply::Failed(reason) => bail!(reason),
            reply => Ok(reply),
        }
    }

    pub(crate) async fn call(&mut self, command: Command) -> Result<Reply> {
        self.send(&command).await?;
        self.reply().await
    }

    pub(crate) async fn done(&mut self, command: Command) -> Result<()> {
        match self.call(command).await? {
            Reply::Done => Ok(()),
            other => bail!("unexpected reply {other:?}"),
        }
    }

    /// For commands that answer with a span.
    pub(crate) async fn timed(&mut self, command: Command) -> Result<Span> {
        match self.call(command).await? {
            Reply::Ran { started, finished } => Ok(Span { started, finished }),
            other => bail!("unexpected reply {other:?}"),
        }
    }

    pub(crate) async fn text(&mut self, command: Command) -> Result<String> {
        match self.call(command).await? {
            Reply::Text(text) => Ok(text),
            other => bail!("unexpected reply {other:?}"),
        }
    }

    pub(crate) async fn stats(&mut self) -> Result<Stats> {
        match self.call(Command::Stats).await? {
            Reply::Stats(stats) => Ok(stats),
            other => bail!("unexpected reply {other:?}"),
        }
    }

    /// Fails unless plain reads give the final value of every register.
    pub(crate) async fn verify(&mut self, work: Work) -> Result<()> {
        match self.call(Command::Verify { work }).await? {
            Reply::Wrong { count: 0 } => Ok(()),
            Reply::Wrong { count } => bail!("{count} registers read wrong"),
            other => bail!("unexpected reply {other:?}"),
        }
    }

    pub(crate) async fn stop(mut self) -> Result<Span> {
        let span = self.timed(Command::Stop).await?;
        if tokio::time::timeout(EXIT_TIMEOUT, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(span)
    }
}

const REPLY_TIMEOUT: Duration = Duration::from_secs(90);
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);
