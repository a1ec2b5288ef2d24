//! Reading the log: events by place, and where the chain of an author lies.

use super::{Log, Run};
use crate::error::EngineError;
use crate::layout::{AuthorNo, SpaceNo, log_key, parse_log_key, parse_run_key, run_key};
use crate::lru::Lru;
use crate::store::{Direction, Reads, Table};
use reknit_sync::Segment;
use reknit_types::{DecodeError, EventId, PayloadKeys, Reader, SpaceId, Stamp, VerifiedEvent};
use std::cell::RefCell;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

/// The reading end of a space's log, in one state of the store.
#[derive(Clone, Copy)]
pub(crate) struct LogReader<'a> {
    pub(crate) reads: &'a dyn Reads,
    pub(crate) space: SpaceNo,
    pub(crate) id: SpaceId,
    pub(crate) keys: &'a dyn PayloadKeys,
    /// Events that wait for the round to be settled, and what was read before; none outside the engine.
    pub(crate) live: Option<(&'a Log, &'a RefCell<SegmentCache>)>,
}

/// What names and places an event, without its payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub(crate) id: EventId,
    pub(crate) prev: Option<EventId>,
    pub(crate) stamp: Stamp,
}

impl Placed {
    pub(crate) fn of(event: &VerifiedEvent) -> Self {
        let header = event.header();
        Self { id: event.id(), prev: header.prev, stamp: header.stamp }
    }
}

/// The segments looked into last, by the index of their first event: one that is asked about one event is soon asked
/// about the next.
#[derive(Debug)]
pub(crate) struct SegmentCache(Lru<u64, Arc<Vec<Placed>>>);

impl SegmentCache {
    pub(crate) fn new() -> Self {
        Self(Lru::new(SEGMENTS_CACHED))
    }

    /// To be called when segments were packed: they begin and end elsewhere now.
    pub(crate) fn clear(&mut self) {
        self.0 = Lru::new(SEGMENTS_CACHED);
    }
}

const SEGMENTS_CACHED: usize = 8;

