//! What a peer reads from its own disk: records, the journal, and whole stores of which parts are damaged.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use reknit_engine::store::{Batch, Direction, Durability, Entry, MemoryStore, Reads, Store, Table};
use reknit_engine::{
    Config, Effects, Engine, EngineError, Input, Notice, Output, RequestId, Run, SpaceInfo, SpaceNo, Tx,
    TxError, check_record, read,
};
use reknit_store::{Options, RedbStore};
use reknit_types::{DeviceKey, EntityId};
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

/// A byte for the table, a byte for the length of the key, the key, the value.
pub(crate) fn record(bytes: &[u8]) -> bool {
    let Some((table, rest)) = split_table(bytes) else { return false };
    let Some((len, rest)) = rest.split_first() else { return false };
    let Some((key, value)) = rest.split_at_checked(usize::from(*len)) else { return false };
    check_record(table, key, value).is_ok()
}

/// A journal beside a new database. After a first byte of 0 come its changes, past the check that no fuzzer guesses; after
/// any other its file.
pub(crate) fn journal(bytes: &[u8]) -> bool {
    let Some((how, rest)) = bytes.split_first() else { return false };
    let file = if *how == 0 { journal_of(rest) } else { rest.to_vec() };
    let journal = InMemoryBackend::new();
    journal.set_len(file.len() as u64).expect("memory has room");
    journal.write(0, &file).expect("memory can be written");
    let opened = RedbStore::on_backend("memory", InMemoryBackend::new(), journal, Options::default());
    let Ok(mut store) = opened else { return false };
    let records = |store: &RedbStore| Table::ALL.map(|table| entries(store, table));
    let before = records(&store);
    let mut batch = Batch::new();
    batch.put(Table::Log, b"later", b"1");
    batch.delete(Table::Log, b"later");
    store.commit(batch, Durability::Durable).expect("what was recovered can be written to");
    assert_eq!(records(&store), before, "a commit changes what it says");
    true
}

fn journal_of(changes: &[u8]) -> Vec<u8> {
    let mut history = blake3::Hasher::new();
    history.update(FIRST_MARK).update(changes);
    let mut file = FIRST_MARK.to_vec();
    file.extend_from_slice(&history.finalize().as_bytes()[..FIRST_MARK.len()]);
    file.extend_from_slice(&(changes.len() as u32).to_le_bytes());
    file.extend_from_slice(changes);
    file
}

/// A store that an engine has written, and a script of what has happened to its records: for each a byte for the table,
/// for which of its records, for what happened, and for a length before bytes. Whether the engine still opens it.
pub(crate) fn damaged_store(script: &[u8]) -> bool {
    let mut store = written().clone();
    let mut batch = Batch::new();
    let mut rest = script;
    while let Some((table, after)) = split_table(rest) {
        let Some(([nth, how, len], after)) = after.split_first_chunk() else { break };
        let (bytes, after) = after.split_at(usize::from(*len).min(after.len()));
        rest = after;
        let records = entries(&store, table);
        if let Some((key, value)) = records.get(usize::from(*nth) % records.len().max(1)) {
            damage(&mut batch, table, (key, value), (*how, bytes));
        }
    }
    store.commit(batch, Durability::Durable).expect("memory takes a commit");
    live_on(&mut store).is_ok()
}

fn damage(batch: &mut Batch, table: Table, (key, value): (&[u8], &[u8]), (how, bytes): (u8, &[u8])) {
    let changed = |whole: &[u8]| {
        let (mut whole, at) = (whole.to_vec(), usize::from(how) >> 2);
        bytes.iter().enumerate().for_each(|(n, byte)| {
            if let Some(old) = whole.get_mut(at + n) {
                *old ^= byte;
            }
        });
        whole
    };
    match how & 3 {
        0 => batch.put(table, key, bytes),
        1 => batch.put(table, key, changed(value)),
        2 => batch.put(table, changed(key), value),
        _ => batch.delete(table, key),
    }
}

