use crate::support::{HOME, World, family};
use proptest::prelude::*;
use rand::{Rng, RngExt};
use reknit_engine::store::Table;
use reknit_engine::{Tx, TxError};
use reknit_types::EntityId;

/// One random edit by a member: registers, counters, texts, documents, deletes and transactions over several entities.
fn edit(world: &mut World, at: usize) {
    let rng = &mut world.rng;
    let entity = |n: u32| EntityId::from_bytes([n as u8 + 1; 16]);
    let (one, other) = (entity(rng.random_range(0..4)), entity(rng.random_range(0..4)));
    let number = rng.random_range(-9..9i64);
    let place = rng.next_u32() as usize;
    let what = rng.random_range(0..10);
    let done = world.try_transact(at, move |tx| act(tx, (one, other), number, (what, place)));
    match done {
        Ok(_) | Err(reknit_engine::EngineError::Tx(TxError::Deleted(_))) => {}
        Err(error) => panic!("{error}"),
    }
}

fn act(
    tx: &mut Tx<'_>,
    (one, other): (EntityId, EntityId),
    number: i64,
    (what, place): (u32, usize),
) -> Result<(), TxError> {
    match what {
        0 => tx.entity("things", one)?.set("name", number).map(|_| ()),
        1 => tx.entity("things", one)?.add("count", number).map(|_| ()),
        2..=4 => {
            let mut thing = tx.entity("things", one)?;
            let mut text = thing.text("body")?;
            let len = text.len()?;
            let at = place % (len + 1);
            let delete = (place / 7) % (len - at + 1).min(3);
            text.splice(at, delete, &format!("<{number}é>")).map(|_| ())
        }
        5 => {
            let mut thing = tx.entity("things", one)?;
            let mut document = thing.document("tree")?;
            if document.get("/list")?.is_none() {
                document.set("/list", serde_json::json!([]))?;
            }
            document.insert("/list/0", number)?;
            document.set("/last", number).map(|_| ())
        }
        6 => tx.entity("things", one)?.delete(),
        7 => tx.entity("things", one)?.restore(),
        8 => {
            tx.create("others")?.set("of", number)?;
            tx.entity("things", other)?.add("count", 1)?;
            tx.entity("things", one)?.set("name", "both").map(|_| ())
        }
        _ => {
            let mut thing = tx.entity("things", other)?;
            thing.text("body")?.push("end")?;
            // Some rows grow too large for one record.
            thing.set(&format!("large{number}"), "x".repeat(700))?;
            thing.add("count", -1).map(|_| ())
        }
    }
}

