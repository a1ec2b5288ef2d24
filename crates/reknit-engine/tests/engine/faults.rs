use crate::support::{HOME, World, family, name};
use proptest::prelude::*;
use rand::seq::SliceRandom;
use reknit_access::Role;
use reknit_engine::store::{MemoryStore, Table};
use reknit_engine::{Effects, Input, Notice, Output, RequestId};
use reknit_types::{Dot, EntityId};

const YEAR_MS: i64 = 365 * 24 * 3_600_000;

pub(crate) fn note(world: &mut World, at: usize, text: &'static str) -> Dot {
    world.transact(at, move |tx| tx.create("notes")?.set("title", text).map(|_| ()))
}

pub(crate) fn has_reason(world: &mut World, at: usize, code: &str) -> bool {
    world.status(at).reasons.iter().any(|reason| reason.code == code)
}

#[test]
fn a_stamp_a_year_ahead_is_held_reported_and_admitted_when_the_clock_gets_there() {
    let mut world = family(1, 3);
    world.peers[1].skew_ms = YEAR_MS;
    note(&mut world, 1, "from the future");
    world.pass(5_000);
    assert_eq!(world.contents(1).len(), 1);
    for at in [0, 2] {
        assert_eq!(world.contents(at).len(), 0);
        assert!(has_reason(&mut world, at, "held-by-clock"), "{:#?}", world.status(at).reasons);
        assert!(world.peers[at].notices.iter().any(|notice| matches!(notice, Notice::Held { .. })));
    }
    // Others go on meanwhile.
    note(&mut world, 0, "now");
    world.pass(2_000);
    assert_eq!(world.contents(2).len(), 1);
    // The clock is set, and events that follow the held one come while it is held.
    world.peers[1].skew_ms = 0;
    note(&mut world, 1, "after the future");
    world.pass(5_000);
    world.restart(0);
    world.pass(1_000);
    assert_eq!(world.contents(0).len(), 1);
    world.now_ms += YEAR_MS as u64;
    world.converge();
    assert_eq!(world.contents(0).len(), 3);
    assert!(!has_reason(&mut world, 0, "held-by-clock"));
}

#[test]
fn what_follows_a_held_event_arrives_though_it_came_too_early() {
    let mut world = family(2, 2);
    world.gossip_loss = 1.0;
    world.disconnect(0, 1);
    world.peers[1].skew_ms = 3_600_000;
    note(&mut world, 1, "an hour ahead");
    world.connect(0, 1);
    world.pass(1_000);
    world.peers[1].skew_ms = 0;
    note(&mut world, 1, "after it");
    world.pass(1_000);
    assert_eq!(world.contents(0).len(), 0);
    world.pass(3_600_000);
    world.converge();
    assert_eq!(world.contents(0).len(), 2);
}

/// One author's clock does not keep others' events out that came in the same frame.
#[test]
fn a_held_event_holds_up_only_what_follows_it() {
    let mut world = family(3, 3);
    world.disconnect_all();
    note(&mut world, 2, "on time");
    world.connect(1, 2);
    world.converge_all(&[1, 2]);
    world.disconnect(1, 2);
    world.peers[1].skew_ms = YEAR_MS;
    note(&mut world, 1, "ahead");
    world.connect(0, 1);
    world.pass(5_000);
    assert_eq!(world.contents(0).len(), 1);
    assert!(has_reason(&mut world, 0, "held-by-clock"));
}

#[test]
fn held_events_survive_a_restart_and_are_admitted_after_it() {
    let mut world = family(4, 2);
    world.peers[1].skew_ms = 3_600_000;
    note(&mut world, 1, "an hour ahead");
    world.pass(1_000);
    world.disconnect(0, 1);
    world.restart(0);
    assert_eq!(world.contents(0).len(), 0);
    world.pass(3_000_000);
    assert_eq!(world.contents(0).len(), 1);
}

/// The same held events are not stored again and again while they wait.
#[test]
fn held_events_are_kept_once() {
    let mut world = family(5, 2);
    world.peers[1].skew_ms = YEAR_MS;
    (0..5).for_each(|_| _ = note(&mut world, 1, "ahead"));
    world.pass(1_000);
    let before = world.status(0).held.unwrap().1;
    for _ in 0..20 {
        world.disconnect(0, 1);
        world.connect(0, 1);
        world.pass(10_000);
    }
    assert_eq!(world.status(0).held.unwrap().1, before);
}

