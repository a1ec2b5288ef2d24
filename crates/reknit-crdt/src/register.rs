//! One value; the last writer wins.

use crate::contract::{Applied, Crdt, FieldValue};
use crate::error::{LoadError, Void};
use crate::identity::{Origin, Place};
use reknit_types::limits::{PAYLOAD_BYTES_MAX, VALUE_DEPTH_MAX};
use reknit_types::{CrdtKind, DecodeError, EventId, Reader, Stamp, Value, Writer};
use thiserror::Error;

/// One value; the write with the greatest `(stamp, event id)` wins.
///
/// Of the event id the state keeps eight bytes. Should even those tie, the greater encoding of the value wins, so the
/// outcome never depends on the order of arrival.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Register {
    written: Option<Written>,
}

#[derive(Debug, Clone, PartialEq)]
struct Written {
    stamp: Stamp,
    event: [u8; EVENT_BYTES],
    value: Value,
}

/// A value cannot be written to a register.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The value nests too deep.
    #[error("the value nests {VALUE_DEPTH_MAX} levels deep or more; use a document field")]
    Depth,
    /// The value is too large.
    #[error("the value takes {0} bytes of the {PAYLOAD_BYTES_MAX} that one transaction may hold; split it")]
    Size(usize),
    /// The value holds a float that is not finite, or more elements than a list or map may have.
    #[error("the value cannot be stored: {0}")]
    Value(DecodeError),
}

impl Register {
    /// A register that was never written.
    pub fn new() -> Self {
        Self::default()
    }

    /// The delta that writes `value`. It takes effect through [`Crdt::apply`], once its event gives it a stamp.
    pub fn set(value: &Value) -> Result<Vec<u8>, RegisterError> {
        if !value.fits() {
            return Err(RegisterError::Depth);
        }
        let mut writer = Writer::new();
        value.encode(&mut writer);
        let delta = writer.into_bytes();
        if delta.len() >= PAYLOAD_BYTES_MAX {
            return Err(RegisterError::Size(delta.len()));
        }
        decode_value(&delta).map_err(RegisterError::Value)?;
        Ok(delta)
    }

    /// The value, if one was ever written.
    pub fn get(&self) -> Option<&Value> {
        self.written.as_ref().map(|written| &written.value)
    }

    /// The stamp of the write that won.
    pub fn stamp(&self) -> Option<Stamp> {
        self.written.as_ref().map(|written| written.stamp)
    }

    /// The register that [`Crdt::save`] returned these bytes for.
    pub fn load(saved: &[u8]) -> Result<Self, LoadError> {
        Self::decode(saved).map_err(|error| LoadError::Shape { kind: CrdtKind::Register, error })
    }

    /// The encoded value in what [`Crdt::save`] returned; `None` if nothing was ever written.
    ///
    /// # Errors
    /// [`DecodeError`] if these are no such bytes.
    pub fn saved_value(saved: &[u8]) -> Result<Option<&[u8]>, DecodeError> {
        if saved.is_empty() {
            return Ok(None);
        }
        let mut reader = Reader::new(saved);
        Stamp::read(&mut reader)?;
        reader.raw(EVENT_BYTES, "event id")?;
        Ok(Some(reader.take_rest()))
    }

    fn decode(saved: &[u8]) -> Result<Self, DecodeError> {
        if saved.is_empty() {
            return Ok(Self::default());
        }
        let mut reader = Reader::new(saved);
        let stamp = Stamp::read(&mut reader)?;
        let event = reader.array("event id")?;
        let value = Value::decode(&mut reader)?;
        reader.finish()?;
        Ok(Self { written: Some(Written { stamp, event, value }) })
    }
}

impl Crdt for Register {
    fn kind(&self) -> CrdtKind {
        CrdtKind::Register
    }

    fn apply(&mut self, _: &Place<'_>, origin: &Origin, delta: &[u8]) -> Result<Applied, Void> {
        let value = decode_value(delta)?;
        let new = Written { stamp: origin.stamp, event: event_prefix(&origin.event), value };
        if self.written.as_ref().is_some_and(|old| old.rank() >= new.rank()) {
            return Ok(Applied::Known);
        }
        self.written = Some(new);
        Ok(Applied::Merged)
    }

    fn save(&self) -> Vec<u8> {
        let Some(written) = &self.written else { return Vec::new() };
        let mut writer = Writer::new();
        written.stamp.write(&mut writer);
        writer.raw(&written.event);
        written.value.encode(&mut writer);
        writer.into_bytes()
    }

    fn value(&self) -> FieldValue {
        FieldValue::Register(self.get().cloned())
    }
}

impl Written {
    fn rank(&self) -> (Stamp, [u8; EVENT_BYTES], Vec<u8>) {
        let mut writer = Writer::new();
        self.value.encode(&mut writer);
        (self.stamp, self.event, writer.into_bytes())
    }
}

fn decode_value(delta: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(delta);
    let value = Value::decode(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

fn event_prefix(event: &EventId) -> [u8; EVENT_BYTES] {
    let [a, b, c, d, e, f, g, h, ..] = *event.as_bytes();
    [a, b, c, d, e, f, g, h]
}

const EVENT_BYTES: usize = 8;
