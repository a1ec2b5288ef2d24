//! The bytes of a journal, pinned: every kind of record and of input.

use super::*;
use crate::effects::Incoming;
use crate::error::EngineError;
use crate::journal::outcome::KINDS;
use crate::restart::Numbers;
use crate::tx::{Ran, Touch};
use reknit_access::{INVITE_SEED_BYTES, InviteSecret, PeerHint, SpaceSecret, Ticket};
use reknit_types::{CrdtKind, EventId, SpaceId};
use std::fmt::Write as _;

const REQUEST: RequestId = RequestId(300);
const SPACE: SpaceNo = SpaceNo(7);
const LINK: LinkId = LinkId(1_001);

fn ticket() -> Box<Ticket> {
    Box::new(Ticket {
        space: SpaceId::from_bytes([1; 32]),
        space_name: "home".to_owned(),
        secret: SpaceSecret::from_bytes([2; 32]),
        invite_secret: InviteSecret::from_seed([3; INVITE_SEED_BYTES]),
        invite: EventId::from_bytes([4; 32]),
        role: Role::Writer,
        expires_ms: Some(1_700_000_000_000),
        peers: vec![PeerHint { device: device(2), addrs: vec![] }],
    })
}

fn incoming(incoming: Incoming) -> Input {
    Input::Incoming { link: LINK, incoming }
}

/// Every input, by name. One that is added is to be added here.
fn inputs() -> Vec<(&'static str, Input)> {
    let (request, space, link, durability) = (REQUEST, SPACE, LINK, Durability::Durable);
    let opening = Word { version: 1, tag: [5; 32], admission: Some(b"admission".to_vec()) };
    let announce = Announce::new(vec![], [6; 32], None);
    let events = Incoming::Events { frame: Frame::from_bytes(vec![8; 40]), events: vec![] };
    let whole = transaction(vec![(1, b"delta".to_vec())]);
    let large = transaction(vec![(1, vec![0; reknit_types::limits::PAYLOAD_BYTES_MAX])]);
    let commit = |transaction| Input::Commit { request, space, transaction, durability };
    vec![
        ("create", Input::Create { request, name: "home".to_owned() }),
        ("join", Input::Join { request, ticket: ticket() }),
        ("forget", Input::Forget { request }),
        ("leave", Input::Leave { request, space }),
        ("invite", Input::Invite { request, space, role: Role::Reader, expires_ms: Some(99) }),
        ("invite without end", Input::Invite { request, space, role: Role::Admin, expires_ms: None }),
        ("transact", Input::Transact { request, space, run: Box::new(|_| Ok(())), durability }),
        ("commit", commit(whole)),
        ("commit of too much", commit(large)),
        ("inspect", Input::Inspect { request, space }),
        ("connected", Input::Connected { device: device(2) }),
        ("disconnected", Input::Disconnected { device: device(2) }),
        ("opened", Input::Opened { link, device: device(2), opening }),
        ("message", incoming(Incoming::Message(Message::Credit(65_536)))),
        ("events", incoming(events)),
        ("malformed", incoming(Incoming::Malformed("no message".to_owned()))),
        ("arriving", incoming(Incoming::Arriving { bytes: 8_192 })),
        ("closed", Input::Closed { link, why: "the connection was lost".to_owned() }),
        ("gossip", Input::Gossip { space, from: device(2), announce, events: vec![] }),
        ("tick", Input::Tick),
    ]
}

fn handled() -> Handled {
    let (collection, field) = (Name::new("things").unwrap(), Name::new("body").unwrap());
    let entity = EntityId::from_bytes([9; 16]);
    let row = Touch { collection: collection.clone(), entity, field: None };
    let text = Touch { collection, entity, field: Some((field, CrdtKind::Text)) };
    let done = Some(transaction(vec![(9, b"delta".to_vec())]));
    Handled { ran: Some(Ran { done, touched: vec![row, text], drawn: 17 }), drawn: 1 << 40 }
}

fn outcome() -> Outcome {
    let told = KINDS.iter().zip(1..).map(|(kind, at)| Told { kind, digest: [at; 8] });
    Outcome { changes: 3, batch: [7; 16], told: told.collect() }
}

fn standing() -> Standing {
    Standing {
        space: 7,
        here: "12 events".to_owned(),
        peers: vec![("0badcafe".to_owned(), "connected".to_owned())],
        reasons: vec![
            ("not-connected".to_owned(), Some("0badcafe".to_owned()), 3),
            ("joining".to_owned(), None, 0),
        ],
    }
}

fn opening() -> Opening {
    let rng = ChaCha20Rng::from_seed([6; 32]);
    let config = Config { device: DeviceKey::from_seed(&[1; 32]), device_name: "laptop".to_owned(), rng };
    Opening::new(&config, Numbers { links: 44, spaces: 2 })
}

fn body(tag: u8, fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    fill(writer.u8(tag));
    writer.into_bytes()
}

