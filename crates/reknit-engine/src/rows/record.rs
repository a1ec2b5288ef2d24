//! The record of a row, read without taking it apart.

use crate::apart::load_cell;
use crate::cells::load_field;
use crate::error::EngineError;
use crate::layout::{CellKey, RowKey};
use crate::row::{Cell, Head, Row, head};
use crate::store::Reads;
use reknit_crdt::{Counter, FieldValue, Register};
use reknit_query::Datum;
use reknit_types::{CrdtKind, DecodeError, Name, Reader, Value};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Where a field lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A register or counter: its saved state is these bytes of the record.
    Here { kind: CrdtKind, from: usize, to: usize },
    /// A text or document.
    Folded(CrdtKind),
    /// In a record of its own, if it is there at all.
    Apart,
}

/// Where the fields of `names` lie in a record; whether the row is to be shown at all.
pub(super) fn find(
    record: &[u8],
    names: &[Name],
    places: &mut Vec<Option<Place>>,
) -> Result<bool, DecodeError> {
    places.clear();
    let mut reader = Reader::new(record);
    let Head { lifecycle, cells } = head(&mut reader)?;
    if lifecycle.verdict.is_some_and(|verdict| verdict.deleted) {
        return Ok(false);
    }
    let Some(cells) = cells else {
        places.resize(names.len(), Some(Place::Apart));
        return Ok(true);
    };
    places.resize(names.len(), None);
    for _ in 0..cells {
        let name = reader.str(usize::MAX, "field")?;
        let kind = CrdtKind::from_byte(reader.u8("field kind")?)?;
        let place = skip(record.len(), kind, &mut reader)?;
        let slot = names.iter().position(|wanted| wanted.as_str() == name);
        // Should a name have been given to two kinds, the first is the one shown.
        if let Some(slot @ None) = slot.and_then(|slot| places.get_mut(slot)) {
            *slot = Some(place);
        }
    }
    Ok(true)
}

/// Passes over a cell.
fn skip(record: usize, kind: CrdtKind, reader: &mut Reader<'_>) -> Result<Place, DecodeError> {
    match kind {
        CrdtKind::Register | CrdtKind::Counter => {
            let saved = reader.bytes(usize::MAX, "a saved field")?.len();
            let to = record - reader.remaining();
            Ok(Place::Here { kind, from: to - saved, to })
        }
        CrdtKind::Text | CrdtKind::Document => {
            for _ in 0..3 {
                reader.varint("folding")?;
            }
            Ok(Place::Folded(kind))
        }
    }
}

/// Adds the names of the fields of a row that is not deleted.
pub(super) fn note_fields(
    reads: &dyn Reads,
    key: &RowKey,
    record: &[u8],
    names: &mut BTreeSet<Name>,
) -> Result<(), EngineError> {
    let mut row = Row::decode(record)?;
    if !row.deleted() {
        row.gather(reads, key)?;
        names.extend(row.cells.into_keys().map(|(name, _)| name));
    }
    Ok(())
}

/// The value of a field of a row with this record; `None` if it was never written.
pub(super) fn value<'r>(
    (reads, key): (&dyn Reads, &dyn Fn() -> RowKey),
    record: &'r [u8],
    field: &Name,
    place: Option<Place>,
) -> Result<Option<Datum<'r>>, EngineError> {
    match place {
        None => Ok(None),
        Some(Place::Here { kind, from, to }) => {
            Ok(Some(inline(kind, record.get(from..to).unwrap_or_default())?))
        }
        Some(Place::Folded(kind)) => {
            folded(reads, CellKey { row: key(), field: field.clone(), kind }).map(Some)
        }
        Some(Place::Apart) => apart(reads, &key(), field),
    }
}

/// The value of a register or counter from its saved state.
fn inline(kind: CrdtKind, saved: &[u8]) -> Result<Datum<'_>, DecodeError> {
    let damaged = |_| DecodeError::Invalid("saved field");
    if kind == CrdtKind::Counter {
        return Ok(Datum::Int(Counter::load(saved).map_err(damaged)?.get()));
    }
    let Some(value) = Register::saved_value(saved)? else { return Ok(Datum::Null) };
    borrowed(value)
}

fn borrowed(encoded: &[u8]) -> Result<Datum<'_>, DecodeError> {
    Ok(match Value::decode_text(encoded)? {
        Some(text) => Datum::Text(Cow::Borrowed(text)),
        None => Datum::from(Value::decode(&mut Reader::new(encoded))?),
    })
}

fn apart<'r>(reads: &dyn Reads, row: &RowKey, field: &Name) -> Result<Option<Datum<'r>>, EngineError> {
    for kind in CrdtKind::ALL {
        let key = CellKey { row: row.clone(), field: field.clone(), kind };
        match load_cell(reads, &key)? {
            None => {}
            Some(Cell::Register(register)) => {
                return Ok(register.get().map(|value| Datum::from(value.clone())));
            }
            Some(Cell::Counter(counter)) => return Ok(Some(Datum::Int(counter.get()))),
            Some(Cell::Folded(_)) => return folded(reads, key).map(Some),
        }
    }
    Ok(None)
}

fn folded<'r>(reads: &dyn Reads, key: CellKey) -> Result<Datum<'r>, EngineError> {
    Ok(match load_field(reads, &key)?.live.crdt().value() {
        FieldValue::Text(text) => Datum::Text(Cow::Owned(text)),
        FieldValue::Document(document) => Datum::from(of_json(document)),
        FieldValue::Register(_) | FieldValue::Counter(_) => Datum::Null,
    })
}

/// A document as a value. A number beyond 64 bits becomes the nearest float.
fn of_json(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(value),
        Json::Number(number) => match (number.as_i64(), number.as_f64().and_then(Value::float)) {
            (Some(whole), _) => Value::Int(whole),
            (None, Some(float)) => float,
            (None, None) => Value::Null,
        },
        Json::String(text) => Value::Text(text),
        Json::Array(items) => Value::List(items.into_iter().map(of_json).collect()),
        Json::Object(entries) => {
            Value::Map(entries.into_iter().map(|(name, value)| (name, of_json(value))).collect())
        }
    }
}
