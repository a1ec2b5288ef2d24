//! Packing: small segments become larger ones, which compress better and are found faster.
//!
//! A packed segment keeps only the signatures that end a chain in it. A session may still be sending up to an event
//! that ended a segment a moment ago, so what is young stays as it is.

use super::{Log, LogReader, SEGMENT_BYTES_MAX, SEGMENT_EVENTS_MAX, encode_segment, event_bytes};
use crate::error::EngineError;
use crate::layout::log_key;
use crate::store::{Batch, Table};
use reknit_sync::limits::RELAY_PATIENCE_MAX_MS;
use reknit_types::VerifiedEvent;

/// How far the log had come at two moments past, so that its older part is known.
#[derive(Debug)]
pub(super) struct Ages {
    old: u64,
    young: u64,
    young_ms: u64,
}

impl Ages {
    /// All that is there when a peer opens is old: no session knows of it yet.
    pub(super) fn new(next_index: u64) -> Self {
        Self { old: next_index, young: next_index, young_ms: 0 }
    }

    fn pass(&mut self, now_ms: u64, next_index: u64) {
        if now_ms.abs_diff(self.young_ms) >= AGE_MS {
            self.old = self.young;
            (self.young, self.young_ms) = (next_index, now_ms);
        }
    }
}

impl Log {
    /// Whether enough small segments have gathered and grown old.
    pub(crate) fn is_packing_due(&mut self, now_ms: u64) -> bool {
        self.ages.pass(now_ms, self.next_index);
        self.ages.old >= self.packed + 2 * SEGMENT_EVENTS_MAX as u64
    }

    /// Packs small segments into larger ones, a few at most; whether anything changed.
    pub(crate) fn pack(&mut self, reader: &LogReader<'_>, batch: &mut Batch) -> Result<bool, EngineError> {
        for _ in 0..SEGMENTS_PASSED_MAX {
            let first = self.packed;
            if first + SEGMENT_EVENTS_MAX as u64 > self.ages.old {
                break;
            }
            let end = reader.segment_end(first, self.next_index)?;
            // What came or grew as large as this stays as it is.
            if end - first < SEGMENT_EVENTS_MAX as u64 / 2 {
                return self.pack_from(first, reader, batch);
            }
            self.packed = end;
        }
        Ok(false)
    }

    /// From now on everything counts as old: no session goes on.
    pub(crate) fn grow_old(&mut self) {
        self.ages.old = self.next_index;
    }

    fn pack_from(
        &mut self,
        start: u64,
        reader: &LogReader<'_>,
        batch: &mut Batch,
    ) -> Result<bool, EngineError> {
        let small = self.small_from(start, reader)?;
        let whole = encode_segment(&joined(&small))?;
        let taken = best_fit(&small, whole.len());
        self.packed = match small[..taken].last() {
            Some(last) => last.end,
            None => reader.segment_end(start, self.next_index)?,
        };
        if taken < 2 {
            return Ok(false);
        }
        let record = if taken == small.len() { whole } else { encode_segment(&joined(&small[..taken]))? };
        small[..taken].iter().for_each(|one| batch.delete(Table::Log, log_key(self.space, one.first)));
        batch.put(Table::Log, log_key(self.space, start), record);
        Ok(true)
    }

    /// The segments from `start` on that one segment has room for.
    fn small_from(&self, start: u64, reader: &LogReader<'_>) -> Result<Vec<Small>, EngineError> {
        let (mut small, mut bytes, mut at): (Vec<Small>, usize, u64) = (vec![], 0, start);
        while at < self.ages.old {
            let Some((first, stored)) = reader.stored_at(at)? else { break };
            let end = reader.segment_end(first, self.next_index)?;
            if end - start > SEGMENT_EVENTS_MAX as u64 && !small.is_empty() {
                break;
            }
            let events = reader.decode(&stored)?;
            bytes += events.iter().map(event_bytes).sum::<usize>();
            if bytes > SEGMENT_BYTES_MAX && !small.is_empty() {
                break;
            }
            small.push(Small { first, end, stored: stored.len(), events });
            at = end;
        }
        Ok(small)
    }
}

/// A segment that may be joined with those after it.
struct Small {
    first: u64,
    end: u64,
    /// Bytes of its record.
    stored: usize,
    events: Vec<VerifiedEvent>,
}

fn joined(small: &[Small]) -> Vec<VerifiedEvent> {
    small.iter().flat_map(|one| one.events.iter().cloned()).collect()
}

/// How many of the segments, counted from the first, to join, if all of them take `whole` bytes joined: so many that an
/// event costs about the least disk, and rather more than fewer.
fn best_fit(small: &[Small], whole: usize) -> usize {
    let apart: usize = small.iter().map(|one| one.stored).sum();
    let mut stored = 0;
    let costs: Vec<f64> = small
        .iter()
        .zip(1..)
        .map(|(one, count)| {
            stored += one.stored;
            let joined = if count == 1 { one.stored } else { stored * whole / apart.max(1) };
            disk_bytes(joined) as f64 / (one.end - small[0].first) as f64
        })
        .collect();
    let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
    costs.iter().rposition(|cost| *cost <= least * NEARLY).map_or(0, |at| at + 1)
}

/// What a record takes in a B-tree of pages: a small one shares its page, a large one has pages of its own, as many as a power
/// of two.
fn disk_bytes(record: usize) -> usize {
    let record = record + RECORD_EXTRA;
    if record <= PAGE_BYTES / 2 {
        record
    } else {
        record.div_ceil(PAGE_BYTES).next_power_of_two() * PAGE_BYTES
    }
}

/// Twice what a session may hold events back at most, and some more.
const AGE_MS: u64 = 4 * RELAY_PATIENCE_MAX_MS + 500;
/// Segments that are large already are passed over this many at a time.
const SEGMENTS_PASSED_MAX: usize = 16;
/// The page of redb.
const PAGE_BYTES: usize = 4096;
/// The key of a record and where it lies in its page, rounded up.
const RECORD_EXTRA: usize = 32;
/// Costs that differ by less count as equal.
const NEARLY: f64 = 1.06;

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(bytes: usize, count: u64) -> Vec<Small> {
        (0..count)
            .map(|at| Small { first: at * 40, end: at * 40 + 40, stored: bytes, events: vec![] })
            .collect()
    }

    /// Five of four kilobytes each would take eight pages, of which three are empty.
    #[test]
    fn as_many_segments_are_joined_as_fill_their_pages() {
        assert_eq!(best_fit(&segments(4_000, 5), 5 * 3_900), 4);
        assert_eq!(best_fit(&segments(4_000, 6), 6 * 3_900), 4);
        assert_eq!(best_fit(&segments(4_000, 4), 4 * 3_900), 4);
        assert_eq!(best_fit(&segments(100, 6), 300), 6);
        assert_eq!(best_fit(&[], 0), 0);
    }

    #[test]
    fn a_large_record_takes_pages_of_its_own() {
        assert_eq!(disk_bytes(1_000), 1_000 + RECORD_EXTRA);
        assert_eq!(disk_bytes(4_000), 4_096);
        assert_eq!(disk_bytes(4_090), 8_192);
        assert_eq!(disk_bytes(12_000), 16_384);
    }
}
