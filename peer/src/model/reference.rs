//! References to entities of a model.

use crate::EntityId;
use reknit_types::Value;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// The id of an entity, and whose model describes it. Stored as a reference.
pub struct Ref<M> {
    id: EntityId,
    model: PhantomData<fn() -> M>,
}

impl<M> Ref<M> {
    /// The reference to the entity with this id.
    pub const fn new(id: EntityId) -> Self {
        Self { id, model: PhantomData }
    }

    /// The id of the entity.
    pub const fn id(self) -> EntityId {
        self.id
    }
}

impl<M> Clone for Ref<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Ref<M> {}

impl<M> PartialEq for Ref<M> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<M> Eq for Ref<M> {}

impl<M> PartialOrd for Ref<M> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<M> Ord for Ref<M> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}

impl<M> Hash for Ref<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl<M> fmt::Display for Ref<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

impl<M> fmt::Debug for Ref<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ref({})", self.id)
    }
}

impl<M> From<EntityId> for Ref<M> {
    fn from(id: EntityId) -> Self {
        Self::new(id)
    }
}

impl<M> From<Ref<M>> for EntityId {
    fn from(reference: Ref<M>) -> Self {
        reference.id
    }
}

impl<M> From<Ref<M>> for Value {
    fn from(reference: Ref<M>) -> Self {
        Self::Ref(reference.id)
    }
}

impl<M> Serialize for Ref<M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Value::Ref(self.id).serialize(serializer)
    }
}

impl<'de, M> Deserialize<'de> for Ref<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Ref(id) => Ok(Self::new(id)),
            other => Err(serde::de::Error::custom(format_args!("{other} is not a reference to an entity"))),
        }
    }
}
