//! The fields of an entity inside a transaction.

use super::{FieldOf, empty, pointer};
use crate::model::Register;
use crate::model::view::decode;
use reknit_crdt::FieldValue;
use reknit_engine::{DocumentMut, TextMut, TxError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use std::marker::PhantomData;

/// A register, to be read and written.
pub struct RegisterFieldMut<'e, 't, 'a, T> {
    field: FieldOf<'e, 't, 'a>,
    holds: PhantomData<fn() -> T>,
}

/// A counter, to be read and added to.
pub struct CounterFieldMut<'e, 't, 'a> {
    field: FieldOf<'e, 't, 'a>,
}

/// A text, to be read and edited. Positions count Unicode scalar values.
pub struct TextFieldMut<'e, 't, 'a> {
    field: FieldOf<'e, 't, 'a>,
}

/// A document, to be read and edited. A path is keys and places in lists with dots between, as in `sides.0.title`, or a
/// JSON pointer (RFC 6901), as in `/sides/0/title`; the empty path is the whole document.
pub struct DocumentFieldMut<'e, 't, 'a> {
    field: FieldOf<'e, 't, 'a>,
}

impl<'e, 't, 'a, T> RegisterFieldMut<'e, 't, 'a, T> {
    pub(super) fn new(field: FieldOf<'e, 't, 'a>) -> Self {
        Self { field, holds: PhantomData }
    }

    /// Writes the register.
    ///
    /// # Errors
    /// [`TxError::Caller`] with [`ModelError::Unstorable`](crate::ModelError::Unstorable); whatever
    /// [`EntityMut::set`](reknit_engine::EntityMut::set) fails with.
    pub fn set(&mut self, value: impl Into<Register<T>>) -> Result<(), TxError>
    where
        T: Serialize,
    {
        let value = self.field.storable(&value.into().0)?;
        self.field.entity.set(self.field.spec.id, value).map(drop)
    }

    /// What it holds.
    ///
    /// # Errors
    /// [`TxError::Caller`] with a [`ModelError`](crate::ModelError) if it cannot be read as the model says.
    pub fn get(&mut self) -> Result<T, TxError>
    where
        T: DeserializeOwned,
    {
        let value = match self.field.read()? {
            Some(FieldValue::Register(value)) => value,
            _ => None,
        };
        Ok(decode(value, self.field.spec, self.field.place())?)
    }
}

impl<'e, 't, 'a> CounterFieldMut<'e, 't, 'a> {
    pub(super) fn new(field: FieldOf<'e, 't, 'a>) -> Self {
        Self { field }
    }

    /// Adds to the counter; negative numbers subtract.
    ///
    /// # Errors
    /// Whatever [`EntityMut::add`](reknit_engine::EntityMut::add) fails with.
    pub fn add(&mut self, by: i64) -> Result<(), TxError> {
        self.field.entity.add(self.field.spec.id, by).map(drop)
    }

    /// Where it stands.
    ///
    /// # Errors
    /// [`TxError::Caller`] with [`ModelError::Kind`](crate::ModelError::Kind) if it is no counter.
    pub fn get(&mut self) -> Result<i64, TxError> {
        Ok(if let Some(FieldValue::Counter(sum)) = self.field.read()? { sum } else { 0 })
    }
}

impl<'e, 't, 'a> TextFieldMut<'e, 't, 'a> {
    pub(super) fn new(field: FieldOf<'e, 't, 'a>) -> Self {
        Self { field }
    }

    /// The text itself, for many edits.
    ///
    /// # Errors
    /// Whatever [`EntityMut::text`](reknit_engine::EntityMut::text) fails with.
    pub fn open(&mut self) -> Result<TextMut<'_, 'a>, TxError> {
        self.field.entity.text(self.field.spec.id)
    }

    /// The whole text.
    ///
    /// # Errors
    /// [`TxError::Caller`] with [`ModelError::Kind`](crate::ModelError::Kind) if it is no text.
    pub fn get(&mut self) -> Result<String, TxError> {
        Ok(if let Some(FieldValue::Text(text)) = self.field.read()? { text } else { String::new() })
    }

