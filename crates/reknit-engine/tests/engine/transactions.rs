use crate::support::{HOME, family, name};
use reknit_crdt::FieldValue;
use reknit_engine::store::{Durability, Store};
use reknit_engine::{EngineError, Input, LongTx, Reply, TxError};
use reknit_types::{CrdtKind, EntityEdit, EntityId, Op, Transaction, Value};

const ID: EntityId = EntityId::from_bytes([3; 16]);

#[test]
fn a_transaction_sees_its_own_writes() {
    let mut world = family(1, 1);
    world.transact(0, |tx| {
        let mut note = tx.entity("notes", ID)?;
        note.set("title", "one")?.add("count", 4)?.add("count", 3)?;
        assert_eq!(note.get("title")?, Some(FieldValue::Register(Some("one".into()))));
        assert_eq!(note.get("count")?, Some(FieldValue::Counter(7)));
        note.text("body")?.push("hello")?.insert(0, ">")?;
        assert_eq!(note.get("body")?, Some(FieldValue::Text(">hello".to_owned())));
        note.document("tree")?.set("/a", 1)?;
        note.set("title", "two")?;
        let seen = tx.get("notes", ID)?.unwrap();
        assert_eq!(seen.fields.len(), 4);
        assert_eq!(seen.fields[&name("title")], FieldValue::Register(Some("two".into())));
        Ok(())
    });
    let contents = world.contents(0);
    assert_eq!(contents[0].fields.len(), 4);
    assert_eq!(contents[0].fields[&name("count")], FieldValue::Counter(7));
    assert_eq!(contents[0].fields[&name("title")], FieldValue::Register(Some("two".into())));
}

#[test]
fn a_transaction_that_fails_or_panics_leaves_nothing() {
    let mut world = family(2, 1);
    world.transact(0, |tx| {
        let mut note = tx.entity("notes", ID)?;
        note.set("title", "kept")?.text("body")?.push("kept").map(|_| ())
    });
    let (before, status) = (world.contents(0), world.status(0));
    let edit = |tx: &mut reknit_engine::Tx<'_>| -> Result<(), TxError> {
        let mut note = tx.entity("notes", ID)?;
        note.set("title", "lost")?.add("count", 1)?;
        note.text("body")?.push("lost")?;
        tx.create("notes")?.set("title", "lost")?;
        Ok(())
    };
    let failed = world.try_transact(0, move |tx| {
        edit(tx)?;
        Err(TxError::abort("changed my mind"))
    });
    assert!(matches!(failed, Err(EngineError::Tx(TxError::Aborted(_)))));
    let failed = world.try_transact(0, move |tx| {
        edit(tx)?;
        std::panic::resume_unwind(Box::new("on purpose"))
    });
    assert!(matches!(failed, Err(EngineError::Tx(TxError::Panicked))));
    assert_eq!(world.contents(0), before);
    assert_eq!(world.status(0).frontier_digest, status.frontier_digest);
    world.transact(0, |tx| tx.entity("notes", ID)?.text("body")?.push("!").map(|_| ()));
    assert_eq!(world.contents(0)[0].fields[&name("body")], FieldValue::Text("kept!".to_owned()));
}

#[test]
fn a_transaction_that_does_nothing_makes_no_event() {
    let mut world = family(3, 1);
    let events = world.status(0).events;
    let done = world.try_transact(0, |tx| tx.entity("notes", ID)?.text("body")?.read().map(|_| ()));
    assert_eq!(done.unwrap(), None);
    assert_eq!(world.status(0).events, events);
}

#[test]
fn a_long_transaction_merges_with_what_came_meanwhile() {
    let mut world = family(4, 2);
    world.transact(0, |tx| {
        let mut note = tx.entity("notes", ID)?;
        note.add("count", 1)?.text("body")?.push("middle").map(|_| ())
    });
    world.converge();
    let snapshot = world.peers[0].store.snapshot().unwrap();
    let (identity, rng) = world.peers[0].engine.draw_identity();
    let mut long = LongTx::new(HOME, identity, rng);
    let now_ms = world.now_ms;
    long.edit(&*snapshot, now_ms, |tx| {
        tx.entity("notes", ID)?.add("count", 10)?.text("body")?.push(" end").map(|_| ())
    })
    .unwrap();
    world.transact(1, |tx| {
        tx.entity("notes", ID)?.add("count", 100)?.text("body")?.insert(0, "start ").map(|_| ())
    });
    world.transact(0, |tx| tx.entity("notes", ID)?.set("title", "meanwhile").map(|_| ()));
    world.converge();
    let seen = long.edit(&*snapshot, now_ms, |tx| tx.entity("notes", ID)?.text("body")?.read());
    assert_eq!(seen.unwrap(), "middle end");
    let transaction = long.finish();
    let durability = Durability::Durable;
    let reply = world.ask(0, |request| Input::Commit { request, space: HOME, transaction, durability });
    assert!(matches!(reply, Ok(Reply::Committed(Some(_)))));
    world.converge();
    let note = &world.contents(1)[0];
    assert_eq!(note.fields[&name("body")], FieldValue::Text("start middle end".to_owned()));
    assert_eq!(note.fields[&name("count")], FieldValue::Counter(111));
}

