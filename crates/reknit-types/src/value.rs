//! Values that a register holds.

use crate::codec::{DecodeError, Reader, Writer};
use crate::ids::EntityId;
use crate::limits::{PAYLOAD_BYTES_MAX, VALUE_DEPTH_MAX, VALUE_ELEMENTS_MAX};
use data_encoding::BASE64;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use std::collections::BTreeMap;
use std::fmt;

/// JSON's values, with integers apart from floats, bytes, and references to entities.
///
/// As JSON, bytes read `{"$bytes": "<base 64>"}` and references `{"$ref": "<entity id>"}`. Values order by type in
/// the order of the variants, then by content; floats order as IEEE 754 `totalOrder`.
#[derive(Debug, Clone, PartialEq, PartialOrd, Default)]
pub enum Value {
    /// Known to be nothing. A field that was never written is absent instead.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A finite number. JSON knows no others, and [`Value::float`] refuses them.
    Float(f64),
    /// Unicode text.
    Text(String),
    /// Any bytes.
    Bytes(Vec<u8>),
    /// Another entity of the space.
    Ref(EntityId),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// A float, if it is finite. Minus zero becomes zero, so that equal values have equal bytes.
    pub fn float(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self::Float(if value == 0.0 { 0.0 } else { value }))
    }

    /// Appends the value to `writer`.
    pub fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Null => writer.u8(0),
            Self::Bool(false) => writer.u8(1),
            Self::Bool(true) => writer.u8(2),
            Self::Int(value) => writer.u8(3).signed(*value),
            Self::Float(value) => writer.u8(4).raw(&value.to_le_bytes()),
            Self::Text(text) => writer.u8(TEXT).str(text),
            Self::Bytes(bytes) => writer.u8(6).bytes(bytes),
            Self::Ref(entity) => writer.u8(7).raw(&entity.to_bytes()),
            Self::List(items) => {
                writer.u8(8).varint(items.len() as u64);
                items.iter().for_each(|item| item.encode(writer));
                writer
            }
            Self::Map(entries) => {
                writer.u8(9).varint(entries.len() as u64);
                for (name, value) in entries {
                    writer.str(name);
                    value.encode(writer);
                }
                writer
            }
        };
    }

    /// Takes a value off `reader`.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::decode_at(reader, 0)
    }

    /// The text whose encoding these bytes are, without a copy; `None` if they encode another kind of value.
    ///
    /// # Errors
    /// [`DecodeError`] if they are damaged.
    pub fn decode_text(bytes: &[u8]) -> Result<Option<&str>, DecodeError> {
        let mut reader = Reader::new(bytes);
        if reader.u8("value")? != TEXT {
            return Ok(None);
        }
        let text = reader.str(PAYLOAD_BYTES_MAX, "text")?;
        reader.finish()?;
        Ok(Some(text))
    }

    /// Whether the value nests no deeper than a register may hold.
    pub fn fits(&self) -> bool {
        self.depth() < VALUE_DEPTH_MAX
    }

    fn depth(&self) -> usize {
        match self {
            Self::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Map(entries) => 1 + entries.values().map(Self::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn decode_at(reader: &mut Reader<'_>, depth: usize) -> Result<Self, DecodeError> {
        if depth >= VALUE_DEPTH_MAX {
            let (found, limit) = (depth as u64 + 1, VALUE_DEPTH_MAX as u64);
            return Err(DecodeError::TooLong { what: "the nesting of a value", found, limit });
        }
        match reader.u8("value")? {
            0 => Ok(Self::Null),
            1 => Ok(Self::Bool(false)),
            2 => Ok(Self::Bool(true)),
            3 => Ok(Self::Int(reader.signed("integer")?)),
            4 => decode_float(reader),
            TEXT => Ok(Self::Text(reader.str(PAYLOAD_BYTES_MAX, "text")?.to_owned())),
            6 => Ok(Self::Bytes(reader.bytes(PAYLOAD_BYTES_MAX, "bytes")?.to_vec())),
            7 => Ok(Self::Ref(EntityId::from_bytes(reader.array("reference")?))),
            8 => {
                let count = reader.count(VALUE_ELEMENTS_MAX, "list")?;
                Ok(Self::List(
                    (0..count).map(|_| Self::decode_at(reader, depth + 1)).collect::<Result<_, _>>()?,
                ))
            }
            9 => Self::decode_map(reader, depth),
            _ => Err(DecodeError::Invalid("value")),
        }
    }

    fn decode_map(reader: &mut Reader<'_>, depth: usize) -> Result<Self, DecodeError> {
        let mut entries = BTreeMap::new();
        for _ in 0..reader.count(VALUE_ELEMENTS_MAX, "map")? {
            let name = reader.str(PAYLOAD_BYTES_MAX, "map key")?.to_owned();
            if entries.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return Err(DecodeError::Invalid("order of map keys"));
            }
            entries.insert(name, Self::decode_at(reader, depth + 1)?);
        }
        Ok(Self::Map(entries))
    }
}

/// What the encoding of a text begins with.
const TEXT: u8 = 5;

fn decode_float(reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
    let found = f64::from_le_bytes(reader.array("float")?);
    match Value::float(found) {
        Some(Value::Float(value)) if value.to_bits() == found.to_bits() => Ok(Value::Float(value)),
        _ => Err(DecodeError::Invalid("float")),
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<EntityId> for Value {
    fn from(entity: EntityId) -> Self {
        Self::Ref(entity)
    }
}

impl fmt::Display for Value {
    /// A person's reading: text without quotes, everything else close to JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::Bytes(bytes) => write!(f, "<{} bytes>", bytes.len()),
            Self::Ref(entity) => entity.fmt(f),
            Self::List(items) => f.debug_list().entries(items.iter().map(|item| format!("{item}"))).finish(),
            Self::Map(entries) => {
                f.debug_map().entries(entries.iter().map(|(name, value)| (name, format!("{value}")))).finish()
            }
        }
    }
}

impl serde::Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => one_entry(serializer, BYTES_KEY, &BASE64.encode(bytes)),
            Self::Ref(entity) => one_entry(serializer, REF_KEY, &entity.to_string()),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                entries.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))?;
                map.end()
            }
        }
    }
}

