//! The code that comes of a model.

use crate::attributes::DefaultValue;
use crate::kind::{Held, Kind};
use crate::model::{Field, Model};
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;
use syn::ext::IdentExt;

/// Everything that comes of it.
pub(crate) fn expand(model: &Model) -> TokenStream {
    let parts = [implementation(model), predicates(model), view(model), edit(model)];
    quote!(#(#parts)*)
}

fn implementation(model: &Model) -> TokenStream {
    let Model { name, collection, .. } = model;
    let (view, edit) = (view_name(model), edit_name(model));
    let specs = model.fields.iter().map(spec);
    let writes = model.fields.iter().enumerate().map(write);
    let reads = model.fields.iter().enumerate().map(read);
    quote! {
        const _: () = {
            use ::reknit::model::AnyType as _;

            impl ::reknit::model::Model for #name {
                const COLLECTION: &'static str = #collection;
                const FIELDS: &'static [::reknit::model::FieldSpec] = &[#(#specs),*];
                type View = #view;
                type Mut<'t, 'a: 't> = #edit<'t, 'a>;

                fn declared() -> &'static ::reknit::model::Declared {
                    static DECLARED: ::std::sync::OnceLock<::reknit::model::Declared> = ::std::sync::OnceLock::new();
                    DECLARED.get_or_init(|| ::reknit::model::Declared::of(Self::COLLECTION, Self::FIELDS))
                }

                fn write(
                    &self,
                    edit: &mut ::reknit::model::Edit<'_, '_, Self>,
                ) -> ::core::result::Result<(), ::reknit::TxError> {
                    #(#writes)*
                    ::core::result::Result::Ok(())
                }

                fn read(
                    view: &::reknit::model::View<Self>,
                ) -> ::core::result::Result<Self, ::reknit::model::ModelError> {
                    ::core::result::Result::Ok(Self { #(#reads),* })
                }
            }
        };
    }
}

fn spec(field: &Field) -> TokenStream {
    let (id, name, index) = (&field.id, field.name.unraw().to_string(), field.said.index);
    let kind = match &field.kind {
        Kind::Register(_) => quote!(Register),
        Kind::Counter => quote!(Counter),
        Kind::Text => quote!(Text),
        Kind::Document => quote!(Document),
    };
    let none = quote!(::core::option::Option::None);
    let (value_type, optional, references, default) = match &field.kind {
        Kind::Register(held) => {
            let whole = &held.whole;
            let probe = quote!(::reknit::model::Probe::<#whole>);
            (
                quote!(::core::option::Option::Some(#probe::VALUE_TYPE)),
                quote!(#probe::OPTIONAL),
                quote!(#probe::REFERENCES),
                default(field, held).unwrap_or_else(|| none.clone()),
            )
        }
        _ => (none.clone(), quote!(false), none.clone(), none),
    };
    quote! {
        ::reknit::model::FieldSpec {
            id: #id,
            name: #name,
            kind: ::reknit::CrdtKind::#kind,
            value_type: #value_type,
            optional: #optional,
            default: #default,
            references: #references,
            index: #index,
        }
    }
}

fn default(field: &Field, held: &Held) -> Option<TokenStream> {
    let whole = &held.whole;
    let value = match field.said.default.as_ref()? {
        DefaultValue::OfType => quote!(<#whole as ::core::default::Default>::default()),
        DefaultValue::Written(value) => quote!(::reknit::Register::<#whole>::from(#value).0),
    };
    Some(quote!(::core::option::Option::Some(|| ::reknit::model::to_value::<#whole>(&#value))))
}

fn write((at, field): (usize, &Field)) -> TokenStream {
    let name = &field.name;
    let write = match &field.kind {
        Kind::Register(_) => quote!(write_register(&Self::FIELDS[#at], &self.#name)),
        Kind::Counter => quote!(write_counter(&Self::FIELDS[#at], self.#name)),
        Kind::Text => quote!(write_text(&Self::FIELDS[#at], &self.#name)),
        Kind::Document => quote!(write_document(&Self::FIELDS[#at], &self.#name)),
    };
    // What the compiler says about the type is then said of the field.
    quote_spanned!(name.span()=> edit.#write?;)
}

fn read((at, field): (usize, &Field)) -> TokenStream {
    let name = &field.name;
    let (wrapper, method) = match &field.kind {
        Kind::Register(_) => (quote!(Register), quote!(register)),
        Kind::Counter => (quote!(Counter), quote!(counter)),
        Kind::Text => (quote!(Text), quote!(text)),
        Kind::Document => (quote!(Document), quote!(document)),
    };
    quote_spanned!(name.span()=> #name: ::reknit::#wrapper(view.#method(&Self::FIELDS[#at])?))
}

/// A function for each field that predicates begin with.
fn predicates(model: &Model) -> TokenStream {
    let Model { name, vis, .. } = model;
    let quiet = quiet();
    let functions = model.fields.iter().map(|field| {
        let Field { name: function, id, docs, .. } = field;
        let docs = documented(docs, field);
        let path = quote!(::reknit::model);
        let returned = match &field.kind {
            Kind::Register(held) => match &held.referent {
                Some(referent) => quote!(#path::ReferenceField<#name, #referent>),
                None => {
                    let inner = &held.inner;
                    quote!(#path::RegisterField<#name, #inner>)
                }
            },
            Kind::Counter => quote!(#path::CounterField<#name>),
            Kind::Text => quote!(#path::TextField<#name>),
            Kind::Document => quote!(#path::DocumentField<#name>),
        };
        quote_spanned! {function.span()=>
            #docs
            #vis fn #function() -> #returned {
                <#returned>::new(#path::Path::to(#id))
            }
        }
    });
    quote! {
        /// Its fields, to be compared with something.
        #quiet
        impl #name {
            #(#functions)*
        }
    }
}

fn view(model: &Model) -> TokenStream {
    let Model { name, vis, .. } = model;
    let (view, quiet) = (view_name(model), quiet());
    let doc = format!("An entity of `{}`, read as [`{name}`] says.", model.collection);
    let functions = model.fields.iter().enumerate().map(|(at, field)| reader(model, at, field));
    quote! {
        #[doc = #doc]
        #[derive(Debug)]
        #vis struct #view(::reknit::model::View<#name>);

        impl ::core::convert::From<::reknit::model::View<#name>> for #view {
            fn from(view: ::reknit::model::View<#name>) -> Self {
                Self(view)
            }
        }

        impl ::core::ops::Deref for #view {
            type Target = ::reknit::model::View<#name>;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        #quiet
        impl #view {
            #(#functions)*
        }
    }
}

fn reader(model: &Model, at: usize, field: &Field) -> TokenStream {
    let Model { name, vis, .. } = model;
    let Field { name: function, docs, .. } = field;
    let docs = documented(docs, field);
    let spec = quote!(&<#name as ::reknit::model::Model>::FIELDS[#at]);
    let fallible = |held: TokenStream| quote!(::core::result::Result<#held, ::reknit::model::ModelError>);
    let (returned, method) = match &field.kind {
        Kind::Register(held) => match &held.referent {
            Some(referent) if held.is_option => {
                (quote!(::reknit::model::OptionLink<#referent>), quote!(option_link))
            }
            Some(referent) => (quote!(::reknit::model::Link<#referent>), quote!(link)),
            None => {
                let whole = &held.whole;
                (fallible(quote!(#whole)), quote!(register))
            }
        },
        Kind::Counter => (fallible(quote!(i64)), quote!(counter)),
        Kind::Text => (fallible(quote!(::std::string::String)), quote!(text)),
        Kind::Document => (fallible(quote!(::reknit::model::Json)), quote!(document)),
    };
    quote_spanned! {function.span()=>
        #docs
        #vis fn #function(&self) -> #returned {
            self.0.#method(#spec)
        }
    }
}

fn edit(model: &Model) -> TokenStream {
    let Model { name, vis, .. } = model;
    let (edit, quiet) = (edit_name(model), quiet());
    let doc = format!("An entity of `{}` inside a transaction, edited as [`{name}`] says.", model.collection);
    let functions = model.fields.iter().enumerate().map(|(at, field)| writer(model, at, field));
    quote! {
        #[doc = #doc]
        #vis struct #edit<'t, 'a>(::reknit::model::Edit<'t, 'a, #name>);

        impl<'t, 'a> ::core::convert::From<::reknit::model::Edit<'t, 'a, #name>> for #edit<'t, 'a> {
            fn from(edit: ::reknit::model::Edit<'t, 'a, #name>) -> Self {
                Self(edit)
            }
        }

        impl<'t, 'a> ::core::ops::Deref for #edit<'t, 'a> {
            type Target = ::reknit::model::Edit<'t, 'a, #name>;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }

        impl<'t, 'a> ::core::ops::DerefMut for #edit<'t, 'a> {
            fn deref_mut(&mut self) -> &mut Self::Target {
                &mut self.0
            }
        }

        #quiet
        impl<'t, 'a> #edit<'t, 'a> {
            #(#functions)*
        }
    }
}

fn writer(model: &Model, at: usize, field: &Field) -> TokenStream {
    let Model { name, vis, .. } = model;
    let Field { name: function, docs, .. } = field;
    let docs = documented(docs, field);
    let (returned, method) = match &field.kind {
        Kind::Register(held) => {
            let whole = &held.whole;
            (quote!(RegisterFieldMut<'_, 't, 'a, #whole>), quote!(register))
        }
        Kind::Counter => (quote!(CounterFieldMut<'_, 't, 'a>), quote!(counter)),
        Kind::Text => (quote!(TextFieldMut<'_, 't, 'a>), quote!(text)),
        Kind::Document => (quote!(DocumentFieldMut<'_, 't, 'a>), quote!(document)),
    };
    quote_spanned! {function.span()=>
        #docs
        #vis fn #function(&mut self) -> ::reknit::model::#returned {
            self.0.#method(&<#name as ::reknit::model::Model>::FIELDS[#at])
        }
    }
}

fn view_name(model: &Model) -> Ident {
    format_ident!("{}View", model.name.unraw())
}

fn edit_name(model: &Model) -> Ident {
    format_ident!("{}Mut", model.name.unraw())
}

/// The field's own documentation, or a line in its place.
fn documented(docs: &[syn::Attribute], field: &Field) -> TokenStream {
    if docs.is_empty() {
        let doc = format!("The field `{}`.", field.name.unraw());
        return quote!(#[doc = #doc]);
    }
    quote!(#(#docs)*)
}

/// An app need not use all that it is given.
fn quiet() -> TokenStream {
    let level = format_ident!("allow");
    quote!(#[#level(dead_code)])
}
