//! Where each client's deltas begin and end.
//!
//! A text tells a delta that comes again from another one at the same place by where it begins and ends, by its
//! neighbours and by its characters, as far as they are not deleted. The last two the text holds anyway; the seams are
//! kept here. Without them the beginning of a longer delta would pass for a shorter one, and whether it did would depend
//! on which of the two came first.

use super::delta::Delta;
use crate::limits::{SAVED_BYTES_MAX, TEXT_CLOCK_MAX};
use reknit_types::{DecodeError, Reader, Writer};
use std::collections::BTreeMap;

/// Where each client's deltas begin and end.
///
/// People type character by character, so deltas of one length that follow each other are kept as one step.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Seams {
    clients: BTreeMap<u64, Vec<Step>>,
}

/// Deltas of one length, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    start: u32,
    len: u32,
    count: u32,
}

impl Seams {
    /// Takes the next delta of a client; one that only deletes has no place.
    pub(crate) fn add(&mut self, delta: &Delta) {
        if delta.runs.is_empty() {
            return;
        }
        let len = delta.end.saturating_sub(delta.start);
        let steps = self.clients.entry(delta.client).or_default();
        match steps.last_mut().filter(|last| last.len == len && last.end() == delta.start) {
            Some(last) => last.count += 1,
            None => steps.push(Step { start: delta.start, len, count: 1 }),
        }
    }

    /// Whether one delta of this client began and ended where this one does.
    pub(crate) fn hold(&self, delta: &Delta) -> bool {
        let Some(steps) = self.clients.get(&delta.client) else { return false };
        let after = steps.partition_point(|step| step.start <= delta.start);
        let step = after.checked_sub(1).and_then(|at| steps.get(at));
        step.is_some_and(|step| {
            let offset = delta.start - step.start;
            delta.end.saturating_sub(delta.start) == step.len
                && delta.end <= step.end()
                && offset.is_multiple_of(step.len)
        })
    }

    /// Per client its steps as length and count; a length of zero is a gap of so many units.
    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.varint(self.clients.len() as u64);
        for (client, steps) in &self.clients {
            let mut pairs = Vec::with_capacity(steps.len());
            let mut end = 0;
            for step in steps {
                if step.start > end {
                    pairs.push((0, step.start - end));
                }
                pairs.push((step.len, step.count));
                end = step.end();
            }
            writer.varint(*client).varint(pairs.len() as u64);
            for (len, count) in pairs {
                writer.varint(u64::from(len)).varint(u64::from(count));
            }
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut seams = Self::default();
        for _ in 0..reader.count(SAVED_BYTES_MAX, "clients")? {
            let client = reader.varint("client")?;
            let (mut steps, mut end) = (Vec::new(), 0u32);
            for _ in 0..reader.count(SAVED_BYTES_MAX, "steps")? {
                let (len, count) = (decode_number(reader)?, decode_number(reader)?);
                let units = len.max(1).checked_mul(count).and_then(|units| end.checked_add(units));
                let units = units.filter(|units| count > 0 && *units <= TEXT_CLOCK_MAX);
                let next = units.ok_or(DecodeError::Invalid("step"))?;
                if len > 0 {
                    steps.push(Step { start: end, len, count });
                }
                end = next;
            }
            seams.clients.insert(client, steps);
        }
        Ok(seams)
    }
}

impl Step {
    fn end(&self) -> u32 {
        self.start.saturating_add(self.len.saturating_mul(self.count))
    }
}

fn decode_number(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    u32::try_from(reader.varint("step")?).map_err(|_| DecodeError::Invalid("step"))
}

#[cfg(test)]
mod tests {
    use super::super::delta::Run;
    use super::*;
    use proptest::prelude::*;

    fn delta(start: u32, len: u32) -> Delta {
        let mut delta = Delta::new(7, start);
        delta.push_run(Run { left: None, right: None, text: "a".repeat(len as usize) });
        delta
    }

    proptest! {
        #[test]
        fn seams_hold_the_deltas_they_were_given_and_no_others(
            deltas in prop::collection::vec((0u32..2, 1u32..4), 1..20), start in 0u32..60, len in 1u32..5,
        ) {
            let (mut seams, mut given, mut end) = (Seams::default(), Vec::new(), 0);
            for (gap, len) in deltas {
                let delta = delta(end + gap, len);
                end = delta.end;
                seams.add(&delta);
                given.push(delta);
            }
            let mut writer = Writer::new();
            seams.encode(&mut writer);
            let bytes = writer.into_bytes();
            let loaded = Seams::decode(&mut Reader::new(&bytes)).unwrap();
            prop_assert_eq!(&loaded, &seams);
            prop_assert!(given.iter().all(|delta| loaded.hold(delta)));
            let other = delta(start, len);
            prop_assert_eq!(loaded.hold(&other), given.contains(&other));
        }
    }

    #[test]
    fn typing_costs_a_step() {
        let mut seams = Seams::default();
        (0..100_000).for_each(|clock| seams.add(&delta(clock, 1)));
        let mut writer = Writer::new();
        seams.encode(&mut writer);
        assert!(writer.into_bytes().len() < 10);
    }
}
