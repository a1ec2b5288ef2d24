//! An integer that is added to.

use crate::contract::{Applied, Crdt, FieldValue};
use crate::error::{LoadError, Void};
use crate::identity::{Identity, Origin, Place, prefix};
use crate::limits::COUNTER_IDENTITIES_MAX;
use reknit_types::{CrdtKind, DecodeError, Reader, Writer};
use std::collections::BTreeMap;

/// An integer that is added to.
///
/// Every identity keeps a running total, and a delta carries it with a step number: of each identity the greatest
/// `(step, total)` counts. That is a join, so repeated, late and even forked deltas all end in the same sum
/// (a PN-counter keyed by identity; Shapiro et al., A comprehensive study of CRDTs, 2011).
///
/// At most [`COUNTER_IDENTITIES_MAX`] identities count, those with the least keys, so that a state fits into a store.
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
        let identity_key = key(place, identity);
        let total = self.totals.get(&identity_key).copied().unwrap_or_default();
        let total = Total { step: total.step.saturating_add(1), sum: total.sum.saturating_add(by) };
        self.put(identity_key, total, COUNTER_IDENTITIES_MAX);
        let mut writer = Writer::new();
        writer.raw(&identity.nonce.to_le_bytes());
        total.encode(&mut writer);
        writer.into_bytes()
    }

    /// Takes in what an identity has added; whether that is new. Of more than `max` identities those with the least keys
    /// count: one that is dropped would be dropped again whatever else comes, so the order does not matter.
    fn put(&mut self, identity: u64, new: Total, max: usize) -> bool {
        let full = self.totals.len() >= max && !self.totals.contains_key(&identity);
        if full && self.totals.last_key_value().is_some_and(|(last, _)| *last < identity) {
            return false;
        }
        let total = self.totals.entry(identity).or_default();
        let is_new = *total < new;
        *total = new.max(*total);
        if self.totals.len() > max {
            self.totals.pop_last();
        }
        is_new
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
        let is_new = self.put(identity, new, COUNTER_IDENTITIES_MAX);
        Ok(if is_new { Applied::Merged } else { Applied::Known })
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_identities_that_count_do_not_depend_on_the_order(
            puts in proptest::collection::vec((0u64..20, 1u64..4, -5i64..5), 0..40).prop_shuffle(), max in 1usize..8,
        ) {
            let fill = |puts: &mut dyn Iterator<Item = &(u64, u64, i64)>| {
                let mut counter = Counter::new();
                puts.for_each(|(identity, step, sum)| {
                    counter.put(*identity, Total { step: *step, sum: *sum }, max);
                });
                counter
            };
            let counter = fill(&mut puts.iter());
            prop_assert_eq!(&fill(&mut puts.iter().rev()), &counter);
            prop_assert!(counter.totals.len() <= max);
        }
    }
}
