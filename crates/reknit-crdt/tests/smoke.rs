//! smoke
use reknit_crdt::*;
use reknit_types::*;
fn origin(author: u8, stamp: u128) -> Origin {
    Origin {
        author: DeviceId::from_bytes([author; 32]),
        stamp: Stamp::from_u128(stamp),
        event: EventId::from_bytes([author; 32]),
    }
}
#[test]
fn two_people_type_at_once() {
    let name = Name::new("f").unwrap();
    let place = Place { entity: EntityId::from_bytes([1; 16]), field: &name };
    let id = |a: u8| Identity { author: DeviceId::from_bytes([a; 32]), nonce: u64::from(a) };
    let (mut a, mut b) = (Text::new(), Text::new());
    a.open(&place, &id(1));
    b.open(&place, &id(2));
    a.splice(0, 0, "h🎉llo").unwrap();
    a.splice(1, 1, "e").unwrap();
    a.splice(5, 0, " 🎉🎉").unwrap();
    a.splice(7, 1, "").unwrap();
    let d = a.take_delta().unwrap();
    assert_eq!(b.apply(&place, &origin(1, 1), &d), Ok(Applied::Merged));
    assert_eq!(b.apply(&place, &origin(1, 1), &d), Ok(Applied::Known));
    b.splice(0, 1, "H").unwrap();
    a.splice(0, 0, "> ").unwrap();
    let (da, db) = (a.take_delta().unwrap(), b.take_delta().unwrap());
    println!("{} {}", da.len(), db.len());
    assert_eq!(a.apply(&place, &origin(2, 2), &db), Ok(Applied::Merged));
    assert_eq!(b.apply(&place, &origin(1, 2), &da), Ok(Applied::Merged));
    assert_eq!(a.to_string(), b.to_string());
    println!("{a}");
    let c = load(CrdtKind::Text, &a.save()).unwrap();
    assert_eq!(c.value(), b.value());

    let (mut a, mut b) = (Document::new(), Document::new());
    a.open(&place, &id(1));
    b.open(&place, &id(2));
    a.set("", &serde_json::json!({"tasks": [{"title": "x", "n": 1.5}], "c": {"$counter": 3}})).unwrap();
    a.increment("/c", 4).unwrap();
    a.set_text("/body", "hello").unwrap();
    a.splice_text("/body", 5, 0, " world").unwrap();
    let d = a.take_delta().unwrap();
    assert_eq!(b.apply(&place, &origin(1, 1), &d), Ok(Applied::Merged));
    assert_eq!(b.apply(&place, &origin(1, 1), &d), Ok(Applied::Known));
    assert_eq!(b.apply(&place, &origin(3, 1), &d), Err(Void::Identity));
    a.set("/tasks/-", &serde_json::json!("two")).unwrap();
    b.set("/tasks/-", &serde_json::json!([1, {"a": null}])).unwrap();
    let (da, db) = (a.take_delta().unwrap(), b.take_delta().unwrap());
    assert_eq!(a.apply(&place, &origin(2, 2), &db), Ok(Applied::Merged));
    assert_eq!(b.apply(&place, &origin(1, 2), &da), Ok(Applied::Merged));
    assert_eq!(a.to_json(), b.to_json());
    println!("{}", a.to_json());
    let c = load(CrdtKind::Document, &a.save()).unwrap();
    assert_eq!(c.value(), b.value());
    a.set("/tasks/0", &serde_json::json!("one")).unwrap();
    assert!(a.take_delta().is_some());
    assert!(a.take_delta().is_none());
}