#[test]
fn a_restored_backup_forks_its_own_chain_and_both_branches_merge() {
    let mut world = family(6, 3);
    let id = EntityId::from_bytes([9; 16]);
    world.transact(1, move |tx| tx.entity("notes", id)?.text("body")?.push("both").map(|_| ()));
    world.converge();
    let backup = world.peers[1].store.clone();
    for _ in 0..5 {
        world.transact(1, move |tx| {
            tx.entity("notes", id)?.add("count", 1)?.text("body")?.push(" lost").map(|_| ())
        });
    }
    world.converge();
    world.disconnect_all();
    world.restart_with(1, backup);
    for _ in 0..3 {
        world.transact(1, move |tx| {
            tx.entity("notes", id)?.add("count", 10)?.text("body")?.push(" again").map(|_| ())
        });
    }
    world.connect_all();
    world.converge();
    for at in 0..3 {
        assert!(has_reason(&mut world, at, "forked-author"));
        let status = world.status(at);
        assert_eq!((status.voids, status.forks.len()), (0, 1));
        let fork = &status.forks[0];
        assert_eq!((fork.author, fork.events.len()), (world.id(1), 2));
    }
    let text = format!("{:?}", world.contents(0)[0].fields[&name("body")]);
    assert_eq!((text.matches("lost").count(), text.matches("again").count()), (5, 3), "{text}");
    let count = &world.contents(0)[0].fields[&name("count")];
    assert_eq!(*count, reknit_crdt::FieldValue::Counter(35));
    note(&mut world, 1, "goes on");
    world.converge();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]

    /// A clone of a device: the same key and chain in two places, each with long branches, over and over.
    #[test]
    fn forks_of_any_shape_converge(seed: u64, rounds in 1usize..4, edits in 1usize..30) {
        let mut world = family(seed, 3);
        for _ in 0..rounds {
            world.converge();
            let backup = world.peers[1].store.clone();
            for _ in 0..edits {
                note(&mut world, 1, "one branch");
                note(&mut world, 2, "between");
            }
            world.converge_all(&[0, 1, 2]);
            world.disconnect_all();
            world.restart_with(1, backup);
            for _ in 0..edits {
                note(&mut world, 1, "other branch");
            }
            note(&mut world, 0, "elsewhere");
            world.connect_all();
        }
        world.converge();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2, ..ProptestConfig::default() })]

    /// A device that begins again from one backup before each of its edits, and shows the branches to two others in
    /// different orders while these are cut from each other.
    #[test]
    fn an_author_that_forks_without_end_parts_no_two_others(
        seed: u64, branches in prop_oneof![Just(17usize), Just(40)],
    ) {
        let mut world = family(seed, 3);
        let ticket = world.invite(0, Role::Writer, None);
        world.converge();
        let backup = world.peers[1].store.clone();
        world.disconnect_all();
        let branch = |world: &mut World| {
            world.restart_with(1, backup.clone());
            note(world, 1, "a branch");
            world.peers[1].store.clone()
        };
        let mut branches: Vec<MemoryStore> = (0..branches).map(|_| branch(&mut world)).collect();
        for to in [0, 2] {
            branches.shuffle(&mut world.rng);
            for store in &branches {
                world.restart_with(1, store.clone());
                world.connect(1, to);
                world.pass(2_000);
                note(&mut world, to, "on top");
                world.disconnect(1, to);
            }
            prop_assert!(has_reason(&mut world, to, "too-many-branches"));
        }
        world.connect(0, 2);
        world.converge_all(&[0, 2]);
        for at in [0, 2] {
            let status = world.status(at);
            prop_assert!(status.reasons.iter().any(|reason| reason.device == Some(world.id(1))));
            let on_top = world.contents(at).iter().filter(|note| format!("{:?}", note.fields).contains("on top")).count();
            prop_assert_eq!(on_top, 2 * branches.len());
        }
        // What is refused of the one who forks is said at both ends.
        for store in branches {
            world.restart_with(1, store);
            world.connect(1, 0);
            world.pass(2_000);
            if world.status(1).frontier_digest != world.status(0).frontier_digest {
                break;
            }
            world.disconnect(1, 0);
        }
        prop_assert!(!world.status(1).reasons.is_empty() && has_reason(&mut world, 0, "awaiting-admission"));
        world.pass(70_000);
        prop_assert!(has_reason(&mut world, 1, "no-room"), "{:?}", world.status(1).reasons);
        prop_assert!(has_reason(&mut world, 0, "no-room"), "{:?}", world.status(0).reasons);
        // Who has nothing yet takes it all from the one it meets.
        let joiner = world.add_peer();
        world.disconnect_all();
        world.connect(1, joiner);
        world.join(joiner, &ticket).unwrap();
        world.converge_all(&[1, joiner]);
    }
}

