//! A process killed at any moment loses nothing that it acknowledged.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reknit_engine::store::{Batch, Direction, Durability, EVERY_KEY, Reads, Store, Table};
use reknit_store::{Options, RedbStore};

#[test]
fn a_killed_process_leaves_every_commit_it_acknowledged() {
    let rounds = env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("peer/store.redb");
    let mut chance = ChaCha8Rng::seed_from_u64(SEED);
    let (mut acknowledged, mut recovered) = (0, 0);
    for round in 0..rounds {
        let heard = killed_writer(&path, &mut chance);
        acknowledged = heard.unwrap_or(acknowledged);
        // Some rounds go on from the file as the kill left it, unseen by this process.
        if chance.random_bool(0.7) {
            let store = RedbStore::open(&path, Options::default()).expect("it opens after a kill");
            let last = last_commit(&store);
            assert!(last >= acknowledged, "round {round}: {acknowledged} was acknowledged, {last} is there");
            assert_whole(&store, last);
            (acknowledged, recovered) = (last, recovered + 1);
        }
    }
    assert!(
        acknowledged > 0 && recovered > rounds / 3,
        "the writers got to write: {acknowledged}, {recovered}"
    );
}

/// The other half: commits and acknowledges until it is killed. Does nothing unless the test above runs it.
#[test]
fn writer() {
    let Some(path) = env::var_os(PATH) else { return };
    let mut store = RedbStore::open(path, Options::default()).expect("the store opens");
    let mut out = std::io::stdout().lock();
    for number in last_commit(&store) + 1.. {
        // A fast commit before each durable one, which the durable one must carry along.
        store.commit(commit(number, Table::Log), Durability::Fast).expect("a commit");
        store.commit(commit(number, Table::Rows), Durability::Durable).expect("a commit");
        writeln!(out, "\n{ACKNOWLEDGED}{number}").and_then(|()| out.flush()).expect("the other half listens");
    }
}

/// Runs a writer, kills it at a moment drawn from `chance`, and returns the last number that it acknowledged.
fn killed_writer(path: &Path, chance: &mut ChaCha8Rng) -> Option<u64> {
    let mut child = Command::new(env::current_exe().expect("this test's own path"))
        .args(["--exact", "kill::writer", "--nocapture", "--test-threads=1"])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the writer starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut heard = None;
    // In one round of four the kill comes while the file is opened, or made.
    let wanted = if chance.random_bool(0.25) { 0 } else { chance.random_range(1..60) };
    for _ in 0..wanted {
        heard = Some(next_acknowledged(&mut lines).expect("the writer writes until it is killed"));
    }
    // Spun away, since a sleep is too coarse to hit the middle of a commit.
    let (start, span) = (Instant::now(), Duration::from_micros(chance.random_range(0..3_000)));
    while start.elapsed() < span {
        std::hint::spin_loop();
    }
    kill(&mut child);
    std::iter::from_fn(|| next_acknowledged(&mut lines)).last().or(heard)
}

fn kill(child: &mut Child) {
    child.kill().expect("the writer still runs");
    let status = child.wait().expect("it ends");
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(status.signal(), Some(9), "it ended by the kill and not by itself: {status}");
    }
    #[cfg(not(unix))]
    assert!(!status.success());
}

/// The number of the next line that acknowledges one whole. The test harness of the writer prints lines too.
fn next_acknowledged(lines: &mut BufReader<ChildStdout>) -> Option<u64> {
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).expect("the pipe works");
        if line.is_empty() {
            return None;
        }
        let number = line.strip_suffix('\n').and_then(|line| line.strip_prefix(ACKNOWLEDGED));
        if let Some(number) = number {
            return Some(number.parse().expect("a number"));
        }
    }
}

fn commit(number: u64, table: Table) -> Batch {
    let mut batch = Batch::new();
    batch.put(table, number.to_be_bytes(), vec![number.to_le_bytes()[0]; 300]);
    batch.put(Table::Frontier, table.number().to_be_bytes(), number.to_be_bytes());
    batch
}

fn last_commit(store: &RedbStore) -> u64 {
    let last = store.first(Table::Rows, EVERY_KEY, Direction::Backward).expect("a read");
    last.map_or(0, |(key, _)| u64::from_be_bytes(key.try_into().expect("eight bytes")))
}

fn assert_whole(store: &RedbStore, last: u64) {
    for table in [Table::Log, Table::Rows] {
        for number in 1..=last {
            let value = store.get(table, &number.to_be_bytes()).expect("a read");
            assert_eq!(value, Some(vec![number.to_le_bytes()[0]; 300]), "{table:?} {number} of {last}");
        }
        let tip = store.get(Table::Frontier, &table.number().to_be_bytes()).expect("a read");
        let tip = tip.map_or(0, |tip| u64::from_be_bytes(tip.try_into().expect("eight bytes")));
        let allowed = if table == Table::Log { last..=last + 1 } else { last..=last };
        assert!(allowed.contains(&tip), "{table:?}: its tip is {tip}, its last commit {last}");
    }
}

const PATH: &str = "REKNIT_STORE_KILL_PATH";
const ROUNDS: &str = "REKNIT_STORE_KILL_ROUNDS";
const ACKNOWLEDGED: &str = "acknowledged ";
const SEED: u64 = 9;
