//! Editing a document by path.

use super::claims::key_cost;
use super::json::{self, Slot};
use super::path::{self, Target};
use super::{Document, DocumentError};
use crate::limits::{DOCUMENT_CHANGES_MAX, DOCUMENT_OPS_MAX};
use automerge::transaction::Transactable as _;
use automerge::{ObjId, ObjType, Prop, ROOT, ReadDoc as _, ScalarValue, Value};
use serde_json::Value as Json;

impl Document {
    /// What is at `path`; `None` if nothing is.
    pub fn get(&self, path: &str) -> Result<Option<Json>, DocumentError> {
        let target = match path::target(&self.doc, path) {
            Ok(Some(target)) => target,
            Ok(None) => return Ok(Some(self.to_json())),
            Err(DocumentError::Missing(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Ok(prop) = path::existing(&self.doc, &target.object, target.kind, &target.step, path) else {
            return Ok(None);
        };
        Ok(json::read_at(&self.doc, &target.object, prop, path::parse(path)?.len()))
    }

    /// Writes `value` at `path`: over a key or an element, or at the end of a list (as its length or `-`). The object
    /// that holds the end of the path must exist. At the empty path `value` must be an object, and replaces every key.
    ///
    /// Strings become scalars that are replaced as a whole; see [`Document::set_text`] for text that merges.
    pub fn set(&mut self, path: &str, value: &Json) -> Result<(), DocumentError> {
        self.begin()?;
        let Some(target) = path::target(&self.doc, path)? else { return self.set_root(value) };
        let ops = json::check(value, path::parse(path)?.len())?;
        let slot = self.slot(&target, path)?;
        self.spend(ops.saturating_add(self.replaced(&target.object, &slot)?))?;
        json::write(&mut self.doc, &target.object, slot, value)
    }

    /// Inserts `value` into a list, before the element that `path` names, or at its end (its length or `-`).
    pub fn insert(&mut self, path: &str, value: &Json) -> Result<(), DocumentError> {
        self.begin()?;
        let missing = || DocumentError::Missing(path.to_owned());
        let target = path::target(&self.doc, path)?.ok_or_else(missing)?;
        if target.kind != ObjType::List {
            return Err(DocumentError::Kind { path: path.to_owned(), wanted: "an element of a list" });
        }
        let ops = json::check(value, path::parse(path)?.len())?;
        let len = self.doc.length(&target.object);
        let at = if target.step == END { Some(len) } else { target.step.parse().ok() };
        let at = at.filter(|at| *at <= len).ok_or_else(missing)?;
        self.spend(ops)?;
        json::write(&mut self.doc, &target.object, Slot::Between(at), value)
    }

    /// Removes what is at `path`.
    pub fn remove(&mut self, path: &str) -> Result<(), DocumentError> {
        self.begin()?;
        let missing = || DocumentError::Missing(path.to_owned());
        let target = path::target(&self.doc, path)?.ok_or_else(missing)?;
        let prop = path::existing(&self.doc, &target.object, target.kind, &target.step, path)?;
        self.doc.get(&target.object, prop.clone())?.ok_or_else(missing)?;
        self.spend(self.held(&target.object, &prop)?)?;
        Ok(self.doc.delete(&target.object, prop)?)
    }

    /// Adds `by` to the counter at `path`, which begins to exist if nothing is there.
    pub fn increment(&mut self, path: &str, by: i64) -> Result<(), DocumentError> {
        self.begin()?;
        let missing = || DocumentError::Missing(path.to_owned());
        let target = path::target(&self.doc, path)?.ok_or_else(missing)?;
        let prop = path::existing(&self.doc, &target.object, target.kind, &target.step, path)?;
        let refused = DocumentError::Kind { path: path.to_owned(), wanted: "a counter" };
        let ops = self.held(&target.object, &prop)?;
        match self.doc.get(&target.object, prop.clone())? {
            None => {
                self.spend(ops)?;
                Ok(self.doc.put(&target.object, prop, ScalarValue::counter(by))?)
            }
            Some((Value::Scalar(scalar), _)) => match scalar.as_ref() {
                ScalarValue::Counter(counter) if i64::from(counter).checked_add(by).is_some() => {
                    self.spend(ops)?;
                    Ok(self.doc.increment(&target.object, prop, by)?)
                }
                _ => Err(refused),
            },
            Some(_) => Err(refused),
        }
    }

    /// Writes text that merges character by character at `path`, in place of what is there.
    pub fn set_text(&mut self, path: &str, text: &str) -> Result<(), DocumentError> {
        self.begin()?;
        let missing = || DocumentError::Missing(path.to_owned());
        let target = path::target(&self.doc, path)?.ok_or_else(missing)?;
        let slot = self.slot(&target, path)?;
        let ops = characters(text).saturating_add(1);
        self.spend(ops.saturating_add(self.replaced(&target.object, &slot)?))?;
        let id = json::make(&mut self.doc, &target.object, slot, ObjType::Text)?;
        Ok(self.doc.splice_text(&id, 0, 0, text)?)
    }

    /// Deletes `delete` characters at `position` of the text at `path`, and inserts `insert` there.
    pub fn splice_text(
        &mut self,
        path: &str,
        position: usize,
        delete: usize,
        insert: &str,
    ) -> Result<(), DocumentError> {
        self.begin()?;
        let id = self.text_at(path)?;
        let (len, end) = (self.doc.length(&id), position.saturating_add(delete));
        let range = DocumentError::OutOfRange { end, len };
        match isize::try_from(delete) {
            Ok(deleted) if end <= len => {
                self.spend(characters(insert).saturating_add(delete as u64))?;
                Ok(self.doc.splice_text(&id, position, deleted, insert)?)
            }
            _ => Err(range),
        }
    }

    fn text_at(&self, path: &str) -> Result<ObjId, DocumentError> {
        let refused = || DocumentError::Kind { path: path.to_owned(), wanted: "text that merges" };
        let target = path::target(&self.doc, path)?.ok_or_else(refused)?;
        let prop = path::existing(&self.doc, &target.object, target.kind, &target.step, path)?;
        match self.doc.get(&target.object, prop)? {
            Some((Value::Object(ObjType::Text), id)) => Ok(id),
            Some(_) => Err(refused()),
            None => Err(DocumentError::Missing(path.to_owned())),
        }
    }

    fn set_root(&mut self, value: &Json) -> Result<(), DocumentError> {
        let ops = json::check(value, 0)?;
        let Json::Object(entries) = value else { return Err(DocumentError::Root) };
        let mut spent = ops;
        for key in self.doc.keys(ROOT) {
            spent = spent.saturating_add(self.held(&ROOT, &Prop::Map(key))?);
        }
        self.spend(spent)?;
        let stale: Vec<String> = self.doc.keys(ROOT).filter(|key| !entries.contains_key(key)).collect();
        for key in stale {
            self.doc.delete(ROOT, key)?;
        }
        entries.iter().try_for_each(|(key, value)| {
            json::write(&mut self.doc, &ROOT, Slot::Over(Prop::Map(key.clone())), value)
        })
    }

    /// How much replacing what is at a key or index counts: each of the values that were written there at once.
    fn held(&self, object: &ObjId, prop: &Prop) -> Result<u64, DocumentError> {
        let key = if let Prop::Map(key) = prop { key_cost(key.len()) } else { 1 };
        Ok(self.doc.get_all(object, prop.clone())?.len() as u64 + key)
    }

    fn replaced(&self, object: &ObjId, slot: &Slot) -> Result<u64, DocumentError> {
        if let Slot::Over(prop) = slot { self.held(object, prop) } else { Ok(0) }
    }

    /// Takes from what is left to the next delta, before anything is done: what it could not hold would be void at every
    /// peer.
    fn spend(&mut self, ops: u64) -> Result<(), DocumentError> {
        let spent = self.spent.saturating_add(ops);
        if spent > DOCUMENT_OPS_MAX || self.committed.len() >= DOCUMENT_CHANGES_MAX {
            return Err(DocumentError::TooLarge);
        }
        self.spent = spent;
        Ok(())
    }

    /// Where a value for the end of a path goes.
    fn slot(&self, target: &Target, path: &str) -> Result<Slot, DocumentError> {
        let len = self.doc.length(&target.object);
        let at_end = target.step == END || target.step.parse() == Ok(len);
        if target.kind == ObjType::List && at_end {
            return Ok(Slot::Between(len));
        }
        path::existing(&self.doc, &target.object, target.kind, &target.step, path).map(Slot::Over)
    }
}

fn characters(text: &str) -> u64 {
    text.chars().count() as u64
}

/// The index after the last element of a list (RFC 6901).
const END: &str = "-";
