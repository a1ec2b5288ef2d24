//! Acknowledged is on disk: a writer is killed at any moment, again and again, and nothing it was told is lost.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use reknit::{EntityId, FieldValue, Peer};

use super::seed::seed;

const ROUNDS: u64 = 200;

/// A writer lives for less than this, its start included; so some die while they open or even found the store.
const LIFE_MAX: Duration = Duration::from_millis(160);

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_commit_survives_two_hundred_kills() {
    let mut rng = ChaCha20Rng::seed_from_u64(seed());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = folder.path().join("peer.redb");
    let mut acknowledged: BTreeSet<EntityId> = BTreeSet::new();
    let began = Instant::now();
    for round in 1..=ROUNDS {
        let life = Duration::from_micros(rng.next_u64() % LIFE_MAX.as_micros() as u64);
        let new = write_and_die(&store, round, life);
        acknowledged.extend(&new);
        // All of it every so often; what is new each time.
        let owed = if round % 20 == 0 { acknowledged.iter().copied().collect() } else { new };
        check(&store, round, &owed, acknowledged.len()).await;
    }
    let (commits, took) = (acknowledged.len(), began.elapsed());
    writeln!(std::io::stderr(), "{commits} acknowledged commits survived {ROUNDS} kills in {took:?}")
        .expect("stderr");
    assert!(commits > ROUNDS as usize, "only {commits} commits: the writers died too young to show anything");
}

/// Lets a writer live for a while, kills it, and returns what it was told is on disk.
fn write_and_die(store: &Path, round: u64, life: Duration) -> Vec<EntityId> {
    let mut writer = Command::new(env!("CARGO_BIN_EXE_writer"))
        .arg(store)
        .arg(round.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the writer starts");
    let death = Instant::now() + life;
    while let Some(left) = death.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        park_timeout(left);
    }
    let ended = writer.try_wait().expect("our own child can be waited for");
    assert!(ended.is_none(), "round {round}: the writer ended by itself: {ended:?}");
    writer.kill().expect("our own child can be killed");
    let stdout = writer.stdout.take().expect("a pipe");
    // The kill may have cut the last line; what is whole was said.
    let ids =
        BufReader::new(stdout).lines().map_while(Result::ok).filter_map(|line| line.parse().ok()).collect();
    writer.wait().expect("our own child ends");
    ids
}

/// Opens the store as anybody would after a crash, and looks for what it owes.
async fn check(store: &Path, round: u64, owed: &[EntityId], acknowledged: usize) {
    if !store.exists() {
        return assert_eq!(acknowledged, 0, "round {round}: the store is gone");
    }
    let peer = Peer::builder(store).offline().start().await;
    let peer = peer.unwrap_or_else(|error| panic!("round {round}: the store does not open: {error}"));
    if let Some(space) = peer.spaces().pop() {
        for id in owed {
            let found = space.get("written", *id).expect("the store can be read");
            assert!(found.is_some(), "round {round}: the acknowledged commit {id} is lost");
        }
        let count = field(&space, 1, "count").map_or(0, |value| match value {
            FieldValue::Counter(count) => usize::try_from(count).expect("a tally"),
            other => panic!("not a counter: {other:?}"),
        });
        let letters = field(&space, 2, "letters").map_or(0, |value| match value {
            FieldValue::Text(text) => text.len(),
            other => panic!("not a text: {other:?}"),
        });
        assert_eq!(count, letters, "round {round}: half a transaction is there");
        assert!(count >= acknowledged, "round {round}: {acknowledged} were acknowledged, {count} are there");
    } else {
        assert_eq!(acknowledged, 0, "round {round}: the space is lost");
    }
    peer.shutdown().await.unwrap_or_else(|error| panic!("round {round}: {error}"));
}

fn field(space: &reknit::Space, entity: u8, name: &str) -> Option<FieldValue> {
    let entity = space.get("tally", EntityId::from_bytes([entity; 16])).expect("the store can be read")?;
    entity.fields.into_iter().find_map(|(field, value)| (field.as_str() == name).then_some(value))
}