impl LogReader<'_> {
    /// The runs that hold the author's event `seq`: one, unless the author forked its chain.
    pub(crate) fn runs_at(&self, author: AuthorNo, seq: u64, forked: bool) -> Result<Vec<Run>, EngineError> {
        if forked {
            return self.forked_runs_at(author, seq);
        }
        let (from, to) = (run_key(self.space, author, 0, 0), run_key(self.space, author, seq, u64::MAX));
        self.runs(&from, &to, Direction::Backward, |run, found| {
            if run.index_of(seq).is_some() {
                found.push(run);
            }
            ControlFlow::Break(())
        })
    }

    /// Every run of the author, by first sequence number.
    pub(super) fn runs_of(&self, author: AuthorNo) -> Result<Vec<Run>, EngineError> {
        let (from, to) = (run_key(self.space, author, 0, 0), run_key(self.space, author, u64::MAX, u64::MAX));
        self.runs(&from, &to, Direction::Forward, |run, found| {
            found.push(run);
            ControlFlow::Continue(())
        })
    }

    fn runs(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        mut visit: impl FnMut(Run, &mut Vec<Run>) -> ControlFlow<()>,
    ) -> Result<Vec<Run>, EngineError> {
        let mut found = vec![];
        let mut damaged = None;
        let range = (Bound::Included(from), Bound::Included(to));
        self.reads.scan(Table::Runs, range, direction, &mut |key, value| match parse_run(key, value) {
            Ok(run) => visit(run, &mut found),
            Err(error) => {
                damaged = Some(error);
                ControlFlow::Break(())
            }
        })?;
        damaged.map_or(Ok(found), |error| Err(error.into()))
    }

    /// The stored segment that holds the event at `index`, and the index of its first event.
    pub(crate) fn stored_at(&self, index: u64) -> Result<Option<(u64, Vec<u8>)>, EngineError> {
        let (from, to) = (log_key(self.space, 0), log_key(self.space, index));
        let range = (Bound::Included(from.as_slice()), Bound::Included(to.as_slice()));
        let Some((key, stored)) = self.reads.first(Table::Log, range, Direction::Backward)? else {
            return Ok(None);
        };
        let first = parse_log_key(&key).ok_or_else(|| EngineError::Damaged("a segment's key".to_owned()))?;
        Ok(Some((first, stored)))
    }

    /// The index after the last event of the segment that starts at `first`, if the log goes on; else `end`.
    pub(crate) fn segment_end(&self, first: u64, end: u64) -> Result<u64, EngineError> {
        let (from, to) = (log_key(self.space, first), log_key(self.space, u64::MAX));
        let range = (Bound::Excluded(from.as_slice()), Bound::Included(to.as_slice()));
        let mut next = None;
        self.reads.scan(Table::Log, range, Direction::Forward, &mut |key, _| {
            next = parse_log_key(key);
            ControlFlow::Break(())
        })?;
        Ok(next.unwrap_or(end))
    }

    /// The events of a stored segment, each under its own hash.
    pub(crate) fn decode(&self, stored: &[u8]) -> Result<Vec<VerifiedEvent>, EngineError> {
        let segment = Segment::decode(stored)?;
        segment.events(self.id, self.keys).map_err(|error| EngineError::Damaged(error.to_string()))
    }

    /// The event at `index`.
    pub(crate) fn placed_at(&self, index: u64) -> Result<Placed, EngineError> {
        let missing = || EngineError::Damaged(format!("the log ends before event {index}"));
        if let Some((log, _)) = self.live
            && index >= log.settled()
        {
            return log.pending_at(index).map(Placed::of).ok_or_else(missing);
        }
        let first = self.segment_start(index)?.ok_or_else(missing)?;
        let placed = self.segment(first)?.ok_or_else(missing)?;
        let at = usize::try_from(index - first).ok();
        at.and_then(|at| placed.get(at).copied()).ok_or_else(missing)
    }

    fn segment(&self, first: u64) -> Result<Option<Arc<Vec<Placed>>>, EngineError> {
        if let Some((_, cache)) = self.live
            && let Some(placed) = cache.borrow_mut().0.get_mut(&first)
        {
            return Ok(Some(Arc::clone(placed)));
        }
        let Some(stored) = self.reads.get(Table::Log, &log_key(self.space, first))? else { return Ok(None) };
        let placed: Arc<Vec<Placed>> = Arc::new(self.decode(&stored)?.iter().map(Placed::of).collect());
        if let Some((_, cache)) = self.live {
            let mut cache = cache.borrow_mut();
            cache.0.insert(first, Arc::clone(&placed));
            cache.0.trim(|_| false);
        }
        Ok(Some(placed))
    }

    /// The index of the first event of the segment that holds the event at `index`.
    fn segment_start(&self, index: u64) -> Result<Option<u64>, EngineError> {
        let (from, to) = (log_key(self.space, 0), log_key(self.space, index));
        let range = (Bound::Included(from.as_slice()), Bound::Included(to.as_slice()));
        let mut first = None;
        self.reads.scan(Table::Log, range, Direction::Backward, &mut |key, _| {
            first = parse_log_key(key);
            ControlFlow::Break(())
        })?;
        Ok(first)
    }

    /// Shows every settled event with its index.
    pub(crate) fn each(&self, show: &mut dyn FnMut(u64, &VerifiedEvent)) -> Result<(), EngineError> {
        let mut failed = None;
        self.reads.scan_prefix(
            Table::Log,
            &self.space.prefix(),
            Direction::Forward,
            &mut |key, stored| {
                let first =
                    parse_log_key(key).ok_or_else(|| EngineError::Damaged("a segment's key".to_owned()));
                match first.and_then(|first| Ok((first, self.decode(stored)?))) {
                    Ok((first, events)) => {
                        (first..).zip(&events).for_each(|(index, event)| show(index, event))
                    }
                    Err(error) => failed = Some(error),
                }
                if failed.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            },
        )?;
        failed.map_or(Ok(()), Err)
    }

    /// The newest `count` events, the newest first.
    pub(crate) fn newest(&self, count: usize) -> Result<Vec<VerifiedEvent>, EngineError> {
        let mut newest = vec![];
        let mut end = u64::MAX;
        while newest.len() < count {
            let Some((first, stored)) = self.stored_at(end)? else { break };
            newest.extend(self.decode(&stored)?.into_iter().rev());
            match first.checked_sub(1) {
                Some(before) => end = before,
                None => break,
            }
        }
        newest.truncate(count);
        Ok(newest)
    }
}

/// The run with this record.
pub(crate) fn parse_run(key: &[u8], value: &[u8]) -> Result<Run, DecodeError> {
    let (seq, index) = parse_run_key(key).ok_or(DecodeError::Invalid("key of a run"))?;
    let mut reader = Reader::new(value);
    let len = reader.varint("length of a run")?;
    reader.finish()?;
    let ends = |first: u64| first.checked_add(len).is_some();
    if len == 0 || !ends(seq) || !ends(index) {
        return Err(DecodeError::Invalid("length of a run"));
    }
    Ok(Run { seq, index, len })
}
