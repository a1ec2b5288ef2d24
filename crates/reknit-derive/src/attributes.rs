//! What `#[model(..)]` says.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, Expr, LitStr, Result};

/// What it says of the struct.
#[derive(Default)]
pub(crate) struct OfStruct {
    pub(crate) collection: Option<LitStr>,
}

/// What it says of a field.
#[derive(Default)]
pub(crate) struct OfField {
    pub(crate) id: Option<LitStr>,
    pub(crate) default: Option<DefaultValue>,
    pub(crate) index: bool,
}

/// What entities that lack the field read as.
pub(crate) enum DefaultValue {
    /// What `Default` says of the type.
    OfType,
    /// What the expression says.
    Written(Box<Expr>),
}

impl OfStruct {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        each(attributes, |meta| match word(&meta)?.as_str() {
            "collection" => once(&mut found.collection, &meta, |meta| meta.value()?.parse()),
            other => Err(unknown(&meta, other, "a struct has only `collection = \"..\"`")),
        })?;
        Ok(found)
    }
}

impl OfField {
    pub(crate) fn parse(attributes: &[Attribute]) -> Result<Self> {
        let (mut found, mut index) = (Self::default(), None);
        each(attributes, |meta| match word(&meta)?.as_str() {
            "id" => once(&mut found.id, &meta, |meta| meta.value()?.parse()),
            "default" => once(&mut found.default, &meta, default),
            "index" => once(&mut index, &meta, |_| Ok(())),
            other => Err(unknown(&meta, other, "a field has only `id = \"..\"`, `default` and `index`")),
        })?;
        found.index = index.is_some();
        Ok(found)
    }
}

fn default(meta: &ParseNestedMeta<'_>) -> Result<DefaultValue> {
    if meta.input.peek(syn::Token![=]) {
        return Ok(DefaultValue::Written(Box::new(meta.value()?.parse()?)));
    }
    Ok(DefaultValue::OfType)
}

fn each(attributes: &[Attribute], mut take: impl FnMut(ParseNestedMeta<'_>) -> Result<()>) -> Result<()> {
    let mut ours = attributes.iter().filter(|attribute| attribute.path().is_ident("model"));
    ours.try_for_each(|attribute| attribute.parse_nested_meta(&mut take))
}

fn word(meta: &ParseNestedMeta<'_>) -> Result<String> {
    let ident = meta.path.get_ident().ok_or_else(|| meta.error("a single word is wanted here"))?;
    Ok(ident.to_string())
}

fn once<T>(
    slot: &mut Option<T>,
    meta: &ParseNestedMeta<'_>,
    parse: impl FnOnce(&ParseNestedMeta<'_>) -> Result<T>,
) -> Result<()> {
    if slot.is_some() {
        return Err(meta.error("this is said twice"));
    }
    *slot = Some(parse(meta)?);
    Ok(())
}

fn unknown(meta: &ParseNestedMeta<'_>, word: &str, known: &str) -> Error {
    meta.error(format!("`#[model({word})]` is not known: {known}"))
}