/// A liar that uses one place of one identity twice: texts and documents end the same everywhere, whichever branch came
/// first, before and after restarts.
#[test]
fn contested_fields_are_the_same_at_every_peer() {
    let mut world = family(11, 4);
    let id = EntityId::from_bytes([9; 16]);
    let write = |word: &'static str| {
        move |tx: &mut reknit_engine::Tx<'_>| {
            let mut note = tx.entity("notes", id)?;
            note.text("body")?.push(word)?;
            note.document("tree")?.set("/word", word).map(|_| ())
        }
    };
    world.transact(1, write("common "));
    world.converge();
    let (backup, seed) = (world.peers[1].store.clone(), world.peers[1].seed);
    world.disconnect_all();
    world.restart_as(1, backup.clone(), seed);
    (0..3).for_each(|_| _ = world.transact(1, write("one ")));
    world.connect(1, 0);
    world.converge_all(&[0, 1]);
    world.disconnect_all();
    world.restart_as(1, backup, seed);
    (0..3).for_each(|_| _ = world.transact(1, write("two ")));
    world.connect(1, 2);
    world.converge_all(&[1, 2]);
    world.transact(2, write("honest "));
    world.connect_all();
    world.converge();
    let before = world.contents(0);
    for at in 0..4 {
        world.restart(at);
    }
    world.agree(&[0, 1, 2, 3]);
    assert_eq!(world.contents(0), before);
    world.transact(3, write("goes on "));
    world.converge();
    let body = format!("{:?}", world.contents(0)[0].fields[&name("body")]);
    assert!(body.contains("common ") && body.contains("goes on "), "{body}");
    assert_eq!(world.count(0, Table::Snapshots), 2);
}

/// Timers are by the wall clock: without more, what was due in a moment would be due in five minutes.
#[test]
fn a_clock_that_is_set_back_five_minutes_holds_nobody_up() {
    for at in [0, 1] {
        let mut world = family(12, 2);
        world.transact(at, |tx| tx.create("notes")?.set("title", "before").map(|_| ()));
        world.pass(20);
        world.peers[at].skew_ms -= 300_000;
        world.pass(5_000);
        for at in [0, 1] {
            let status = world.status(at);
            assert!(status.peers[0].converged, "{at}: {:?} {:?}", status.peers[0].session, status.reasons);
        }
    }
}

/// Who asks may throw away what else there is. Found by the simulator: three sessions had ended and nobody was told.
#[test]
fn a_question_after_a_clock_was_set_back_does_nothing_but_answer() {
    let mut world = family(12, 3);
    world.transact(0, |tx| tx.create("notes")?.set("a", 1i64).map(|_| ()));
    world.converge();
    let earlier_ms = world.clock(0) - 400_000;
    let peer = &mut world.peers[0];
    let question = || Input::Inspect { request: RequestId(7), space: HOME };
    let mut effects = Effects::default();
    peer.engine.handle(earlier_ms, question(), &peer.store, &mut effects).unwrap();
    assert!(matches!(effects.outputs[..], [Output::Reply { .. }]));
    peer.engine.handle(earlier_ms, Input::Tick, &peer.store, &mut effects).unwrap();
    let closed = effects.outputs.iter().filter(|output| matches!(output, Output::Close { .. })).count();
    assert_eq!(closed, 2, "the sessions end, and are told so");
}
