//! A query, from its text to a form that can be planned.

use crate::bound::Bound;
use crate::compile::compile;
use crate::error::{BindError, ParseError};
use crate::parse::parse;
use crate::schema::Schema;
use crate::syntax::{Select, Term, TermKind};
use reknit_types::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A query as it was written.
#[derive(Debug, Clone)]
pub struct Query {
    text: String,
    select: Select,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// The text is not of the subset that the crate's documentation describes; the error says where, why and what to
    /// write instead.
    pub fn parse(sql: &str) -> Result<Self, ParseError> {
        Ok(Self { text: sql.to_owned(), select: parse(sql)? })
    }

    /// What was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How many `?` it has.
    pub fn positional(&self) -> usize {
        self.select.positional
    }

    /// The names of its `:name`s.
    pub fn named(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        for term in self.select.terms() {
            named_in(term, &mut names);
        }
        names
    }

    /// The query with its names looked up in `schema` and its parameters in place.
    ///
    /// # Errors
    /// The parameters do not fit, or the query asks for what the schema does not have.
    pub fn bind(&self, schema: &dyn Schema, params: &Params) -> Result<Bound, BindError> {
        self.check(params)?;
        compile(&self.select, schema, params, self.fingerprint(params))
    }

    fn check(&self, params: &Params) -> Result<(), BindError> {
        if params.positional.len() != self.select.positional {
            let (wanted, given) = (self.select.positional, params.positional.len());
            return Err(BindError::Positional { wanted, given });
        }
        let names = self.named();
        if let Some(missing) = names.iter().find(|name| !params.named.contains_key(**name)) {
            return Err(BindError::MissingNamed((*missing).to_owned()));
        }
        if let Some(unknown) = params.named.keys().find(|name| !names.contains(name.as_str())) {
            return Err(BindError::UnknownNamed(unknown.clone()));
        }
        let all_finite = params.positional.iter().chain(params.named.values()).all(is_finite);
        if all_finite { Ok(()) } else { Err(BindError::NotFinite) }
    }

    /// Tells cursors of one query from those of another. Nobody gains by forging one: it only says where to go on.
    fn fingerprint(&self, params: &Params) -> u64 {
        let mut writer = reknit_types::Writer::new();
        writer.str(&self.text);
        params.positional.iter().for_each(|value| value.encode(&mut writer));
        for (name, value) in &params.named {
            writer.str(name);
            value.encode(&mut writer);
        }
        fnv1a(&writer.into_bytes())
    }
}

/// The values of the parameters of a query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params {
    pub(crate) positional: Vec<Value>,
    pub(crate) named: BTreeMap<String, Value>,
}

impl Params {
    /// No parameters.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a value for the next `?`.
    #[must_use]
    pub fn with(mut self, value: impl Into<Value>) -> Self {
        self.positional.push(value.into());
        self
    }

    /// With a value for `:name`.
    #[must_use]
    pub fn with_named(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.named.insert(name.to_owned(), value.into());
        self
    }
}

impl Select {
    fn terms(&self) -> impl Iterator<Item = &Term> {
        let items = self.items.iter().filter_map(|item| match item {
            crate::syntax::Item::All { .. } => None,
            crate::syntax::Item::Term { term, .. } => Some(term),
        });
        items
            .chain(self.joins.iter().map(|join| &join.on))
            .chain(&self.filter)
            .chain(&self.group)
            .chain(&self.having)
            .chain(self.order.iter().map(|key| &key.term))
            .chain(&self.limit)
            .chain(&self.offset)
    }
}

fn named_in<'t>(term: &'t Term, names: &mut BTreeSet<&'t str>) {
    if let TermKind::Named(name) = &term.kind {
        names.insert(name);
    }
    term.parts().into_iter().for_each(|part| named_in(part, names));
}

fn is_finite(value: &Value) -> bool {
    match value {
        Value::Float(value) => value.is_finite(),
        Value::List(items) => items.iter().all(is_finite),
        Value::Map(entries) => entries.values().all(is_finite),
        _ => true,
    }
}

/// FNV-1a (Fowler, Noll, Vo), 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