/// What a peer does with its store: it opens it, reads all of it, and writes.
fn live_on(store: &mut MemoryStore) -> Result<(), EngineError> {
    let mut engine = open(store)?;
    let infos = round(&mut engine, store, vec![Input::Tick])?;
    for info in &infos {
        for collection in read::collections(store, info.no)? {
            read::entities(store, info.no, &collection, read::Page { deleted: true, ..read::Page::ALL })?;
        }
        read::newest_events(store, info, usize::MAX)?;
        let (request, space) = (RequestId(2), info.no);
        round(&mut engine, store, vec![transact(space, edit_again), Input::Inspect { request, space }])?;
    }
    Ok(())
}

/// A store with a record of most kinds.
pub(crate) fn written() -> &'static MemoryStore {
    static WRITTEN: OnceLock<MemoryStore> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let mut store = MemoryStore::new();
        let mut engine = open(&store).expect("an empty store opens");
        let create = Input::Create { request: RequestId(1), name: "home".to_owned() };
        round(&mut engine, &mut store, vec![create]).expect("a space is founded");
        for run in [edit, edit_large, edit_again] {
            round(&mut engine, &mut store, vec![transact(SpaceNo(1), run)]).expect("it is written");
        }
        store
    })
}

fn open(store: &MemoryStore) -> Result<Engine, EngineError> {
    let device = DeviceKey::from_seed(&[3; 32]);
    let config = Config { device, device_name: "a".to_owned(), rng: ChaCha20Rng::from_seed([1; 32]) };
    Engine::open(config, store)
}

fn round(
    engine: &mut Engine,
    store: &mut MemoryStore,
    inputs: Vec<Input>,
) -> Result<Vec<Arc<SpaceInfo>>, EngineError> {
    let mut effects = Effects::default();
    for input in inputs {
        engine.handle(NOW_MS, input, store, &mut effects)?;
    }
    engine.settle(NOW_MS, store, &mut effects)?;
    store.commit(std::mem::take(&mut effects.batch), Durability::Durable)?;
    let mut infos = vec![];
    for output in effects.outputs {
        match output {
            Output::Reply { reply: Err(EngineError::Tx(TxError::Panicked)), .. } => {
                panic!("a transaction panicked")
            }
            Output::Notice(Notice::Space(info)) => infos.push(info),
            _ => {}
        }
    }
    Ok(infos)
}

fn transact(space: SpaceNo, run: fn(&mut Tx<'_>) -> Result<(), TxError>) -> Input {
    let run: Run = Box::new(run);
    Input::Transact { request: RequestId(1), space, run, durability: Durability::Durable }
}

fn edit(tx: &mut Tx<'_>) -> Result<(), TxError> {
    let mut note = tx.create_with_id("notes", NOTE)?;
    note.set("title", "hello")?.add("count", 3)?;
    note.text("body")?.push("some words")?;
    note.document("more")?.set("/a", 1)?;
    tx.create("notes")?.delete()
}

/// An entity that one record has no room for.
fn edit_large(tx: &mut Tx<'_>) -> Result<(), TxError> {
    let mut large = tx.create_with_id("large", NOTE)?;
    (0..4).try_for_each(|n| large.set(&format!("f{n}"), "x".repeat(800)).map(drop))?;
    large.text("body")?.push("apart").map(drop)
}

fn edit_again(tx: &mut Tx<'_>) -> Result<(), TxError> {
    let mut note = tx.entity("notes", NOTE)?;
    note.set("title", "again")?.add("count", 1)?;
    note.text("body")?.push("more")?;
    note.document("more")?.set("/b", 2)?;
    tx.entity("large", NOTE)?.set("f1", "short")?.text("body")?.push("!").map(drop)
}

/// All records of a table.
pub(crate) fn entries(reads: &dyn Reads, table: Table) -> Vec<Entry> {
    let mut entries = vec![];
    let scanned = reads.scan_prefix(table, &[], Direction::Forward, &mut |key, value| {
        entries.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    });
    scanned.expect("memory reads back");
    entries
}

fn split_table(bytes: &[u8]) -> Option<(Table, &[u8])> {
    let (number, rest) = bytes.split_first()?;
    Table::ALL.get(usize::from(*number) % Table::ALL.len()).map(|table| (*table, rest))
}

const FIRST_MARK: &[u8] = b"reknit journal 1";
const NOTE: EntityId = EntityId::from_bytes([5; 16]);
const NOW_MS: u64 = 1_700_000_000_000;
