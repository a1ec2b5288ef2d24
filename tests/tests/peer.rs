//! Peers as their users run them: the `reknit` command, a home of its own each, in a namespace or on this machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::Value;
use tempfile::TempDir;

use super::binaries;
use super::lab::Host;

/// How long a command or the start of a peer may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A home with a peer in it, running or not.
pub(crate) struct Peer {
    name: String,
    home: TempDir,
    host: Option<Host>,
    running: Option<Running>,
}

/// A command that failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) code: Option<i32>,
    pub(crate) message: String,
}

impl Peer {
    /// Creates a peer on a host of a lab.
    pub(crate) fn on(host: &Host, name: &str) -> Self {
        Self::create(Some(host.clone()), name, &[])
    }

    /// Creates a peer on this machine, that listens on the loopback only, at ports the system picks.
    pub(crate) fn here(name: &str) -> Self {
        Self::create(
            None,
            name,
            &["--listen", "/ip4/127.0.0.1/udp/0/quic-v1", "--listen", "/ip4/127.0.0.1/tcp/0"],
        )
    }

    /// Creates a peer like [`Self::here`], its home in a folder on a disk of the test's choosing.
    pub(crate) fn in_folder(folder: &Path, name: &str) -> Self {
        Self::create_in(temporary().tempdir_in(folder).expect("a temporary folder"), None, name, &LOOPBACK)
    }

    fn create(host: Option<Host>, name: &str, options: &[&str]) -> Self {
        Self::create_in(temporary().tempdir().expect("a temporary folder"), host, name, options)
    }

    fn create_in(home: TempDir, host: Option<Host>, name: &str, options: &[&str]) -> Self {
        let peer = Self { name: name.to_owned(), home, host, running: None };
        peer.run(&[&["init", "--name", name], options].concat());
        peer
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Starts `reknit up` and waits until it answers.
    pub(crate) fn up(&mut self) {
        self.up_with(&[], &[]);
    }

    /// Starts `reknit up` with more options and environment variables, and waits until it answers.
    pub(crate) fn up_with(&mut self, options: &[&str], environment: &[(&str, &str)]) {
        assert!(self.running.is_none(), "{} is up already", self.name);
        let mut command = self.command();
        command.arg("up").args(options).envs(environment.iter().copied());
        let mut running = Running::start(&self.name, command);
        let socket = self.home().join("peer.sock");
        running.until("it answers", |_| UnixStream::connect(&socket).is_ok());
        self.running = Some(running);
    }

    /// Ends the process as a crash would: it gets no chance to do anything.
    pub(crate) fn kill(&mut self) {
        self.running.take().expect("the peer is up").kill();
    }

    /// Ends the process as its user would, and expects it to leave in order.
    pub(crate) fn down(&mut self) {
        let status = self.running.take().expect("the peer is up").terminate();
        assert!(status.success(), "{} left with {status}", self.name);
    }

    /// Waits until the process has ended by itself: how, and what it said.
    pub(crate) fn ended(&mut self) -> (ExitStatus, String) {
        let mut running = self.running.take().expect("the peer is up");
        let status = running.ended("by itself");
        (status, running.said().join("\n"))
    }

    pub(crate) fn is_up(&mut self) -> bool {
        self.running.as_mut().is_some_and(Running::lives)
    }

    /// Runs a command that must succeed; its answer.
    pub(crate) fn run(&self, words: &[&str]) -> Value {
        self.try_run(words)
            .unwrap_or_else(|failed| panic!("{}: reknit {}: {failed:?}", self.name, words.join(" ")))
    }

    /// Runs a command; the last line of its answer, or how it failed.
    pub(crate) fn try_run(&self, words: &[&str]) -> Result<Value, Failed> {
        self.try_run_with(words, "")
    }

    /// Runs a command and gives it something to read.
    pub(crate) fn try_run_with(&self, words: &[&str], input: &str) -> Result<Value, Failed> {
        let mut command = self.command();
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("reknit starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let output = std::thread::scope(|scope| {
            // A command that fails early need not read it all.
            scope.spawn(move || drop(stdin.write_all(input.as_bytes())));
            child.wait_with_output().expect("reknit ends")
        });
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Failed { code: output.status.code(), message });
        }
        let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
        let last = text.lines().last().unwrap_or("null");
        Ok(serde_json::from_str(last).unwrap_or_else(|error| panic!("not JSON ({error}): {last}")))
    }

    /// What the peer says of its only space.
    pub(crate) fn space(&self) -> Value {
        self.run(&["space", "info"])
    }

    /// Digest of all it knows in its only space.
    pub(crate) fn frontier(&self) -> String {
        self.space()["frontier"].as_str().expect("a space has a frontier").to_owned()
    }

    /// How many events it has in its only space.
    pub(crate) fn events(&self) -> u64 {
        self.space()["events"].as_u64().expect("a space counts its events")
    }

    /// How many members of its only space it is connected to.
    pub(crate) fn connections(&self) -> usize {
        let space = self.space();
        let links = space["links"].as_array().expect("a space lists its links");
        links.iter().filter(|link| link["connected"] == true).count()
    }

    /// A ticket to its only space.
    pub(crate) fn invite(&self) -> String {
        self.run(&["invite"])["ticket"].as_str().expect("an invite is a ticket").to_owned()
    }

    /// Creates an entity; its id.
    pub(crate) fn create_entity(&self, collection: &str, assignments: &[&str]) -> String {
        let written = self.run(&[&["put", collection, "new"], assignments].concat());
        written["entity"]["id"].as_str().expect("a written entity has an id").to_owned()
    }

    /// What a field holds.
    pub(crate) fn field(&self, collection: &str, id: &str, field: &str) -> Value {
        self.run(&["get", collection, id])["fields"][field].clone()
    }

    /// Writes `count` entities, an event each.
    pub(crate) fn import_events(&self, collection: &str, count: usize) {
        let lines: String = (0..count).map(|n| format!("{{\"title\":\"note {n}\"}}\n")).collect();
        let done = self.try_run_with(&["import", "--into", collection, "--batch", "1"], &lines);
        done.unwrap_or_else(|failed| panic!("{}: import: {failed:?}", self.name));
    }

    /// Writes `count` entities with `bytes` of text each that no compression makes smaller.
    pub(crate) fn import_noise(&self, collection: &str, count: usize, bytes: usize) {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut lines = String::new();
        for _ in 0..count {
            let mut noise = vec![0; bytes];
            rng.fill_bytes(&mut noise);
            lines += &format!("{{\"body\":\"{}\"}}\n", data_encoding::BASE64.encode(&noise));
        }
        let done = self.try_run_with(&["import", "--into", collection, "--batch", "1"], &lines);
        done.unwrap_or_else(|failed| panic!("{}: import: {failed:?}", self.name));
    }

    fn command(&self) -> Command {
        let mut command = match &self.host {
            Some(host) => host.command(&binaries::reknit()),
            None => bound_to_us(&binaries::reknit()),
        };
        command
            .env("REKNIT_HOME", self.home())
            .env_remove("REKNIT_SPACE")
            .env("RUST_BACKTRACE", "1")
            .arg("--json");
        command
    }
}

