//! What a model says about a field.

use super::ValueError;
use reknit_types::{CrdtKind, Value};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a model says about one of its fields, known when the app is compiled.
#[derive(Debug, Clone, Copy)]
pub struct FieldSpec {
    /// What it is stored under.
    pub id: &'static str,
    /// What the struct calls it.
    pub name: &'static str,
    /// How it merges.
    pub kind: CrdtKind,
    /// What values a register holds; `None` for other kinds.
    pub value_type: Option<ValueType>,
    /// Whether it may hold nothing.
    pub optional: bool,
    /// What entities that lack it are read as having.
    pub default: Option<fn() -> Result<Value, ValueError>>,
    /// The collection that it refers to.
    pub references: Option<&'static str>,
    /// Whether it is to be found by its value.
    pub index: bool,
}

/// What values a register holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ValueType {
    /// True or false.
    Bool,
    /// Whole numbers, of any width.
    Int,
    /// Numbers.
    Float,
    /// Text.
    Text,
    /// References to entities.
    Reference,
    /// Whatever a type of the app's own becomes by serde.
    Any,
}

impl ValueType {
    /// The word people use for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Text => "text",
            Self::Reference => "reference",
            Self::Any => "any",
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