fn edit_everywhere(world: &mut World, edits: usize) {
    for _ in 0..edits {
        let at = world.rng.random_range(0..world.peers.len());
        edit(world, at);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn partitioned_peers_agree_once_they_heal(seed: u64, edits in 1usize..60, loss in 0.0f64..1.0) {
        let mut world = family(seed, 3);
        world.gossip_loss = loss;
        edit_everywhere(&mut world, 10);
        world.converge();
        world.disconnect_all();
        edit_everywhere(&mut world, edits);
        world.connect_all();
        edit_everywhere(&mut world, 5);
        world.converge();
    }

    #[test]
    fn cuts_restarts_and_chains_of_peers_end_in_the_same_state(seed: u64) {
        let mut world = family(seed, 4);
        for _ in 0..12 {
            let (a, b) = (world.rng.random_range(0..4), world.rng.random_range(0..4));
            match world.rng.random_range(0..4) {
                0 if a != b => world.disconnect(a, b),
                1 if a != b => world.connect(a, b),
                2 => world.restart(a),
                _ => {}
            }
            edit_everywhere(&mut world, 4);
            let pause = world.rng.random_range(0..300);
            world.pass(pause);
        }
        world.disconnect_all();
        (0..3).for_each(|at| world.connect(at, at + 1));
        world.converge();
    }

    #[test]
    fn a_restarted_engine_equals_the_running_one(seed: u64) {
        let mut world = family(seed, 2);
        edit_everywhere(&mut world, 40);
        world.converge();
        let (before, contents) = (world.status(0), world.contents(0));
        world.restart(0);
        let after = world.status(0);
        prop_assert_eq!(after.frontier_digest, before.frontier_digest);
        prop_assert_eq!(after.heads, before.heads);
        prop_assert_eq!((after.events, after.role, after.name), (before.events, before.role, before.name));
        prop_assert_eq!(world.contents(0), contents);
        edit_everywhere(&mut world, 10);
        world.converge();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2, ..ProptestConfig::default() })]

    /// Whatever was packed meanwhile, and whoever brought which part: what two peers have in common is not sent again.
    #[test]
    fn healing_costs_the_difference(seed: u64) {
        let mut world = family(seed, 3);
        world.gossip_loss = 1.0;
        for _ in 0..12 {
            edit_everywhere(&mut world, 50);
            world.pass(1_500);
        }
        world.converge();
        let segments = world.count(0, Table::Log);
        prop_assert!(segments < 400, "{} segments: nothing was packed", segments);
        for _ in 0..3 {
            world.disconnect_all();
            let with = world.rng.random_range(0..2);
            for _ in 0..world.rng.random_range(1..4) {
                edit_everywhere(&mut world, 30);
                world.connect(2, with);
                world.converge_all(&[2, with]);
                world.disconnect(2, with);
            }
            let budget = world.difference_bytes(0, 1);
            (world.resent, world.bytes) = (0, 0);
            world.connect(0, 1);
            world.converge_all(&[0, 1]);
            prop_assert_eq!(world.resent, 0);
            prop_assert!(world.bytes <= budget, "{} of {}", world.bytes, budget);
            world.connect_all();
            world.converge();
        }
    }
}

#[test]
fn with_every_announce_lost_connected_peers_converge() {
    let mut world = family(1, 3);
    world.gossip_loss = 1.0;
    edit_everywhere(&mut world, 60);
    world.converge();
}

#[test]
fn gossip_alone_brings_news_to_peers_without_a_session() {
    let mut world = family(2, 3);
    edit_everywhere(&mut world, 20);
    world.converge();
}

#[test]
fn events_written_one_by_one_travel_many_to_a_frame() {
    let mut world = family(8, 2);
    world.disconnect(0, 1);
    for n in 0..300i64 {
        world.transact(0, move |tx| tx.create("notes")?.set("n", n).map(|_| ()));
    }
    let before = world.messages;
    world.connect(0, 1);
    world.converge();
    assert!(world.messages - before < 20, "{} messages", world.messages - before);
}

#[test]
fn peers_that_are_equal_fall_silent() {
    let mut world = family(3, 3);
    edit_everywhere(&mut world, 20);
    world.converge();
    let bytes = world.bytes;
    world.pass(600_000);
    assert_eq!(world.bytes, bytes);
    for at in 0..3 {
        assert!(world.status(at).reasons.is_empty(), "{:?}", world.status(at).reasons);
    }
}

#[test]
fn what_is_deleted_stays_deleted_and_restoring_brings_the_edits_back() {
    let mut world = family(4, 2);
    let id = EntityId::from_bytes([7; 16]);
    world.transact(0, move |tx| tx.entity("notes", id)?.set("title", "old").map(|_| ()));
    world.converge();
    world.disconnect(0, 1);
    world.transact(0, move |tx| tx.entity("notes", id)?.delete());
    world.pass(1_000);
    world.transact(1, move |tx| tx.entity("notes", id)?.set("title", "new").map(|_| ()));
    world.connect(0, 1);
    world.converge();
    assert!(world.contents(0)[0].deleted);
    let refused = world.try_transact(1, move |tx| tx.entity("notes", id)?.set("title", "x").map(|_| ()));
    assert!(matches!(refused, Err(reknit_engine::EngineError::Tx(TxError::Deleted(_)))));
    world.transact(1, move |tx| tx.entity("notes", id)?.restore());
    world.converge();
    let note = &world.contents(0)[0];
    let title = note.fields.values().next().unwrap();
    assert!(!note.deleted);
    assert_eq!(*title, reknit_crdt::FieldValue::Register(Some("new".into())));
}

