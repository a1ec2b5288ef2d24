//! What no honest engine writes: peers and the oracle must still agree.

use super::world::{HOME, World};
use rand::RngExt as _;
use reknit_crdt::limits::{DOCUMENT_KEY_BYTES, DOCUMENT_OPS_MAX};
use reknit_crdt::{Crdt as _, Document, Identity, Origin, Place, Text};
use reknit_engine::store::Durability;
use reknit_engine::{Input, RequestId};
use reknit_types::{
    CrdtKind, DeviceKey, Dot, Draft, EntityEdit, EntityId, Epoch, Kind, Name, Op, Payload, Stamp,
    Transaction, VerifiedEvent,
};
use serde_json::json;

const ENTITY: EntityId = EntityId::from_bytes([9; 16]);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A member who writes by hand, and keeps old states of its texts and documents to go on from more than once.
struct Liar {
    key: DeviceKey,
    texts: Vec<Vec<u8>>,
    documents: Vec<Vec<u8>>,
    written: Vec<VerifiedEvent>,
}

impl Liar {
    fn delta(&mut self, world: &mut World, kind: CrdtKind, field: &Name) -> Vec<u8> {
        let place = Place { entity: ENTITY, field };
        let nonce = world.rng.random_range(0..2);
        let identity = Identity { author: self.key.id(), nonce };
        if kind == CrdtKind::Text {
            let from = world.rng.random_range(0..self.texts.len());
            let mut text = Text::load(&self.texts[from]).unwrap();
            text.open(&place, &identity);
            for _ in 0..world.rng.random_range(1..3) {
                let at = world.rng.random_range(0..=text.len());
                let cut = world.rng.random_range(0..3usize).min(text.len() - at);
                text.splice(at, cut, ["a", "bc🎉", "", "def"][world.rng.random_range(0..4)]).unwrap();
            }
            let delta = text.take_delta().unwrap_or_default();
            self.texts.push(text.save());
            delta
        } else {
            let from = world.rng.random_range(0..self.documents.len());
            let mut document = Document::load(&self.documents[from]).unwrap();
            document.open(&place, &identity);
            let value = world.rng.random_range(0..9);
            match world.rng.random_range(0..3) {
                0 => document.set("/list", &json!([value])).unwrap(),
                1 => _ = document.insert("/list/0", &value.into()),
                _ => document.increment("/count", value).unwrap(),
            }
            let delta = document.take_delta().unwrap_or_default();
            self.documents.push(document.save());
            delta
        }
    }

    fn op(&mut self, world: &mut World, stolen: &[Op]) -> Op {
        let fields = [("title", CrdtKind::Register), ("votes", CrdtKind::Counter)];
        let fields = [fields[0], fields[1], ("body", CrdtKind::Text), ("tree", CrdtKind::Document)];
        let (field, kind) = fields[world.rng.random_range(0..4)];
        let field = name(field);
        let mut op = match (world.rng.random_range(0..9), kind) {
            (0, _) => [Op::Create, Op::Delete, Op::Restore][world.rng.random_range(0..3)].clone(),
            (1 | 2, _) if !stolen.is_empty() => stolen[world.rng.random_range(0..stolen.len())].clone(),
            (_, CrdtKind::Register) => Op::Edit { field, kind, delta: vec![3, world.rng.random_range(0..9)] },
            (_, CrdtKind::Counter) => {
                let mut delta = vec![world.rng.random_range(0..2), 0, 0, 0, 0, 0, 0, 0];
                delta.extend([world.rng.random_range(0..4), world.rng.random_range(0..90)]);
                Op::Edit { field, kind, delta }
            }
            _ => Op::Edit { delta: self.delta(world, kind, &field), field, kind },
        };
        if let Op::Edit { delta, field, .. } = &mut op {
            match world.rng.random_range(0..8) {
                0 if !delta.is_empty() => {
                    let at = world.rng.random_range(0..delta.len());
                    delta[at] ^= 1 << world.rng.random_range(0..8);
                }
                1 => *field = name(["title", "votes", "body", "tree"][world.rng.random_range(0..4)]),
                _ => {}
            }
        }
        op
    }

