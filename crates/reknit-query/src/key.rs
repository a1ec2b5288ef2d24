//! Values as bytes that sort as the values do.
//!
//! `memcmp` of two keys gives what comparing their values gives, and equal values have equal bytes, so `1`, `1.0` and
//! `TRUE` have the same. A key says where it ends: keys behind one another sort as tuples do.
//!
//! | value | bytes |
//! |---|---|
//! | null | `10` |
//! | number | `20`, the greatest float not above it (8, bits made sortable), its distance from there (2) |
//! | text, reference | `30`, UTF-8 with `00` as `00 ff`, then `00 00` |
//! | bytes | `40`, as for text |
//! | list | `50`, the items, `00` |
//! | map | `60`, name (as text) and value in turn, `00` |

use crate::datum::Datum;
use crate::limits::INDEX_TEXT_BYTES_MAX;
use reknit_types::{EntityId, Value};

/// Appends the key of a value.
pub fn encode(datum: &Datum<'_>, out: &mut Vec<u8>) {
    match datum {
        Datum::Null => out.push(NULL),
        Datum::Bool(value) => whole(i64::from(*value), out),
        Datum::Int(value) => whole(*value, out),
        Datum::Float(value) => number(*value, 0, out),
        Datum::Text(text) => escaped(TEXT, text.as_bytes(), out),
        Datum::Ref(entity) => escaped(TEXT, EntityId::from_bytes(*entity).to_string().as_bytes(), out),
        Datum::Bytes(bytes) => escaped(BYTES, bytes, out),
        Datum::List(items) => list(items, out),
        Datum::Map(entries) => {
            out.push(MAP);
            for (name, value) in entries.iter() {
                escaped(TEXT, name.as_bytes(), out);
                encode(&Datum::borrowed(value), out);
            }
            out.push(END);
        }
    }
}

/// Appends the key of a value as an index holds it: a text or bytes are cut after [`INDEX_TEXT_BYTES_MAX`] bytes, of
/// lists and maps nothing but the kind is kept. Unequal values may have equal keys, and never stand in the wrong order.
pub fn encode_index(datum: &Datum<'_>, out: &mut Vec<u8>) {
    match datum {
        Datum::Text(text) => escaped(TEXT, cut(text.as_bytes()), out),
        Datum::Bytes(bytes) => escaped(BYTES, cut(bytes), out),
        Datum::List(_) => out.extend([LIST, END]),
        Datum::Map(_) => out.extend([MAP, END]),
        other => encode(other, out),
    }
}

/// The key of a value.
pub(crate) fn encoded(datum: &Datum<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    encode(datum, &mut out);
    out
}

/// The key of a value in an index.
pub(crate) fn encoded_index(datum: &Datum<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    encode_index(datum, &mut out);
    out
}

/// The beginning that the keys of all texts have which begin with `prefix`.
pub(crate) fn text_prefix(prefix: &str) -> Vec<u8> {
    let mut out = vec![];
    escaped(TEXT, cut(prefix.as_bytes()), &mut out);
    out.truncate(out.len() - 2);
    out
}

/// The first key behind all that begin with `prefix`, if there is one.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix.get(..=keep)?.to_vec();
    *end.last_mut()? += 1;
    Some(end)
}

/// The key of a sort, taken apart from those behind it: its bytes, made ascending, and the rest. `None` if it is cut off.
pub(crate) fn split_component(bytes: &[u8], inverted: bool) -> Option<(Vec<u8>, &[u8])> {
    let flip = if inverted { 0xff } else { 0 };
    let plain: Vec<u8> = bytes.iter().map(|byte| byte ^ flip).collect();
    let length = component_length(&plain)?;
    Some((plain.get(..length)?.to_vec(), bytes.get(length..)?))
}

