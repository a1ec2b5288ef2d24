//! An integer that is added to.

use crate::contract::{Applied, Crdt, FieldValue};
use crate::error::{LoadError, Void};
use crate::identity::{Identity, Origin, Place, prefix};
use reknit_types::{CrdtKind, DecodeError, Reader, Writer};
use std::collections::BTreeMap;

/// An integer that is added to.
///
/// Every identity keeps a running total, and a delta carries it with a step number: of each identity the greatest
/// `(step, total)` counts. That is a join, so repeated, late and even forked deltas all end in the same sum
/// (a PN-counter keyed by identity; Shapiro et al., A comprehensive study of CRDTs, 2011).
///
/// A running total saturates at the ends of `i64`, and so does the sum when it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counter {
    totals: BTreeMap<u64, Total>,
}

/// What one identity has added. Orders by step, then total.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Total {
    step: u64,
    sum: i64,
}

impl Counter {
    /// A counter that nothing was added to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `by` and returns the delta. A later delta of one identity covers its earlier ones: of several additions in
    /// one transaction, the last delta is enough.
    pub fn add(&mut self, place: &Place<'_>, identity: &Identity, by: i64) -> Vec<u8> {
        let total = self.totals.entry(key(place, identity)).or_default();
        *total = Total { step: total.step.saturating_add(1), sum: total.sum.saturating_add(by) };
        let mut writer = Writer::new();
        writer.raw(&identity.nonce.to_le_bytes());
        total.encode(&mut writer);
        writer.into_bytes()
    }

    /// The sum of everything added.
    pub fn get(&self) -> i64 {
        let sum: i128 = self.totals.values().map(|total| i128::from(total.sum)).sum();
        i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
    }

    /// The counter that [`Crdt::save`] returned these bytes for.
    pub fn load(saved: &[u8]) -> Result<Self, LoadError> {
        Self::decode(saved).map_err(|error| LoadError::Shape { kind: CrdtKind::Counter, error })
    }

    fn decode(saved: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(saved);
        let mut totals = BTreeMap::new();
        while reader.remaining() > 0 {
            let identity = u64::from_be_bytes(reader.array("identity")?);
            if totals.last_key_value().is_some_and(|(last, _)| *last >= identity) {
                return Err(DecodeError::Invalid("order of identities"));
            }
            totals.insert(identity, Total::decode(&mut reader)?);
        }
        Ok(Self { totals })
    }
}

impl Crdt for Counter {
    fn kind(&self) -> CrdtKind {
        CrdtKind::Counter
    }

    fn apply(&mut self, place: &Place<'_>, origin: &Origin, delta: &[u8]) -> Result<Applied, Void> {
        let mut reader = Reader::new(delta);
        let nonce = u64::from_le_bytes(reader.array("nonce")?);
        let new = Total::decode(&mut reader)?;
        reader.finish()?;
        let identity = key(place, &Identity { author: origin.author, nonce });
        let total = self.totals.entry(identity).or_default();
        if *total >= new {
            return Ok(Applied::Known);
        }
        *total = new;
        Ok(Applied::Merged)
    }

    fn save(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        for (identity, total) in &self.totals {
            writer.raw(&identity.to_be_bytes());
            total.encode(&mut writer);
        }
        writer.into_bytes()
    }

    fn value(&self) -> FieldValue {
        FieldValue::Counter(self.get())
    }
}

impl Total {
    fn encode(self, writer: &mut Writer) {
        writer.varint(self.step).signed(self.sum);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let step = reader.varint("step")?;
        if step == 0 {
            return Err(DecodeError::Invalid("step"));
        }
        Ok(Self { step, sum: reader.signed("total")? })
    }
}

fn key(place: &Place<'_>, identity: &Identity) -> u64 {
    prefix(&place.identify(identity.author, identity.nonce))
}
