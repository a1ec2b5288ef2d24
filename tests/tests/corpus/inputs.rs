//! Real journals of what an engine was fed.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use reknit_access::Role;
use reknit_engine::journal::{Opening, Recorder};
use reknit_engine::store::{Durability, MemoryStore, Store};
use reknit_engine::{Config, Effects, Engine, Incoming, Input, LinkId, Numbers, RequestId, SpaceNo};
use reknit_sync::{Announce, Frame, Message, Opening as Word, PROTOCOL_VERSION};
use reknit_types::{DeviceKey, EntityId};

use super::decoders::inputs::{CHECK_BYTES, HEAD};
use super::{Seed, seed};

pub(super) fn seeds() -> Vec<Seed> {
    let device = DeviceKey::from_seed(&[3; 32]);
    let config = || Config {
        device: device.clone(),
        device_name: "a".to_owned(),
        rng: ChaCha20Rng::from_seed([1; 32]),
    };
    let whole = life(config(), Recorder::new(&Opening::new(&config(), Numbers::default())));
    let redacted = life(config(), Recorder::redacted(device.id(), [7; 32]));
    vec![
        seed("inputs", "whole", bodies(&whole)),
        seed("inputs", "redacted", bodies(&redacted)),
        seed("inputs", "file", [&[1], &whole[..]].concat()),
        seed("inputs", "redacted-file", [&[1], &redacted[..]].concat()),
    ]
}

/// A journal with most kinds of inputs.
fn life(config: Config, mut recorder: Recorder) -> Vec<u8> {
    let mut store = MemoryStore::new();
    let mut journal = recorder.take_bytes();
    recorder.image(&store, &mut |bytes| journal.extend_from_slice(bytes)).expect("memory reads back");
    let mut engine = Engine::open(config, &store).expect("an empty store opens");
    for (now_ms, input) in (NOW_MS..).zip(inputs()) {
        let mut effects = Effects::default();
        let input = recorder.note(now_ms, input);
        engine.handle(now_ms, input, &store, &mut effects).expect("it is handled");
        recorder.note_handled(&engine);
        engine.settle(now_ms, &store, &mut effects).expect("it is settled");
        recorder.note_settled(now_ms, (&engine, &store), &effects).expect("memory reads back");
        store.commit(effects.batch, Durability::Durable).expect("memory takes a commit");
    }
    engine.draw_identity();
    recorder.note_identity();
    recorder.note_ended();
    journal.extend(recorder.take_bytes());
    journal
}

fn inputs() -> Vec<Input> {
    let (request, space, link, durability) = (RequestId(1), SpaceNo(1), LinkId(1), Durability::Durable);
    let device = DeviceKey::from_seed(&[4; 32]).id();
    let incoming = |incoming| Input::Incoming { link, incoming };
    let frame = Frame::from_bytes(vec![1, 2, 3]);
    let run: reknit_engine::Run = Box::new(|tx| {
        let mut note = tx.create_with_id("notes", EntityId::from_bytes([5; 16]))?;
        note.set("title", "hello")?.text("body")?.push("some words").map(drop)
    });
    vec![
        Input::Create { request, name: "home".to_owned() },
        Input::Transact { request, space, run, durability },
        Input::Invite { request, space, role: Role::Writer, expires_ms: Some(NOW_MS + 1) },
        Input::Connected { device },
        Input::Opened {
            link,
            device,
            opening: Word { version: PROTOCOL_VERSION, tag: [6; 32], admission: None },
        },
        incoming(Incoming::Message(Message::Credit(65_536))),
        incoming(Incoming::Events { frame, events: vec![] }),
        incoming(Incoming::Malformed("no message".to_owned())),
        incoming(Incoming::Arriving { bytes: 8_192 }),
        Input::Gossip { space, from: device, announce: Announce::new(vec![], [8; 32], None), events: vec![] },
        Input::Inspect { request, space },
        Input::Closed { link, why: "the connection was lost".to_owned() },
        Input::Disconnected { device },
        Input::Leave { request, space },
        Input::Forget { request },
        Input::Tick,
    ]
}

/// The bodies of a journal's records as the decoder takes them.
fn bodies(journal: &[u8]) -> Vec<u8> {
    let mut rest = journal.strip_prefix(HEAD).expect("a journal");
    let mut bodies = vec![0];
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        let (body, after) = after[CHECK_BYTES..].split_at(u32::from_le_bytes(*len) as usize);
        bodies.extend_from_slice(&u16::try_from(body.len()).expect("a short record").to_le_bytes());
        bodies.extend_from_slice(body);
        rest = after;
    }
    bodies
}

const NOW_MS: u64 = 1_700_000_000_000;
