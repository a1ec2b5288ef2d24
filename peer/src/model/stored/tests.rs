use super::*;
use crate::model::Ref;
use proptest::prelude::*;
use reknit_types::EntityId;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Every shape that serde knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Shapes {
    flag: bool,
    small: i8,
    large: i64,
    natural: u32,
    real: f64,
    letter: char,
    text: String,
    maybe: Option<String>,
    unit: (),
    pair: (i16, String),
    newtype: Meters,
    list: Vec<Variants>,
    by_name: BTreeMap<String, Variants>,
    by_number: BTreeMap<i32, bool>,
    by_variant: BTreeMap<Plain, u8>,
    reference: Ref<()>,
    untyped: Value,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Meters(f32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Plain {
    North,
    South,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Variants {
    Unit,
    Newtype(Option<i64>),
    Tuple(i64, String),
    Struct { plain: Plain, deep: Box<Option<Variants>> },
}

fn plain() -> impl Strategy<Value = Plain> {
    prop_oneof![Just(Plain::North), Just(Plain::South)]
}

fn variants() -> impl Strategy<Value = Variants> {
    let leaf = prop_oneof![
        Just(Variants::Unit),
        any::<Option<i64>>().prop_map(Variants::Newtype),
        (any::<i64>(), ".{0,5}").prop_map(|(number, text)| Variants::Tuple(number, text)),
    ];
    leaf.prop_recursive(3, 8, 1, |inner| {
        (plain(), proptest::option::of(inner))
            .prop_map(|(plain, deep)| Variants::Struct { plain, deep: Box::new(deep) })
    })
}

fn untyped() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-1e9f64..1e9).prop_map(|value| Value::float(value).unwrap()),
        ".{0,6}".prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..6).prop_map(Value::Bytes),
        any::<[u8; 16]>().prop_map(|bytes| Value::Ref(EntityId::from_bytes(bytes))),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::List),
            proptest::collection::btree_map("[a-z$]{1,4}", inner, 0..3).prop_map(Value::Map),
        ]
    })
}

prop_compose! {
    fn shapes()(
        (flag, small, large, natural, real, letter) in
            (any::<bool>(), any::<i8>(), any::<i64>(), any::<u32>(), -1e300..1e300, any::<char>()),
        (text, maybe, pair, meters) in (".{0,8}", any::<Option<String>>(), any::<(i16, String)>(), -1e6f32..1e6),
        list in proptest::collection::vec(variants(), 0..3),
        by_name in proptest::collection::btree_map(".{0,4}", variants(), 0..3),
        by_number in any::<BTreeMap<i32, bool>>(),
        by_variant in proptest::collection::btree_map(plain(), any::<u8>(), 0..2),
        (reference, untyped) in (any::<[u8; 16]>(), untyped()),
    ) -> Shapes {
        let reference = Ref::new(EntityId::from_bytes(reference));
        let (unit, newtype) = ((), Meters(meters));
        Shapes { flag, small, large, natural, real, letter, text, maybe, unit, pair, newtype, list, by_name, by_number,
            by_variant, reference, untyped }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_shape_comes_back_from_its_value(shapes in shapes()) {
        let value = to_value(&shapes).unwrap();
        prop_assert_eq!(from_value::<Shapes>(value).unwrap(), shapes);
    }

    #[test]
    fn a_value_stands_for_itself(value in untyped()) {
        prop_assert_eq!(&to_value(&value).unwrap(), &value);
        prop_assert_eq!(from_value::<Value>(value.clone()).unwrap(), value);
    }

    #[test]
    fn json_and_values_agree_on_what_a_type_stands_for(shapes in shapes()) {
        let value = serde_json::to_value(to_value(&shapes).unwrap()).unwrap();
        prop_assert_eq!(serde_json::from_value::<Shapes>(value).unwrap(), shapes);
    }
}

#[test]
fn a_reference_is_stored_as_one() {
    let id = EntityId::from_bytes([7; 16]);
    let reference = Ref::<()>::new(id);
    assert_eq!(to_value(&reference).unwrap(), Value::Ref(id));
    assert_eq!(to_value(&vec![Some(reference)]).unwrap(), Value::List(vec![Value::Ref(id)]));
    assert_eq!(from_value::<Ref<()>>(Value::Ref(id)).unwrap(), reference);
    assert!(from_value::<Ref<()>>(Value::from("blue")).is_err());
}

#[test]
fn what_no_value_holds_is_refused_by_name() {
    assert_eq!(to_value(&u64::MAX), Err(ValueError::Integer(u64::MAX.to_string())));
    assert_eq!(to_value(&f64::NAN), Err(ValueError::Float("NaN".to_owned())));
    assert_eq!(to_value(&BTreeMap::from([((1, 2), 3)])), Err(ValueError::Key("a tuple")));
}

#[test]
fn a_number_out_of_range_says_so() {
    let refused = from_value::<u8>(Value::Int(300)).unwrap_err();
    assert_eq!(refused.to_string(), "invalid value: integer `300`, expected u8");
}
