//! The answers of a peer as they travel over the socket and as `--json` prints them.

mod event;
mod live;
mod schema;
mod standing;

pub(crate) use event::{EventView, HappeningView, WatchView};
pub(crate) use live::{DifferenceView, LiveView};
pub(crate) use schema::{FieldView, SchemaView};
pub(crate) use standing::{LinkView, ReasonView, ReceiptView, SpaceView, StatusView};

use reknit::EntityId;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// An entity with its fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EntityView {
    pub(crate) collection: String,
    pub(crate) id: EntityId,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) deleted: bool,
    /// Plain values by field.
    pub(crate) fields: BTreeMap<String, Json>,
    /// How each field merges.
    #[serde(default)]
    pub(crate) kinds: BTreeMap<String, Kind>,
}

/// How a field merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Register,
    Counter,
    Text,
    Document,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Counter => "counter",
            Self::Text => "text",
            Self::Document => "document",
        }
    }
}

impl EntityView {
    /// About how many bytes it has on the wire.
    pub(crate) fn weight(&self) -> usize {
        self.fields.iter().map(|(name, value)| 2 * name.len() + weight(value)).sum()
    }
}

fn weight(value: &Json) -> usize {
    let inside = match value {
        Json::Null | Json::Bool(_) | Json::Number(_) => 0,
        Json::String(text) => text.len(),
        Json::Array(items) => items.iter().map(weight).sum(),
        Json::Object(entries) => entries.iter().map(|(key, value)| key.len() + weight(value)).sum(),
    };
    inside + WEIGHT
}

impl From<reknit::Entity> for EntityView {
    fn from(entity: reknit::Entity) -> Self {
        let kinds =
            entity.fields.iter().map(|(name, value)| (name.to_string(), value.kind().into())).collect();
        let fields = entity.fields.iter().map(|(name, value)| (name.to_string(), plain(value))).collect();
        let (collection, id, deleted) = (entity.collection.to_string(), entity.id, entity.deleted);
        Self { collection, id, deleted, fields, kinds }
    }
}

fn plain(value: &reknit::FieldValue) -> Json {
    // Every field value is one of JSON's.
    serde_json::to_value(value).unwrap_or_default()
}

impl From<reknit::CrdtKind> for Kind {
    fn from(kind: reknit::CrdtKind) -> Self {
        match kind {
            reknit::CrdtKind::Register => Self::Register,
            reknit::CrdtKind::Counter => Self::Counter,
            reknit::CrdtKind::Text => Self::Text,
            reknit::CrdtKind::Document => Self::Document,
        }
    }
}

/// A value as people read it: text without quotes, anything else as JSON.
pub(crate) fn readable(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Enough of a device or space id to tell it apart.
pub(crate) fn short(id: &impl ToString) -> String {
    id.to_string().chars().take(SHORT_CHARS).collect()
}

const SHORT_CHARS: usize = 10;
/// What a value weighs besides what it holds.
const WEIGHT: usize = 8;
