//! What engines write passes the check of a store, and what nothing wrote does not.

use crate::support::{World, family};
use reknit_engine::store::{Batch, Direction, Durability, Entry, Reads, Store, Table};
use reknit_engine::{EngineError, check_record, check_store};
use reknit_types::EntityId;
use std::ops::ControlFlow;

const ID: EntityId = EntityId::from_bytes([5; 16]);

/// A peer that holds something of every kind: the second of two, after the first has restored a backup, and has a clock
/// that is ahead.
fn full() -> World {
    let mut world = family(1, 2);
    let backup = world.peers[0].store.clone();
    for word in ["one", "two"] {
        world.transact(0, move |tx| {
            let mut note = tx.entity("notes", ID)?;
            (0..4).try_for_each(|n| note.set(&format!("f{n}"), word.repeat(300)).map(drop))?;
            note.set("title", word)?.add("count", 1)?.text("body")?.push(word)?;
            note.document("more")?.set("/word", word).map(drop)
        });
        world.converge();
        world.disconnect(0, 1);
        world.restart_with(0, backup.clone());
        world.transact(0, |tx| tx.create("notes")?.delete());
        world.connect(0, 1);
        world.converge();
    }
    world.peers[0].skew_ms = 3_600_000;
    world.transact(0, |tx| tx.entity("notes", ID)?.set("title", "later").map(drop));
    world.pass(5_000);
    world
}

fn entries(reads: &dyn Reads, table: Table) -> Vec<Entry> {
    let mut entries = vec![];
    let mut visit = |key: &[u8], value: &[u8]| {
        entries.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    reads.scan_prefix(table, &[], Direction::Forward, &mut visit).unwrap();
    entries
}

#[test]
fn what_an_engine_writes_is_well_formed_and_a_part_of_it_is_not() {
    let mut world = full();
    let store = &mut world.peers[1].store;
    let mut records = 0;
    for table in Table::ALL.into_iter().filter(|table| !matches!(table, Table::Meta | Table::Known)) {
        let entries = entries(store, table);
        assert!(!entries.is_empty(), "nothing in {table:?}");
        records += entries.len() as u64;
        for (key, value) in &entries {
            check_record(table, key, value).unwrap();
            assert!(check_record(table, &key[..key.len() - 1], value).is_err(), "{table:?}");
            assert!(check_record(table, &[&key[..], &[0]].concat(), value).is_err(), "{table:?}");
        }
    }
    assert_eq!(check_store(store).unwrap(), records);
}

#[test]
fn a_record_that_nothing_wrote_is_named() {
    let mut world = family(2, 1);
    let store = &mut world.peers[0].store;
    let (key, _) = entries(store, Table::Frontier).remove(0);
    let mut batch = Batch::new();
    batch.put(Table::Frontier, key, b"?");
    store.commit(batch, Durability::Durable).unwrap();
    let Err(EngineError::Damaged(what)) = check_store(store) else { panic!("it is damaged") };
    assert!(what.contains("Frontier"), "{what}");
}
