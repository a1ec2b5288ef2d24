use crate::support::{HOME, World, family, name};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use reknit_access::Role;
use reknit_crdt::{Document, Identity, Place};
use reknit_engine::store::{MemoryStore, Table};
use reknit_engine::{Input, Notice, Refused};
use reknit_sync::{Announce, CloseReason, Frame, Message, Opening, PROTOCOL_VERSION, frame};
use reknit_types::{
    CrdtKind, DeviceKey, Dot, Draft, EntityEdit, EntityId, Epoch, Kind, Op, Payload, Stamp, Tip, Transaction,
    VerifiedEvent,
};

const YEAR_MS: i64 = 365 * 24 * 3_600_000;

fn note(world: &mut World, at: usize, text: &'static str) -> Dot {
    world.transact(at, move |tx| tx.create("notes")?.set("title", text).map(|_| ()))
}

fn has_reason(world: &mut World, at: usize, code: &str) -> bool {
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

/// Whoever writes by hand what an engine would not.
struct Forger<'a> {
    world: &'a World,
    key: DeviceKey,
}

impl Forger<'_> {
    fn event(&self, parents: Vec<Dot>, prev: Option<Tip>, ops: Vec<Op>) -> VerifiedEvent {
        self.event_at(0, parents, prev, ops)
    }

    /// Written so many milliseconds from now.
    fn event_at(&self, in_ms: u64, parents: Vec<Dot>, prev: Option<Tip>, ops: Vec<Op>) -> VerifiedEvent {
        let entity = EntityId::from_bytes([66; 16]);
        let edits = vec![EntityEdit { collection: name("forged"), entity, ops }];
        self.draft(in_ms, Kind::Data, (parents, prev), Payload::Open(Transaction { edits }.encode()))
    }
}

impl Forger<'_> {
    /// The next event of the chain, with this payload.
    fn sealed(&self, in_ms: u64, before: &VerifiedEvent, payload: Payload) -> VerifiedEvent {
        let (heads, tip) = (vec![before.dot()], before.tip());
        self.draft(in_ms, Kind::Data, (heads, Some(tip)), payload)
    }

    fn control(&self, heads: Vec<Dot>, tip: Tip, payload: Vec<u8>) -> VerifiedEvent {
        self.draft(0, Kind::Control, (heads, Some(tip)), Payload::Open(payload))
    }

    fn draft(
        &self,
        in_ms: u64,
        kind: Kind,
        (parents, prev): (Vec<Dot>, Option<Tip>),
        payload: Payload,
    ) -> VerifiedEvent {
        let info = &self.world.peers[0].spaces[&HOME];
        let now_ms = self.world.now_ms + in_ms;
        let after = Some(Stamp::from_parts(now_ms, 0).unwrap());
        let stamp = Stamp::next(now_ms, after, &mut ChaCha20Rng::seed_from_u64(1));
        let key = match kind {
            Kind::Data => info.keys.newest().1,
            Kind::Control => info.keys.control(),
        };
        let draft = Draft { kind, parents, stamp, epoch: Epoch::FIRST, payload };
        let mut event = VerifiedEvent::seal(info.id, &self.key, prev, draft, key).unwrap();
        event.sign(&self.key);
        event
    }
}

fn frame_of(event: VerifiedEvent) -> Frame {
    frame::encode(&[event]).unwrap()
}

#[test]
fn an_event_by_a_stranger_or_a_reader_is_refused_and_others_are_unharmed() {
    let mut world = family(7, 2);
    let reader = world.add_peer();
    let ticket = world.invite(0, reknit_access::Role::Reader, None);
    world.connect(0, reader);
    world.connect(1, reader);
    world.join(reader, &ticket).unwrap();
    world.converge();
    world.pass(1_000);
    let heads = world.status(0).heads;
    let by_stranger = Forger { world: &world, key: DeviceKey::from_seed(&[77; 32]) }.event(
        heads.clone(),
        None,
        vec![Op::Create],
    );
    let key = world.peers[reader].key.clone();
    let joined = heads.iter().find(|head| head.author == key.id()).copied().unwrap();
    let by_reader = Forger { world: &world, key }.event(heads.clone(), Some(joined.tip()), vec![Op::Create]);
    let before = world.status(0).frontier_digest;
    for event in [by_stranger, by_reader] {
        world.inject(reader, 0, &Message::Events(frame_of(event)));
        world.pass(100);
        assert!(world.peers[0].notices.iter().any(|notice| matches!(notice, Notice::Refused { .. })));
        world.peers[0].notices.clear();
        assert_eq!(world.status(0).frontier_digest, before);
        world.pass(5_000);
    }
    note(&mut world, 1, "goes on");
    world.converge();
}

