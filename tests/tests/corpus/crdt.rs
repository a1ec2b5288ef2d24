//! Real deltas and saved states of every kind of field.

use reknit_crdt::{Counter, Crdt, Document, Identity, Origin, Place, Register, Text, load};
use reknit_types::{CrdtKind, DeviceId, EntityId, EventId, Name, Stamp, Value};
use serde_json::json;

use super::decoders::crdt::{AUTHOR, ENTITY, FIELD};
use super::{Seed, seed};

pub(super) fn seeds() -> Vec<Seed> {
    let name = Name::new(FIELD).expect("a name");
    let place = Place { entity: EntityId::from_bytes(ENTITY), field: &name };
    [registers(&place), counters(&place), texts(&place), documents(&place)].into_iter().flatten().collect()
}

fn identity() -> Identity {
    Identity { author: DeviceId::from_bytes(AUTHOR), nonce: 43 }
}

fn registers(place: &Place<'_>) -> Vec<Seed> {
    let delta = Register::set(&Value::List(vec![Value::Int(1), Value::from("two")])).expect("a value");
    vec![
        seed("saved_register", "list", saved(CrdtKind::Register, place, std::slice::from_ref(&delta))),
        seed("saved_register", "empty", Register::new().save()),
        seed("delta_register", "list", delta),
        seed("delta_register", "null", Register::set(&Value::Null).expect("a value")),
    ]
}

fn counters(place: &Place<'_>) -> Vec<Seed> {
    let mut counter = Counter::new();
    let deltas = [5, -7, i64::MAX].map(|by| counter.add(place, &identity(), by));
    let mut seeds = vec![seed("saved_counter", "three", saved(CrdtKind::Counter, place, &deltas))];
    seeds.push(seed("saved_counter", "empty", Counter::new().save()));
    let [up, down, most] = deltas;
    seeds.extend(
        [("up", up), ("down", down), ("most", most)].map(|(name, delta)| seed("delta_counter", name, delta)),
    );
    seeds
}

fn texts(place: &Place<'_>) -> Vec<Seed> {
    let mut text = Text::new();
    text.open(place, &identity());
    let mut edit = |position, delete, insert| {
        text.splice(position, delete, insert).expect("the position is in the text");
        text.take_delta().expect("an edit makes a delta")
    };
    let deltas = [edit(0, 0, "Grüße, 🧶!"), edit(7, 1, "wool"), edit(0, 5, "")];
    let mut seeds = vec![
        seed("saved_text", "edited", saved(CrdtKind::Text, place, &deltas)),
        seed("saved_text", "waiting", saved(CrdtKind::Text, place, &deltas[1..])),
        seed("saved_text", "empty", Text::new().save()),
    ];
    let [insert, replace, delete] = deltas;
    let named = [("insert", insert), ("replace", replace), ("delete", delete)];
    seeds.extend(named.map(|(name, delta)| seed("delta_text", name, delta)));
    seeds
}

fn documents(place: &Place<'_>) -> Vec<Seed> {
    let mut document = Document::new();
    document.open(place, &identity());
    let nested = json!({"artist": "Nina", "tracks": [{"title": "one"}, null, true, 2.5]});
    document.set("/album", &nested).expect("a key");
    document.set_text("/notes", "Grüße").expect("a key");
    let first = document.take_delta().expect("an edit makes a delta");
    document.increment("/album/plays", 4).expect("a counter begins");
    document.insert("/album/tracks/1", &json!("between")).expect("a list");
    document.splice_text("/notes", 0, 1, "🧶 g").expect("a text");
    document.remove("/album/artist").expect("a key");
    let second = document.take_delta().expect("an edit makes a delta");
    let deltas = [first, second];
    let mut seeds = vec![
        seed("saved_document", "edited", saved(CrdtKind::Document, place, &deltas)),
        seed("saved_document", "waiting", saved(CrdtKind::Document, place, &deltas[1..])),
        seed("saved_document", "empty", Document::new().save()),
    ];
    let [first, second] = deltas;
    seeds.extend(
        [("first", first), ("second", second)].map(|(name, delta)| seed("delta_document", name, delta)),
    );
    seeds
}

/// The saved state of a field that received these deltas.
fn saved(kind: CrdtKind, place: &Place<'_>, deltas: &[Vec<u8>]) -> Vec<u8> {
    let mut state = reknit_crdt::empty(kind);
    for (at, delta) in (1u8..).zip(deltas) {
        let author = DeviceId::from_bytes(AUTHOR);
        let event = EventId::from_bytes([at; 32]);
        let origin = Origin { author, stamp: Stamp::from_u128(u128::from(at) << 80), event };
        state.apply(place, &origin, delta).expect("a delta made by the crate merges");
    }
    let bytes = state.save();
    load(kind, &bytes).expect("a state loads from its own bytes");
    bytes
}
