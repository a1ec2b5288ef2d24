//! A value while a query runs: borrowed from its row where it can be.

use reknit_types::{EntityId, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A value of a field, or one that was computed. Like [`Value`], but what lies in memory already is borrowed.
#[derive(Debug, Clone, Default)]
pub enum Datum<'a> {
    /// Nothing, or not known. A field that an entity does not have is null too.
    #[default]
    Null,
    /// True or false; in comparisons and arithmetic the number 1 or 0.
    Bool(bool),
    /// A whole number: of a register, or the sum of a counter.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// Text: of a register, or of a text field.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// Another entity. Compares as the 26 characters of its id.
    Ref([u8; 16]),
    /// Values in order: of a register, or inside a document.
    List(Cow<'a, [Value]>),
    /// Values by name: of a register, or a document.
    Map(Cow<'a, BTreeMap<String, Value>>),
}

impl<'a> Datum<'a> {
    /// The value, borrowed.
    pub fn borrowed(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Float(value) => Self::Float(*value),
            Value::Text(text) => Self::Text(Cow::Borrowed(text)),
            Value::Bytes(bytes) => Self::Bytes(Cow::Borrowed(bytes)),
            Value::Ref(entity) => Self::Ref(entity.to_bytes()),
            Value::List(items) => Self::List(Cow::Borrowed(items)),
            Value::Map(entries) => Self::Map(Cow::Borrowed(entries)),
        }
    }

    /// The value as one that stays.
    pub fn into_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Float(value) => Value::Float(value),
            Self::Text(text) => Value::Text(text.into_owned()),
            Self::Bytes(bytes) => Value::Bytes(bytes.into_owned()),
            Self::Ref(entity) => Value::Ref(EntityId::from_bytes(entity)),
            Self::List(items) => Value::List(items.into_owned()),
            Self::Map(entries) => Value::Map(entries.into_owned()),
        }
    }

    /// A float; null if it is beyond what a value may hold.
    pub(crate) fn float(value: f64) -> Self {
        if value.is_finite() { Self::Float(if value == 0.0 { 0.0 } else { value }) } else { Self::Null }
    }

    pub(crate) fn truth(truth: Option<bool>) -> Self {
        truth.map_or(Self::Null, Self::Bool)
    }

    /// What the value says as a condition. Only numbers and booleans say anything.
    pub(crate) fn as_truth(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Int(value) => Some(*value != 0),
            Self::Float(value) => Some(*value != 0.0),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text of a text or of a reference.
    pub(crate) fn as_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Ref(entity) => Some(Cow::Owned(EntityId::from_bytes(*entity).to_string())),
            _ => None,
        }
    }

    /// What lies at the end of `path` inside a document; null if nothing does.
    pub(crate) fn into_part(self, path: &[Step]) -> Self {
        match self {
            Self::List(Cow::Borrowed(items)) => walk_list(items, path).map_or(Self::Null, Datum::borrowed),
            Self::Map(Cow::Borrowed(entries)) => walk_map(entries, path).map_or(Self::Null, Datum::borrowed),
            Self::List(Cow::Owned(items)) => walk_list(&items, path).map_or(Self::Null, owned),
            Self::Map(Cow::Owned(entries)) => walk_map(&entries, path).map_or(Self::Null, owned),
            _ => Self::Null,
        }
    }
}

/// A step into a document: the name of an entry, or the place in a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    name: String,
    place: Option<usize>,
}

impl Step {
    /// The step that is written so. Digits are a place where there is a list, and a name where there is a map.
    pub fn new(text: &str) -> Self {
        let place = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        Self { name: text.to_owned(), place }
    }

    /// What was written.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

fn owned<'a>(value: &Value) -> Datum<'a> {
    match value {
        Value::Text(text) => Datum::Text(Cow::Owned(text.clone())),
        Value::Bytes(bytes) => Datum::Bytes(Cow::Owned(bytes.clone())),
        Value::List(items) => Datum::List(Cow::Owned(items.clone())),
        Value::Map(entries) => Datum::Map(Cow::Owned(entries.clone())),
        Value::Null => Datum::Null,
        Value::Bool(value) => Datum::Bool(*value),
        Value::Int(value) => Datum::Int(*value),
        Value::Float(value) => Datum::Float(*value),
        Value::Ref(entity) => Datum::Ref(entity.to_bytes()),
    }
}

fn walk<'a>(value: &'a Value, path: &[Step]) -> Option<&'a Value> {
    match (value, path) {
        (value, []) => Some(value),
        (Value::List(items), path) => walk_list(items, path),
        (Value::Map(entries), path) => walk_map(entries, path),
        _ => None,
    }
}

fn walk_list<'a>(items: &'a [Value], path: &[Step]) -> Option<&'a Value> {
    let (step, rest) = path.split_first()?;
    walk(items.get(step.place?)?, rest)
}

fn walk_map<'a>(entries: &'a BTreeMap<String, Value>, path: &[Step]) -> Option<&'a Value> {
    let (step, rest) = path.split_first()?;
    walk(entries.get(&step.name)?, rest)
}

impl From<Value> for Datum<'_> {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Int(value) => Self::Int(value),
            Value::Float(value) => Self::Float(value),
            Value::Text(text) => Self::Text(Cow::Owned(text)),
            Value::Bytes(bytes) => Self::Bytes(Cow::Owned(bytes)),
            Value::Ref(entity) => Self::Ref(entity.to_bytes()),
            Value::List(items) => Self::List(Cow::Owned(items)),
            Value::Map(entries) => Self::Map(Cow::Owned(entries)),
        }
    }
}
