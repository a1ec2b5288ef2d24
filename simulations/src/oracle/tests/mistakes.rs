//! The oracle can fail: whatever a peer gets wrong is reported, by name.

use super::play;
use super::world::{HOME, World};
use crate::oracle::{Expected, Found, differences, expected};
use reknit_crdt::FieldValue;
use reknit_engine::store::{Batch, Direction, Durability, Reads as _, Store as _, Table};
use reknit_types::{CrdtKind, Op, Payload, Stamp, Transaction, VerifiedEvent};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

fn compared(world: &mut World, at: usize, expected: &Expected) -> Vec<String> {
    let (status, info) = (world.status(at), world.info(at));
    differences(expected, &Found { reads: &world.peers[at].store, space: &info, status: &status })
}

/// The write to every register that won, if the least stamp did.
fn earliest_writes(events: &[VerifiedEvent]) -> BTreeMap<String, (Stamp, FieldValue)> {
    let mut writes: BTreeMap<String, (Stamp, FieldValue)> = BTreeMap::new();
    for event in events {
        let Payload::Open(bytes) = event.payload() else { continue };
        for edit in Transaction::decode(bytes).map(|tx| tx.edits).unwrap_or_default() {
            for op in edit.ops {
                if let Op::Edit { field, kind: CrdtKind::Register, delta } = op {
                    let value = reknit_types::Value::decode(&mut reknit_types::Reader::new(&delta)).unwrap();
                    let write = (event.header().stamp, FieldValue::Register(Some(value)));
                    let key = format!("{}/{} {field}", edit.collection, edit.entity);
                    let first = writes.entry(key).or_insert_with(|| write.clone());
                    if write.0 < first.0 {
                        *first = write;
                    }
                }
            }
        }
    }
    writes
}

#[test]
fn stamps_compared_the_wrong_way_are_reported() {
    let mut reported = 0;
    for seed in 0..10 {
        let mut world = play(1_000 + seed, 40);
        world.converge();
        let events = world.events(0);
        let right = expected(&events).unwrap();
        let mut wrong = right.clone();
        let earliest = earliest_writes(&events);
        for ((collection, id), entity) in &mut wrong.entities {
            for (field, value) in &mut entity.fields {
                if let Some((_, first)) = earliest.get(&format!("{collection}/{id} {field}")) {
                    *value = first.clone();
                }
            }
        }
        let lines = compared(&mut world, 0, &wrong);
        assert_eq!(lines.is_empty(), wrong == right);
        assert!(lines.iter().all(|line| line.contains(" title: expected ")), "{lines:?}");
        reported += lines.len();
    }
    assert!(reported > 5, "{reported}");
}

/// Takes a record out of a store, or puts an older one back: a lost delta, a row that was not written.
#[test]
fn what_a_store_lost_is_reported() {
    for table in [Table::Deltas, Table::Rows] {
        let mut world = play(7, 60);
        world.converge();
        world.assert_as_expected();
        let mut keys = vec![];
        let store = &world.peers[0].store;
        let mut visit = |key: &[u8], _: &[u8]| {
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        };
        store.scan_prefix(table, &HOME.0.to_be_bytes(), Direction::Forward, &mut visit).unwrap();
        assert!(!keys.is_empty());
        let whole = store.clone();
        for key in keys {
            let mut batch = Batch::new();
            batch.delete(table, key);
            world.peers[0].store.commit(batch, Durability::Durable).unwrap();
            // A text may have lost a delta that only deleted what somebody else deleted too.
            let told = world.differences(0);
            assert!(!told.is_empty() || table == Table::Deltas, "{table:?}");
            world.peers[0].store = whole.clone();
        }
        assert!(world.differences(0).is_empty());
    }
}

type Change = Box<dyn Fn(&mut Expected)>;

#[test]
fn every_field_of_the_expectation_is_compared() {
    let mut world = play(3, 60);
    world.converge();
    let right = expected(&world.events(1)).unwrap();
    assert!(compared(&mut world, 1, &right).is_empty());
    let entity = right.entities.keys().next().unwrap().clone();
    let changes: Vec<(&str, Change)> = vec![
        ("name", Box::new(|wrong| wrong.name.push('!'))),
        ("events", Box::new(|wrong| wrong.events += 1)),
        ("heads", Box::new(|wrong| wrong.heads.clear())),
        ("authors", Box::new(|wrong| wrong.frontier.clear())),
        ("frontier digest", Box::new(|wrong| wrong.digest[0] ^= 1)),
        ("member", Box::new(|wrong| wrong.members.clear())),
        (
            "fork",
            Box::new(|wrong| {
                let author = *wrong.members.keys().next().unwrap();
                wrong.forks.insert((author, 1), wrong.heads.clone());
            }),
        ),
        (
            "voids",
            Box::new(|wrong| {
                let event = *wrong.heads.first().unwrap();
                wrong.voids.insert((event, 0), "why".into());
            }),
        ),
        (
            "deleted",
            Box::new(move |wrong| {
                let entity = wrong.entities.get_mut(&entity).unwrap();
                entity.deleted = !entity.deleted;
            }),
        ),
        ("found the entity", Box::new(|wrong| wrong.entities.clear())),
        (
            "expected None",
            Box::new(|wrong| wrong.entities.values_mut().for_each(|entity| entity.fields.clear())),
        ),
    ];
    for (what, change) in changes {
        let mut wrong = right.clone();
        change(&mut wrong);
        let lines = compared(&mut world, 1, &wrong);
        assert!(lines.iter().any(|line| line.contains(what)), "{what}: {lines:?}");
    }
}
