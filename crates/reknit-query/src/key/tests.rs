use super::*;
use crate::order::compare;
use proptest::prelude::*;

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-3i64..3).prop_map(Value::Int),
        (0i64..64, -3i64..3).prop_map(|(shift, off)| Value::Int((1i64 << shift).wrapping_add(off))),
        (0i64..64, -3i64..3)
            .prop_map(|(shift, off)| Value::Int((1i64 << shift).wrapping_neg().wrapping_add(off))),
        (-70i32..70, -3i32..3).prop_map(|(power, off)| {
            Value::float(2f64.powi(power) * f64::from(off) + f64::from(off)).unwrap()
        }),
        any::<f64>().prop_filter_map("finite", Value::float),
        "[\\x00\\x01a\u{ff}]{0,4}".prop_map(Value::Text),
        proptest::collection::vec(prop_oneof![Just(0u8), Just(1), Just(255)], 0..4).prop_map(Value::Bytes),
        (0u8..3).prop_map(|last| Value::Ref(EntityId::from_bytes([last; 16]))),
        (0u8..3).prop_map(|last| Value::Text(EntityId::from_bytes([last; 16]).to_string())),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::List),
            proptest::collection::btree_map("[a\\x00]{0,2}", inner, 0..3).prop_map(Value::Map),
        ]
    })
}

fn key_of(values: &[Value]) -> Vec<u8> {
    let mut out = vec![];
    values.iter().for_each(|value| encode(&Datum::borrowed(value), &mut out));
    out
}

proptest! {
    #[test]
    fn keys_sort_as_values_do(left in values(), right in values()) {
        let by_value = compare(&Datum::borrowed(&left), &Datum::borrowed(&right));
        prop_assert_eq!(key_of(&[left]).cmp(&key_of(&[right])), by_value);
    }

    #[test]
    fn keys_behind_one_another_sort_as_tuples(
        left in proptest::array::uniform2(values()),
        right in proptest::array::uniform2(values()),
    ) {
        let pairs = || left.iter().zip(&right);
        let by_value = pairs()
            .map(|(left, right)| compare(&Datum::borrowed(left), &Datum::borrowed(right)))
            .fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then);
        prop_assert_eq!(key_of(&left).cmp(&key_of(&right)), by_value);
    }

    #[test]
    fn an_index_never_puts_values_the_wrong_way_round(left in values(), right in values(), pad in 508usize..514) {
        let longer = |value: Value| match value {
            Value::Text(text) => Value::Text("x".repeat(pad) + &text),
            other => other,
        };
        let (left, right) = (longer(left), longer(right));
        let (left, right) = (Datum::borrowed(&left), Datum::borrowed(&right));
        let by_key = encoded_index(&left).cmp(&encoded_index(&right));
        prop_assert!(by_key.is_eq() || by_key == compare(&left, &right));
    }

    #[test]
    fn a_key_says_where_it_ends(value in values(), rest in proptest::collection::vec(any::<u8>(), 0..4)) {
        let key = key_of(std::slice::from_ref(&value));
        for inverted in [false, true] {
            let mut bytes: Vec<u8> = key.iter().map(|byte| if inverted { !byte } else { *byte }).collect();
            bytes.extend(&rest);
            let (found, behind) = split_component(&bytes, inverted).unwrap();
            prop_assert_eq!(&found, &key);
            prop_assert_eq!(behind, &rest[..]);
        }
        prop_assert_eq!(shorten(&key), encoded_index(&Datum::borrowed(&value)));
    }

    #[test]
    fn texts_that_begin_alike_lie_together(prefix in "[a\\x00\u{10ffff}]{0,3}", text in "[a\\x00\u{10ffff}]{0,6}") {
        let key = encoded_index(&Datum::Text(text.as_str().into()));
        let start = text_prefix(&prefix);
        let inside = key >= start && after_prefix(&start).is_none_or(|end| key < end);
        prop_assert_eq!(inside, text.starts_with(&prefix));
    }

    #[test]
    fn bytes_that_are_no_key_are_told(bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
        if let Some((component, rest)) = split_component(&bytes, false) {
            prop_assert_eq!(component.len() + rest.len(), bytes.len());
        }
    }
}

#[test]
fn numbers_of_all_kinds_share_their_keys() {
    let key = |value: Value| key_of(&[value]);
    assert_eq!(key(Value::Int(1)), key(Value::Bool(true)));
    assert_eq!(key(Value::Int(1)), key(Value::Float(1.0)));
    assert_ne!(key(Value::Int((1 << 53) + 1)), key(Value::Float(9_007_199_254_740_992.0)));
    assert!(key(Value::Int(i64::MAX)) < key(Value::Float(9_223_372_036_854_775_808.0)));
}

#[test]
fn a_key_that_opens_lists_without_end_is_no_key() {
    assert!(split_component(&vec![LIST; 1 << 20], false).is_none());
}
