//! What a plain struct is made of: a value and how it merges.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// One value; the last writer wins. Any type will do that has serde's traits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Register<T>(pub T);

/// Text that merges character by character.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text(pub String);

/// A JSON object that merges part by part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Document(pub Json);

/// A whole number that is added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counter(pub i64);

impl Default for Document {
    /// The empty object.
    fn default() -> Self {
        Self(Json::Object(serde_json::Map::new()))
    }
}

impl<T> From<T> for Register<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> From<T> for Register<Option<T>> {
    fn from(value: T) -> Self {
        Self(Some(value))
    }
}

impl From<&str> for Register<String> {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<&str> for Register<Option<String>> {
    fn from(text: &str) -> Self {
        Self(Some(text.to_owned()))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<Json> for Document {
    fn from(json: Json) -> Self {
        Self(json)
    }
}

impl From<i64> for Counter {
    fn from(value: i64) -> Self {
        Self(value)
    }
}
