//! An entity inside a transaction, edited as a model says.

mod fields;

pub use fields::{CounterFieldMut, DocumentFieldMut, RegisterFieldMut, TextFieldMut};

use super::{Counter, Document, FieldPlace, FieldSpec, Model, ModelError, Ref, Register, Text};
use crate::EntityId;
use reknit_crdt::FieldValue;
use reknit_engine::{EntityMut, TxError};
use serde::Serialize;
use serde_json::Value as Json;
use std::marker::PhantomData;

/// An entity, to be read and edited. The handles of models dereference to this.
pub struct Edit<'t, 'a, M> {
    entity: EntityMut<'t, 'a>,
    model: PhantomData<fn() -> M>,
}

impl<'t, 'a, M: Model> Edit<'t, 'a, M> {
    pub(super) fn new(entity: EntityMut<'t, 'a>) -> Self {
        Self { entity, model: PhantomData }
    }

    /// The id.
    pub fn id(&self) -> EntityId {
        self.entity.id()
    }

    /// The reference to the entity.
    pub fn reference(&self) -> Ref<M> {
        Ref::new(self.entity.id())
    }

    /// Whether it is deleted, and must be restored before it is edited.
    ///
    /// # Errors
    /// [`TxError::Read`] if the store fails.
    pub fn is_deleted(&mut self) -> Result<bool, TxError> {
        self.entity.is_deleted()
    }

    /// Hides the entity; see [`EntityMut::delete`].
    ///
    /// # Errors
    /// [`TxError::Read`] if the store fails.
    pub fn delete(&mut self) -> Result<(), TxError> {
        self.entity.delete()
    }

    /// Shows a deleted entity again; see [`EntityMut::restore`].
    ///
    /// # Errors
    /// [`TxError::Read`] if the store fails.
    pub fn restore(&mut self) -> Result<(), TxError> {
        self.entity.restore()
    }

    /// The entity without its model: for fields that the model does not know.
    pub fn entity(&mut self) -> &mut EntityMut<'t, 'a> {
        &mut self.entity
    }

    pub(super) fn is_known(&mut self) -> Result<bool, TxError> {
        Ok(self.entity.exists()? || self.entity.is_deleted()?)
    }

    /// A register, to be read and written.
    #[doc(hidden)]
    pub fn register<T>(&mut self, spec: &'static FieldSpec) -> RegisterFieldMut<'_, 't, 'a, T> {
        RegisterFieldMut::new(self.field(spec))
    }

    /// A counter, to be read and added to.
    #[doc(hidden)]
    pub fn counter(&mut self, spec: &'static FieldSpec) -> CounterFieldMut<'_, 't, 'a> {
        CounterFieldMut::new(self.field(spec))
    }

    /// A text, to be read and edited.
    #[doc(hidden)]
    pub fn text(&mut self, spec: &'static FieldSpec) -> TextFieldMut<'_, 't, 'a> {
        TextFieldMut::new(self.field(spec))
    }

    /// A document, to be read and edited.
    #[doc(hidden)]
    pub fn document(&mut self, spec: &'static FieldSpec) -> DocumentFieldMut<'_, 't, 'a> {
        DocumentFieldMut::new(self.field(spec))
    }

    /// Makes a register hold what the plain struct does. One that holds nothing is not written if it never was.
    #[doc(hidden)]
    pub fn write_register<T: Serialize>(
        &mut self,
        spec: &'static FieldSpec,
        register: &Register<T>,
    ) -> Result<(), TxError> {
        let mut field = self.field(spec);
        let value = field.storable(&register.0)?;
        let is = field.read()?;
        // Where the default is something else, nothing must be said.
        let goes_unsaid = is.is_none() && value == crate::Value::Null && spec.default.is_none();
        if goes_unsaid || is == Some(FieldValue::Register(Some(value.clone()))) {
            return Ok(());
        }
        field.entity.set(spec.id, value).map(drop)
    }

    /// Makes a counter stand where that of the plain struct does.
    #[doc(hidden)]
    pub fn write_counter(&mut self, spec: &'static FieldSpec, counter: Counter) -> Result<(), TxError> {
        let mut field = self.counter(spec);
        let by = counter.0.wrapping_sub(field.get()?);
        if by == 0 { Ok(()) } else { field.add(by) }
    }

    /// Makes a text read as that of the plain struct.
    #[doc(hidden)]
    pub fn write_text(&mut self, spec: &'static FieldSpec, text: &Text) -> Result<(), TxError> {
        let mut field = self.text(spec);
        if field.get()? == text.0 { Ok(()) } else { field.replace(&text.0) }
    }

    /// Makes a document equal to that of the plain struct.
    #[doc(hidden)]
    pub fn write_document(&mut self, spec: &'static FieldSpec, document: &Document) -> Result<(), TxError> {
        let mut field = self.document(spec);
        if field.get()? == document.0 { Ok(()) } else { field.set("", document.0.clone()) }
    }

    fn field(&mut self, spec: &'static FieldSpec) -> FieldOf<'_, 't, 'a> {
        FieldOf { entity: &mut self.entity, spec, collection: M::COLLECTION }
    }
}

/// A field of an entity inside a transaction.
pub(super) struct FieldOf<'e, 't, 'a> {
    entity: &'e mut EntityMut<'t, 'a>,
    spec: &'static FieldSpec,
    collection: &'static str,
}

impl FieldOf<'_, '_, '_> {
    fn place(&self) -> FieldPlace {
        FieldPlace { collection: self.collection, id: self.entity.id(), field: self.spec.id }
    }

    /// What the field holds, if it merges as the model says.
    fn read(&mut self) -> Result<Option<FieldValue>, TxError> {
        let Some(value) = self.entity.get(self.spec.id)? else { return Ok(None) };
        super::view::check_kind(kind(&value), self.spec, self.place())?;
        Ok(Some(value))
    }

    fn storable<T: Serialize>(&self, value: &T) -> Result<crate::Value, TxError> {
        let unstorable = |why| ModelError::Unstorable { field: self.spec.id.to_owned(), why };
        Ok(super::to_value(value).map_err(unstorable)?)
    }
}

fn kind(value: &FieldValue) -> crate::CrdtKind {
    match value {
        FieldValue::Register(_) => crate::CrdtKind::Register,
        FieldValue::Counter(_) => crate::CrdtKind::Counter,
        FieldValue::Text(_) => crate::CrdtKind::Text,
        FieldValue::Document(_) => crate::CrdtKind::Document,
    }
}

/// A path as documents take it: as it is if it begins with `/` or is empty, else its keys are separated by dots.
fn pointer(path: &str) -> String {
    if path.is_empty() || path.starts_with('/') {
        return path.to_owned();
    }
    path.split('.').map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect()
}

/// The empty document.
fn empty() -> Json {
    Json::Object(serde_json::Map::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_pointer_or_keys_with_dots_between() {
        assert_eq!(pointer("a.0.title"), "/a/0/title");
        assert_eq!(pointer("/a.b/0"), "/a.b/0");
        assert_eq!(pointer("a/b~.c"), "/a~1b~0/c");
        assert_eq!(pointer(""), "");
    }
}
