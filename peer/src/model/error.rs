//! Where what is stored and what a model says part.

use super::{SchemaConflict, ValueError};
use reknit_engine::TxError;
use reknit_types::{CrdtKind, EntityId};
use std::fmt;
use thiserror::Error;

/// A field of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldPlace {
    /// The collection.
    pub collection: &'static str,
    /// The entity.
    pub id: EntityId,
    /// What the field is stored under.
    pub field: &'static str,
}

impl fmt::Display for FieldPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "field {} of {} {}", self.field, self.collection, self.id)
    }
}

/// What is stored is not what a model says, or the other way round.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The entity is not here, or not yet.
    #[error("there is no {collection} {id} here; it may still be on its way from another device")]
    NotFound {
        /// The collection.
        collection: &'static str,
        /// The entity.
        id: EntityId,
    },
    /// The entity lacks a field that its model has no default for.
    #[error("{0} was never written; give the field a default, or make it an Option")]
    Missing(FieldPlace),
    /// The field merges in another way than the model says.
    #[error("{place} is a {is}, and the model has a {wanted}; give the field of the model another id")]
    Kind {
        /// The field.
        place: FieldPlace,
        /// How it merges.
        is: CrdtKind,
        /// How the model says it does.
        wanted: CrdtKind,
    },
    /// What the field holds is not of the model's type.
    #[error("{place} does not hold what the model says: {why}")]
    Value {
        /// The field.
        place: FieldPlace,
        /// What is wrong.
        why: ValueError,
    },
    /// What was to be written is nothing that a field can hold.
    #[error("{field} cannot hold this: {why}")]
    Unstorable {
        /// What the field is stored under.
        field: String,
        /// What is wrong.
        why: ValueError,
    },
    /// A reference was to be followed, and it is not known from where.
    #[error(
        "the view is of an entity alone: look the reference up in the space or snapshot that the entity is from"
    )]
    Detached,
    /// The space has the collection otherwise.
    #[error(transparent)]
    Schema(Box<SchemaConflict>),
}

impl From<ModelError> for TxError {
    fn from(error: ModelError) -> Self {
        Self::caller(error)
    }
}
