//! The bytes that leave the process. A change here is a change of the format, and needs a new version of it.

use reknit_crdt::{Counter, Crdt, Document, Identity, Origin, Place, Register, Text};
use reknit_types::{DeviceId, EntityId, EventId, Name, Stamp, Value};
use serde_json::json;
use std::fmt::Write as _;

const AUTHOR: DeviceId = DeviceId::from_bytes([1; 32]);
const IDENTITY: Identity = Identity { author: AUTHOR, nonce: 0x0102_0304_0506_0708 };

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn deltas_and_saved_states_keep_their_bytes() {
    let name = Name::new("field").unwrap();
    let place = Place { entity: EntityId::from_bytes([2; 16]), field: &name };
    let origin = Origin { author: AUTHOR, stamp: Stamp::from_u128(3), event: EventId::from_bytes([4; 32]) };

    let delta = Register::set(&Value::Int(-2)).unwrap();
    let mut register = Register::new();
    register.apply(&place, &origin, &delta).unwrap();
    let mut found = vec![("register delta", delta), ("register", register.save())];

    let mut counter = Counter::new();
    found.push(("counter delta", counter.add(&place, &IDENTITY, 300)));
    found.push(("counter", counter.save()));

    let mut text = Text::new();
    text.open(&place, &IDENTITY);
    text.splice(0, 0, "hé🎉").unwrap();
    found.push(("text delta", text.take_delta().unwrap()));
    text.splice(1, 1, "e").unwrap();
    found.push(("text delta between", text.take_delta().unwrap()));
    found.push(("text", text.save()));

    let mut document = Document::new();
    document.open(&place, &IDENTITY);
    document.set("", &json!({"a": [1, "b"]})).unwrap();
    found.push(("document delta", document.take_delta().unwrap()));

    let found: Vec<String> = found.iter().map(|(what, bytes)| format!("{what}: {}", hex(bytes))).collect();
    assert_eq!(found.join("\n"), include_str!("golden.txt").trim_end());
}

/// What version 1 saved, which did not say where deltas begin and end, loads for good.
#[test]
fn what_earlier_versions_saved_loads() {
    let text = Text::load(&unhex(TEXT_1)).unwrap();
    assert_eq!(text.to_string(), "he🎉");
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("it is hex")).collect()
}

const TEXT_1: &str = "e1627224dda305810100000104d8d5eebdc38fa2010004010174016881d8d5eebdc38fa201000184d8d5eebdc38fa20\
                      10104f09f8e89c4d8d5eebdc38fa20100d8d5eebdc38fa20101016501d8d5eebdc38fa201010101";