    /// Another event, after one of its own, whichever.
    fn write(&mut self, world: &mut World, stolen: &[Op]) {
        let ops = (0..world.rng.random_range(1..4)).map(|_| self.op(world, stolen)).collect();
        let edits = vec![EntityEdit { collection: name("notes"), entity: ENTITY, ops }];
        let mut payload = Transaction { edits }.encode();
        if world.rng.random_range(0..12) == 0 {
            payload.push(0);
        }
        let last = self.written.len();
        let at = if world.rng.random_range(0..3) == 0 { world.rng.random_range(0..last) } else { last - 1 };
        let event = seal(world, &self.key, &self.written[at], payload);
        self.written.push(event);
    }
}

fn seal(world: &mut World, key: &DeviceKey, before: &VerifiedEvent, payload: Vec<u8>) -> VerifiedEvent {
    let info = world.info(0);
    let stamp = Stamp::next(world.now_ms, Some(before.header().stamp), &mut world.rng);
    let parents: Vec<Dot> = vec![before.dot()];
    let (kind, epoch, payload) = (Kind::Data, Epoch::FIRST, Payload::Open(payload));
    let draft = Draft { kind, parents, stamp, epoch, payload };
    let mut event =
        VerifiedEvent::seal(info.id, key, Some(before.tip()), draft, info.keys.newest().1).unwrap();
    event.sign(key);
    event
}

/// Three peers, of which the last is the liar and cut off; it has seen the text and document of the others.
fn besieged(seed: u64) -> (World, Liar, Vec<Op>) {
    let mut world = World::family(seed, 3);
    for at in [0, 1] {
        world.transact(at, move |tx| {
            let mut entity = tx.entity("notes", ENTITY)?;
            entity.set("title", "honest")?.add("votes", 5)?;
            entity.text("body")?.splice(0, 0, "so 🎉 be it")?;
            entity.document("tree")?.set("/list", json!([1, 2]))?;
            Ok(())
        });
    }
    world.converge();
    let (mut text, mut document, mut stolen) = (Text::new(), Document::new(), vec![]);
    let mut events = world.events(2);
    events.sort_by_key(|event| event.header().stamp);
    for event in &events {
        let Payload::Open(bytes) = event.payload() else { continue };
        let header = event.header();
        let origin = Origin { author: header.author, stamp: header.stamp, event: event.id() };
        for op in Transaction::decode(bytes)
            .map(|tx| tx.edits)
            .unwrap_or_default()
            .into_iter()
            .flat_map(|it| it.ops)
        {
            if let Op::Edit { field, kind, delta } = &op {
                let place = Place { entity: ENTITY, field };
                match kind {
                    CrdtKind::Text => _ = text.apply(&place, &origin, delta).unwrap(),
                    CrdtKind::Document => _ = document.apply(&place, &origin, delta).unwrap(),
                    _ => {}
                }
                stolen.push(op);
            }
        }
    }
    world.disconnect(2);
    let key = world.peers[2].key.clone();
    let tip = events
        .iter()
        .filter(|event| event.header().author == key.id())
        .max_by_key(|event| event.header().seq);
    let liar = Liar {
        written: vec![tip.unwrap().clone()],
        texts: vec![text.save()],
        documents: vec![document.save()],
        key,
    };
    (world, liar, stolen)
}

/// Hands events to a peer, each after those it follows, in an order of its own; some of them.
fn hand_shuffled(world: &mut World, at: usize, events: &[VerifiedEvent]) {
    let mut rest: Vec<&VerifiedEvent> = events.iter().skip(1).collect();
    let mut known = vec![events[0].id()];
    while !rest.is_empty() {
        let ready: Vec<usize> = (0..rest.len())
            .filter(|at| rest[*at].header().prev.is_some_and(|prev| known.contains(&prev)))
            .collect();
        let event = rest.remove(ready[world.rng.random_range(0..ready.len())]).clone();
        known.push(event.id());
        world.hand(at, 1 - at, &[event]);
        if world.rng.random_range(0..6) == 0 {
            let store = world.peers[at].store.clone();
            world.restart(at, store);
        }
    }
}

#[test]
fn lies_have_the_same_effect_at_every_peer_and_none_beyond_their_definition() {
    // 315: a delta that waits, and another at its place.
    for seed in (0..30).chain([315]) {
        let (mut world, mut liar, stolen) = besieged(seed);
        let count = world.rng.random_range(3..14);
        (0..count).for_each(|_| liar.write(&mut world, &stolen));
        world.disconnect(0);
        for at in [0, 1] {
            hand_shuffled(&mut world, at, &liar.written);
        }
        for at in [0, 1] {
            let differences = world.differences(at);
            assert!(differences.is_empty(), "seed {seed}, peer {at}:\n{}", differences.join("\n"));
        }
        let digests = [0, 1].map(|at| world.status(at).frontier_digest);
        assert_eq!(digests[0], digests[1], "seed {seed}");
    }
}

