//! What models say about collections, kept in the space itself.
//!
//! Each collection that a model describes has an entity in the collection `reknit.schema`, whose id is a hash of the
//! collection's name: so the declarations of peers that know nothing of each other meet in one entity, and merge.
//!
//! | register | what it holds |
//! |---|---|
//! | `collection` | the name of the collection |
//! | `field.<id>` | what stands for the field: the declaration that was written last |
//! | `model.<fingerprint>` | every field as one version of a model has it |
//!
//! **A version of a model writes its declaration once.** From then on its fingerprint is there, and an older
//! version of the app that is started again takes nothing back: names and defaults are those of the version that
//! came last, and a field that may be empty or has an index in one version does so in all.
//!
//! **Refused**, before anything is written, is a model that has a field of another kind, with other values, or with
//! references to another collection. Two peers that were apart may both have declared; then the merge decides what
//! stands, at every peer alike. Apps are told by [`PeerEvent::SchemaConflict`](crate::PeerEvent::SchemaConflict),
//! [`Schema::conflicts`] has what contradicts, and the model that does is refused from then on when it is to write. All data
//! stays, and each model reads its own.
//!
//! The collection is no app's: nothing writes to it but models, it is not among
//! [`Space::collections`](crate::Space::collections), and changes to it are not among
//! [`Space::watch`](crate::Space::watch)'s. An export leaves it out, as models declare themselves wherever they are used.

mod declare;
mod stored;

pub(crate) use declare::declare;
pub(crate) use stored::{COLLECTION as SCHEMA_COLLECTION, schema_of};

use super::{FieldSpec, ValueType};
use reknit_types::{CrdtKind, EntityId, Value, Writer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;

/// What a model says about a field, as it is kept in the space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldDeclaration {
    /// What the field is stored under.
    #[serde(skip)]
    pub id: String,
    /// What structs call it.
    pub name: String,
    /// How it merges.
    #[serde(with = "kind_text")]
    pub kind: CrdtKind,
    /// What values a register holds; `None` for other kinds.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub value_type: Option<ValueType>,
    /// Whether it may hold nothing.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
    /// What entities that lack it are read as having.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The collection that it refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<String>,
    /// Whether it is to be found by its value.
    #[serde(default, skip_serializing_if = "is_false")]
    pub index: bool,
}

/// What a model says about its collection.
#[derive(Debug)]
pub struct Declared {
    collection: &'static str,
    fields: Vec<FieldDeclaration>,
    fingerprint: String,
}

/// What the space knows of a collection.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// The collection.
    pub collection: String,
    /// Its fields, by id.
    pub fields: Vec<FieldDeclaration>,
    /// How many versions of models have declared it.
    pub versions: usize,
    /// Where a version of a model contradicts what stands: two peers declared the collection while they were apart.
    pub conflicts: Vec<Difference>,
}

/// What stands of a field, or what a model says about it: as far as two must agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standpoint {
    /// How it merges.
    #[serde(with = "kind_text")]
    pub kind: CrdtKind,
    /// What values a register holds.
    #[serde(rename = "type")]
    pub value_type: Option<ValueType>,
    /// The collection that it refers to.
    pub references: Option<String>,
}

/// A field that a model and the space have otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What the field is stored under.
    pub field: String,
    /// What stands in the space; `None` if this version of Reknit cannot read it.
    pub stands: Option<Standpoint>,
    /// What the model says.
    pub model: Standpoint,
}

/// A model cannot be used to write to a space, as the space has the collection otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the space has collection {collection} otherwise than this app: {}; give each such field another id, \
     #[model(id = \"..\")], or the model another collection. Nothing was written",
    said(.differences)
)]
pub struct SchemaConflict {
    /// The collection.
    pub collection: String,
    /// The fields.
    pub differences: Vec<Difference>,
}

impl Declared {
    /// What a model with these fields says about `collection`.
    #[doc(hidden)]
    pub fn of(collection: &'static str, fields: &[FieldSpec]) -> Self {
        let mut fields: Vec<_> = fields.iter().map(FieldDeclaration::from).collect();
        fields.sort_by(|left, right| left.id.cmp(&right.id));
        let fingerprint = fingerprint(collection, &fields);
        Self { collection, fields, fingerprint }
    }

    /// The collection.
    pub fn collection(&self) -> &'static str {
        self.collection
    }

    /// Its fields, by id.
    pub fn fields(&self) -> &[FieldDeclaration] {
        &self.fields
    }

    /// Tells models, and their versions, apart.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl FieldDeclaration {
    /// What two declarations of the field must agree on.
    pub fn standpoint(&self) -> Standpoint {
        let Self { kind, value_type, references, .. } = self;
        Standpoint { kind: *kind, value_type: *value_type, references: references.clone() }
    }
}

impl From<&FieldSpec> for FieldDeclaration {
    fn from(spec: &FieldSpec) -> Self {
        Self {
            id: spec.id.to_owned(),
            name: spec.name.to_owned(),
            kind: spec.kind,
            value_type: spec.value_type,
            optional: spec.optional,
            // A default that cannot be stored shows when it is needed.
            default: spec.default.and_then(|default| default().ok()),
            references: spec.references.map(str::to_owned),
            index: spec.index,
        }
    }
}

impl fmt::Display for Standpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        if let Some(references) = &self.references {
            return write!(f, " of references to {references}");
        }
        self.value_type.map_or(Ok(()), |value_type| write!(f, " of {value_type}"))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, stands, model } = self;
        match stands {
            Some(stands) => write!(f, "field {field} is a {stands}, and the model has a {model}"),
            None => {
                write!(
                    f,
                    "field {field} is declared as only a newer version knows, and the model has a {model}"
                )
            }
        }
    }
}

fn said(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The id of the entity that describes a collection.
fn entity_of(collection: &str) -> EntityId {
    let hash = blake3::keyed_hash(ENTITY_KEY, collection.as_bytes());
    let (id, _) = hash.as_bytes().split_first_chunk::<16>().expect("a hash has 32 bytes");
    EntityId::from_bytes(*id)
}

fn fingerprint(collection: &str, fields: &[FieldDeclaration]) -> String {
    let mut writer = Writer::new();
    writer.str(collection);
    stored::all(fields).encode(&mut writer);
    let hash = blake3::keyed_hash(MODEL_KEY, &writer.into_bytes());
    hash.to_hex().chars().take(FINGERPRINT_CHARS).collect()
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// Kinds as their words.
mod kind_text {
    use reknit_types::CrdtKind;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(kind: &CrdtKind, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(kind.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CrdtKind, D::Error> {
        let word = String::deserialize(deserializer)?;
        let known = CrdtKind::ALL.into_iter().find(|kind| kind.as_str() == word);
        known.ok_or_else(|| D::Error::custom(format_args!("{word:?} is no kind of field")))
    }
}

/// Fields by id, each with what is declared.
type Fields = BTreeMap<String, FieldDeclaration>;

const ENTITY_KEY: &[u8; 32] = b"reknit/1 schema of a collection ";
const MODEL_KEY: &[u8; 32] = b"reknit/1 version of a model     ";
const FINGERPRINT_CHARS: usize = 16;

#[cfg(test)]
mod tests;
