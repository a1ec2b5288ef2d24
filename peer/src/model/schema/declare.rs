//! Declaring a model in the space that it is used in.

use super::stored::{self, field_register, model_register, read_one};
use super::{Declared, Difference, FieldDeclaration, SchemaConflict, entity_of};
use crate::model::{Model, ModelError};
use reknit_crdt::FieldValue;
use reknit_engine::{EntityMut, Tx, TxError};
use reknit_types::Value;

/// Makes sure that the space has the collection as the model does, and knows what the model says. Once in a
/// transaction is enough.
pub(crate) fn declare<M: Model>(tx: &mut Tx<'_>) -> Result<(), TxError> {
    let declared = M::declared();
    if tx.has_noted(declared.fingerprint()) {
        return Ok(());
    }
    let mut books = tx.reserved(stored::COLLECTION, entity_of(declared.collection()))?;
    let changes = changes(&mut books, declared)?;
    if !changes.is_empty() {
        write(&mut books, declared, changes)?;
    }
    tx.note(declared.fingerprint());
    Ok(())
}

/// The registers to write, if the model may be used here.
fn changes(books: &mut EntityMut<'_, '_>, declared: &Declared) -> Result<Vec<(String, Value)>, TxError> {
    let own = model_register(declared.fingerprint());
    let is_new = register(books, &own)?.is_none();
    let (mut changes, mut differences) = (vec![], vec![]);
    for field in declared.fields() {
        let name = field_register(&field.id);
        match stands(books, field, &name)? {
            Stands::Nothing => changes.push((name, stored::one(field))),
            Stands::Otherwise(difference) => differences.push(difference),
            Stands::Alike(stands) => {
                let merged = merged(&stands, field, is_new);
                if merged != stands {
                    changes.push((name, stored::one(&merged)));
                }
            }
        }
    }
    if !differences.is_empty() {
        let collection = declared.collection().to_owned();
        return Err(ModelError::Schema(Box::new(SchemaConflict { collection, differences })).into());
    }
    if is_new {
        changes.push((own, stored::all(declared.fields())));
    }
    Ok(changes)
}

fn write(
    books: &mut EntityMut<'_, '_>,
    declared: &Declared,
    changes: Vec<(String, Value)>,
) -> Result<(), TxError> {
    // Whoever deleted it can only have meant to be rid of what is now said anew.
    books.restore()?;
    if register(books, stored::NAME)?.is_none() {
        books.set(stored::NAME, declared.collection())?;
    }
    changes.into_iter().try_for_each(|(name, value)| books.set(&name, value).map(drop))
}

/// How a field stands in the space, seen from a model.
enum Stands {
    Nothing,
    Alike(FieldDeclaration),
    Otherwise(Difference),
}

fn stands(books: &mut EntityMut<'_, '_>, field: &FieldDeclaration, name: &str) -> Result<Stands, TxError> {
    let Some(value) = register(books, name)? else { return Ok(Stands::Nothing) };
    let stands = read_one(&field.id, value);
    let (stands_for, model) = (stands.as_ref().map(FieldDeclaration::standpoint), field.standpoint());
    Ok(match stands {
        Some(stands) if stands.standpoint() == model => Stands::Alike(stands),
        _ => Stands::Otherwise(Difference { field: field.id.clone(), stands: stands_for, model }),
    })
}

/// What is to stand: a version that is new here has the last word on names and defaults.
fn merged(stands: &FieldDeclaration, field: &FieldDeclaration, is_new: bool) -> FieldDeclaration {
    let (optional, index) = (stands.optional || field.optional, stands.index || field.index);
    let last = if is_new { field } else { stands };
    let default = last.default.clone().or_else(|| stands.default.clone());
    FieldDeclaration { optional, index, default, ..last.clone() }
}

fn register(books: &mut EntityMut<'_, '_>, name: &str) -> Result<Option<Value>, TxError> {
    Ok(match books.get(name)? {
        Some(FieldValue::Register(value)) => value,
        _ => None,
    })
}
