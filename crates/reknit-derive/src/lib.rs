//! `#[derive(Model)]`: typed reads, edits and predicates from a plain struct.
//!
//! The crate `reknit` hands the macro on, and its module `model` documents what comes of it. This crate only turns
//! tokens into tokens; all that the generated code does is done by `reknit::model`.
//!
//! On the struct:
//!
//! * `#[model(collection = "albums")]`: the collection; without it, the name of the struct in `snake_case`.
//!
//! On a field, which is a `Register<T>`, `Counter`, `Text` or `Document`:
//!
//! * `#[model(id = "ttl")]`: what it is stored under; without it, its name. A field that is renamed keeps its data if its
//!   id stays.
//! * `#[model(default)]`, `#[model(default = 5)]`: what entities that lack the register read as.
//! * `#[model(index)]`: entities are to be found by it.

mod attributes;
mod expand;
mod kind;
mod model;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Typed reads, edits and predicates for the entities of a collection; see the documentation of the crate.
#[proc_macro_derive(Model, attributes(model))]
pub fn derive_model(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    match model::Model::parse(&input) {
        Ok(model) => expand::expand(&model).into(),
        Err(error) => error.into_compile_error().into(),
    }
}
