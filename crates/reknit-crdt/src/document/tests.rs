use super::*;
use automerge::Change;
use automerge::legacy::{ElementId, Key, ObjectId, OpId, OpType};
use proptest::prelude::*;
use reknit_types::{DeviceId, EntityId, EventId, Name, Reader, Stamp};
use serde_json::json;
use std::num::NonZeroU64;

const AUTHOR: DeviceId = DeviceId::from_bytes([1; 32]);
const LIAR: DeviceId = DeviceId::from_bytes([2; 32]);

fn name() -> Name {
    Name::new("doc").unwrap()
}

fn place(name: &Name) -> Place<'_> {
    Place { entity: EntityId::from_bytes([1; 16]), field: name }
}

fn origin(author: DeviceId, number: u8) -> Origin {
    Origin { author, stamp: Stamp::from_u128(u128::from(number)), event: EventId::from_bytes([number; 32]) }
}

fn opened(author: DeviceId) -> Document {
    let mut document = Document::new();
    document.open(&place(&name()), &Identity { author, nonce: 1 });
    document
}

/// What a liar who can write automerge changes does to one.
#[derive(Debug, Clone)]
enum Forgery {
    Object(u64, bool),
    Element(u64, bool),
    Predecessor(u64, bool),
    Action(u8),
    Insert,
    Start(u64),
    Seq(u64),
    NoCauses,
}

fn forgeries() -> impl Strategy<Value = Vec<(usize, Forgery)>> {
    let forgery = prop_oneof![
        (0u64..16, any::<bool>()).prop_map(|(op, own)| Forgery::Object(op, own)),
        (0u64..16, any::<bool>()).prop_map(|(op, own)| Forgery::Element(op, own)),
        (0u64..16, any::<bool>()).prop_map(|(op, own)| Forgery::Predecessor(op, own)),
        (0u8..7).prop_map(Forgery::Action),
        Just(Forgery::Insert),
        prop_oneof![0u64..20, Just(u64::from(u32::MAX)), Just(u64::MAX - 2)].prop_map(Forgery::Start),
        (0u64..4).prop_map(Forgery::Seq),
        Just(Forgery::NoCauses),
    ];
    prop::collection::vec((0usize..8, forgery), 1..4)
}

/// The delta of a liar: a real change with forged parts; `None` if not even automerge would encode it.
fn forge(delta: &[u8], forgeries: &[(usize, Forgery)], other: &ActorId) -> Option<Vec<u8>> {
    let mut reader = Reader::new(&delta[9..]);
    let bytes = reader.bytes(1 << 20, "change").unwrap();
    let mut change = Change::try_from(bytes).unwrap().decode();
    let own = change.actor_id.clone();
    let id = |number: u64, mine: bool| OpId(number, if mine { own.clone() } else { other.clone() });
    for (at, forgery) in forgeries {
        let count = change.operations.len();
        let op = &mut change.operations[at % count];
        match forgery {
            Forgery::Object(0, _) => op.obj = ObjectId::Root,
            Forgery::Object(number, mine) => op.obj = ObjectId::Id(id(*number, *mine)),
            Forgery::Element(0, _) => op.key = Key::Map("k".into()),
            Forgery::Element(1, _) => op.key = Key::Seq(ElementId::Head),
            Forgery::Element(number, mine) => op.key = Key::Seq(ElementId::Id(id(*number, *mine))),
            Forgery::Predecessor(number, mine) => op.pred = vec![id(*number, *mine)].into(),
            Forgery::Action(0) => op.action = OpType::Delete,
            Forgery::Action(1) => op.action = OpType::Increment(i64::from(i32::MAX)),
            Forgery::Action(2) => op.action = OpType::Make(ObjType::List),
            Forgery::Action(3) => op.action = OpType::Make(ObjType::Text),
            Forgery::Action(4) => op.action = OpType::Make(ObjType::Map),
            Forgery::Action(5) => op.action = OpType::MarkEnd(true),
            Forgery::Action(_) => op.action = OpType::Put("forged".into()),
            Forgery::Insert => op.insert = !op.insert,
            Forgery::Start(start) => change.start_op = NonZeroU64::new(*start)?,
            Forgery::Seq(seq) => change.seq = *seq,
            Forgery::NoCauses => change.deps.clear(),
        }
    }
    let bytes = catch_unwind(AssertUnwindSafe(|| Change::from(change).raw_bytes().to_vec())).ok()?;
    Some(delta::encode(1, &[bytes]))
}