/// The component as an index holds it.
pub(crate) fn shorten(component: &[u8]) -> Vec<u8> {
    match component.split_first() {
        Some((tag @ (&TEXT | &BYTES), rest)) => {
            let mut plain = vec![];
            let mut bytes = rest.iter();
            while let Some(byte) = bytes.next() {
                if *byte == END && bytes.next() == Some(&END) {
                    break;
                }
                plain.push(*byte);
            }
            let mut out = vec![];
            escaped(*tag, cut(&plain), &mut out);
            out
        }
        Some((tag @ (&LIST | &MAP), _)) => vec![*tag, END],
        _ => component.to_vec(),
    }
}

/// How many bytes the first `count` components of a key take.
pub(crate) fn components_length(bytes: &[u8], count: usize) -> Option<usize> {
    (0..count).try_fold(0, |at, _| Some(at + component_length(bytes.get(at..)?)?))
}

/// How many bytes the first component takes. Lists and maps are gone through without recursion: a cursor may hold anything.
fn component_length(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut open) = (0usize, 0usize);
    loop {
        let rest = bytes.get(at..)?;
        match *rest.first()? {
            LIST | MAP => {
                open += 1;
                at += 1;
            }
            END if open > 0 => {
                open -= 1;
                at += 1;
            }
            _ => at += scalar_length(rest)?,
        }
        if open == 0 {
            return Some(at);
        }
    }
}

fn scalar_length(bytes: &[u8]) -> Option<usize> {
    match *bytes.first()? {
        NULL => Some(1),
        NUMBER => (bytes.len() >= NUMBER_BYTES).then_some(NUMBER_BYTES),
        TEXT | BYTES => {
            let mut at = 1;
            loop {
                at += bytes.get(at..)?.iter().position(|byte| *byte == END)?;
                match bytes.get(at + 1)? {
                    &END => return Some(at + 2),
                    _ => at += 2,
                }
            }
        }
        _ => None,
    }
}

fn list(items: &[Value], out: &mut Vec<u8>) {
    out.push(LIST);
    items.iter().for_each(|item| encode(&Datum::borrowed(item), out));
    out.push(END);
}

/// Between two neighbouring floats lie at most 1,024 whole numbers, so the distance fits into two bytes.
fn whole(value: i64, out: &mut Vec<u8>) {
    #[expect(clippy::cast_precision_loss, reason = "what is lost is the distance, which follows")]
    let mut below = value as f64;
    if exact(below) > i128::from(value) {
        below = below.next_down();
    }
    number(below, u16::try_from(i128::from(value) - exact(below)).unwrap_or(u16::MAX), out);
}

#[expect(clippy::cast_possible_truncation, reason = "floats of whole numbers in range fit exactly")]
fn exact(float: f64) -> i128 {
    float as i128
}

fn number(float: f64, distance: u16, out: &mut Vec<u8>) {
    let bits = if float == 0.0 { 0 } else { float.to_bits() };
    let sortable = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    out.push(NUMBER);
    out.extend(sortable.to_be_bytes());
    out.extend(distance.to_be_bytes());
}

fn escaped(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 3);
    out.push(tag);
    let mut parts = bytes.split(|byte| *byte == END);
    if let Some(first) = parts.next() {
        out.extend_from_slice(first);
    }
    for part in parts {
        out.extend([END, 0xff]);
        out.extend_from_slice(part);
    }
    out.extend([END, END]);
}

/// Whether an index keeps less of a value than there is.
pub(crate) fn is_cut(datum: &Datum<'_>) -> bool {
    match datum {
        Datum::Text(text) => text.len() > INDEX_TEXT_BYTES_MAX,
        Datum::Bytes(bytes) => bytes.len() > INDEX_TEXT_BYTES_MAX,
        Datum::List(_) | Datum::Map(_) => true,
        _ => false,
    }
}

fn cut(bytes: &[u8]) -> &[u8] {
    bytes.get(..INDEX_TEXT_BYTES_MAX).unwrap_or(bytes)
}

const END: u8 = 0x00;
const NULL: u8 = 0x10;
const NUMBER: u8 = 0x20;
const TEXT: u8 = 0x30;
const BYTES: u8 = 0x40;
const LIST: u8 = 0x50;
const MAP: u8 = 0x60;
const NUMBER_BYTES: usize = 11;

#[cfg(test)]
mod tests;
