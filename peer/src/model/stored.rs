//! Between Rust types and the values that registers hold, through serde.
//!
//! The mapping is that of JSON, with integers apart from floats. [`Ref`](super::Ref) becomes a reference, and what serde
//! calls bytes become bytes.

mod from_value;
mod to_key;
mod to_value;

use reknit_types::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use thiserror::Error;

/// What a Rust type and a register's value do not have in common.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ValueError {
    /// An integer that no value holds.
    #[error("the integer {0} cannot be stored: integers reach from -2^63 to 2^63 - 1")]
    Integer(String),
    /// A float that no value holds.
    #[error("the number {0} cannot be stored: floats are finite")]
    Float(String),
    /// The key of a map is not a string, a number, a bool or a plain enum.
    #[error("the key of a map is {0}, and must be text, a number, a bool or an enum without data")]
    Key(&'static str),
    /// The type says that the value is not one of its own.
    #[error("{0}")]
    Unfit(String),
}

/// The value that a register holds for `data`.
///
/// # Errors
/// [`ValueError`] if `data` holds what no value can.
pub fn to_value<T: Serialize + ?Sized>(data: &T) -> Result<Value, ValueError> {
    data.serialize(to_value::ToValue)
}

/// What `value` stands for.
///
/// # Errors
/// [`ValueError::Unfit`] if it stands for nothing of this type.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, ValueError> {
    T::deserialize(from_value::FromValue(value))
}

impl serde::ser::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Unfit(message.to_string())
    }
}

impl serde::de::Error for ValueError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Unfit(message.to_string())
    }
}

/// How bytes and references read in formats that know neither, as in JSON.
const BYTES_KEY: &str = "$bytes";
const REF_KEY: &str = "$ref";

#[cfg(test)]
mod tests;