/// The records of a journal, by name, in an order that reads back.
fn records() -> Vec<(&'static str, Vec<u8>)> {
    let entry = |writer: &mut Writer| _ = writer.u8(1).bytes(b"key").bytes(b"value");
    let mut records = vec![
        ("opening", body(TAG_OPENING, |writer| opening().encode(writer))),
        ("entry", body(TAG_ENTRY, entry)),
        ("end of the image", body(TAG_IMAGE_END, |writer| _ = writer.varint(1))),
    ];
    for (name, input) in inputs() {
        records.push((name, body(TAG_INPUT, |writer| encode(&input, writer.varint(1_700_000_000_000)))));
        if name == "transact" {
            records.push(("handled", body(TAG_HANDLED, |writer| handled().encode(writer))));
        }
    }
    records.push(("identity", vec![TAG_IDENTITY]));
    records.push(("settled", body(TAG_SETTLED, |writer| outcome().encode(writer.varint(1_700_000_000_001)))));
    let failed = EngineError::Damaged("a record".to_owned()).to_string();
    records.push(("failed", body(TAG_FAILED, |writer| _ = writer.str(&failed))));
    records.push(("ended", vec![TAG_ENDED]));
    records
}

/// The records of a redacted journal, by name.
fn redacted() -> Vec<(&'static str, Vec<u8>)> {
    let (peer, what) = (Some("0badcafe".to_owned()), "open a stream".to_owned());
    let line = Line { now_ms: 1_700_000_000_000, told: false, space: None, link: Some(44), peer, what };
    vec![
        ("redacted", body(TAG_REDACTED, |writer| _ = writer.str("deadbeef"))),
        ("line", body(TAG_LINE, |writer| line.encode(writer))),
        ("standing", body(TAG_STANDING, |writer| standing().encode(writer.varint(1_700_000_000_001)))),
        ("wakeup", body(TAG_WAKEUP, |writer| _ = writer.varint(1_700_000_000_002))),
        ("redacted failed", body(TAG_FAILED, |writer| _ = writer.str("refused"))),
        ("redacted ended", vec![TAG_ENDED]),
    ]
}

fn file(records: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let (mut seal, mut bytes) = (Seal::default(), [MAGIC, &[VERSION]].concat());
    assert!(records.iter().all(|(_, body)| seal.append(body, &mut bytes)));
    bytes
}

fn golden() -> String {
    let mut text = String::new();
    let (journal, story) = (file(&records()), file(&redacted()));
    let files = [("journal", journal), ("redacted journal", story)];
    for (name, bytes) in records().into_iter().chain(redacted()).chain(files) {
        write!(text, "{name}: ").unwrap();
        bytes.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
        text.push('\n');
    }
    text
}

#[test]
fn the_bytes_of_a_journal_do_not_change() {
    let now = golden();
    if std::env::var_os("REKNIT_WRITE_GOLDEN").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/journal.txt"), &now).unwrap();
    }
    let pinned = include_str!("../../../tests/golden/journal.txt");
    for (now, pinned) in now.lines().zip(pinned.lines()) {
        assert_eq!(now, pinned);
    }
    assert_eq!(now.lines().count(), pinned.lines().count());
}

#[test]
fn pinned_journals_still_read() {
    let pinned = include_str!("../../../tests/golden/journal.txt");
    let bytes = |name: &str| -> Vec<u8> {
        let line = pinned.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap();
        (0..line.len()).step_by(2).map(|at| u8::from_str_radix(&line[at..at + 2], 16).unwrap()).collect()
    };
    // What follows the failure of an engine belongs to no round.
    let journal = Journal::decode(&bytes("journal")).unwrap();
    assert_eq!((journal.end, journal.inputs()), (End::Ended, inputs().len() + 1));
    assert_eq!(journal.opening.device(), DeviceKey::from_seed(&[1; 32]).id());
    assert_eq!(journal.opening.numbers(), Numbers { links: 44, spaces: 2 });
    let RoundEnd::Settled { outcome: found, .. } = &journal.rounds[0].end else { panic!("a whole round") };
    assert_eq!(*found, outcome());
    for (step, (name, input)) in journal.rounds[0].steps.iter().zip(inputs()) {
        let Step::Input { input: noted, handled: followed, .. } = step else { panic!("{name} is an input") };
        assert_eq!(bytes_of(&noted.as_ref().clone().into_input(&engine(), None)), bytes_of(&input), "{name}");
        assert_eq!(followed.is_some(), name == "transact", "{name}");
        assert!(followed.as_ref().is_none_or(|followed| followed.0 == handled()));
    }
    let story = Story::decode(&bytes("redacted journal")).unwrap();
    assert_eq!((story.device.as_str(), story.lines, story.end), ("deadbeef", 1, End::Ended));
    assert_eq!(story.streams[&44].peer.as_deref(), Some("0badcafe"));
    assert_eq!(story.spaces[&7].standing, standing());
    assert_eq!((story.wakeup_ms, story.failed.as_deref()), (Some(1_700_000_000_002), Some("refused")));
}