/// What a void operation names must not begin to exist by it.
#[test]
fn a_void_operation_makes_neither_a_field_nor_an_entity() {
    let (mut world, liar, _) = besieged(1);
    let edit = |field: &str, kind| Op::Edit { field: name(field), kind, delta: vec![0xff] };
    let on = |entity: u8, ops| EntityEdit {
        collection: name("notes"),
        entity: EntityId::from_bytes([entity; 16]),
        ops,
    };
    let edits = vec![
        on(9, vec![edit("body", CrdtKind::Register), edit("new", CrdtKind::Counter)]),
        on(10, vec![edit("body", CrdtKind::Text)]),
        on(11, vec![edit("title", CrdtKind::Register)]),
    ];
    let event = seal(&mut world, &liar.key, &liar.written[0], Transaction { edits }.encode());
    world.hand(0, 1, &[event]);
    let differences = world.differences(0);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// A transaction made elsewhere is judged as one that came from elsewhere.
#[test]
fn a_register_written_twice_in_one_event_holds_the_same_everywhere() {
    let mut world = World::family(5, 2);
    let write = |value| Op::Edit { field: name("title"), kind: CrdtKind::Register, delta: vec![3, value] };
    let ops = vec![write(9), write(4), Op::Restore, Op::Delete, Op::Restore];
    let edits = vec![EntityEdit { collection: name("notes"), entity: ENTITY, ops }];
    let (request, durability) = (RequestId(0), Durability::Durable);
    let transaction = Transaction { edits };
    world.input(0, Input::Commit { request, space: HOME, transaction, durability });
    world.converge();
    world.assert_as_expected();
}

/// A delta for which its event has no room is void for good, also where its field turns out to be contested later.
#[test]
fn what_an_event_has_no_room_for_stays_void_in_a_contested_field() {
    let (mut world, liar, _) = besieged(2);
    let (body, big) = (name("body"), name("big"));
    let (base, key) = (liar.written[0].clone(), liar.key.clone());
    let typed = |nonce, insert: &str| {
        let mut text = Text::load(&liar.texts[0]).unwrap();
        text.open(&Place { entity: ENTITY, field: &body }, &Identity { author: key.id(), nonce });
        text.splice(0, 0, insert).unwrap();
        Op::Edit { field: body.clone(), kind: CrdtKind::Text, delta: text.take_delta().unwrap() }
    };
    let ops = [typed(1, "one "), typed(1, "two "), typed(2, "void ")];
    let mut document = Document::new();
    document.open(&Place { entity: ENTITY, field: &big }, &Identity { author: key.id(), nonce: 1 });
    // An operation costs as much as its key is long.
    let key = "k".repeat(DOCUMENT_KEY_BYTES * 1023);
    document.set("/l", &serde_json::Value::from(vec![json!({ key.as_str(): 1 }); 1022])).unwrap();
    let delta = document.take_delta().unwrap();
    let room = DOCUMENT_OPS_MAX - reknit_crdt::cost(CrdtKind::Document, &delta);
    assert!(room < 4096, "{room}");
    let fill = |delta| Op::Edit { field: big.clone(), kind: CrdtKind::Document, delta };
    let [one, two, void] = ops;
    let mut full = vec![fill(delta)];
    full.extend((0..room).map(|_| one.clone()));
    full.push(void);
    let mut written = |ops: Vec<Op>| {
        let edits = vec![EntityEdit { collection: name("notes"), entity: ENTITY, ops }];
        seal(&mut world, &liar.key, &base, Transaction { edits }.encode())
    };
    let (one, two, full) = (written(vec![one]), written(vec![two]), written(full));
    world.disconnect(0);
    for (at, order) in [(0, [&full, &one, &two]), (1, [&one, &two, &full])] {
        order.into_iter().for_each(|event| world.hand(at, 1 - at, std::slice::from_ref(event)));
    }
    for at in [0, 1] {
        let differences = world.differences(at);
        assert!(differences.is_empty(), "peer {at}:\n{}", differences.join("\n"));
    }
}
