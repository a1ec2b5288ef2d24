//! How schemas lie in the space.

use super::{Difference, FieldDeclaration, Fields, Schema, entity_of};
use crate::model::{from_value, to_value};
use crate::{Entity, FieldValue};
use reknit_types::Value;

/// Where schemas are kept.
pub(crate) const COLLECTION: &str = "reknit.schema";
/// The register with the name of the collection.
pub(super) const NAME: &str = "collection";
const FIELD: &str = "field.";
const MODEL: &str = "model.";

/// The register with what stands for a field.
pub(super) fn field_register(id: &str) -> String {
    format!("{FIELD}{id}")
}

/// The register with what a version of a model says.
pub(super) fn model_register(fingerprint: &str) -> String {
    format!("{MODEL}{fingerprint}")
}

/// All that a version of a model says.
pub(super) fn all(fields: &[FieldDeclaration]) -> Value {
    Value::Map(fields.iter().map(|field| (field.id.clone(), one(field))).collect())
}

/// What is said about a field.
pub(super) fn one(field: &FieldDeclaration) -> Value {
    to_value(field).expect("a declaration holds text, bools and a value")
}

/// What stands for the field with this id; `None` if it cannot be read.
pub(super) fn read_one(id: &str, value: Value) -> Option<FieldDeclaration> {
    from_value(value).ok().map(|declaration| FieldDeclaration { id: id.to_owned(), ..declaration })
}

/// What an entity of the reserved collection says; `None` if it says nothing about any.
pub(crate) fn schema_of(entity: &Entity) -> Option<Schema> {
    let Some(FieldValue::Register(Value::Text(collection))) = entity.field(NAME) else { return None };
    if entity.id != entity_of(collection) {
        return None;
    }
    let mut fields = vec![];
    let mut versions: Vec<Fields> = vec![];
    for (register, value) in &entity.fields {
        let FieldValue::Register(value) = value else { continue };
        if let Some(id) = register.as_str().strip_prefix(FIELD) {
            fields.extend(read_one(id, value.clone()));
        } else if register.as_str().starts_with(MODEL) {
            versions.extend(from_value(value.clone()).ok());
        }
    }
    let conflicts = contradictions(&fields, &versions);
    Some(Schema { collection: collection.clone(), fields, versions: versions.len(), conflicts })
}

/// Where a version contradicts what stands, each once.
fn contradictions(stands: &[FieldDeclaration], versions: &[Fields]) -> Vec<Difference> {
    let mut found: Vec<Difference> = vec![];
    for (id, said) in versions.iter().flatten() {
        let Some(stands) = stands.iter().find(|field| field.id == *id) else { continue };
        let (stands, model) = (stands.standpoint(), said.standpoint());
        let difference = Difference { field: id.clone(), stands: Some(stands.clone()), model };
        if stands != difference.model && !found.contains(&difference) {
            found.push(difference);
        }
    }
    found
}