fn temporary() -> tempfile::Builder<'static, 'static> {
    // Short, since the path of a socket may not be long.
    let mut builder = tempfile::Builder::new();
    builder.prefix("rk");
    builder
}

/// Where a peer listens that is not to be seen on the network.
const LOOPBACK: [&str; 4] = ["--listen", "/ip4/127.0.0.1/udp/0/quic-v1", "--listen", "/ip4/127.0.0.1/tcp/0"];

/// A command on this machine that is killed when the thread that starts it ends, if the system can do that.
fn bound_to_us(program: &Path) -> Command {
    static HAS_SETPRIV: OnceLock<bool> = OnceLock::new();
    let has_setpriv = *HAS_SETPRIV.get_or_init(|| {
        let found = Command::new("setpriv").arg("--version").output().is_ok();
        if !found {
            let words = "NO setpriv HERE (install util-linux): peers of a test run that is killed live on";
            writeln!(std::io::stderr(), "{words}").expect("stderr takes text");
        }
        found
    });
    if !has_setpriv {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// A process that runs on, with what it says kept for the day it fails.
pub(crate) struct Running {
    name: String,
    child: Child,
    spoke: Receiver<()>,
    said: Arc<Mutex<Vec<String>>>,
}

impl Running {
    pub(crate) fn start(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let said = Arc::new(Mutex::new(Vec::new()));
        let (speak, spoke) = sync_channel(1);
        for stream in streams(&mut child) {
            let (said, speak) = (said.clone(), speak.clone());
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    said.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                    // Full: somebody was told already and has not looked yet.
                    let _ = speak.try_send(());
                }
            });
        }
        Self { name: name.to_owned(), child, spoke, said }
    }

    /// Lines it printed so far, on stdout and stderr.
    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `so` of all it said, looking whenever it says more and a few times a second besides.
    pub(crate) fn until(&mut self, what: &str, mut so: impl FnMut(&[String]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !so(&self.said()) {
            assert!(self.lives(), "{} ended before {what}", self.name);
            assert!(Instant::now() < deadline, "{}: waited in vain until {what}", self.name);
            let woken = self.spoke.recv_timeout(LOOK_AGAIN);
            debug_assert!(woken != Err(RecvTimeoutError::Disconnected) || !self.lives());
        }
    }

    pub(crate) fn lives(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("our own child can be killed");
        self.child.wait().expect("our own child ends");
    }

    /// SIGTERM, and then the end of the process within the time a clean shutdown may take.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(sent.success(), "our own child can be terminated");
        self.ended("when asked to")
    }

    fn ended(&mut self, when: &str) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("our own child can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "{} does not end {when}", self.name);
            let _ = self.spoke.recv_timeout(LOOK_AGAIN);
        }
    }
}

fn streams(child: &mut Child) -> [Box<dyn Read + Send>; 2] {
    let stdout = child.stdout.take().expect("a pipe");
    let stderr = child.stderr.take().expect("a pipe");
    [Box::new(stdout), Box::new(stderr)]
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("-- what {} said:", self.name);
            self.said().iter().for_each(|line| println!("   {line}"));
        }
    }
}

/// Waits until `so`; how long it took. Looking asks processes, so it paces itself.
pub(crate) fn until(what: &str, patience: Duration, mut so: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < patience, "waited {patience:?} in vain until {what}");
        std::thread::park_timeout(LOOK_AGAIN);
    }
    began.elapsed()
}

/// Waits until all peers have the same events; how long it took.
pub(crate) fn until_equal(peers: &[&Peer], patience: Duration) -> Duration {
    until("all peers are equal", patience, || {
        let first = peers[0].frontier();
        peers[1..].iter().all(|peer| peer.frontier() == first)
    })
}

const LOOK_AGAIN: Duration = Duration::from_millis(50);