proptest! {
    /// No forged change gets past the checks and does harm: neither to who merges it, nor to what is saved, nor to the
    /// agreement of those that merge in another order.
    #[test]
    fn forged_changes_do_no_harm(forgeries in forgeries(), kind in 0usize..4, early: bool) {
        let name = name();
        let mut honest = opened(AUTHOR);
        honest.set("", &json!({"map": {"a": 1}, "list": [1, 2, 3], "count": {"$counter": 1}})).unwrap();
        honest.set_text("/text", "text").unwrap();
        let first = honest.take_delta().unwrap();
        honest.insert("/list/1", &json!("later")).unwrap();
        honest.splice_text("/text", 2, 1, "X").unwrap();
        let second = honest.take_delta().unwrap();

        let mut liar = opened(LIAR);
        liar.apply(&place(&name), &origin(AUTHOR, 1), &first).unwrap();
        match kind {
            0 => liar.insert("/list/2", &json!({"n": [1]})).unwrap(),
            1 => liar.splice_text("/text", 1, 2, "lie").unwrap(),
            2 => liar.increment("/count", 5).unwrap(),
            _ => liar.remove("/map").unwrap(),
        }
        let lie = liar.take_delta().unwrap();
        let other = actor_of(&place(&name), AUTHOR, 1);
        let Some(lie) = forge(&lie, &forgeries, &other) else { return Ok(()) };

        let first = Edit { origin: origin(AUTHOR, 1), delta: &first };
        let second = Edit { origin: origin(AUTHOR, 3), delta: &second };
        let lie = Edit { origin: origin(LIAR, 2), delta: &lie };
        let orders = if early { [[lie, first, second], [first, second, lie]] } else { [[first, lie, second], [first, second, lie]] };
        let values = orders.map(|order| {
            let mut document = Document::new();
            for edit in order {
                let _ = document.apply(&place(&name), &edit.origin, edit.delta);
            }
            let reloaded = Document::load(&document.save()).unwrap();
            assert_eq!(reloaded.value(), document.value());
            if document.is_contested() { Document::replay(&place(&name), &order).value() } else { document.value() }
        });
        prop_assert_eq!(&values[0], &values[1]);
    }
}

#[test]
fn every_scalar_reads_as_the_json_it_was_written_from() {
    let value = json!({
        "null": null, "bool": true, "int": -3, "uint": u64::MAX, "float": 1.5, "string": "é",
        "bytes": {"$bytes": "AQID"}, "time": {"$timestamp": 1_700_000_000_000i64},
        "list": [1, [2, {"a": {}}]], "$looks": "tagged", "two": {"$bytes": "AQID", "more": 1},
    });
    let mut document = opened(AUTHOR);
    document.set("", &value).unwrap();
    assert_eq!(document.to_json(), value);
    document.set("/counter", &json!({"$counter": 5})).unwrap();
    document.increment("/counter", -7).unwrap();
    assert_eq!(document.get("/counter").unwrap(), Some(json!(-2)));
    assert!(matches!(document.set("/x", &json!({"$bytes": "?"})), Err(DocumentError::Tag(_))));
    assert_eq!(document.get("/x").unwrap(), None);
}

#[test]
fn paths_are_json_pointers() {
    let mut document = opened(AUTHOR);
    document.set("/a~1b", &json!({"~": [1, 2]})).unwrap();
    assert_eq!(document.get("/a~1b/~0/1").unwrap(), Some(json!(2)));
    document.set("/a~1b/~0/2", &json!(3)).unwrap();
    document.set("/a~1b/~0/-", &json!(4)).unwrap();
    document.insert("/a~1b/~0/0", &json!(0)).unwrap();
    document.remove("/a~1b/~0/1").unwrap();
    assert_eq!(document.get("/a~1b/~0").unwrap(), Some(json!([0, 2, 3, 4])));
    assert!(matches!(document.set("/a~1b/~0/9", &json!(1)), Err(DocumentError::Missing(_))));
    assert!(matches!(document.set("/no/where", &json!(1)), Err(DocumentError::Missing(_))));
    assert!(matches!(document.set("key", &json!(1)), Err(DocumentError::Path(_))));
    assert!(matches!(document.set("", &json!([])), Err(DocumentError::Root)));
    assert!(matches!(document.splice_text("/a~1b", 0, 0, "x"), Err(DocumentError::Kind { .. })));
    assert!(matches!(Document::new().set("/a", &json!(1)), Err(DocumentError::NotOpen)));
}

#[test]
fn a_value_too_deep_is_refused_and_leaves_nothing_behind() {
    let deep = (0..DOCUMENT_DEPTH_MAX + 1).fold(json!(1), |inner, _| json!([inner]));
    let mut document = opened(AUTHOR);
    assert!(matches!(document.set("/deep", &deep), Err(DocumentError::Depth)));
    assert_eq!(document.take_delta(), None);
}

#[test]
fn equal_edits_make_equal_bytes() {
    let deltas = [0, 1].map(|_| {
        let mut document = opened(AUTHOR);
        document.set("", &json!({"b": 1, "a": {"c": [1, 2]}})).unwrap();
        document.take_delta().unwrap()
    });
    assert_eq!(deltas[0], deltas[1]);
}