/// What cannot be admitted yet ends no session and harms nobody; what it waits for brings it in.
#[test]
fn an_event_that_came_before_its_cause_is_fetched_again() {
    let mut world = family(12, 3);
    world.gossip_loss = 1.0;
    world.pass(1_000);
    let heads = world.status(0).heads;
    let key = world.peers[1].key.clone();
    let own = heads.iter().find(|head| head.author == key.id()).map(Dot::tip);
    let own = own.or_else(|| Some(world.tip(1)));
    let forger = Forger { world: &world, key };
    let cause = forger.event(heads, own, vec![Op::Create]);
    let orphan = forger.event(vec![cause.dot()], Some(cause.tip()), vec![Op::Delete]);
    let before = world.status(0).frontier_digest;
    world.inject(1, 0, &Message::Events(frame_of(orphan)));
    world.pass(1_000);
    assert_eq!(world.status(0).frontier_digest, before);
    assert!(has_reason(&mut world, 0, "awaiting-admission"), "{:?}", world.status(0).reasons);
    world.inject(1, 0, &Message::Events(frame_of(cause)));
    world.pass(1_000);
    note(&mut world, 2, "goes on");
    world.pass(120_000);
    assert_eq!(world.contents(0).len(), 2);
}

#[test]
fn a_stranger_with_a_guessed_tag_is_served_nothing() {
    let mut world = family(8, 1);
    note(&mut world, 0, "secret");
    let stranger = world.add_peer();
    let keys = world.peers[0].spaces[&HOME].keys.clone();
    let right = keys.session_tag(world.id(stranger), world.id(0));
    for tag in [[0; 32], right] {
        let opening = Opening { version: PROTOCOL_VERSION, tag, admission: Some(vec![1; 96]) };
        world.knock(stranger, 0, &opening);
        world.pass(1_000);
        assert_eq!(world.knock_answers(stranger), [Message::Close(CloseReason::NotMember)]);
    }
}

#[test]
fn a_member_whose_frames_are_garbage_is_closed_and_others_are_unharmed() {
    let mut world = family(9, 3);
    world.gossip_loss = 1.0;
    world.disconnect(1, 2);
    world.garbles = Some(1);
    note(&mut world, 1, "garbled");
    note(&mut world, 2, "clean");
    world.pass(5_000);
    let titles = |world: &World, at| world.contents(at).len();
    assert_eq!(titles(&world, 0), 1);
    let closed = |notice: &Notice| {
        matches!(notice, Notice::Unlinked { why: reknit_engine::Why::Closed(CloseReason::BadFrame), .. })
    };
    assert!(world.peers[0].notices.iter().any(closed));
    assert!(!world.status(0).reasons.is_empty());
    world.garbles = None;
    world.converge();
    assert_eq!(titles(&world, 0), 2);
}

#[test]
fn a_connected_peer_that_lacks_events_always_has_a_reason() {
    let mut world = family(10, 3);
    world.disconnect(0, 2);
    world.garbles = Some(0);
    for _ in 0..10 {
        note(&mut world, 0, "news");
        world.pass(37);
        for at in 0..3 {
            let status = world.status(at);
            for peer in status.peers.iter().filter(|peer| !peer.converged) {
                let about = status.reasons.iter().any(|reason| reason.device == Some(peer.device));
                assert!(about, "{status:#?}");
            }
        }
    }
}

/// Whether a peer refused something for this reason since it was asked last.
fn refused(world: &mut World, at: usize, why: &Refused) -> bool {
    std::mem::take(&mut world.peers[at].notices)
        .iter()
        .any(|notice| matches!(notice, Notice::Refused { reason, .. } if reason == why))
}

#[test]
fn a_chain_that_leaps_over_numbers_is_refused() {
    let mut world = family(13, 2);
    world.gossip_loss = 1.0;
    let (heads, tip) = (world.status(0).heads, world.tip(1));
    let forger = Forger { world: &world, key: world.peers[1].key.clone() };
    let first = forger.event(heads, Some(tip), vec![Op::Create]);
    let leap = Some(Tip { seq: 999, id: first.id() });
    let second = forger.event_at(1, vec![first.dot()], leap, vec![Op::Create]);
    let before = world.status(0).frontier_digest;
    world.inject(1, 0, &Message::Events(frame::encode(&[first.clone(), second.clone()]).unwrap()));
    world.pass(100);
    assert!(refused(&mut world, 0, &Refused::Place));
    assert_eq!(world.status(0).frontier_digest, before);
    world.pass(5_000);
    // Nor does it help to send the two one after the other.
    world.inject(1, 0, &Message::Events(frame_of(first)));
    world.pass(100);
    world.inject(1, 0, &Message::Events(frame_of(second)));
    world.pass(100);
    assert!(refused(&mut world, 0, &Refused::Place));
    world.restart(0);
    note(&mut world, 0, "goes on");
}

