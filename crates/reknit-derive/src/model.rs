//! A struct that says what the entities of a collection hold, taken apart and checked.

use crate::attributes::{OfField, OfStruct};
use crate::kind::Kind;
use proc_macro2::Span;
use std::collections::BTreeMap;
use syn::ext::IdentExt;
use syn::{Attribute, Data, DeriveInput, Error, Fields, Ident, LitStr, Result, Visibility};

/// A struct that a model can be made of.
pub(crate) struct Model {
    pub(crate) name: Ident,
    pub(crate) vis: Visibility,
    pub(crate) collection: String,
    pub(crate) fields: Vec<Field>,
}

/// One of its fields.
pub(crate) struct Field {
    pub(crate) name: Ident,
    /// What it is stored under.
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) said: OfField,
    pub(crate) docs: Vec<Attribute>,
}

impl Model {
    pub(crate) fn parse(input: &DeriveInput) -> Result<Self> {
        let named = named_fields(input)?;
        let mut wrong = Wrong(None);
        if !input.generics.params.is_empty() {
            wrong.add(Error::new_spanned(&input.generics, GENERIC));
        }
        let collection = wrong.or(collection(input));
        let mut fields = Vec::new();
        for field in named {
            fields.extend(wrong.or(Field::parse(field, &input.ident)));
        }
        if let Err(error) = ids_differ(&fields) {
            wrong.add(error);
        }
        wrong.end()?;
        let collection = collection.unwrap_or_default();
        Ok(Self { name: input.ident.clone(), vis: input.vis.clone(), collection, fields })
    }
}

impl Field {
    fn parse(field: &syn::Field, model: &Ident) -> Result<Self> {
        let name = field.ident.clone().ok_or_else(|| Error::new_spanned(field, NOT_NAMED))?;
        let said = OfField::parse(&field.attrs)?;
        let kind = Kind::of(&field.ty, model)?;
        let plain = name.unraw().to_string();
        if RESERVED.contains(&plain.as_str()) {
            let what = format!(
                "`{plain}` is what every view or edit of an entity has already: call the field otherwise"
            );
            return Err(Error::new(name.span(), what));
        }
        let (id, span) = match &said.id {
            Some(id) => (id.value(), id.span()),
            None => (plain, name.span()),
        };
        check_name(&id, span, ID_BYTES_MAX)?;
        if id == ENTITY_ID {
            return Err(Error::new(
                span,
                "queries call the id of an entity `id`: store the field under another name",
            ));
        }
        fits(&said, &kind, &name)?;
        let docs = field.attrs.iter().filter(|attribute| attribute.path().is_ident("doc")).cloned().collect();
        Ok(Self { name, id, kind, said, docs })
    }
}

/// What is said of a field must make sense for its kind.
fn fits(said: &OfField, kind: &Kind, name: &Ident) -> Result<()> {
    let is_register = matches!(kind, Kind::Register(_));
    if said.default.is_some() && !is_register {
        return Err(Error::new(name.span(), NO_DEFAULT));
    }
    if said.index && !is_register && !matches!(kind, Kind::Counter) {
        return Err(Error::new(name.span(), NO_INDEX));
    }
    Ok(())
}

fn named_fields(input: &DeriveInput) -> Result<impl Iterator<Item = &syn::Field>> {
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(named) => Ok(named.named.iter()),
            _ => Err(Error::new_spanned(&input.ident, NOT_NAMED)),
        },
        _ => Err(Error::new_spanned(&input.ident, NOT_A_STRUCT)),
    }
}

fn collection(input: &DeriveInput) -> Result<String> {
    let said = OfStruct::parse(&input.attrs)?.collection;
    let name = said.as_ref().map_or_else(|| snake_case(&input.ident.unraw().to_string()), LitStr::value);
    let span = said.as_ref().map_or(input.ident.span(), LitStr::span);
    check_name(&name, span, NAME_BYTES_MAX)?;
    if name.starts_with(RESERVED_PREFIX) {
        return Err(Error::new(
            span,
            "collections that begin with `reknit.` are Reknit's own: choose another name",
        ));
    }
    Ok(name)
}

fn ids_differ(fields: &[Field]) -> Result<()> {
    let mut seen = BTreeMap::new();
    for field in fields {
        if let Some(earlier) = seen.insert(field.id.as_str(), &field.name) {
            let (id, name) = (&field.id, &field.name);
            let what =
                format!("`{earlier}` and `{name}` are both stored under {id:?}: give one of them another id");
            return Err(Error::new(name.span(), what));
        }
    }
    Ok(())
}

/// The rules of `reknit::Name`, which are checked again when the app runs.
fn check_name(name: &str, span: Span, bytes_max: usize) -> Result<()> {
    let fits = (1..=bytes_max).contains(&name.len());
    if fits && name.trim() == name && !name.chars().any(char::is_control) {
        return Ok(());
    }
    let what = format!(
        "{name:?} cannot be a name: use 1 to {bytes_max} bytes without control characters or outer spaces"
    );
    Err(Error::new(span, what))
}

fn snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (at, char) in chars.iter().enumerate() {
        let after_small = at > 0 && !chars[at - 1].is_uppercase() && chars[at - 1] != '_';
        let before_small =
            at > 0 && chars[at - 1] != '_' && chars.get(at + 1).is_some_and(|next| next.is_lowercase());
        if char.is_uppercase() && (after_small || before_small) {
            snake.push('_');
        }
        snake.extend(char.to_lowercase());
    }
    snake
}

/// What is wrong so far: the compiler shows all of it.
struct Wrong(Option<Error>);

impl Wrong {
    fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            None => self.0 = Some(error),
        }
    }

    fn or<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    fn end(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

const NOT_A_STRUCT: &str =
    "a model is a struct with named fields; an enum can be what a register holds: `Register<..>`";
const NOT_NAMED: &str = "a model is a struct with named fields, as each is stored under its name";
const GENERIC: &str = "a model has no parameters, as it stands for one collection: write a struct for each";
const NO_DEFAULT: &str = "only a register has a default; counters, texts and documents begin empty";
const NO_INDEX: &str = "only registers and counters have an index";
/// What views and edits have for every model.
const RESERVED: &[&str] = &["id", "reference", "entity", "is_deleted", "delete", "restore", "to_plain"];
/// What queries call the id of an entity.
const ENTITY_ID: &str = "id";
const RESERVED_PREFIX: &str = "reknit.";
const NAME_BYTES_MAX: usize = 128;
/// In the schema, `field.` stands before an id.
const ID_BYTES_MAX: usize = NAME_BYTES_MAX - "field.".len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_is_called_as_its_struct_in_snake_case() {
        for (name, collection) in [
            ("Album", "album"),
            ("PlayList", "play_list"),
            ("HTTPServer", "http_server"),
            ("Já", "já"),
            ("A", "a"),
            ("Snake_Case", "snake_case"),
            ("V2Log", "v2_log"),
        ] {
            assert_eq!(snake_case(name), collection);
        }
    }
}
