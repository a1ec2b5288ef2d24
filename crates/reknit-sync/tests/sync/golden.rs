//! Every byte that leaves the process, pinned. A change here is a change of the format and needs a new version.

use crate::support::{Memory, device, keys, space};
use reknit_sync::{
    Against, Announce, CloseReason, Delta, Frontier, Hello, Locate, Message, Opening, Probe, Receipt,
    Segment, Sketch, Symbol, Want, frame,
};
use reknit_types::{DeviceId, Dot, EventId, Tip};
use std::fmt::Write;

fn id(at: u8) -> EventId {
    EventId::from_bytes([at; 32])
}

fn author(at: u8) -> DeviceId {
    DeviceId::from_bytes([at; 32])
}

fn memory() -> Memory {
    let mut memory = Memory::default();
    for (at, payload) in [(2, "one"), (2, "two"), (3, "three"), (2, "four")] {
        let mut event = memory.write(at, payload.as_bytes(), 1_700_000_000_000);
        event.sign(&device(at));
        memory.admit(event);
    }
    memory
}

fn long_memory() -> Memory {
    let mut memory = Memory::default();
    for at in 0..20 {
        let mut event = memory.write(2, b"the same words again", 1_700_000_000_000 + at);
        event.sign(&device(2));
        memory.admit(event);
    }
    memory
}

fn messages() -> Vec<(&'static str, Message)> {
    let hello =
        Hello { version: 1, digest: [1; 32], events: 300, now_ms: 1_700_000_000_000, base: Some([2; 32]) };
    let tips = vec![Tip { seq: 7, id: id(3) }, Tip { seq: 300, id: id(4) }];
    let probe = |seq| Probe { seq, id: [5; 16] };
    let receipt = Receipt::sign(&space(), [6; 32], &device(0));
    let dot = Dot { author: author(1), seq: 9, id: id(7) };
    let delta = Delta { gone: vec![0, 300], new: vec![(author(1), tips)] };
    let symbols = vec![Symbol { sum: 1, check: 2 }, Symbol { sum: u64::MAX, check: 3 }];
    let sketch = Sketch { nonce: [9; 16], tips: 300, symbols };
    vec![
        ("hello", Message::Hello(hello)),
        ("frontier", Message::Frontier { against: Against::Nothing, delta: delta.clone() }),
        ("frontier base", Message::Frontier { against: Against::Base([8; 32]), delta: Delta::default() }),
        ("frontier yours", Message::Frontier { against: Against::Yours, delta: delta.clone() }),
        ("frontier sketch", Message::Frontier { against: Against::Sketch, delta }),
        ("sketch", Message::Sketch(sketch)),
        ("want all", Message::Want(Want::All)),
        ("want symbols", Message::Want(Want::Symbols(300))),
        ("want tips", Message::Want(Want::Tips(vec![1, u64::MAX]))),
        ("unknown", Message::Unknown(vec![0, 300])),
        ("locate", Message::Locate(Locate { tip: 1, probes: vec![probe(300), probe(7)] })),
        ("located", Message::Located { tip: 1, unknown: 2 }),
        ("settled", Message::Settled { tip: 1, shared: Some(probe(7)) }),
        ("settled apart", Message::Settled { tip: 1, shared: None }),
        ("events", Message::Events(frame::encode(&memory().events).unwrap())),
        ("have", Message::Have(vec![dot])),
        ("credit", Message::Credit(1 << 20)),
        ("receipt", Message::Receipt(receipt)),
        ("close", Message::Close(CloseReason::BrokenPromise)),
    ]
}

fn golden() -> String {
    let mut text = String::new();
    let mut line = |name: &str, bytes: &[u8]| {
        let hex: String = bytes.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        writeln!(text, "{name}: {hex}").unwrap();
    };
    for (name, message) in messages() {
        let bytes = message.encode();
        assert_eq!(Message::decode(&bytes).unwrap(), message);
        line(name, &bytes);
    }
    let (short, long) = (memory(), long_memory());
    let frame = frame::encode(&long.events).unwrap();
    line("frame, compressed", frame.as_bytes());
    line("segment", &Segment::new(&long.events, frame.clone()).encode());
    line("frontier alone", &short.frontier.encode());
    line("frontier digest", &short.frontier.digest());
    line("empty frontier digest", &Frontier::default().digest());
    let opening = Opening { version: 1, tag: [1; 32], admission: Some(b"admission".to_vec()) };
    line("opening", &opening.encode());
    let heads = short.events.last().map(|event| event.dot()).into_iter().collect();
    line("announce", &Announce::new(heads, [9; 32], Some(frame)).encode());
    text
}

#[test]
fn the_bytes_of_messages_frames_and_segments_do_not_change() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/sync.txt");
    let now = golden();
    if std::env::var_os("REKNIT_WRITE_GOLDEN").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let pinned = std::fs::read_to_string(path).unwrap();
    for (now, pinned) in now.lines().zip(pinned.lines()) {
        assert_eq!(now, pinned);
    }
    assert_eq!(now.lines().count(), pinned.lines().count());
}

#[test]
fn pinned_frames_and_segments_still_read() {
    let pinned = include_str!("../golden/sync.txt");
    let bytes = |name: &str| -> Vec<u8> {
        let line = pinned.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap();
        (0..line.len()).step_by(2).map(|at| u8::from_str_radix(&line[at..at + 2], 16).unwrap()).collect()
    };
    let expected: Vec<_> = long_memory().events.iter().map(|event| event.id()).collect();
    let events = frame::decode_verified(&bytes("frame, compressed"), space(), &keys()).unwrap();
    assert_eq!(events.iter().map(|event| event.id()).collect::<Vec<_>>(), expected);
    let segment = Segment::decode(&bytes("segment")).unwrap();
    let events = segment.events(space(), &keys()).unwrap();
    assert_eq!(events.iter().map(|event| event.id()).collect::<Vec<_>>(), expected);
    assert_eq!(Frontier::decode(&bytes("frontier alone")).unwrap(), memory().frontier);
    assert_eq!(Opening::decode(&bytes("opening")).unwrap().encode(), bytes("opening"));
    assert_eq!(Announce::decode(&bytes("announce")).unwrap().encode(), bytes("announce"));
}
