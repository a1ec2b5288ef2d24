//! Measures commits, openings and reads of the store: `cargo run --release -p reknit-store --example commits [folder]`.
//!
//! A commit is what one small event costs: five tables, about 600 bytes.

use std::{
    env,
    fs::{self, File},
    hint::black_box,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use redb::{Database, TableDefinition};
use reknit_engine::store::{Batch, Change, Durability, Reads, Store, Table};
use reknit_store::{Options, RedbStore};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    if let Some(path) = env::var_os(RESTART) {
        return restart(Path::new(&path));
    }
    let folder = env::args_os().nth(1).map_or_else(env::temp_dir, PathBuf::from).join("reknit-commits");
    fs::create_dir_all(&folder)?;
    without_journal(&folder)?;
    commits(&folder, "durable", Durability::Durable, 1)?;
    commits(&folder, "durable, 64 events each", Durability::Durable, 64)?;
    commits(&folder, "fast", Durability::Fast, 1)?;
    commits(&folder, "fast, 64 events each", Durability::Fast, 64)?;
    restarts(&folder)?;
    Ok(fs::remove_dir_all(&folder)?)
}

/// The same commits through redb alone, which makes each durable itself.
fn without_journal(folder: &Path) -> Outcome<()> {
    let database = Database::create(fresh(folder)?)?;
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < SPAN {
        let number = times.len() as u64;
        let began = Instant::now();
        let transaction = database.begin_write()?;
        for name in [LOG, STATE] {
            let mut tree = transaction.open_table(TableDefinition::<&[u8], &[u8]>::new(name))?;
            let batch = batch(number..number + 1);
            for (table, key, change) in
                batch.iter().filter(|(table, ..)| (*table == Table::Log) == (name == LOG))
            {
                let Change::Put(value) = change else { continue };
                tree.insert([&[table.number()], key].concat().as_slice(), value.as_slice())?;
            }
        }
        transaction.commit()?;
        times.push(began.elapsed());
    }
    report("durable, redb alone", start.elapsed(), times);
    Ok(())
}

fn commits(folder: &Path, name: &str, durability: Durability, events: u64) -> Outcome<()> {
    let path = fresh(folder)?;
    let mut store = RedbStore::open(&path, Options::default())?;
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < SPAN {
        let first = times.len() as u64 * events;
        let began = Instant::now();
        store.commit(batch(first..first + events), durability)?;
        times.push(began.elapsed());
    }
    store.flush()?;
    report(name, start.elapsed(), times);
    println!("  {}", on_disk(&path)?);
    Ok(())
}

fn report(name: &str, span: Duration, mut times: Vec<Duration>) {
    let per_second = times.len() as f64 / span.as_secs_f64();
    times.sort();
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    println!("{name}: {per_second:.0} commits/s, p50 {:.3?}, p99 {:.3?}", at(50), at(99));
}

fn restarts(folder: &Path) -> Outcome<()> {
    let path = fresh(folder)?;
    let mut store = RedbStore::open(&path, Options::default())?;
    for first in (0..EVENTS).step_by(100) {
        store.commit(batch(first..first + 100), Durability::Durable)?;
    }
    let killed = folder.join("killed.redb");
    for ending in ["", ".journal"] {
        let [from, to] = [&path, &killed].map(|path| PathBuf::from(format!("{}{ending}", path.display())));
        fs::copy(from, &to)?;
        File::open(&to)?.sync_all()?;
    }
    drop(store);
    println!("{EVENTS} events: {:?}", RedbStore::read_only(&path, Options::default())?.stats()?);
    for (end, path) in [("after a close", &path), ("after a kill", &killed)] {
        print!("  {end}: ");
        io::stdout().flush()?;
        Command::new(env::current_exe()?).env(RESTART, path).status()?;
    }
    Ok(())
}

/// In a process of its own, for its memory to be its own.
fn restart(path: &Path) -> Outcome<()> {
    let began = Instant::now();
    let store = RedbStore::open(path, Options::default())?;
    let opened = began.elapsed();
    let value = store.get(Table::Log, &log_key(EVENTS / 2))?;
    let read = began.elapsed();
    let resident = resident();
    assert!(value.is_some_and(|value| value.len() == 400));
    let snapshots = Instant::now();
    for _ in 0..1_000 {
        black_box(store.snapshot()?);
    }
    let snapshot = snapshots.elapsed() / 1_000;
    let gets = Instant::now();
    for number in 0..EVENTS {
        store.with(Table::Rows, &row_key(number), &mut |value| {
            black_box(value);
        })?;
    }
    let get = gets.elapsed() / u32::try_from(EVENTS)?;
    let closing = Instant::now();
    drop(store);
    let close = closing.elapsed();
    println!(
        "open {opened:.3?}, first read {read:.3?}, RSS {resident}; snapshot {snapshot:.3?}, get {get:.3?}, close {close:.3?}"
    );
    Ok(())
}

/// What the engine writes for each event: its log entry, its place in its chain, the tips, a row and a delta.
fn batch(numbers: std::ops::Range<u64>) -> Batch {
    let mut batch = Batch::new();
    for number in numbers {
        batch.put(Table::Log, log_key(number), vec![number.to_le_bytes()[0]; 400]);
        batch.put(Table::Runs, log_key(number), number.to_be_bytes());
        batch.put(Table::Frontier, log_key(0), vec![number.to_le_bytes()[0]; 80]);
        batch.put(Table::Rows, row_key(number), vec![number.to_le_bytes()[0]; 60]);
        batch.put(Table::Receipts, log_key(number % 4), vec![number.to_le_bytes()[0]; 20]);
    }
    batch
}

fn log_key(number: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[4..].copy_from_slice(&number.to_be_bytes());
    key
}

/// One of 1,000 entities, spread as random ids are.
fn row_key(number: u64) -> [u8; 20] {
    let mut key = [0; 20];
    let spread = (number % 1_000).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    key[4..12].copy_from_slice(&spread.to_be_bytes());
    key
}

fn fresh(folder: &Path) -> Outcome<PathBuf> {
    let path = folder.join("store.redb");
    if path.exists() {
        fs::remove_file(&path)?;
    }
    Ok(path)
}

#[cfg(unix)]
fn on_disk(path: &Path) -> Outcome<String> {
    use std::os::unix::fs::MetadataExt;
    let about = fs::metadata(path)?;
    Ok(format!("{} KiB long, {} KiB on disk", about.len() / 1024, about.blocks() / 2))
}

#[cfg(not(unix))]
fn on_disk(path: &Path) -> Outcome<String> {
    Ok(format!("{} KiB long", fs::metadata(path)?.len() / 1024))
}

fn resident() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.map_or_else(|| "unknown here".into(), |rest| rest.trim().into())
}

/// Set for the process that measures a restart, to the file to open.
const RESTART: &str = "REKNIT_COMMITS_RESTART";
const LOG: &str = "log";
const STATE: &str = "state";
const EVENTS: u64 = 10_000;
const SPAN: Duration = Duration::from_secs(2);
