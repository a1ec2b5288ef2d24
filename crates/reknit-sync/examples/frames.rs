//! Prints what frames cost: bytes and microseconds an event, for 10,000 events of 100 random letters and digits over
//! 1,000 entities.
//!
//! `cargo run --release -p reknit-sync --example frames`

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use reknit_sync::{Frame, Segment, frame, limits::FRAME_BYTES_TARGET};
use reknit_types::{
    CrdtKind, DeviceKey, Draft, EntityEdit, EntityId, Epoch, Kind, Name, Op, Payload, PayloadKey,
    PayloadKeys, SpaceId, Stamp, Transaction, Value, VerifiedEvent, Writer,
};
use std::hint::black_box;
use std::time::Instant;

struct Keys(PayloadKey);

impl PayloadKeys for Keys {
    fn payload_key(&self, _: Kind, _: Epoch) -> Option<&PayloadKey> {
        Some(&self.0)
    }
}

fn main() {
    let keys = Keys(PayloadKey::new([7; 32]));
    let key = DeviceKey::from_seed(&[1; 32]);
    let space = SpaceId::found(key.id(), &[0; 32]);
    for (label, authors) in [("one author", 1), ("four authors in turn", 4)] {
        let events = events(space, &keys, authors);
        println!("{label}: {EVENTS} events");
        report(space, &keys, &events);
    }
    small(space, &keys);
    baseline(space, &keys);
}

/// What no codec can save: sealing and hashing each event, and checking a signature.
fn baseline(space: SpaceId, keys: &Keys) {
    let key = DeviceKey::from_seed(&[1; 32]);
    let event = &events(space, keys, 1)[500];
    let Payload::Open(payload) = event.payload() else { return };
    println!("for comparison");
    time("seal and hash", || {
        for _ in 0..EVENTS {
            let draft = Draft {
                kind: Kind::Data,
                parents: event.parents().to_vec(),
                stamp: event.header().stamp,
                epoch: Epoch::FIRST,
                payload: Payload::Open(payload.clone()),
            };
            black_box(VerifiedEvent::seal(space, &key, Some(event.tip()), draft, &keys.0).expect("it fits"));
        }
    });
    let signature = key.sign_event(&event.id());
    time("check a signature", || {
        for _ in 0..EVENTS {
            black_box(key.id().signed_event(&event.id(), &signature));
        }
    });
}

fn events(space: SpaceId, keys: &Keys, authors: u8) -> Vec<VerifiedEvent> {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let entities: Vec<_> = (0..1000).map(|at| EntityId::generate(1_700_000_000_000 + at, &mut rng)).collect();
    let devices: Vec<_> = (0..authors).map(|at| DeviceKey::from_seed(&[at + 1; 32])).collect();
    let mut tips = vec![None; devices.len()];
    let (mut last, mut events): (Option<VerifiedEvent>, Vec<_>) = (None, Vec::new());
    for at in 0..EVENTS {
        let author = at / 10 % devices.len();
        let after = last.as_ref().map(|event| event.header().stamp);
        let draft = Draft {
            kind: Kind::Data,
            parents: last.iter().map(VerifiedEvent::dot).collect(),
            stamp: Stamp::next(1_700_000_000_000 + at as u64 / 3, after, &mut rng),
            epoch: Epoch::FIRST,
            payload: Payload::Open(payload(entities[at % 1000], &mut rng)),
        };
        let sealed = VerifiedEvent::seal(space, &devices[author], tips[author], draft, &keys.0);
        let mut event = sealed.expect("a payload of 100 bytes fits");
        event.sign(&devices[author]);
        tips[author] = Some(event.tip());
        last = Some(event.clone());
        events.push(event);
    }
    events
}

fn payload(entity: EntityId, rng: &mut ChaCha20Rng) -> Vec<u8> {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let text = (0..100).map(|_| char::from(letters[(rng.next_u32() % 62) as usize])).collect();
    let mut delta = Writer::new();
    Value::Text(text).encode(&mut delta);
    let name = |text| Name::new(text).expect("a plain word");
    let edit = Op::Edit { field: name("title"), kind: CrdtKind::Register, delta: delta.into_bytes() };
    Transaction { edits: vec![EntityEdit { collection: name("notes"), entity, ops: vec![edit] }] }.encode()
}

fn frames(events: &[VerifiedEvent]) -> Vec<Frame> {
    let (mut rest, mut frames) = (events, Vec::new());
    while !rest.is_empty() {
        let taken = frame::prefix(rest, FRAME_BYTES_TARGET);
        frames.push(frame::encode(&rest[..taken]).expect("every event is signed"));
        rest = &rest[taken..];
    }
    frames
}

fn report(space: SpaceId, keys: &Keys, events: &[VerifiedEvent]) {
    let encoded = frames(events);
    let bytes: usize = encoded.iter().map(|frame| frame.as_bytes().len()).sum();
    println!("  {} frames, {:.1} bytes an event", encoded.len(), bytes as f64 / EVENTS as f64);
    time("encode", || drop(black_box(frames(events))));
    time("decode and verify", || {
        for frame in &encoded {
            black_box(frame::decode_verified(frame.as_bytes(), space, keys).expect("our own frame"));
        }
    });
    let segments: Vec<_> = encoded
        .iter()
        .map(|frame| {
            let events = frame::decode_verified(frame.as_bytes(), space, keys).expect("our own frame");
            Segment::new(&events, frame.clone())
        })
        .collect();
    time("load from segments", || {
        for segment in &segments {
            black_box(segment.events(space, keys).expect("our own segment"));
        }
    });
}

/// The frame of one event, as it goes out after each commit.
fn small(space: SpaceId, keys: &Keys) {
    let event = &events(space, keys, 1)[500..501];
    let frame = frame::encode(event).expect("signed");
    println!("one event alone: {} bytes", frame.as_bytes().len());
    time("encode", || {
        for _ in 0..EVENTS {
            black_box(frame::encode(event).expect("signed"));
        }
    });
    time("decode and verify", || {
        for _ in 0..EVENTS {
            black_box(frame::decode_verified(frame.as_bytes(), space, keys).expect("our own frame"));
        }
    });
}

fn time(what: &str, mut work: impl FnMut()) {
    let best = (0..5).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    let best = best.min().unwrap_or_default();
    println!("  {what}: {:.2} us an event", best.as_secs_f64() * 1e6 / EVENTS as f64);
}

const EVENTS: usize = 10_000;
