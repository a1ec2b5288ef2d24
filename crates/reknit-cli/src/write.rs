//! Writing into entities what the command line and imported lines say.

use crate::assignment::{Assignment, DocumentChange};
use crate::calls::NewEntity;
use crate::view::Kind;
use reknit::{DocumentMut, Entity, EntityMut, FieldValue, Tx, TxError, Value};
use serde_json::Value as Json;

/// Makes one assignment.
pub(crate) fn assign(entity: &mut EntityMut<'_, '_>, assignment: &Assignment) -> Result<(), TxError> {
    match assignment {
        Assignment::Register { field, value } => entity.set(field, register(value)?).map(drop),
        Assignment::Counter { field, by } => entity.add(field, *by).map(drop),
        Assignment::Text { field, text } => entity.text(field)?.replace(text).map(drop),
        Assignment::Append { field, text } => entity.text(field)?.push(text).map(drop),
        Assignment::Document { field, path, change } => in_document(entity.document(field)?, path, change),
    }
}

fn in_document(
    mut document: DocumentMut<'_, '_>,
    path: &str,
    change: &DocumentChange,
) -> Result<(), TxError> {
    match change {
        DocumentChange::Set(value) => document.set(path, value.clone()).map(drop),
        DocumentChange::Insert(value) => document.insert(path, value.clone()).map(drop),
        DocumentChange::Increment(by) => document.increment(path, *by).map(drop),
        DocumentChange::Remove => document.remove(path).map(drop),
        DocumentChange::Text(new) => {
            if let Some(Json::String(old)) = document.get(path)? {
                let Splice { position, delete, insert } = Splice::between(&old, new);
                // It refuses a string that is no text that merges; then it becomes one.
                if document.splice_text(path, position, delete, &insert).is_ok() {
                    return Ok(());
                }
            }
            document.set_text(path, new).map(drop)
        }
    }
}

/// Writes an imported entity. What is there already is changed only where it differs.
pub(crate) fn whole(tx: &mut Tx<'_>, new: &NewEntity) -> Result<(), TxError> {
    let before = match new.id {
        Some(id) => tx.get(&new.collection, id)?.map(Entity::from),
        None => None,
    };
    let mut entity = match new.id {
        Some(id) => tx.create_with_id(&new.collection, id)?,
        None => tx.create(&new.collection)?,
    };
    // A deleted entity takes no edits.
    entity.restore()?;
    for (field, value) in &new.fields {
        let kind = new.kinds.get(field).copied().unwrap_or(Kind::Register);
        let is = before.as_ref().and_then(|before| before.field(field));
        write_field(&mut entity, field, is, (kind, value))?;
    }
    if new.deleted { entity.delete() } else { Ok(()) }
}

fn write_field(
    entity: &mut EntityMut<'_, '_>,
    field: &str,
    is: Option<&FieldValue>,
    wanted: (Kind, &Json),
) -> Result<(), TxError> {
    match (wanted, is) {
        ((Kind::Register, value), Some(FieldValue::Register(is))) if register(value)? == *is => Ok(()),
        ((Kind::Register, value), _) => entity.set(field, register(value)?).map(drop),
        ((Kind::Counter, value), is) => {
            let sum = if let Some(FieldValue::Counter(sum)) = is { *sum } else { 0 };
            let wanted = value.as_i64().ok_or_else(|| mismatch(field, "a counter holds a whole number"))?;
            entity.add(field, wanted.wrapping_sub(sum)).map(drop)
        }
        ((Kind::Text, Json::String(text)), _) => entity.text(field)?.replace(text).map(drop),
        ((Kind::Text, _), _) => Err(mismatch(field, "a text field holds a string")),
        ((Kind::Document, value @ Json::Object(_)), Some(FieldValue::Document(is))) => {
            fit(&mut entity.document(field)?, "", (is, value))
        }
        ((Kind::Document, value @ Json::Object(_)), _) => {
            entity.document(field)?.set("", value.clone()).map(drop)
        }
        ((Kind::Document, _), _) => Err(mismatch(field, "a document holds an object")),
    }
}

/// Makes what is at `path` of a document equal to what is wanted, and touches only what differs: a counter stays one, and
/// so does text that merges.
fn fit(document: &mut DocumentMut<'_, '_>, path: &str, (is, wanted): (&Json, &Json)) -> Result<(), TxError> {
    if is == wanted {
        return Ok(());
    }
    match (is, wanted) {
        (Json::Object(is), Json::Object(wanted)) if !is_tagged(is) && !is_tagged(wanted) => {
            for stale in is.keys().filter(|key| !wanted.contains_key(*key)) {
                document.remove(&below(path, stale))?;
            }
            wanted.iter().try_for_each(|(key, value)| match is.get(key) {
                Some(is) => fit(document, &below(path, key), (is, value)),
                None => document.set(&below(path, key), value.clone()).map(drop),
            })
        }
        (Json::String(old), Json::String(new)) => {
            let Splice { position, delete, insert } = Splice::between(old, new);
            let merges = document.splice_text(path, position, delete, &insert).is_ok();
            if merges { Ok(()) } else { document.set(path, wanted.clone()).map(drop) }
        }
        _ => {
            let by = wanted.as_i64().zip(is.as_i64()).and_then(|(wanted, is)| wanted.checked_sub(is));
            let counts = by.is_some_and(|by| document.increment(path, by).is_ok());
            if counts { Ok(()) } else { document.set(path, wanted.clone()).map(drop) }
        }
    }
}

/// `{"$bytes": ..}` and the like stand for one value.
fn is_tagged(entries: &serde_json::Map<String, Json>) -> bool {
    entries.len() == 1 && entries.keys().all(|key| key.starts_with('$'))
}

/// The path of a key below another (RFC 6901).
fn below(path: &str, key: &str) -> String {
    format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn register(value: &Json) -> Result<Value, TxError> {
    serde_json::from_value(value.clone()).map_err(|cause| TxError::abort(cause.to_string()))
}

fn mismatch(field: &str, what: &str) -> TxError {
    TxError::abort(format!("{field}: {what}"))
}

/// The one splice that makes one text out of another, in Unicode scalar values.
#[derive(Debug, PartialEq, Eq)]
struct Splice {
    position: usize,
    delete: usize,
    insert: String,
}

impl Splice {
    fn between(old: &str, new: &str) -> Self {
        let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
        let same = |(left, right): &(&char, &char)| left == right;
        let head = old.iter().zip(&new).take_while(same).count();
        let (old, new) = (&old[head..], &new[head..]);
        let tail = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
        Self { position: head, delete: old.len() - tail, insert: new[..new.len() - tail].iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_differs_is_spliced() {
        let splice = Splice::between("The grey cat", "The great cat");
        assert_eq!(splice, Splice { position: 7, delete: 1, insert: "at".into() });
        assert_eq!(Splice::between("aa", "aaa"), Splice { position: 2, delete: 0, insert: "a".into() });
    }

    proptest! {
        #[test]
        fn a_splice_makes_the_new_text(old in "[abé]{0,8}", new in "[abé]{0,8}") {
            let splice = Splice::between(&old, &new);
            let kept: Vec<char> = old.chars().collect();
            let made: String = kept[..splice.position].iter().copied()
                .chain(splice.insert.chars())
                .chain(kept[splice.position + splice.delete..].iter().copied())
                .collect();
            prop_assert_eq!(made, new);
        }
    }
}
