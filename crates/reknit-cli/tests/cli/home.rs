//! Homes of peers, and the processes that run in them.

use serde_json::Value as Json;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) const REKNIT: &str = env!("CARGO_BIN_EXE_reknit");

/// A home directory, with a peer once it is initialised.
pub(crate) struct Home {
    pub(crate) dir: TempDir,
}

impl Home {
    pub(crate) fn empty() -> Self {
        Self { dir: tempfile::Builder::new().prefix("rk").tempdir().unwrap() }
    }

    /// A peer that listens on the loopback only.
    pub(crate) fn peer(name: &str) -> Self {
        let home = Self::empty();
        home.ok(&["init", "--name", name, "--listen", "/ip4/127.0.0.1/tcp/0"]);
        home
    }

    /// A peer with a space.
    pub(crate) fn with_space(name: &str) -> Self {
        let home = Self::peer(name);
        home.ok(&["space", "new", "music"]);
        home
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(REKNIT);
        command.args(words).env("REKNIT_HOME", self.dir.path().join("home")).env_remove("REKNIT_SPACE");
        command.env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Stdout of a command that succeeds.
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "reknit {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The answer of a command that succeeds.
    pub(crate) fn json(&self, words: &[&str]) -> Json {
        let text = self.ok(&[words, &["--json"]].concat());
        let line = text.lines().last().unwrap();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{words:?}: {error}: {line}"))
    }

    /// The exit code and stderr of a command that fails.
    pub(crate) fn fails(&self, words: &[&str]) -> (i32, String) {
        let output = self.run(words);
        assert!(!output.status.success(), "reknit {words:?} succeeds");
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    /// Creates an entity, and returns its id.
    pub(crate) fn put(&self, words: &[&str]) -> String {
        let done = self.json(&[&["put"], words].concat());
        done["entity"]["id"].as_str().unwrap().to_owned()
    }

    /// Runs the peer, and returns once it answers.
    pub(crate) fn up(&self) -> Running {
        self.up_with(&[])
    }

    /// As [`Self::up`], with more options.
    pub(crate) fn up_with(&self, options: &[&str]) -> Running {
        let mut command = self.command(&["up", "--json", "--no-mdns"]);
        let mut child = command.args(options).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first: Json = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(first["code"], "up");
        std::thread::spawn(move || lines.for_each(drop));
        Running(child)
    }
}

/// A process that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Looks again and again, since what is waited for is another process.
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(30), "waited in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Sends a signal to a process of ours.
pub(crate) fn signal(name: &str, running: &Running) {
    let sent = Command::new("kill").args(["-s", name]).arg(running.0.id().to_string()).status().unwrap();
    assert!(sent.success());
}
