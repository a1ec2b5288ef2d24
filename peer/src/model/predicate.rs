//! Conditions on the fields of a model, checked by the compiler.
//!
//! ```
//! # use reknit::{Model, Ref, Register, Value};
//! # #[derive(Model)] struct Artist { name: Register<String> }
//! # #[derive(Model)] struct Album { title: Register<String>, year: Register<i32>, artist: Register<Ref<Artist>> }
//! let blue = Album::title().eq("Blue").and(Album::year().gt(1990));
//! assert_eq!(blue.sql(), r#"("title" = ? AND "year" > ?)"#);
//! assert_eq!(blue.params(), [Value::from("Blue"), Value::Int(1990)]);
//! let nina = !Album::artist().then(Artist::name()).eq("Nina");
//! assert_eq!(nina.sql(), r#"NOT ("artist"."name" = ?)"#);
//! ```
//!
//! What cannot be compared does not compile:
//!
//! ```compile_fail,E0277
//! # use reknit::{Model, Register};
//! # #[derive(Model)] struct Album { year: Register<i32> }
//! Album::year().eq("nineteen ninety");
//! ```
//!
//! ```compile_fail,E0277
//! # use reknit::{Model, Register};
//! # #[derive(serde::Serialize, serde::Deserialize)] enum Genre { Folk }
//! # #[derive(Model)] struct Album { genre: Register<Genre> }
//! Album::genre().lt(Genre::Folk);
//! ```
//!
//! ```compile_fail,E0308
//! # use reknit::{Model, Register};
//! # #[derive(Model)] struct Artist { name: Register<String> }
//! # #[derive(Model)] struct Album { title: Register<String> }
//! Album::title().eq("Blue").and(Artist::name().eq("Nina"));
//! ```

mod fields;

pub use fields::{
    CounterField, DocumentField, DocumentPath, Field, Ordered, Path, ReferenceField, RegisterField, TextField,
};

use super::{ModelError, ValueError};
use reknit_types::Value;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Not;

/// A condition on the entities of a model: what stands after `WHERE`, with its parameters apart.
pub struct Predicate<M> {
    sql: String,
    params: Vec<Value>,
    /// An operand that no value holds, and which field it was compared with.
    refused: Option<(String, ValueError)>,
    model: PhantomData<fn() -> M>,
}

impl<M> Predicate<M> {
    pub(super) fn new(sql: String, params: Vec<Value>) -> Self {
        Self { sql, params, refused: None, model: PhantomData }
    }

    pub(super) fn refused(mut self, field: String, why: ValueError) -> Self {
        self.refused.get_or_insert((field, why));
        self
    }

    /// The condition in SQL: identifiers in quotes, a `?` for each parameter.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The parameters, in order.
    pub fn params(&self) -> &[Value] {
        &self.params
    }

    /// The condition and its parameters.
    ///
    /// # Errors
    /// [`ModelError::Unstorable`] if a field is compared with what no field can hold.
    pub fn into_parts(self) -> Result<(String, Vec<Value>), ModelError> {
        match self.refused {
            Some((field, why)) => Err(ModelError::Unstorable { field, why }),
            None => Ok((self.sql, self.params)),
        }
    }

    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.joined("AND", other)
    }

    /// One of the two holds, or both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.joined("OR", other)
    }

    fn joined(mut self, word: &str, other: Self) -> Self {
        self.sql = format!("({} {word} {})", self.sql, other.sql);
        self.params.extend(other.params);
        self.refused = self.refused.or(other.refused);
        self
    }
}

impl<M> Not for Predicate<M> {
    type Output = Self;

    fn not(mut self) -> Self {
        self.sql = format!("NOT ({})", self.sql);
        self
    }
}

impl<M> Clone for Predicate<M> {
    fn clone(&self) -> Self {
        let Self { sql, params, refused, model } = self;
        Self { sql: sql.clone(), params: params.clone(), refused: refused.clone(), model: *model }
    }
}

impl<M> fmt::Debug for Predicate<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Predicate").field("sql", &self.sql).field("params", &self.params).finish()
    }
}

#[cfg(test)]
mod tests;
