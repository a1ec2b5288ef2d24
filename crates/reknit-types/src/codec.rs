//! The one canonical encoding: little-endian varints, length-prefixed bytes, fixed arrays.
//!
//! Every value has exactly one encoding. A decoder refuses the others (a padded varint, a flag that is neither 0 nor
//! 1, bytes left over), so that equal values have equal bytes and a flipped bit never decodes to the same value.

use thiserror::Error;

/// Why bytes are not the encoding of a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the value does.
    #[error("the bytes end inside {0}")]
    Short(&'static str),
    /// More bytes follow the value.
    #[error("{0} bytes are left over")]
    Trailing(usize),
    /// A length or count exceeds its bound.
    #[error("{what} is {found}, more than the {limit} allowed")]
    TooLong {
        /// What was counted.
        what: &'static str,
        /// The count found.
        found: u64,
        /// The bound.
        limit: u64,
    },
    /// The bytes decode, but not to a value of this type.
    #[error("not a valid {0}")]
    Invalid(&'static str),
    /// Written by a newer version of the format.
    #[error("version {found} of {what} is newer than the {known} this program knows; update it")]
    Version {
        /// The format.
        what: &'static str,
        /// The version found.
        found: u64,
        /// The newest version known.
        known: u64,
    },
}

/// Appends canonical encodings to a byte vector.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity) }
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    /// A flag: one byte, 0 or 1.
    pub fn flag(&mut self, value: bool) -> &mut Self {
        self.u8(u8::from(value))
    }

    /// An unsigned integer in LEB128: seven bits a byte, the least significant first.
    pub fn varint(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
        self
    }

    /// A signed integer: zigzag, then [`Self::varint`].
    pub fn signed(&mut self, value: i64) -> &mut Self {
        self.varint(((value << 1) ^ (value >> 63)) as u64)
    }

    /// Bytes as they are; the reader must know how many.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Bytes after their length.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.varint(bytes.len() as u64).raw(bytes)
    }

    /// A string after its length in bytes.
    pub fn str(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes written so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Takes canonical encodings off a byte slice.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Everything not yet read.
    pub fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Exactly `len` bytes.
    pub fn raw(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Short(what))?;
        self.rest = rest;
        Ok(taken)
    }

    /// A fixed array.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Short(what))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        Ok(self.array::<1>(what)?[0])
    }

    /// A flag: 0 or 1, nothing else.
    pub fn flag(&mut self, what: &'static str) -> Result<bool, DecodeError> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Invalid(what)),
        }
    }

    /// An unsigned LEB128 integer in its shortest form.
    pub fn varint(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(what)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(DecodeError::Invalid(what));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                let padded = byte == 0 && shift > 0;
                return if padded { Err(DecodeError::Invalid(what)) } else { Ok(value) };
            }
        }
        Err(DecodeError::Invalid(what))
    }

    /// A signed integer.
    pub fn signed(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        let raw = self.varint(what)?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    /// A count of at most `limit`, and never more than the bytes left could hold at one byte each.
    pub fn count(&mut self, limit: usize, what: &'static str) -> Result<usize, DecodeError> {
        let found = self.varint(what)?;
        if found > limit as u64 {
            return Err(DecodeError::TooLong { what, found, limit: limit as u64 });
        }
        if found > self.rest.len() as u64 {
            return Err(DecodeError::Short(what));
        }
        Ok(found as usize)
    }

    /// Bytes after their length, at most `limit`.
    pub fn bytes(&mut self, limit: usize, what: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = self.count(limit, what)?;
        self.raw(len, what)
    }

    /// A UTF-8 string after its length in bytes, at most `limit`.
    pub fn str(&mut self, limit: usize, what: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes(limit, what)?).map_err(|_| DecodeError::Invalid(what))
    }

    /// Ends the reading: refuses bytes left over.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(self.rest.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_round_trip(unsigned: u64, signed: i64) {
            let mut writer = Writer::new();
            writer.varint(unsigned).signed(signed);
            let bytes = writer.into_bytes();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint("u").unwrap(), unsigned);
            prop_assert_eq!(reader.signed("s").unwrap(), signed);
            reader.finish().unwrap();
        }

        #[test]
        fn what_decodes_as_a_varint_is_its_only_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            let mut reader = Reader::new(&bytes);
            if let Ok(value) = reader.varint("v") {
                let used = bytes.len() - reader.remaining();
                let mut writer = Writer::new();
                writer.varint(value);
                prop_assert_eq!(writer.into_bytes(), &bytes[..used]);
            }
        }
    }

    #[test]
    fn a_padded_varint_is_refused() {
        assert_eq!(Reader::new(&[0x80, 0x00]).varint("v"), Err(DecodeError::Invalid("v")));
    }

    #[test]
    fn a_count_larger_than_the_bytes_left_is_refused_before_anything_is_allocated() {
        let mut writer = Writer::new();
        writer.varint(1000);
        let bytes = writer.into_bytes();
        assert_eq!(Reader::new(&bytes).count(2000, "c"), Err(DecodeError::Short("c")));
    }
}
