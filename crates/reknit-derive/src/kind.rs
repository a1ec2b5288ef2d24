//! How a field merges, told from its type.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Error, GenericArgument, Ident, PathArguments, PathSegment, Result, Type, parse2};

/// How a field merges.
pub(crate) enum Kind {
    /// With what it holds.
    Register(Box<Held>),
    Counter,
    Text,
    Document,
}

/// What a register holds.
pub(crate) struct Held {
    /// The type, as written.
    pub(crate) whole: Type,
    /// The type inside an `Option`, or else all of it.
    pub(crate) inner: Type,
    pub(crate) is_option: bool,
    /// What a `Ref` refers to.
    pub(crate) referent: Option<Type>,
}

impl Kind {
    /// The kind of a field of the struct with this name.
    pub(crate) fn of(written: &Type, name: &Ident) -> Result<Self> {
        let wrong = || Error::new_spanned(written, WRONG_TYPE);
        let named = parse2::<Type>(without_self(written.to_token_stream(), name))?;
        let segment = last_segment(&named).ok_or_else(wrong)?;
        let held = only_argument(segment);
        match segment.ident.to_string().as_str() {
            "Register" => held.map(|held| Self::Register(Box::new(Held::of(held)))).ok_or_else(wrong),
            "Counter" if segment.arguments.is_empty() => Ok(Self::Counter),
            "Text" if segment.arguments.is_empty() => Ok(Self::Text),
            "Document" if segment.arguments.is_empty() => Ok(Self::Document),
            _ => Err(wrong()),
        }
    }
}

impl Held {
    fn of(whole: &Type) -> Self {
        let option = inside(whole, "Option");
        let inner = option.unwrap_or(whole);
        Self {
            whole: whole.clone(),
            inner: inner.clone(),
            is_option: option.is_some(),
            referent: inside(inner, "Ref").cloned(),
        }
    }
}

/// The tokens with the struct's name for `Self`, which means another type where they are put.
fn without_self(tokens: TokenStream, name: &Ident) -> TokenStream {
    let replace = |token| match token {
        TokenTree::Ident(ident) if ident == "Self" => {
            TokenTree::Ident(Ident::new(&name.to_string(), ident.span()))
        }
        TokenTree::Group(group) => {
            let inside = without_self(group.stream(), name);
            TokenTree::Group(Group::new(group.delimiter(), inside))
        }
        other => other,
    };
    tokens.into_iter().map(replace).collect()
}

/// The `T` of a `wrapper<T>`.
fn inside<'a>(written: &'a Type, wrapper: &str) -> Option<&'a Type> {
    last_segment(written).filter(|segment| segment.ident == wrapper).and_then(only_argument)
}

fn last_segment(written: &Type) -> Option<&PathSegment> {
    match written {
        Type::Path(path) if path.qself.is_none() => path.path.segments.last(),
        // Where a type went through another macro.
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

fn only_argument(segment: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    match (arguments.args.first(), arguments.args.len()) {
        (Some(GenericArgument::Type(argument)), 1) => Some(argument),
        _ => None,
    }
}

const WRONG_TYPE: &str = "a field of a model says how it merges: write `Register<T>` (the last writer wins), `Counter`, \
     `Text` or `Document`, each by this name";
