//! What no honest engine writes or sends.

use crate::faults::{has_reason, note};
use crate::support::{HOME, World, family, name};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use reknit_access::Role;
use reknit_crdt::{Document, Identity, Place};
use reknit_engine::{Input, Notice, Refused};
use reknit_sync::{Announce, CloseReason, Frame, Message, Opening, PROTOCOL_VERSION, frame};
use reknit_types::{
    CrdtKind, DeviceKey, Dot, Draft, EntityEdit, EntityId, Epoch, Kind, Op, Payload, Stamp, Tip, Transaction,
    VerifiedEvent,
};

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
    let ticket = world.invite(0, Role::Reader, None);
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

/// What a liar shows is counted as it says, and what it lacks besides does not make that overflow.
#[test]
fn why_survives_a_member_that_shows_more_events_than_there_are_numbers() {
    let mut world = family(18, 3);
    world.gossip_loss = 1.0;
    world.disconnect(1, 2);
    world.pass(1_000);
    let author = DeviceKey::from_seed(&[80; 32]).id();
    let beyond = Dot { author, seq: u64::MAX, id: world.tip(1).id };
    world.inject(1, 0, &Message::Have(vec![beyond]));
    note(&mut world, 2, "to be passed on");
    let mut most = 0;
    for _ in 0..100 {
        world.pass(1);
        most = world.status(0).reasons.iter().map(|reason| reason.events).max().unwrap_or(0).max(most);
    }
    assert_eq!(most, u64::MAX);
}
