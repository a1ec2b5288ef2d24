//! An entity, read as a model says.

use super::{FieldPlace, FieldSpec, Link, Model, ModelError, OptionLink, Ref, from_value};
use crate::{Entity, EntityId, Error, FieldValue, Snapshot, Space};
use reknit_types::{CrdtKind, Value};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use std::fmt;
use std::marker::PhantomData;

/// An entity, read at one moment. The views of models dereference to this.
pub struct View<M> {
    entity: Entity,
    source: Source,
    model: PhantomData<fn() -> M>,
}

/// Where a view came from, and so where its references lead.
#[derive(Clone)]
pub(crate) enum Source {
    /// They are followed as they stand when they are.
    Space(Space),
    /// They are followed in the same view of the space.
    Snapshot(Snapshot),
    /// They are not followed.
    Nowhere,
}

impl Source {
    pub(crate) fn load<M: Model>(&self, reference: Ref<M>) -> Result<Option<M::View>, Error> {
        match self {
            Self::Space(space) => space.view(reference),
            Self::Snapshot(snapshot) => snapshot.view(reference),
            Self::Nowhere => Err(ModelError::Detached.into()),
        }
    }
}

impl<M: Model> View<M> {
    pub(crate) fn new(entity: Entity, source: Source) -> Self {
        Self { entity, source, model: PhantomData }
    }

    /// The view of an entity that was read elsewhere, from a simulated peer say. Its references can be read and not
    /// followed.
    pub fn detached(entity: impl Into<Entity>) -> M::View {
        Self::new(entity.into(), Source::Nowhere).into()
    }

    /// The id.
    pub fn id(&self) -> EntityId {
        self.entity.id
    }

    /// The reference to the entity.
    pub fn reference(&self) -> Ref<M> {
        Ref::new(self.entity.id)
    }

    /// Whether it is deleted. Its fields are still there.
    pub fn is_deleted(&self) -> bool {
        self.entity.deleted
    }

    /// All that the entity holds, fields that the model does not know included.
    pub fn entity(&self) -> &Entity {
        &self.entity
    }

    /// The plain struct.
    ///
    /// # Errors
    /// [`ModelError`] if a field cannot be read.
    pub fn to_plain(&self) -> Result<M, ModelError> {
        M::read(self)
    }

    /// What a register holds.
    #[doc(hidden)]
    pub fn register<T: DeserializeOwned>(&self, spec: &'static FieldSpec) -> Result<T, ModelError> {
        let place = self.place(spec);
        let value = match self.field(spec)? {
            Some(FieldValue::Register(value)) => Some(value.clone()),
            _ => None,
        };
        decode(value, spec, place)
    }

    /// What a counter holds.
    #[doc(hidden)]
    pub fn counter(&self, spec: &'static FieldSpec) -> Result<i64, ModelError> {
        Ok(if let Some(FieldValue::Counter(sum)) = self.field(spec)? { *sum } else { 0 })
    }

    /// What a text holds.
    #[doc(hidden)]
    pub fn text(&self, spec: &'static FieldSpec) -> Result<String, ModelError> {
        Ok(if let Some(FieldValue::Text(text)) = self.field(spec)? { text.clone() } else { String::new() })
    }

    /// What a document holds.
    #[doc(hidden)]
    pub fn document(&self, spec: &'static FieldSpec) -> Result<Json, ModelError> {
        let empty = || Json::Object(serde_json::Map::new());
        Ok(if let Some(FieldValue::Document(json)) = self.field(spec)? { json.clone() } else { empty() })
    }

    /// A reference, to be followed.
    #[doc(hidden)]
    pub fn link<A: Model>(&self, spec: &'static FieldSpec) -> Link<A> {
        Link::new(self.register(spec), self.source.clone())
    }

    /// A reference that may be none, to be followed.
    #[doc(hidden)]
    pub fn option_link<A: Model>(&self, spec: &'static FieldSpec) -> OptionLink<A> {
        OptionLink::new(self.register(spec), self.source.clone())
    }

    fn field(&self, spec: &'static FieldSpec) -> Result<Option<&FieldValue>, ModelError> {
        match self.entity.field(spec.id) {
            Some(value) => check_kind(value.kind(), spec, self.place(spec)).map(|()| Some(value)),
            None => Ok(None),
        }
    }

    fn place(&self, spec: &'static FieldSpec) -> FieldPlace {
        FieldPlace { collection: M::COLLECTION, id: self.entity.id, field: spec.id }
    }
}

impl<M> fmt::Debug for View<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entity.fmt(f)
    }
}

pub(crate) fn check_kind(is: CrdtKind, spec: &FieldSpec, place: FieldPlace) -> Result<(), ModelError> {
    if is == spec.kind { Ok(()) } else { Err(ModelError::Kind { place, is, wanted: spec.kind }) }
}

/// What a register reads as, whether or not it was written.
pub(crate) fn decode<T: DeserializeOwned>(
    value: Option<Value>,
    spec: &FieldSpec,
    place: FieldPlace,
) -> Result<T, ModelError> {
    let unfit = |why| ModelError::Value { place, why };
    let lacks = value.as_ref().is_none_or(|value| *value == Value::Null && !spec.optional);
    let value = match (value, spec.default) {
        (_, Some(default)) if lacks => default().map_err(unfit)?,
        (Some(value), _) => value,
        (None, _) if spec.optional => Value::Null,
        (None, _) => return Err(ModelError::Missing(place)),
    };
    from_value(value).map_err(unfit)
}
