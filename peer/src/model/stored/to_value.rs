//! From a Rust type to a value.

use super::to_key::ToKey;
use super::{BYTES_KEY, REF_KEY, ValueError};
use data_encoding::BASE64;
use reknit_types::{EntityId, Value};
use serde::Serialize;
use serde::ser::{self, Serializer};
use std::collections::BTreeMap;

/// Makes one value.
pub(super) struct ToValue;

impl Serializer for ToValue {
    type Ok = Value;
    type Error = ValueError;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = List;
    type SerializeMap = Map;
    type SerializeStruct = Map;
    type SerializeStructVariant = Map;

    fn serialize_bool(self, value: bool) -> Result<Value, ValueError> {
        Ok(Value::Bool(value))
    }

    fn serialize_i8(self, value: i8) -> Result<Value, ValueError> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i16(self, value: i16) -> Result<Value, ValueError> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i32(self, value: i32) -> Result<Value, ValueError> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i64(self, value: i64) -> Result<Value, ValueError> {
        Ok(Value::Int(value))
    }

    fn serialize_i128(self, value: i128) -> Result<Value, ValueError> {
        i64::try_from(value).map(Value::Int).map_err(|_| ValueError::Integer(value.to_string()))
    }

    fn serialize_u8(self, value: u8) -> Result<Value, ValueError> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u16(self, value: u16) -> Result<Value, ValueError> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u32(self, value: u32) -> Result<Value, ValueError> {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u64(self, value: u64) -> Result<Value, ValueError> {
        i64::try_from(value).map(Value::Int).map_err(|_| ValueError::Integer(value.to_string()))
    }

    fn serialize_u128(self, value: u128) -> Result<Value, ValueError> {
        i64::try_from(value).map(Value::Int).map_err(|_| ValueError::Integer(value.to_string()))
    }

    fn serialize_f32(self, value: f32) -> Result<Value, ValueError> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<Value, ValueError> {
        Value::float(value).ok_or_else(|| ValueError::Float(value.to_string()))
    }

    fn serialize_char(self, value: char) -> Result<Value, ValueError> {
        Ok(Value::Text(value.into()))
    }

    fn serialize_str(self, value: &str) -> Result<Value, ValueError> {
        Ok(Value::Text(value.to_owned()))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Value, ValueError> {
        Ok(Value::Bytes(value.to_vec()))
    }

    fn serialize_none(self) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, ValueError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, ValueError> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, ValueError> {
        Ok(Value::from(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Value, ValueError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, ValueError> {
        Ok(named(variant, value.serialize(self)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List, ValueError> {
        Ok(List { items: vec![], variant: None })
    }

    fn serialize_tuple(self, _: usize) -> Result<List, ValueError> {
        Ok(List { items: vec![], variant: None })
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List, ValueError> {
        Ok(List { items: vec![], variant: None })
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<List, ValueError> {
        Ok(List { items: vec![], variant: Some(variant) })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Map, ValueError> {
        Ok(Map { entries: BTreeMap::new(), key: None, variant: None })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Map, ValueError> {
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Map, ValueError> {
        Ok(Map { entries: BTreeMap::new(), key: None, variant: Some(variant) })
    }
}

fn named(variant: &str, value: Value) -> Value {
    Value::Map(BTreeMap::from([(variant.to_owned(), value)]))
}

/// A list in the making.
pub(super) struct List {
    items: Vec<Value>,
    variant: Option<&'static str>,
}

impl List {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        self.items.push(value.serialize(ToValue)?);
        Ok(())
    }

    fn finish(self) -> Value {
        let list = Value::List(self.items);
        match self.variant {
            Some(variant) => named(variant, list),
            None => list,
        }
    }
}

/// A map in the making.
pub(super) struct Map {
    entries: BTreeMap<String, Value>,
    key: Option<String>,
    variant: Option<&'static str>,
}

impl Map {
    fn put<T: Serialize + ?Sized>(&mut self, key: String, value: &T) -> Result<(), ValueError> {
        self.entries.insert(key, value.serialize(ToValue)?);
        Ok(())
    }

    fn finish(self) -> Value {
        match self.variant {
            Some(variant) => named(variant, Value::Map(self.entries)),
            None => tagged(&self.entries).unwrap_or(Value::Map(self.entries)),
        }
    }
}

/// What `{"$bytes": ..}` and `{"$ref": ..}` stand for, if the text is what they would be written as.
fn tagged(entries: &BTreeMap<String, Value>) -> Option<Value> {
    let (name, value) = entries.first_key_value().filter(|_| entries.len() == 1)?;
    let Value::Text(text) = value else { return None };
    match name.as_str() {
        BYTES_KEY => BASE64.decode(text.as_bytes()).ok().map(Value::Bytes),
        REF_KEY => {
            let id = text.parse::<EntityId>().ok()?;
            (id.to_string() == *text).then_some(Value::Ref(id))
        }
        _ => None,
    }
}

macro_rules! list {
    ($($contract:ident :: $method:ident),*) => {$(
        impl ser::$contract for List {
            type Ok = Value;
            type Error = ValueError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
                self.push(value)
            }

            fn end(self) -> Result<Value, ValueError> {
                Ok(self.finish())
            }
        }
    )*};
}

list!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

macro_rules! structure {
    ($($contract:ident),*) => {$(
        impl ser::$contract for Map {
            type Ok = Value;
            type Error = ValueError;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), ValueError> {
                self.put(key.to_owned(), value)
            }

            fn end(self) -> Result<Value, ValueError> {
                Ok(self.finish())
            }
        }
    )*};
}

structure!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Map {
    type Ok = Value;
    type Error = ValueError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), ValueError> {
        self.key = Some(key.serialize(ToKey)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), ValueError> {
        let key = self.key.take().ok_or(ValueError::Key("missing"))?;
        self.put(key, value)
    }

    fn end(self) -> Result<Value, ValueError> {
        Ok(self.finish())
    }
}