#[test]
fn a_commit_is_read_at_once() {
    let mut world = family(5, 1);
    for n in 0..20i64 {
        world.transact(0, move |tx| tx.entity("notes", ID)?.set("n", n).map(|_| ()));
        let expected = FieldValue::Register(Some(n.into()));
        assert_eq!(world.contents(0)[0].fields[&name("n")], expected);
    }
}

/// Transactions handled in one round build on each other, and reach peers as they would one by one.
#[test]
fn transactions_of_one_round_build_on_each_other() {
    let mut world = family(6, 2);
    let inputs = (0..100u64).map(|n| Input::Transact {
        request: reknit_engine::RequestId(1_000 + n),
        space: HOME,
        run: Box::new(move |tx| {
            let mut note = tx.entity("notes", ID)?;
            note.add("count", 1)?.text("body")?.push("x")?;
            assert_eq!(note.text("body")?.len()?, n as usize + 1);
            Ok(())
        }),
        durability: Durability::Fast,
    });
    world.round(0, inputs.collect());
    world.converge();
    let note = &world.contents(1)[0];
    assert_eq!(note.fields[&name("count")], FieldValue::Counter(100));
    assert_eq!(note.fields[&name("body")], FieldValue::Text("x".repeat(100)));
}

/// All writes of a transaction have one stamp; the last one counts all the same.
#[test]
fn of_two_writes_in_one_transaction_the_later_wins() {
    let values = [
        true.into(),
        false.into(),
        9i64.into(),
        1i64.into(),
        Value::from("b"),
        Value::from("a"),
        Value::Null,
    ];
    let mut world = family(7, 2);
    for (first, last) in values.iter().flat_map(|first| values.iter().map(move |last| (first, last))) {
        let (first, second) = (first.clone(), last.clone());
        world.transact(0, move |tx| {
            let mut note = tx.entity("notes", ID)?;
            note.set("done", first)?.set("other", 1i64)?.set("done", second.clone())?;
            assert_eq!(note.get("done")?, Some(FieldValue::Register(Some(second))));
            Ok(())
        });
        let expected = FieldValue::Register(Some(last.clone()));
        assert_eq!(world.contents(0)[0].fields[&name("done")], expected);
    }
    world.converge();
}

#[test]
fn of_deleting_and_restoring_in_one_transaction_the_later_wins() {
    let mut world = family(8, 2);
    world.transact(0, |tx| {
        let mut note = tx.entity("notes", ID)?;
        note.set("title", "here")?;
        note.delete()?;
        note.restore()
    });
    assert!(!world.contents(0)[0].deleted);
    world.transact(0, |tx| {
        let mut note = tx.entity("notes", ID)?;
        note.delete()?;
        note.restore()?;
        assert!(note.exists()?);
        note.delete()
    });
    assert!(world.contents(0)[0].deleted);
    world.converge();
}

/// What no peer would give effect to is refused, and nothing of it is written.
#[test]
fn a_transaction_too_large_for_an_event_is_refused() {
    let mut world = family(9, 1);
    let events = world.status(0).events;
    let many = world.try_transact(0, |tx| {
        let mut note = tx.entity("notes", ID)?;
        (0..70_000).try_for_each(|n| note.set(&format!("f{n}"), true).map(|_| ()))
    });
    assert!(matches!(many, Err(EngineError::Tx(TxError::TooLarge { what: "operations", .. }))), "{many:?}");
    for kind in [CrdtKind::Text, CrdtKind::Document] {
        let ops = vec![Op::Edit { field: name("body"), kind, delta: vec![7; 40] }];
        let edits = vec![EntityEdit { collection: name("notes"), entity: ID, ops }];
        let (transaction, durability) = (Transaction { edits }, Durability::Durable);
        let unfit = world.ask(0, |request| Input::Commit { request, space: HOME, transaction, durability });
        assert!(matches!(unfit, Err(EngineError::Tx(TxError::Unfit { .. }))), "{unfit:?}");
    }
    assert_eq!((world.status(0).events, world.status(0).voids), (events, 0));
    // Additions to one counter are one operation; as many others as fit are one event, and the field that was refused can be edited.
    world.transact(0, |tx| {
        let mut note = tx.entity("notes", ID)?;
        (0..60_000).try_for_each(|n| note.set(&format!("f{n}"), true).map(|_| ()))?;
        (0..70_000).try_for_each(|_| note.add("count", 1).map(|_| ()))?;
        note.document("tree")?.set("/list", 1).map(|_| ())
    });
    assert_eq!((world.status(0).events, world.status(0).voids), (events + 1, 0));
    assert_eq!(world.contents(0)[0].fields[&name("count")], FieldValue::Counter(70_000));
}
