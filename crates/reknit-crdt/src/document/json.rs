//! Automerge values as JSON, and back.

use super::DocumentError;
use super::claims::key_cost;
use crate::limits::DOCUMENT_DEPTH_MAX;
use automerge::transaction::Transactable as _;
use automerge::{
    AutoCommit, AutomergeError, ObjId, ObjType, Prop, ReadDoc as _, ScalarValue, Value, hydrate,
};
use data_encoding::BASE64;
use serde_json::{Map, Value as Json, json};

/// An object as JSON. What nests deeper than a document may reads as null.
pub(crate) fn read(doc: &AutoCommit, object: &ObjId, kind: ObjType, depth: usize) -> Json {
    if depth >= DOCUMENT_DEPTH_MAX {
        return Json::Null;
    }
    match kind {
        ObjType::Map | ObjType::Table => Json::Object(
            doc.keys(object)
                .filter_map(|key| Some((key.clone(), read_at(doc, object, Prop::Map(key), depth)?)))
                .collect(),
        ),
        ObjType::List => Json::Array(
            (0..doc.length(object)).filter_map(|at| read_at(doc, object, Prop::Seq(at), depth)).collect(),
        ),
        ObjType::Text => Json::String(doc.text(object).unwrap_or_default()),
    }
}

/// What an object holds at a key or index.
pub(crate) fn read_at(doc: &AutoCommit, object: &ObjId, prop: Prop, depth: usize) -> Option<Json> {
    match doc.get(object, prop).ok().flatten()? {
        (Value::Object(kind), id) => Some(read(doc, &id, kind, depth + 1)),
        (Value::Scalar(scalar), _) => Some(scalar_to_json(&scalar)),
    }
}

fn scalar_to_json(scalar: &ScalarValue) -> Json {
    match scalar {
        ScalarValue::Null => Json::Null,
        ScalarValue::Boolean(value) => json!(value),
        ScalarValue::Int(value) => json!(value),
        ScalarValue::Uint(value) => json!(value),
        // JSON knows no infinity and no NaN; `json!` makes them null.
        ScalarValue::F64(value) => json!(value),
        ScalarValue::Str(text) => json!(text.as_str()),
        ScalarValue::Counter(counter) => json!(i64::from(counter)),
        ScalarValue::Bytes(bytes) => json!({ BYTES_KEY: BASE64.encode(bytes) }),
        ScalarValue::Timestamp(ms) => json!({ TIMESTAMP_KEY: ms }),
        ScalarValue::Unknown { type_code, bytes } => {
            json!({ UNKNOWN_KEY: type_code, BYTES_KEY: BASE64.encode(bytes) })
        }
    }
}

/// How a JSON value is stored: as one scalar, or as an object to be filled.
enum Stored<'a> {
    Scalar(ScalarValue),
    List(&'a [Json]),
    Map(&'a Map<String, Json>),
}

fn stored(value: &Json) -> Result<Stored<'_>, DocumentError> {
    Ok(Stored::Scalar(match value {
        Json::Null => ScalarValue::Null,
        Json::Bool(value) => ScalarValue::Boolean(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => ScalarValue::Int(int),
            (None, Some(uint)) => ScalarValue::Uint(uint),
            (None, None) => ScalarValue::F64(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => ScalarValue::Str(text.as_str().into()),
        Json::Array(items) => return Ok(Stored::List(items)),
        Json::Object(entries) => match tagged(entries)? {
            Some(scalar) => scalar,
            None => return Ok(Stored::Map(entries)),
        },
    }))
}

/// The scalar behind `{"$bytes": ..}`, `{"$timestamp": ..}` or `{"$counter": ..}`.
fn tagged(entries: &Map<String, Json>) -> Result<Option<ScalarValue>, DocumentError> {
    let mut pairs = entries.iter();
    let (Some((tag, value)), None) = (pairs.next(), pairs.next()) else { return Ok(None) };
    let refused = || DocumentError::Tag(tag.clone());
    Ok(Some(match tag.as_str() {
        BYTES_KEY => {
            let text = value.as_str().ok_or_else(refused)?;
            ScalarValue::Bytes(BASE64.decode(text.as_bytes()).map_err(|_| refused())?)
        }
        TIMESTAMP_KEY => ScalarValue::Timestamp(value.as_i64().ok_or_else(refused)?),
        COUNTER_KEY => ScalarValue::counter(value.as_i64().ok_or_else(refused)?),
        _ => return Ok(None),
    }))
}

/// Where a value is written.
pub(crate) enum Slot {
    /// Over what is at a key or index.
    Over(Prop),
    /// Between the elements of a list.
    Between(usize),
}

/// Writes a JSON value, with all that is nested in it: at once, for one by one a long list takes its length squared.
pub(crate) fn write(
    doc: &mut AutoCommit,
    object: &ObjId,
    slot: Slot,
    value: &Json,
) -> Result<(), DocumentError> {
    let value = hydrate(value)?;
    match (value, slot) {
        (hydrate::Value::Scalar(scalar), Slot::Over(prop)) => doc.put(object, prop, scalar)?,
        (hydrate::Value::Scalar(scalar), Slot::Between(at)) => doc.insert(object, at, scalar)?,
        (value, Slot::Over(prop)) => _ = doc.batch_create_object(object, prop, &value, false)?,
        (value, Slot::Between(at)) => _ = doc.batch_create_object(object, at, &value, true)?,
    }
    Ok(())
}

/// A JSON value as automerge takes it whole.
fn hydrate(value: &Json) -> Result<hydrate::Value, DocumentError> {
    Ok(match stored(value)? {
        Stored::Scalar(scalar) => hydrate::Value::Scalar(scalar),
        Stored::List(items) => {
            hydrate::Value::from(items.iter().map(hydrate).collect::<Result<Vec<_>, _>>()?)
        }
        Stored::Map(entries) => {
            let mut map = hydrate::Map::default();
            for (key, item) in entries {
                map.insert(key.clone(), hydrate::MapValue { value: hydrate(item)?, conflict: false });
            }
            hydrate::Value::Map(map)
        }
    })
}

/// Writes an empty object.
pub(crate) fn make(
    doc: &mut AutoCommit,
    object: &ObjId,
    slot: Slot,
    kind: ObjType,
) -> Result<ObjId, AutomergeError> {
    match slot {
        Slot::Over(prop) => doc.put_object(object, prop, kind),
        Slot::Between(at) => doc.insert_object(object, at, kind),
    }
}

/// Refuses what cannot be written, before anything is; returns how much writing it counts, as in
/// [`DOCUMENT_OPS_MAX`](crate::limits::DOCUMENT_OPS_MAX).
pub(crate) fn check(value: &Json, depth: usize) -> Result<u64, DocumentError> {
    if depth >= DOCUMENT_DEPTH_MAX {
        return Err(DocumentError::Depth);
    }
    match stored(value)? {
        Stored::Scalar(_) => Ok(1),
        Stored::List(items) => {
            items.iter().try_fold(1, |sum: u64, item| Ok(sum.saturating_add(check(item, depth + 1)?)))
        }
        Stored::Map(entries) => entries.iter().try_fold(1, |sum: u64, (key, item)| {
            Ok(sum.saturating_add(key_cost(key.len())).saturating_add(check(item, depth + 1)?))
        }),
    }
}

const BYTES_KEY: &str = "$bytes";
const TIMESTAMP_KEY: &str = "$timestamp";
const COUNTER_KEY: &str = "$counter";
const UNKNOWN_KEY: &str = "$unknown";
