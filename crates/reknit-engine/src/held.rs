//! Frames with events whose stamps are too far ahead of the local clock: kept, and admitted when the clock gets there.

use crate::error::EngineError;
use crate::layout::{SpaceNo, held_key};
use crate::log::LogReader;
use crate::store::{Batch, Direction, Reads, Table};
use reknit_sync::{Frame, frame};
use reknit_types::{EventId, VerifiedEvent};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// What a space holds, as far as it is kept at hand.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// Every frame by its key, which begins with when it is due.
    frames: BTreeMap<Vec<u8>, Kin>,
    bytes: u64,
    /// The events that wait, so that none is kept twice, in whatever frame it comes again.
    events: BTreeSet<EventId>,
    /// When the first frame is due.
    pub(crate) until_ms: Option<u64>,
}

/// What is known of a frame that is held.
#[derive(Debug)]
struct Kin {
    bytes: u64,
    events: Vec<EventId>,
}

/// A frame and which of its events wait.
pub(crate) struct Waiting<'a> {
    pub(crate) frame: &'a Frame,
    pub(crate) events: &'a [EventId],
    pub(crate) until_ms: u64,
}

/// What became of a frame that was to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    New,
    Already,
    Full,
}

impl Held {
    /// What the store holds for the space of `reader`.
    pub(crate) fn load(reader: &LogReader<'_>) -> Result<Self, EngineError> {
        let mut held = Self::default();
        let mut damaged = None;
        let prefix = reader.space.prefix();
        reader.reads.scan_prefix(Table::Held, &prefix, Direction::Forward, &mut |key, value| {
            held.until_ms = held.until_ms.or(due_ms(key));
            match frame::decode_verified(value, reader.id, reader.keys) {
                Ok(events) => {
                    let events = events.iter().map(VerifiedEvent::id).collect();
                    held.add(key.to_vec(), Kin { bytes: value.len() as u64, events });
                }
                Err(error) => damaged = Some(EngineError::Damaged(format!("a held frame: {error}"))),
            }
            if damaged.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        damaged.map_or(Ok(held), Err)
    }

    /// Keeps a frame, unless all that waits in it is kept already. What there is no room for is left with the peer that
    /// offers it: the frames that are due last.
    pub(crate) fn keep(&mut self, batch: &mut Batch, space: SpaceNo, waiting: &Waiting<'_>) -> Kept {
        let Waiting { frame, events, until_ms } = *waiting;
        if events.iter().all(|event| self.events.contains(event)) {
            return Kept::Already;
        }
        let kin = Kin { bytes: frame.as_bytes().len() as u64, events: events.to_vec() };
        let hash = *blake3::hash(frame.as_bytes()).as_bytes();
        let key = held_key(space, until_ms, &hash);
        while self.bytes + kin.bytes > HELD_BYTES_MAX || self.events.len() + events.len() > HELD_EVENTS_MAX {
            match self.frames.last_key_value() {
                Some((last, _)) if *last > key => {
                    let last = last.clone();
                    self.remove(batch, &last);
                }
                _ => return Kept::Full,
            }
        }
        batch.put(Table::Held, key.clone(), frame.as_bytes().to_vec());
        self.add(key, kin);
        self.until_ms = Some(self.until_ms.map_or(until_ms, |first| first.min(until_ms)));
        Kept::New
    }

    /// Frames that need not be held any longer at `now_ms`, with their keys; notes when the next is due.
    pub(crate) fn due(
        &mut self,
        reads: &dyn Reads,
        space: SpaceNo,
        now_ms: u64,
    ) -> Result<Vec<(Vec<u8>, Frame)>, EngineError> {
        let mut due = vec![];
        self.until_ms = None;
        reads.scan_prefix(Table::Held, &space.prefix(), Direction::Forward, &mut |key, value| {
            let until_ms = due_ms(key).unwrap_or(0);
            if until_ms > now_ms || due.len() >= FRAMES_RELEASED_MAX {
                self.until_ms = Some(until_ms);
                return ControlFlow::Break(());
            }
            due.push((key.to_vec(), Frame::from_bytes(value.to_vec())));
            ControlFlow::Continue(())
        })?;
        Ok(due)
    }

    /// Takes out a frame and what waits in it.
    pub(crate) fn remove(&mut self, batch: &mut Batch, key: &[u8]) {
        batch.delete(Table::Held, key);
        if let Some(kin) = self.frames.remove(key) {
            self.bytes = self.bytes.saturating_sub(kin.bytes);
            kin.events.iter().for_each(|event| _ = self.events.remove(event));
        }
    }

    fn add(&mut self, key: Vec<u8>, kin: Kin) {
        self.bytes += kin.bytes;
        self.events.extend(&kin.events);
        self.frames.insert(key, kin);
    }

    /// How many events wait.
    pub(crate) fn events(&self) -> u64 {
        self.events.len() as u64
    }
}

/// When the first held frame is due, and how many there are.
pub(crate) fn waiting(reads: &dyn Reads, space: SpaceNo) -> Result<Option<(u64, u64)>, EngineError> {
    let mut first = None;
    let mut count = 0;
    reads.scan_prefix(Table::Held, &space.prefix(), Direction::Forward, &mut |key, _| {
        if first.is_none() {
            first = due_ms(key);
        }
        count += 1;
        ControlFlow::Continue(())
    })?;
    Ok(first.map(|until_ms| (until_ms, count)))
}

fn due_ms(key: &[u8]) -> Option<u64> {
    key.get(4..12).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes)
}

/// Bytes and events that a space may hold.
const HELD_BYTES_MAX: u64 = 16 * 1024 * 1024;
const HELD_EVENTS_MAX: usize = 65_536;
/// Frames taken out at once, so that they fit into one round; the rest follow with the next tick.
const FRAMES_RELEASED_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    /// Stamps of the far future do not keep out what is due in a moment.
    #[test]
    fn what_is_due_first_is_held_rather_than_what_is_due_last() {
        let (mut held, mut batch) = (Held::default(), Batch::new());
        let mut keep = |held: &mut Held, n: u8, until_ms| {
            let frame = Frame::from_bytes(vec![n; HELD_BYTES_MAX as usize / 4]);
            let events = [EventId::from_bytes([n; 32])];
            held.keep(&mut batch, SpaceNo(1), &Waiting { frame: &frame, events: &events, until_ms })
        };
        let far = u64::MAX / 2;
        (0..4).for_each(|n| assert_eq!(keep(&mut held, n, far + u64::from(n)), Kept::New));
        assert_eq!(keep(&mut held, 4, far + 9), Kept::Full);
        assert_eq!(keep(&mut held, 5, 1_000), Kept::New);
        assert_eq!((held.until_ms, held.events()), (Some(1_000), 4));
        assert_eq!(keep(&mut held, 0, far), Kept::Already);
        assert_eq!(keep(&mut held, 3, far + 3), Kept::Full);
        assert!(held.bytes <= HELD_BYTES_MAX && batch.len() == 5);
    }
}