    /// Deletes `delete` characters at `position` and inserts `insert` there.
    ///
    /// # Errors
    /// [`TxError::Text`] if the text is shorter; as for [`Self::open`].
    pub fn splice(&mut self, position: usize, delete: usize, insert: &str) -> Result<(), TxError> {
        self.open()?.splice(position, delete, insert).map(drop)
    }

    /// Inserts before the character at `position`.
    ///
    /// # Errors
    /// As for [`Self::splice`].
    pub fn insert(&mut self, position: usize, insert: &str) -> Result<(), TxError> {
        self.splice(position, 0, insert)
    }

    /// Deletes `count` characters at `position`.
    ///
    /// # Errors
    /// As for [`Self::splice`].
    pub fn delete(&mut self, position: usize, count: usize) -> Result<(), TxError> {
        self.splice(position, count, "")
    }

    /// Appends.
    ///
    /// # Errors
    /// As for [`Self::splice`].
    pub fn push(&mut self, text: &str) -> Result<(), TxError> {
        self.open()?.push(text).map(drop)
    }

    /// Makes the text read `whole`, by the fewest edits: what others do to the parts that stay the same merges.
    ///
    /// # Errors
    /// As for [`Self::splice`].
    pub fn replace(&mut self, whole: &str) -> Result<(), TxError> {
        self.open()?.replace(whole).map(drop)
    }
}

impl<'e, 't, 'a> DocumentFieldMut<'e, 't, 'a> {
    pub(super) fn new(field: FieldOf<'e, 't, 'a>) -> Self {
        Self { field }
    }

    /// The document itself, for many edits. It takes JSON pointers only.
    ///
    /// # Errors
    /// Whatever [`EntityMut::document`](reknit_engine::EntityMut::document) fails with.
    pub fn open(&mut self) -> Result<DocumentMut<'_, 'a>, TxError> {
        self.field.entity.document(self.field.spec.id)
    }

    /// The whole document.
    ///
    /// # Errors
    /// [`TxError::Caller`] with [`ModelError::Kind`](crate::ModelError::Kind) if it is no document.
    pub fn get(&mut self) -> Result<Json, TxError> {
        Ok(if let Some(FieldValue::Document(json)) = self.field.read()? { json } else { empty() })
    }

    /// What is at `path`; `None` if nothing is.
    ///
    /// # Errors
    /// [`TxError::Document`] if `path` is malformed; as for [`Self::get`].
    pub fn at(&mut self, path: &str) -> Result<Option<Json>, TxError> {
        match self.field.read()? {
            None => Ok(None),
            Some(_) => self.open()?.get(&pointer(path)),
        }
    }

    /// Writes `value` at `path`: over a key or an element, or at the end of a list (as its length or `-`).
    ///
    /// # Errors
    /// [`TxError::Document`] if the object that holds the end of the path does not exist; as for [`Self::open`].
    pub fn set(&mut self, path: &str, value: impl Into<Json>) -> Result<(), TxError> {
        self.open()?.set(&pointer(path), value).map(drop)
    }

    /// Inserts `value` into a list, before the element that `path` names.
    ///
    /// # Errors
    /// [`TxError::Document`] if there is no such list or place; as for [`Self::open`].
    pub fn insert(&mut self, path: &str, value: impl Into<Json>) -> Result<(), TxError> {
        self.open()?.insert(&pointer(path), value).map(drop)
    }

    /// Removes what is at `path`.
    ///
    /// # Errors
    /// [`TxError::Document`] if nothing is there; as for [`Self::open`].
    pub fn remove(&mut self, path: &str) -> Result<(), TxError> {
        self.open()?.remove(&pointer(path)).map(drop)
    }

    /// Adds `by` to the counter at `path`, which begins to exist if nothing is there.
    ///
    /// # Errors
    /// [`TxError::Document`] if something else is there; as for [`Self::open`].
    pub fn increment(&mut self, path: &str, by: i64) -> Result<(), TxError> {
        self.open()?.increment(&pointer(path), by).map(drop)
    }

    /// Writes text that merges character by character at `path`, in place of what is there.
    ///
    /// # Errors
    /// As for [`Self::set`].
    pub fn set_text(&mut self, path: &str, text: &str) -> Result<(), TxError> {
        self.open()?.set_text(&pointer(path), text).map(drop)
    }
}
