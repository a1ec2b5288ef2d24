//! Real openings, messages, announces, frontiers, frames and segments, and a session's script.

use reknit_sync::{
    Against, Announce, CloseReason, Delta, Frame, Frontier, Hello, Locate, Message, Opening,
    PROTOCOL_VERSION, Probe, Receipt, Segment, Sketch, Symbol, Want, frame,
};
use reknit_types::{
    DeviceId, DeviceKey, Dot, Draft, Epoch, Kind, Payload, PayloadKeys, SpaceId, Stamp, Tip, VerifiedEvent,
};

use super::decoders::sync::{SPACE, keys};
use super::{Seed, seed};

pub(super) fn seeds() -> Vec<Seed> {
    let events = events();
    let whole = frame::encode(&events).expect("signed events make a frame");
    let one = frame::encode(&events[..1]).expect("a signed event makes a frame");
    let mut seeds = vec![
        seed(
            "opening",
            "member",
            Opening { version: PROTOCOL_VERSION, tag: [6; 32], admission: None }.encode(),
        ),
        seed("opening", "guest", Opening { version: 9, tag: [6; 32], admission: Some(vec![5; 90]) }.encode()),
        seed("frame", "one", one.as_bytes()),
        seed("frame", "three-authors", whole.as_bytes()),
        seed("segment", "one", Segment::new(&events[..1], one.clone()).encode()),
        seed("segment", "three-authors", Segment::new(&events, whole.clone()).encode()),
        seed("frontier", "empty", Frontier::default().encode()),
        seed("frontier", "three-authors", frontier(&events).encode()),
    ];
    let heads = vec![events[events.len() - 1].dot()];
    let digest = frontier(&events).digest();
    seeds.push(seed("announce", "heads", Announce::new(heads.clone(), digest, None).encode()));
    seeds.push(seed("announce", "with-events", Announce::new(heads, digest, Some(whole.clone())).encode()));
    let messages = messages(&events, whole);
    seeds.extend(messages.iter().map(|(name, message)| seed("message", name, message.encode())));
    seeds.push(seed("session", "as-initiator", script(0, messages.iter().map(|(_, message)| message))));
    seeds.push(seed("session", "as-responder", script(1, messages.iter().map(|(_, message)| message))));
    let word = |wanted: &str| messages.iter().find(|(name, _)| *name == wanted).map(|(_, message)| message);
    let told = ["hello", "sketch", "sketch", "frontier-sketch", "frontier", "unknown"].into_iter();
    seeds.push(seed("session", "told-a-sketch", script(0, told.filter_map(word))));
    let asks = ["hello", "want-symbols", "want-tips", "want-all", "frontier-yours"].into_iter();
    seeds.push(seed("session", "asks-about-a-sketch", script(1, asks.filter_map(word))));
    seeds.push(seed("session", "silence", script(1, [])));
    seeds
}

/// Events of three authors who take turns, each knowing all before; every author's last is signed.
fn events() -> Vec<VerifiedEvent> {
    let (space, space_keys) = (SpaceId::from_bytes(SPACE), keys());
    let key = space_keys.payload_key(Kind::Data, Epoch::FIRST).expect("the first epoch has a key");
    let authors = [1, 2, 3].map(|seed| DeviceKey::from_seed(&[seed; 32]));
    let mut events: Vec<VerifiedEvent> = Vec::new();
    let mut tips: [Option<Tip>; 3] = [None; 3];
    for nth in 0..12 {
        let author = nth % 3;
        let draft = Draft {
            kind: Kind::Data,
            parents: events.last().map(VerifiedEvent::dot).into_iter().collect(),
            stamp: Stamp::from_u128((1_700_000_000_000 + nth as u128) << 80),
            epoch: Epoch::FIRST,
            payload: Payload::Open(format!("what event {nth} says, again and again and again").into_bytes()),
        };
        let mut event =
            VerifiedEvent::seal(space, &authors[author], tips[author], draft, key).expect("an event");
        event.sign(&authors[author]);
        tips[author] = Some(event.tip());
        events.push(event);
    }
    events
}

fn frontier(events: &[VerifiedEvent]) -> Frontier {
    let mut frontier = Frontier::default();
    for event in events {
        frontier.set(event.header().author, vec![event.tip()]);
    }
    frontier
}

fn messages(events: &[VerifiedEvent], frame: Frame) -> Vec<(&'static str, Message)> {
    let space = SpaceId::from_bytes(SPACE);
    let digest = frontier(events).digest();
    let tip = events[events.len() - 1].tip();
    let author = DeviceId::from_bytes([3; 32]);
    let probe = |seq| Probe { seq, id: [seq as u8; 16] };
    let hello = Hello {
        version: PROTOCOL_VERSION,
        digest,
        events: 12,
        now_ms: 1_700_000_000_000,
        base: Some([1; 32]),
    };
    let symbol = Symbol { sum: 1 << 40, check: 7 };
    let new = Delta { gone: vec![], new: vec![(author, vec![tip])] };
    let receipt = Receipt::sign(&space, digest, &DeviceKey::from_seed(&[1; 32]));
    vec![
        ("hello", Message::Hello(hello)),
        ("frontier", Message::Frontier { against: Against::Nothing, delta: new.clone() }),
        (
            "frontier-delta",
            Message::Frontier { against: Against::Base(digest), delta: Delta { gone: vec![0], new: vec![] } },
        ),
        ("frontier-yours", Message::Frontier { against: Against::Yours, delta: new.clone() }),
        ("frontier-sketch", Message::Frontier { against: Against::Sketch, delta: new }),
        ("sketch", Message::Sketch(Sketch { nonce: [5; 16], tips: 100, symbols: vec![symbol; 3] })),
        ("want-all", Message::Want(Want::All)),
        ("want-symbols", Message::Want(Want::Symbols(128))),
        ("want-tips", Message::Want(Want::Tips(vec![1, 1 << 40]))),
        ("unknown", Message::Unknown(vec![0])),
        ("locate", Message::Locate(Locate { tip: 0, probes: vec![probe(30), probe(20), probe(1)] })),
        ("located", Message::Located { tip: 0, unknown: 1 }),
        ("settled", Message::Settled { tip: 0, shared: Some(probe(20)) }),
        ("events", Message::Events(frame)),
        ("have", Message::Have(vec![Dot { author, seq: tip.seq, id: tip.id }])),
        ("credit", Message::Credit(65_536)),
        ("receipt", Message::Receipt(receipt)),
        ("close", Message::Close(CloseReason::Leaving)),
    ]
}

fn script<'a>(role: u8, words: impl IntoIterator<Item = &'a Message>) -> Vec<u8> {
    let mut script = vec![role];
    for word in words {
        let bytes = word.encode();
        let len = u16::try_from(bytes.len()).expect("the words of the seeds are short");
        script.push(1);
        script.extend(len.to_le_bytes());
        script.extend(bytes);
    }
    script
}
