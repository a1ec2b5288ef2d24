//! Where a page ended.

use crate::bound::{Bound, OrderBy};
use crate::datum::Datum;
use crate::error::QueryError;
use crate::key::{encode, split_component};
use crate::limits::CURSOR_BYTES_MAX;
use reknit_types::EntityId;
use std::fmt;
use std::str::FromStr;

/// The place of a row in the order of a result. The page after it begins with the first row that is greater, whatever was
/// inserted or removed in between, so nothing is repeated or skipped.
///
/// As text it is hexadecimal. It belongs to one query with its parameters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    fingerprint: u64,
    key: Vec<u8>,
}

impl Cursor {
    pub(crate) fn new(bound: &Bound, key: &[u8]) -> Result<Self, QueryError> {
        if key.len() > CURSOR_BYTES_MAX {
            return Err(QueryError::CursorTooLong(key.len()));
        }
        Ok(Self { fingerprint: bound.fingerprint, key: key.to_vec() })
    }

    /// The key of the row, if the cursor is of this query.
    pub(crate) fn key_for(&self, bound: &Bound) -> Result<&[u8], QueryError> {
        if self.fingerprint == bound.fingerprint { Ok(&self.key) } else { Err(QueryError::ForeignCursor) }
    }

    /// The cursor as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.fingerprint.to_be_bytes());
        bytes.extend(&self.key);
        bytes
    }

    /// The cursor with these bytes.
    ///
    /// # Errors
    /// [`QueryError::NoCursor`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, QueryError> {
        let Some((&VERSION, rest)) = bytes.split_first() else { return Err(QueryError::NoCursor) };
        let Some((fingerprint, key)) = rest.split_first_chunk() else { return Err(QueryError::NoCursor) };
        if key.len() > CURSOR_BYTES_MAX {
            return Err(QueryError::NoCursor);
        }
        Ok(Self { fingerprint: u64::from_be_bytes(*fingerprint), key: key.to_vec() })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Cursor {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        if !text.is_ascii() || text.len() > 2 * (CURSOR_BYTES_MAX + 16) {
            return Err(QueryError::NoCursor);
        }
        let byte = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        Self::from_bytes(&bytes.ok_or(QueryError::NoCursor)?)
    }
}

/// Appends a value as `key` orders it.
pub(crate) fn push_order(key: &OrderBy, value: &Datum<'_>, out: &mut Vec<u8>) {
    if value.is_null() {
        out.push(if key.nulls_first { NULL_FIRST } else { NULL_LAST });
        return;
    }
    out.push(KNOWN);
    let start = out.len();
    encode(value, out);
    if key.descending {
        invert(out, start);
    }
}

/// Appends the id of an entity, or of none.
pub(crate) fn push_id(entity: Option<EntityId>, out: &mut Vec<u8>) {
    match entity {
        Some(entity) => {
            out.push(ID);
            out.extend(entity.to_bytes());
        }
        None => out.push(NO_ID),
    }
}

/// Turns the order of everything from `start` round.
pub(crate) fn invert(bytes: &mut [u8], start: usize) {
    bytes.iter_mut().skip(start).for_each(|byte| *byte = !*byte);
}

/// A sort key taken apart: the values it orders by, as ascending components (`None` for null), and the id that decides
/// between equals.
pub(crate) struct Seek {
    pub(crate) components: Vec<Option<Vec<u8>>>,
    pub(crate) entity: Option<EntityId>,
}

impl Seek {
    pub(crate) fn read(order: &[OrderBy], mut key: &[u8]) -> Option<Self> {
        let mut components = vec![];
        for by in order {
            let (marker, rest) = key.split_first()?;
            key = rest;
            if *marker == KNOWN {
                let (component, rest) = split_component(key, by.descending)?;
                key = rest;
                components.push(Some(component));
            } else {
                components.push(None);
            }
        }
        let flip = if order.last().is_some_and(|by| by.descending) { 0xff } else { 0 };
        let (tag, rest) = key.split_first()?;
        let id = rest.first_chunk::<16>().filter(|_| tag ^ flip == ID);
        let entity = id.map(|bytes| EntityId::from_bytes(bytes.map(|byte| byte ^ flip)));
        Some(Self { components, entity })
    }
}

const VERSION: u8 = 1;
const NULL_FIRST: u8 = 0x00;
const KNOWN: u8 = 0x80;
const NULL_LAST: u8 = 0xff;
const NO_ID: u8 = 0x10;
const ID: u8 = 0x31;
