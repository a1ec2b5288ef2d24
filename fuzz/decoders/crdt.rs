//! Deltas and saved states of every kind of field.

use reknit_crdt::{Crdt, Identity, Origin, Place, Register, Text, empty, load};
use reknit_types::{CrdtKind, DeviceId, EntityId, EventId, Name, Stamp, Value};

pub(crate) fn delta_register(bytes: &[u8]) -> bool {
    delta(CrdtKind::Register, bytes)
}

pub(crate) fn delta_counter(bytes: &[u8]) -> bool {
    delta(CrdtKind::Counter, bytes)
}

pub(crate) fn delta_text(bytes: &[u8]) -> bool {
    delta(CrdtKind::Text, bytes)
}

pub(crate) fn delta_document(bytes: &[u8]) -> bool {
    delta(CrdtKind::Document, bytes)
}

pub(crate) fn saved_register(bytes: &[u8]) -> bool {
    saved(CrdtKind::Register, bytes)
}

pub(crate) fn saved_counter(bytes: &[u8]) -> bool {
    saved(CrdtKind::Counter, bytes)
}

pub(crate) fn saved_text(bytes: &[u8]) -> bool {
    saved(CrdtKind::Text, bytes)
}

pub(crate) fn saved_document(bytes: &[u8]) -> bool {
    saved(CrdtKind::Document, bytes)
}

/// Gives a delta to a field that was never edited and to one that was.
fn delta(kind: CrdtKind, bytes: &[u8]) -> bool {
    let taken = merge(empty(kind), bytes);
    merge(edited(kind), bytes) || taken
}

fn merge(mut state: Box<dyn Crdt>, bytes: &[u8]) -> bool {
    let name = Name::new(FIELD).expect("a name");
    let place = Place { entity: EntityId::from_bytes(ENTITY), field: &name };
    let before = state.value();
    if state.apply(&place, &origin(2), bytes).is_err() {
        assert_eq!(state.value(), before, "a void delta changes nothing");
        return false;
    }
    let after = state.value();
    // What was merged once may be refused or known the second time, but never counts twice.
    let _ = state.apply(&place, &origin(2), bytes);
    assert_eq!(state.value(), after, "a delta counts once");
    let again = load(state.kind(), &state.save()).expect("a state loads from its own bytes");
    assert_eq!(again.value(), after, "a saved state is the state");
    true
}

fn saved(kind: CrdtKind, bytes: &[u8]) -> bool {
    let Ok(state) = load(kind, bytes) else { return false };
    let value = state.value();
    let again = load(kind, &state.save()).expect("a state loads from its own bytes");
    assert_eq!(again.value(), value, "a saved state is the state");
    true
}

/// A field that the author of the deltas in the corpus has edited before.
fn edited(kind: CrdtKind) -> Box<dyn Crdt> {
    let name = Name::new(FIELD).expect("a name");
    let place = Place { entity: EntityId::from_bytes(ENTITY), field: &name };
    let mut state = empty(kind);
    if let Some(delta) = first_delta(kind, &place) {
        state.apply(&place, &origin(1), &delta).expect("a delta made by the crate merges");
    }
    state
}

fn first_delta(kind: CrdtKind, place: &Place<'_>) -> Option<Vec<u8>> {
    let identity = Identity { author: DeviceId::from_bytes(AUTHOR), nonce: NONCE };
    match kind {
        CrdtKind::Register => Register::set(&Value::from("before")).ok(),
        CrdtKind::Counter => Some(reknit_crdt::Counter::new().add(place, &identity, 5)),
        CrdtKind::Text => {
            let mut text = Text::new();
            text.open(place, &identity);
            text.splice(0, 0, "hello").expect("position 0 is in every text");
            text.take_delta()
        }
        CrdtKind::Document => {
            let mut document = reknit_crdt::Document::new();
            document.open(place, &identity);
            document.set("/title", &serde_json::json!("before")).expect("a document takes a key");
            document.take_delta()
        }
    }
}

fn origin(at: u8) -> Origin {
    Origin {
        author: DeviceId::from_bytes(AUTHOR),
        stamp: Stamp::from_u128(u128::from(at) << 80),
        event: EventId::from_bytes([at; 32]),
    }
}

/// Where the deltas of the corpus go, and who made them: at any other place they are void.
pub(crate) const FIELD: &str = "body";
pub(crate) const ENTITY: [u8; 16] = [1; 16];
pub(crate) const AUTHOR: [u8; 32] = [7; 32];
const NONCE: u64 = 42;