/// Where a parent lies is not signed: whoever passes an event on with a wrong place is told so, and the event is taken
/// from somebody else.
#[test]
fn a_parent_said_to_lie_elsewhere_is_refused_for_good() {
    let mut world = family(14, 3);
    world.gossip_loss = 1.0;
    let head = note(&mut world, 2, "a head");
    world.converge();
    let tip = world.tip(1);
    let key = world.peers[1].key.clone();
    let forger = Forger { world: &world, key };
    let moved = forger.event(vec![Dot { seq: head.seq + 7, ..head }], Some(tip), vec![Op::Create]);
    let genuine = forger.event(vec![head], Some(tip), vec![Op::Create]);
    assert_eq!(moved.id(), genuine.id());
    world.inject(1, 0, &Message::Events(frame_of(moved)));
    world.pass(100);
    assert!(refused(&mut world, 0, &Refused::Place));
    world.pass(5_000);
    world.inject(1, 0, &Message::Events(frame_of(genuine)));
    world.pass(100);
    assert_eq!(world.contents(0).len(), 2);
}

/// What is void is the same at every peer, whatever it had open, folded or restarted when it came.
#[test]
fn peers_count_the_same_voids() {
    let mut world = family(15, 3);
    world.gossip_loss = 1.0;
    let edit = |field: &str, kind, delta: &[u8]| Op::Edit { field: name(field), kind, delta: delta.to_vec() };
    let strange = {
        let (field, author) = (name("tree"), DeviceKey::from_seed(&[78; 32]).id());
        let mut document = Document::new();
        let place = Place { entity: EntityId::from_bytes([66; 16]), field: &field };
        document.open(&place, &Identity { author, nonce: 1 });
        document.set("/whose", &"?".into()).unwrap();
        document.take_delta().unwrap()
    };
    let ops = vec![
        edit("title", CrdtKind::Register, b"\xff"),
        edit("count", CrdtKind::Counter, b""),
        edit("body", CrdtKind::Text, b"short"),
        edit("tree", CrdtKind::Document, &[0; 12]),
        edit("tree", CrdtKind::Document, &strange),
        Op::Create,
    ];
    let (heads, tip, key) = (world.status(0).heads, world.tip(1), world.peers[1].key.clone());
    let forger = Forger { world: &world, key };
    let first = forger.event(heads, Some(tip), ops);
    let garbage = forger.sealed(1, &first, Payload::Sealed(vec![9; 64]));
    let junk = forger.sealed(2, &garbage, Payload::Open(vec![0xff; 9]));
    world.inject(1, 0, &Message::Events(frame::encode(&[first, garbage, junk]).unwrap()));
    world.pass(1_000);
    assert_eq!(world.status(0).voids, 7);
    (0..3).for_each(|at| world.restart(at));
    world.converge();
    assert_eq!(world.status(2).voids, 7);
}

/// A stranger with an old ticket has the keys of a space: its announces are hints, and its events come by a session or
/// not at all.
#[test]
fn events_in_the_announce_of_a_stranger_are_not_admitted() {
    let mut world = family(16, 2);
    world.gossip_loss = 1.0;
    world.pass(1_000);
    let (heads, tip, key) = (world.status(0).heads, world.tip(1), world.peers[1].key.clone());
    let event = Forger { world: &world, key }.event(heads, Some(tip), vec![Op::Create]);
    let announce = Announce::new(vec![event.dot()], [0; 32], Some(frame_of(event.clone())));
    for (from, entities) in [(DeviceKey::from_seed(&[79; 32]).id(), 0), (world.id(1), 1)] {
        let (announce, events) = (announce.clone(), vec![event.clone()]);
        world.round(0, vec![Input::Gossip { space: HOME, from, announce, events }]);
        assert_eq!(world.contents(0).len(), entities);
    }
}

/// A control event of a later version ends no session: it waits until this program is updated.
#[test]
fn what_a_later_version_writes_is_not_refused_for_good() {
    let mut world = family(17, 2);
    world.gossip_loss = 1.0;
    world.pass(1_000);
    let (heads, tip, key) = (world.status(0).heads, world.tip(1), world.peers[1].key.clone());
    let forger = Forger { world: &world, key };
    let newer = forger.control(heads, tip, vec![9, 0]);
    world.inject(1, 0, &Message::Events(frame_of(newer)));
    world.pass(100);
    let said = |notice: &Notice| match notice {
        Notice::Refused { reason, .. } => {
            !reason.is_final() && reason.to_string().contains("update this program")
        }
        _ => false,
    };
    assert!(world.peers[0].notices.iter().any(said));
    assert!(!world.peers[0].notices.iter().any(|notice| matches!(notice, Notice::Unlinked { .. })));
}
