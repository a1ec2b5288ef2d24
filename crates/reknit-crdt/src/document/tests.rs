use super::*;
use crate::limits::DOCUMENT_CHANGES_MAX;
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
    let mut change = Change::try_from(&change_of(delta)[..]).unwrap().decode();
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

/// The change in a delta of one.
fn change_of(delta: &[u8]) -> Vec<u8> {
    Reader::new(&delta[9..]).bytes(1 << 20, "change").unwrap().to_vec()
}

/// What a document that received these ends with.
fn settled(edits: &[Edit<'_>]) -> FieldValue {
    let (name, mut document) = (name(), Document::new());
    for edit in edits {
        let _ = document.apply(&place(&name), &edit.origin, edit.delta);
    }
    if document.is_contested() {
        crate::rebuild(CrdtKind::Document, &place(&name), edits).value()
    } else {
        document.value()
    }
}

proptest! {
    /// A delta of several changes is merged as a whole or not at all, and whatever its parts are, in any order.
    #[test]
    fn a_delta_of_several_changes_is_merged_whole_or_not_at_all(
        count in 1usize..4, forgeries in forgeries(), forged in 0usize..4, order in any::<[u8; 5]>(), alone: bool,
    ) {
        let name = name();
        let mut honest = opened(AUTHOR);
        honest.set("", &json!({"map": {"a": 1}, "list": [1, 2, 3]})).unwrap();
        let base = honest.take_delta().unwrap();
        let mut liar = opened(LIAR);
        liar.apply(&place(&name), &origin(AUTHOR, 1), &base).unwrap();
        let mut parts: Vec<Vec<u8>> = (0..count).map(|number| {
            liar.insert("/list/1", &json!({"number": number})).unwrap();
            liar.take_delta().unwrap()
        }).collect();
        let honest_first = parts[0].clone();
        let other = actor_of(&place(&name), AUTHOR, 1);
        if let Some(part) = parts.get_mut(forged) {
            let Some(lie) = forge(part, &forgeries, &other) else { return Ok(()) };
            *part = lie;
        }
        let whole = delta::encode(1, &parts.iter().map(|part| change_of(part)).collect::<Vec<_>>());

        let mut document = Document::new();
        document.apply(&place(&name), &origin(AUTHOR, 1), &base).unwrap();
        let before = (document.to_json(), document.merge.history.clone());
        if document.apply(&place(&name), &origin(LIAR, 2), &whole) != Ok(Applied::Merged) {
            prop_assert_eq!((document.to_json(), document.merge.history.clone()), before);
        }

        let mut edits = vec![(origin(AUTHOR, 1), &base), (origin(LIAR, 2), &whole)];
        edits.extend(alone.then_some((origin(LIAR, 3), &honest_first)));
        edits.extend(parts.last().map(|part| (origin(LIAR, 4), part)));
        let edits: Vec<Edit<'_>> = edits.into_iter().map(|(origin, delta)| Edit { origin, delta }).collect();
        let mut turned: Vec<_> = edits.iter().copied().zip(order).collect();
        turned.sort_by_key(|(_, turn)| *turn);
        let turned: Vec<Edit<'_>> = turned.into_iter().map(|(edit, _)| edit).collect();
        prop_assert_eq!(settled(&edits), settled(&turned));
    }

    /// What is counted before an edit is never less than what its delta claims, or an honest delta could be void.
    #[test]
    fn a_delta_claims_no_more_than_was_counted(
        edits in prop::collection::vec((0u8..9, 0usize..4, 0usize..200), 1..30), twice: bool,
    ) {
        let name = name();
        let mut base = opened(LIAR);
        base.set("", &json!({"list": [1, 2, 3], "map": {}, "count": {"$counter": 1}})).unwrap();
        base.set_text("/text", "some text").unwrap();
        let base = base.take_delta().unwrap();
        let mut document = opened(AUTHOR);
        document.apply(&place(&name), &origin(LIAR, 1), &base).unwrap();
        if twice {
            // Values written at once, all of which the next write replaces.
            for number in 2..6 {
                let mut other = Document::new();
                other.open(&place(&name), &Identity { author: LIAR, nonce: u64::from(number) });
                other.apply(&place(&name), &origin(LIAR, 1), &base).unwrap();
                let _ = other.set("/list/0", &json!(number));
                let _ = other.set("/map/k", &json!(number));
                let _ = other.set("/count", &json!({"$counter": number}));
                let delta = other.take_delta().unwrap();
                document.apply(&place(&name), &origin(LIAR, number), &delta).unwrap();
            }
        }
        for (choice, at, len) in edits {
            let key = format!("/map/{}", "k".repeat(len));
            let _ = match choice {
                0 => document.set(&key, &json!(len)),
                1 => document.set(&key, &json!({ key.as_str(): [1, { "": len }] })),
                2 => document.remove(&key),
                3 => document.set(&format!("/list/{at}"), &json!([len])),
                4 => document.insert(&format!("/list/{at}"), &json!(len)),
                5 => document.increment("/count", 1),
                6 => document.splice_text("/text", at, at, &"é".repeat(len)),
                7 => document.set_text(&key, "text"),
                _ => document.set("", &json!({ "list": [1, 2], key.as_str(): 1 })),
            };
        }
        let spent = document.spent;
        let claimed = document.take_delta().map_or(0, |delta| cost(&delta));
        prop_assert!(claimed <= spent, "{claimed} claimed, {spent} counted");
    }

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
            if document.is_contested() { crate::rebuild(CrdtKind::Document, &place(&name), &order).value() } else { document.value() }
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

#[test]
fn an_edit_that_no_delta_could_hold_is_refused_and_leaves_the_document_as_it_was() {
    let mut document = opened(AUTHOR);
    document.set("/kept", &json!(1)).unwrap();
    let nulls = vec![json!(null); 1_100_000];
    assert!(matches!(document.set("/list", &json!(nulls)), Err(DocumentError::TooLarge)));
    assert!(matches!(document.set_text("/text", &"x".repeat(1 << 20)), Err(DocumentError::TooLarge)));
    assert_eq!(document.to_json(), json!({"kept": 1}));
    let delta = document.take_delta().unwrap();
    let mut other = Document::new();
    assert_eq!(other.apply(&place(&name()), &origin(AUTHOR, 1), &delta), Ok(Applied::Merged));
    assert_eq!(other.to_json(), document.to_json());
}

#[test]
fn edits_between_merges_fill_a_delta_too() {
    let name = name();
    let (mut document, mut other) = (opened(AUTHOR), opened(LIAR));
    for number in 0..DOCUMENT_CHANGES_MAX {
        document.set("/mine", &json!(number)).unwrap();
        other.set("/theirs", &json!(number)).unwrap();
        document.apply(&place(&name), &origin(LIAR, 1), &other.take_delta().unwrap()).unwrap();
    }
    assert!(matches!(document.set("/mine", &json!("more")), Err(DocumentError::TooLarge)));
    let delta = document.take_delta().unwrap();
    assert_eq!(other.apply(&place(&name), &origin(AUTHOR, 2), &delta), Ok(Applied::Merged));
    assert_eq!(other.to_json(), document.to_json());
    document.set("/mine", &json!("more")).unwrap();
}

/// Time stays near linear, or this never ends.
#[test]
fn a_long_list_is_written_at_once() {
    let long: Vec<_> = (0..300_000).map(|number| json!(number)).collect();
    let mut document = opened(AUTHOR);
    document.set("/list", &json!([])).unwrap();
    document.insert("/list/0", &json!({"long": &long})).unwrap();
    assert_eq!(document.to_json(), json!({"list": [{"long": long}]}));
}
