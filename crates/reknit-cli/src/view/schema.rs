//! What models say about a collection.

use super::Kind;
use reknit::model::{Difference, FieldDeclaration, Schema, ValueType};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// What models say about a collection.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SchemaView {
    pub(crate) collection: String,
    pub(crate) fields: Vec<FieldView>,
    /// How many versions of models have declared it.
    pub(crate) versions: usize,
    /// Where a model contradicts what stands.
    pub(crate) conflicts: Vec<Difference>,
}

/// What stands for a field.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FieldView {
    /// What it is stored under.
    pub(crate) id: String,
    /// What apps call it.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub(crate) value_type: Option<ValueType>,
    pub(crate) optional: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) references: Option<String>,
    pub(crate) index: bool,
}

impl From<Schema> for SchemaView {
    fn from(schema: Schema) -> Self {
        let Schema { collection, fields, versions, conflicts } = schema;
        Self { collection, fields: fields.into_iter().map(FieldView::from).collect(), versions, conflicts }
    }
}

impl From<FieldDeclaration> for FieldView {
    fn from(field: FieldDeclaration) -> Self {
        let FieldDeclaration { id, name, kind, value_type, optional, default, references, index } = field;
        // Every value is one of JSON's.
        let default = default.map(|value| serde_json::to_value(value).unwrap_or_default());
        Self { id, name, kind: kind.into(), value_type, optional, default, references, index }
    }
}

impl FieldView {
    /// What it holds, for people.
    pub(crate) fn holds(&self) -> String {
        let kind = self.kind.as_str();
        match (&self.references, self.value_type) {
            (Some(referent), _) => format!("{kind} of references to {referent}"),
            (None, Some(value_type)) => format!("{kind} of {value_type}"),
            (None, None) => kind.to_owned(),
        }
    }
}
