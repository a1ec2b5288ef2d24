//! Frames whose stamps are too far ahead of the local clock: kept, and admitted when the clock gets there.

use crate::error::EngineError;
use crate::layout::{SpaceNo, held_key};
use crate::store::{Batch, Direction, Reads, Table};
use reknit_sync::Frame;
use std::ops::{Bound, ControlFlow};

/// Keeps a frame until `until_ms`. `false` if it was there already.
pub(crate) fn hold(
    reads: &dyn Reads,
    batch: &mut Batch,
    space: SpaceNo,
    until_ms: u64,
    frame: &Frame,
) -> Result<bool, EngineError> {
    let hash = *blake3::hash(frame.as_bytes()).as_bytes();
    let mut known = false;
    // The same frame may come again when the clock reads differently; its hash is what tells it.
    reads.scan_prefix(Table::Held, &space.prefix(), Direction::Forward, &mut |key, _| {
        known |= key.ends_with(&hash);
        if known { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if !known {
        batch.put(Table::Held, held_key(space, until_ms, &hash), frame.as_bytes().to_vec());
    }
    Ok(!known)
}

/// Takes out the frames that need not be held any longer at `now_ms`.
pub(crate) fn release(
    reads: &dyn Reads,
    batch: &mut Batch,
    space: SpaceNo,
    now_ms: u64,
) -> Result<Vec<Frame>, EngineError> {
    let (from, to) = (space.prefix(), held_key(space, now_ms, &[u8::MAX; 32]));
    let mut due = vec![];
    let range = (Bound::Included(from.as_slice()), Bound::Included(to.as_slice()));
    reads.scan(Table::Held, range, Direction::Forward, &mut |key, value| {
        due.push((key.to_vec(), Frame::from_bytes(value.to_vec())));
        ControlFlow::Continue(())
    })?;
    Ok(due
        .into_iter()
        .map(|(key, frame)| {
            batch.delete(Table::Held, key);
            frame
        })
        .collect())
}

/// When the first held frame is due, and how many there are.
pub(crate) fn waiting(reads: &dyn Reads, space: SpaceNo) -> Result<Option<(u64, u64)>, EngineError> {
    let mut first = None;
    let mut count = 0;
    reads.scan_prefix(Table::Held, &space.prefix(), Direction::Forward, &mut |key, _| {
        if first.is_none() {
            first = key.get(4..12).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        }
        count += 1;
        ControlFlow::Continue(())
    })?;
    Ok(first.map(|until_ms| (until_ms, count)))
}

/// Bytes of all frames held for a space.
pub(crate) fn bytes_held(reads: &dyn Reads, space: SpaceNo) -> Result<u64, EngineError> {
    let mut bytes = 0;
    reads.scan_prefix(Table::Held, &space.prefix(), Direction::Forward, &mut |_, value| {
        bytes += value.len() as u64;
        ControlFlow::Continue(())
    })?;
    Ok(bytes)
}

/// Bytes that a space may hold. What comes beyond is left with the peer that offers it, which offers it again.
pub(crate) const HELD_BYTES_MAX: u64 = 16 * 1024 * 1024;
