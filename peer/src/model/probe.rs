//! What values a register of a type holds, told while the app is compiled.
//!
//! Types that are known have constants of their own on [`Probe`], which the compiler prefers to those of [`AnyType`]. So
//! any type with serde's traits will do, and none needs another derive.

use super::{Model, Ref, ValueType};
use std::marker::PhantomData;

/// Carries a type to be told about.
pub struct Probe<T>(PhantomData<T>);

/// What is said of types that are not known.
pub trait AnyType {
    /// What values a register of it holds.
    const VALUE_TYPE: ValueType = ValueType::Any;
    /// Whether it may hold nothing.
    const OPTIONAL: bool = false;
    /// The collection that it refers to.
    const REFERENCES: Option<&'static str> = None;
}

impl<T> AnyType for Probe<T> {}

impl<T> Probe<Option<T>> {
    /// See [`AnyType::OPTIONAL`].
    pub const OPTIONAL: bool = true;
}

impl<M: Model> Probe<Ref<M>> {
    /// See [`AnyType::VALUE_TYPE`].
    pub const VALUE_TYPE: ValueType = ValueType::Reference;
    /// See [`AnyType::REFERENCES`].
    pub const REFERENCES: Option<&'static str> = Some(M::COLLECTION);
}

impl<M: Model> Probe<Option<Ref<M>>> {
    /// See [`AnyType::VALUE_TYPE`].
    pub const VALUE_TYPE: ValueType = ValueType::Reference;
    /// See [`AnyType::REFERENCES`].
    pub const REFERENCES: Option<&'static str> = Some(M::COLLECTION);
}

macro_rules! known {
    ($($value:ident: $($type:ty)*;)*) => {$($(
        impl Probe<$type> {
            /// See [`AnyType::VALUE_TYPE`].
            pub const VALUE_TYPE: ValueType = ValueType::$value;
        }

        impl Probe<Option<$type>> {
            /// See [`AnyType::VALUE_TYPE`].
            pub const VALUE_TYPE: ValueType = ValueType::$value;
        }
    )*)*};
}

known! {
    Bool: bool;
    Int: i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize;
    Float: f32 f64;
    Text: String char;
}
