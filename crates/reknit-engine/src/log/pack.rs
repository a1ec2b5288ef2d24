//! Packing: small segments become larger ones, which compress better and are found faster.
//!
//! A packed segment keeps only the signatures that end a chain in it. A session may still be sending up to an event
//! that ended a segment a moment ago, so what is young stays as it is.

use super::{Log, LogReader, SEGMENT_BYTES_MAX, SEGMENT_EVENTS_MAX, encode_segment, event_bytes};
use crate::error::EngineError;
use crate::layout::log_key;
use crate::store::{Batch, Table};
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

    fn pack_from(
        &mut self,
        start: u64,
        reader: &LogReader<'_>,
        batch: &mut Batch,
    ) -> Result<bool, EngineError> {
        let (mut joined, mut firsts, mut bytes): (Vec<VerifiedEvent>, Vec<u64>, usize) = (vec![], vec![], 0);
        let mut at = start;
        while at < self.ages.old {
            let Some((first, stored)) = reader.stored_at(at)? else { break };
            let end = reader.segment_end(first, self.next_index)?;
            if joined.len() as u64 + (end - first) > SEGMENT_EVENTS_MAX as u64 {
                break;
            }
            let decoded = reader.decode(&stored)?;
            let more: usize = decoded.iter().map(event_bytes).sum();
            if bytes + more > SEGMENT_BYTES_MAX && !joined.is_empty() {
                break;
            }
            bytes += more;
            joined.extend(decoded);
            firsts.push(first);
            at = end;
        }
        if firsts.len() < 2 {
            self.packed = at.max(reader.segment_end(start, self.next_index)?);
            return Ok(false);
        }
        self.packed = at;
        firsts.iter().for_each(|first| batch.delete(Table::Log, log_key(self.space, *first)));
        batch.put(Table::Log, log_key(self.space, start), encode_segment(&joined)?);
        Ok(true)
    }
}

/// Twice what a session may hold events back at most, and some more.
const AGE_MS: u64 = 1_000;
/// Segments that are large already are passed over this many at a time.
const SEGMENTS_PASSED_MAX: usize = 16;
