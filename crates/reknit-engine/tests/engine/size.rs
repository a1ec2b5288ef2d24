//! Whatever members put into a space, what is written stays within what a store takes.

use crate::support::{HOME, family, name};
use reknit_crdt::FieldValue;
use reknit_engine::store::{Durability, Table};
use reknit_engine::{Input, RequestId, Tx, TxError};
use reknit_types::EntityId;

const ID: EntityId = EntityId::from_bytes([5; 16]);

fn fill(word: &'static str) -> impl FnOnce(&mut Tx<'_>) -> Result<(), TxError> + Send + 'static {
    move |tx| {
        let mut note = tx.entity("notes", ID)?;
        for n in 0..20 {
            note.set(&format!("{word}{n}"), word.repeat(1_000))?;
        }
        note.set("shared", word)?.add("count", 1)?;
        note.text("body")?.push(word).map(|_| ())
    }
}

/// Two partitions fill one entity. The row is taken apart, at whatever moment, and holds the same everywhere.
#[test]
fn an_entity_outgrows_no_record() {
    let mut world = family(1, 3);
    world.transact(0, |tx| tx.entity("notes", ID)?.set("shared", "before").map(|_| ()));
    world.converge();
    world.disconnect_all();
    world.transact(0, fill("one"));
    world.transact(1, fill("two"));
    world.transact(1, |tx| {
        let mut note = tx.entity("notes", ID)?;
        assert_eq!(note.get("two7")?, Some(FieldValue::Register(Some("two".repeat(1_000).into()))));
        assert_eq!(note.get("body")?, Some(FieldValue::Text("two".to_owned())));
        assert!(matches!(note.set("count", 1i64), Err(TxError::KindMismatch { .. })));
        note.add("count", 1)?.set("two7", "short").map(|_| ())
    });
    world.connect_all();
    world.converge();
    for at in 0..3 {
        world.restart(at);
        assert!(world.largest(at, Table::Rows) <= 2 * 1024);
    }
    world.converge();
    world.transact(2, |tx| {
        assert_eq!(tx.get("notes", ID)?.expect("it is there").fields.len(), 43);
        tx.entity("notes", ID)?.set("two7", "shorter").map(|_| ())
    });
    world.converge();
    let note = &world.contents(0)[0];
    assert_eq!(note.fields.len(), 43);
    assert_eq!(note.fields[&name("count")], FieldValue::Counter(3));
    assert_eq!(note.fields[&name("two7")], FieldValue::Register(Some("shorter".into())));
}

/// An edit of one field of a large entity writes that field.
#[test]
fn an_edit_writes_what_it_changes() {
    let mut world = family(2, 1);
    for n in 0..10 {
        world.transact(0, move |tx| {
            let mut note = tx.entity("notes", ID)?;
            (0..10).try_for_each(|m| note.set(&format!("f{n}-{m}"), "x".repeat(10_000)).map(|_| ()))
        });
    }
    world.largest_batch = 0;
    world.transact(0, |tx| tx.entity("notes", ID)?.set("f1-1", "y").map(|_| ()));
    assert!(world.largest_batch < 10_000, "{} bytes", world.largest_batch);
}

/// However many transactions are handled at once, a batch stays small.
#[test]
fn a_round_that_is_full_takes_no_more() {
    let mut world = family(3, 1);
    let transact = |n: u64| Input::Transact {
        request: RequestId(1_000 + n),
        space: HOME,
        run: Box::new(move |tx| tx.create("notes")?.set("body", "x".repeat(900_000)).map(|_| ())),
        durability: Durability::Fast,
    };
    world.round(0, (0..30).map(transact).collect());
    assert_eq!(world.contents(0).len(), 30);
    assert!(world.largest_batch < 20 << 20, "{} bytes", world.largest_batch);
}
