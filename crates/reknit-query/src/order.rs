//! The one order of all values, in which `<`, `ORDER BY`, `MIN` and index keys agree.
//!
//! As in SQLite, values of different kinds order by kind: null, then numbers, text, bytes; then lists, then maps. Booleans
//! are the numbers 0 and 1, a reference is the text of its id, and whole numbers and floats compare exactly.

use crate::datum::Datum;
use crate::key;
use reknit_types::EntityId;
use std::cmp::Ordering;

/// Compares two values, nulls being equal and least.
pub(crate) fn compare(left: &Datum<'_>, right: &Datum<'_>) -> Ordering {
    match (left, right) {
        (Datum::Int(left), Datum::Int(right)) => left.cmp(right),
        (Datum::Text(left), Datum::Text(right)) => left.as_bytes().cmp(right.as_bytes()),
        (Datum::Float(left), Datum::Float(right)) => floats(*left, *right),
        (Datum::Ref(left), Datum::Ref(right)) => left.cmp(right),
        (Datum::Bytes(left), Datum::Bytes(right)) => left.cmp(right),
        _ => mixed(left, right),
    }
}

fn mixed(left: &Datum<'_>, right: &Datum<'_>) -> Ordering {
    let by_kind = kind(left).cmp(&kind(right));
    if by_kind.is_ne() {
        return by_kind;
    }
    match (left, right) {
        (Datum::Int(left), Datum::Float(right)) => whole_and_float(*left, *right),
        (Datum::Float(left), Datum::Int(right)) => whole_and_float(*right, *left).reverse(),
        (Datum::Bool(left), right) => compare(&Datum::Int(i64::from(*left)), right),
        (left, Datum::Bool(right)) => compare(left, &Datum::Int(i64::from(*right))),
        (Datum::Text(text), Datum::Ref(entity)) => text.as_bytes().cmp(id_text(*entity).as_bytes()),
        (Datum::Ref(entity), Datum::Text(text)) => id_text(*entity).as_bytes().cmp(text.as_bytes()),
        (Datum::List(_) | Datum::Map(_), _) => key::encoded(left).cmp(&key::encoded(right)),
        _ => Ordering::Equal,
    }
}

/// Whether two values are equal; unknown if one is null.
pub(crate) fn equal(left: &Datum<'_>, right: &Datum<'_>) -> Option<bool> {
    (!left.is_null() && !right.is_null()).then(|| compare(left, right).is_eq())
}

fn kind(datum: &Datum<'_>) -> u8 {
    match datum {
        Datum::Null => 0,
        Datum::Bool(_) | Datum::Int(_) | Datum::Float(_) => 1,
        Datum::Text(_) | Datum::Ref(_) => 2,
        Datum::Bytes(_) => 3,
        Datum::List(_) => 4,
        Datum::Map(_) => 5,
    }
}

fn floats(left: f64, right: f64) -> Ordering {
    left.partial_cmp(&right).unwrap_or(Ordering::Equal)
}

/// Compares exactly: 2^53 + 1 is greater than the float 2^53.
fn whole_and_float(whole: i64, float: f64) -> Ordering {
    if float >= TWO_63 {
        return Ordering::Less;
    }
    if float < -TWO_63 {
        return Ordering::Greater;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the float is in range, and its fraction is compared after"
    )]
    let floor = float.trunc() as i64;
    whole.cmp(&floor).then_with(|| floats(0.0, float.fract()))
}

fn id_text(entity: [u8; 16]) -> String {
    EntityId::from_bytes(entity).to_string()
}

const TWO_63: f64 = 9_223_372_036_854_775_808.0;
