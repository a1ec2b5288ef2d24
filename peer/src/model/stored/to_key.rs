//! From a Rust type to the key of a map: text, as in JSON.

use super::ValueError;
use serde::Serialize;
use serde::ser::{Impossible, Serializer};

/// Makes one key.
pub(super) struct ToKey;

macro_rules! key_as_text {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, value: $type) -> Result<String, ValueError> {
            Ok(value.to_string())
        }
    )*};
}

type NoKey = Impossible<String, ValueError>;

impl Serializer for ToKey {
    type Ok = String;
    type Error = ValueError;
    type SerializeSeq = NoKey;
    type SerializeTuple = NoKey;
    type SerializeTupleStruct = NoKey;
    type SerializeTupleVariant = NoKey;
    type SerializeMap = NoKey;
    type SerializeStruct = NoKey;
    type SerializeStructVariant = NoKey;

    key_as_text!(
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_char: char,
        serialize_str: &str
    );

    fn serialize_f32(self, _: f32) -> Result<String, ValueError> {
        Err(ValueError::Key("a float"))
    }

    fn serialize_f64(self, _: f64) -> Result<String, ValueError> {
        Err(ValueError::Key("a float"))
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<String, ValueError> {
        Err(ValueError::Key("bytes"))
    }

    fn serialize_none(self) -> Result<String, ValueError> {
        Err(ValueError::Key("nothing"))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<String, ValueError> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<String, ValueError> {
        Err(ValueError::Key("nothing"))
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<String, ValueError> {
        Err(ValueError::Key("nothing"))
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<String, ValueError> {
        Ok(variant.to_owned())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<String, ValueError> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<String, ValueError> {
        Err(ValueError::Key("an enum with data"))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<NoKey, ValueError> {
        Err(ValueError::Key("a list"))
    }

    fn serialize_tuple(self, _: usize) -> Result<NoKey, ValueError> {
        Err(ValueError::Key("a tuple"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<NoKey, ValueError> {
        Err(ValueError::Key("a tuple"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<NoKey, ValueError> {
        Err(ValueError::Key("an enum with data"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<NoKey, ValueError> {
        Err(ValueError::Key("a map"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<NoKey, ValueError> {
        Err(ValueError::Key("a struct"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<NoKey, ValueError> {
        Err(ValueError::Key("an enum with data"))
    }
}