#[test]
fn more_heads_than_an_event_may_name_are_joined_by_later_events() {
    let count = 36;
    let mut world = family(5, count);
    world.disconnect_all();
    for at in 0..count {
        world.transact(at, |tx| tx.create("notes")?.set("a", 1i64).map(|_| ()));
    }
    // A star, so that the test stays small.
    (1..count).for_each(|at| world.connect(0, at));
    world.converge();
    assert_eq!(world.status(0).heads.len(), count);
    world.transact(0, |tx| tx.create("notes")?.set("a", 2i64).map(|_| ()));
    assert!(world.status(0).heads.len() > 1);
    world.transact(0, |tx| tx.create("notes")?.set("a", 3i64).map(|_| ()));
    assert_eq!(world.status(0).heads.len(), 1);
    world.converge();
}

#[test]
fn a_long_history_is_packed_stays_readable_and_reaches_a_newcomer() {
    let mut world = family(6, 2);
    for round in 0..28 {
        let at = round % 2;
        for _ in 0..50 {
            edit(&mut world, at);
        }
        world.pass(1_500);
    }
    world.converge();
    assert!(world.status(0).events > 600);
    let segments = world.count(0, Table::Log);
    assert!(segments < 500, "{segments} segments: nothing was packed");
    let ticket = world.invite(0, reknit_access::Role::Writer, None);
    let newcomer = world.add_peer();
    world.connect(1, newcomer);
    world.join(newcomer, &ticket).unwrap();
    world.converge();
    world.restart(0);
    let events = {
        let info = world.peers[0].spaces[&HOME].clone();
        reknit_engine::read::newest_events(&world.peers[0].store, &info, usize::MAX).unwrap()
    };
    assert_eq!(events.len() as u64, world.status(0).events);
}

/// Events that were committed one by one; a log of such segments takes several times as many records.
#[test]
fn a_peer_that_stops_in_order_leaves_a_packed_log() {
    let mut world = family(8, 1);
    for _ in 0..2_000 {
        edit(&mut world, 0);
    }
    let (events, before) = (world.status(0).events, world.count(0, Table::Log));
    world.tidy(0);
    let after = world.count(0, Table::Log);
    assert!(after * 10 < before, "{before} segments before, {after} after");
    let store = world.peers[0].store.clone();
    world.restart_with(0, store);
    assert_eq!(world.status(0).events, events);
    edit(&mut world, 0);
    let ticket = world.invite(0, reknit_access::Role::Writer, None);
    let newcomer = world.add_peer();
    world.connect(0, newcomer);
    world.join(newcomer, &ticket).unwrap();
    world.converge();
}

#[test]
fn a_long_text_is_folded_and_reads_the_same_everywhere() {
    let mut world = family(7, 2);
    let id = EntityId::from_bytes([7; 16]);
    let mut expected = String::new();
    for n in 0..300 {
        let piece = format!("{n:04}").repeat(100);
        expected.push_str(&piece);
        world.transact(0, move |tx| tx.entity("notes", id)?.text("body")?.push(&piece).map(|_| ()));
    }
    world.converge();
    world.restart(1);
    for at in 0..2 {
        let text = world.contents(at)[0].fields.values().next().unwrap().clone();
        assert_eq!(text, reknit_crdt::FieldValue::Text(expected.clone()));
    }
    let deltas = world.count(1, Table::Deltas);
    assert!(deltas < 300, "{deltas} deltas are not folded");
}