fn one_entry<S: serde::Serializer>(serializer: S, name: &str, text: &str) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(name, text)?;
    map.end()
}

impl<'de> serde::Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value).map(Value::Int).map_err(|_| E::custom("integers reach up to 2^63 - 1"))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Value::float(value).ok_or_else(|| E::custom("floats are finite"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            entries.insert(name, value);
        }
        match tagged(&entries) {
            Some((BYTES_KEY, text)) => BASE64
                .decode(text.as_bytes())
                .map(Value::Bytes)
                .map_err(|_| A::Error::custom("$bytes holds base 64")),
            Some((_, text)) => text.parse().map(Value::Ref).map_err(A::Error::custom),
            None => Ok(Value::Map(entries)),
        }
    }
}

/// The tag and text of `{"$bytes": ..}` and `{"$ref": ..}`.
fn tagged(entries: &BTreeMap<String, Value>) -> Option<(&'static str, &str)> {
    let (name, value) = entries.first_key_value().filter(|_| entries.len() == 1)?;
    let tag = [BYTES_KEY, REF_KEY].into_iter().find(|tag| tag == name)?;
    if let Value::Text(text) = value { Some((tag, text)) } else { None }
}

const BYTES_KEY: &str = "$bytes";
const REF_KEY: &str = "$ref";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-1e9f64..1e9).prop_map(|value| Value::float(value).unwrap()),
            ".{0,12}".prop_map(Value::Text),
            proptest::collection::vec(any::<u8>(), 0..12).prop_map(Value::Bytes),
            any::<[u8; 16]>().prop_map(|bytes| Value::Ref(EntityId::from_bytes(bytes))),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                proptest::collection::btree_map("[a-z]{1,4}", inner, 0..4).prop_map(Value::Map),
            ]
        })
    }

    fn decode(bytes: &[u8]) -> Result<Value, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Value::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }

    proptest! {
        #[test]
        fn values_round_trip_as_bytes_and_as_json(value in values()) {
            let mut writer = Writer::new();
            value.encode(&mut writer);
            prop_assert_eq!(decode(&writer.into_bytes()).unwrap(), value.clone());
            let json = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
        }

        #[test]
        fn what_decodes_is_its_only_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = decode(&bytes) {
                let mut writer = Writer::new();
                value.encode(&mut writer);
                prop_assert_eq!(writer.into_bytes(), bytes);
            }
        }
    }

    #[test]
    fn deep_nesting_is_refused_not_recursed_into() {
        let mut bytes = [8u8, 1].repeat(10_000);
        bytes.push(0);
        assert!(matches!(decode(&bytes), Err(DecodeError::TooLong { .. })));
    }
}
