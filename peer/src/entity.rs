//! Entities as an app reads them.

use reknit_crdt::FieldValue as State;
use reknit_types::{CrdtKind, EntityId, Name, Value};
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// What an entity holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Entity {
    /// The collection it lives in.
    pub collection: Name,
    /// Its id.
    pub id: EntityId,
    /// Whether it is deleted. Its fields show again when it is restored.
    pub deleted: bool,
    /// Its fields.
    pub fields: BTreeMap<Name, FieldValue>,
}

impl Entity {
    /// A field's value, if it was ever written.
    pub fn field(&self, name: &str) -> Option<&FieldValue> {
        self.fields.iter().find(|(field, _)| field.as_str() == name).map(|(_, value)| value)
    }
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// The value written last.
    Register(Value),
    /// The sum of everything added.
    Counter(i64),
    /// The text.
    Text(String),
    /// The document.
    Document(serde_json::Value),
}

impl FieldValue {
    /// How the field merges.
    pub fn kind(&self) -> CrdtKind {
        match self {
            Self::Register(_) => CrdtKind::Register,
            Self::Counter(_) => CrdtKind::Counter,
            Self::Text(_) => CrdtKind::Text,
            Self::Document(_) => CrdtKind::Document,
        }
    }

    pub(crate) fn of(state: State) -> Option<Self> {
        Some(match state {
            State::Register(value) => Self::Register(value?),
            State::Counter(value) => Self::Counter(value),
            State::Text(text) => Self::Text(text),
            State::Document(document) => Self::Document(document),
        })
    }
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Register(value) => value.fmt(f),
            Self::Counter(value) => value.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::Document(document) => document.fmt(f),
        }
    }
}

impl Serialize for FieldValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Register(value) => value.serialize(serializer),
            Self::Counter(value) => value.serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
            Self::Document(document) => document.serialize(serializer),
        }
    }
}

impl From<reknit_engine::read::Entity> for Entity {
    fn from(entity: reknit_engine::read::Entity) -> Self {
        let reknit_engine::read::Entity { collection, id, deleted, fields } = entity;
        let fields =
            fields.into_iter().filter_map(|(name, state)| Some((name, FieldValue::of(state)?))).collect();
        Self { collection, id, deleted, fields }
    }
}
