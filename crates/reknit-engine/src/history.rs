//! A space's history as sessions read it.

use crate::error::EngineError;
use crate::layout::receipt_key;
use crate::log::{Branch, LogReader, Run, event_bytes, index_on, run_on};
use crate::receipt::StoredReceipt;
use crate::space::SpaceState;
use crate::store::{Reads, Table};
use reknit_sync::limits::FRAME_EVENTS_MAX;
use reknit_sync::{Frame, Frontier, History, HistoryError, Missing, Range, Segment, frame};
use reknit_types::{DeviceId, EventId, Tip, VerifiedEvent};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// The history of a space in one state of the store, as it looks to the session with one peer.
pub(crate) struct SpaceHistory<'a> {
    pub(crate) space: &'a SpaceState,
    pub(crate) reads: &'a dyn Reads,
    pub(crate) peer: DeviceId,
    /// Whether the peer may be given events: it is known here to be a member, or holds an invite. A device that is
    /// joining learns as it goes who is, and has sessions with peers of which it does not know it yet.
    pub(crate) served: bool,
}

impl History for SpaceHistory<'_> {
    fn frontier(&self) -> &Frontier {
        &self.space.frontier
    }

    fn event_count(&self) -> u64 {
        self.space.log.len()
    }

    fn ids_at(&self, author: &DeviceId, seq: u64) -> Result<Vec<EventId>, HistoryError> {
        self.space.ids_at(self.reads, author, seq).map_err(unreadable)
    }

    fn ancestor(&self, author: &DeviceId, tip: &Tip, seq: u64) -> Result<Option<EventId>, HistoryError> {
        self.ancestor_of(author, tip, seq).map_err(unreadable)
    }

    fn last_shared(&self) -> Option<[u8; 32]> {
        let stored = self.reads.get(Table::Receipts, &receipt_key(self.space.no, &self.peer)).ok()??;
        StoredReceipt::decode(&stored).ok().map(|stored| stored.receipt.digest)
    }

    fn past_frontier(&self, digest: &[u8; 32]) -> Option<Frontier> {
        let stored = self.reads.get(Table::Receipts, &receipt_key(self.space.no, &self.peer)).ok()??;
        let receipt = StoredReceipt::decode(&stored).ok()?;
        (receipt.frontier.digest() == *digest).then_some(receipt.frontier)
    }

    fn next_frame(&self, missing: &mut Missing, bytes_max: usize) -> Result<Option<Frame>, HistoryError> {
        if !self.served {
            return Ok(None);
        }
        self.gather(missing, bytes_max).map_err(unreadable)
    }
}

fn unreadable(error: EngineError) -> HistoryError {
    HistoryError(error.to_string())
}

impl SpaceHistory<'_> {
    fn ancestor_of(&self, author: &DeviceId, tip: &Tip, seq: u64) -> Result<Option<EventId>, EngineError> {
        if seq == 0 || seq > tip.seq {
            return Ok(None);
        }
        if seq == tip.seq {
            return Ok(Some(tip.id));
        }
        if !self.space.is_forked(author) {
            return Ok(self.space.ids_at(self.reads, author, seq)?.first().copied());
        }
        let reader = self.space.log_reader(self.reads);
        let Some(no) = self.space.log.authors.number(author) else { return Ok(None) };
        let index = index_on(&reader.branch(no, tip)?, seq);
        index.map(|index| Ok(reader.placed_at(index)?.id)).transpose()
    }

    /// Takes segments in the order of the log, which is causal, and leaves out what the other side has.
    fn gather(&self, missing: &mut Missing, bytes_max: usize) -> Result<Option<Frame>, EngineError> {
        let reader = self.space.log_reader(self.reads);
        let mut plan = Plan::default();
        let mut events: Vec<VerifiedEvent> = vec![];
        let mut bytes = 0;
        while let Some(at) = self.next_index(&reader, missing, &mut plan)? {
            let damaged = || EngineError::Damaged(format!("the log has no event {at}"));
            let (first, stored) = reader.stored_at(at)?.ok_or_else(damaged)?;
            let end = reader.segment_end(first, self.space.log.settled())?;
            if let Some((author, range)) = plan.covering(missing, first, end) {
                let last = events.is_empty() && missing.events() == end - first;
                let whole = end - first >= VERBATIM_EVENTS_MIN || last;
                if whole && !events.is_empty() {
                    break;
                }
                if whole {
                    missing.mark_sent(&author, &range.up_to, range.after + (end - first));
                    return Ok(Some(Segment::decode(&stored)?.frame().clone()));
                }
            }
            let decoded = reader.decode(&stored)?;
            let picked = plan.pick(&decoded, first, missing);
            if picked.is_empty() {
                return Err(damaged());
            }
            let whole = picked.len() == decoded.len() && end - first >= VERBATIM_EVENTS_MIN;
            let more: usize = picked.iter().map(|at| event_bytes(&decoded[*at])).sum();
            let full = events.len() + picked.len() > FRAME_EVENTS_MAX || bytes + more > bytes_max;
            if !events.is_empty() && (whole || full) {
                break;
            }
            plan.mark(&decoded, first, missing);
            if whole {
                return Ok(Some(Segment::decode(&stored)?.frame().clone()));
            }
            bytes += more;
            let mut picked = picked.into_iter().peekable();
            let chosen = decoded.into_iter().enumerate();
            events.extend(chosen.filter(|(at, _)| picked.next_if_eq(at).is_some()).map(|(_, event)| event));
        }
        if events.is_empty() {
            return Ok(None);
        }
        frame::encode(&events).map(Some).map_err(|error| EngineError::Damaged(error.to_string()))
    }

    /// The index of the first event that is missing and settled.
    fn next_index(
        &self,
        reader: &LogReader<'_>,
        missing: &Missing,
        plan: &mut Plan,
    ) -> Result<Option<u64>, EngineError> {
        let mut next = None;
        for (author, range) in missing.iter() {
            let Some(run) = self.run_of(reader, (author, range), plan)? else {
                let seq = range.after + 1;
                return Err(EngineError::Damaged(format!("no run holds event {seq} of {author}")));
            };
            next = Some(next.map_or(run.index, |next: u64| next.min(run.index)));
        }
        Ok(next.filter(|index| *index < self.space.log.settled()))
    }

    /// The run of the range's first event, cut to begin with it.
    fn run_of(
        &self,
        reader: &LogReader<'_>,
        (author, range): (&DeviceId, &Range),
        plan: &mut Plan,
    ) -> Result<Option<Run>, EngineError> {
        let (key, seq) = ((*author, range.up_to), range.after + 1);
        if let Some(run) = plan.next.get(&key).and_then(|run| run.starting_at(seq)) {
            plan.next.insert(key, run);
            return Ok(Some(run));
        }
        let Some(no) = self.space.log.authors.number(author) else { return Ok(None) };
        let run = if self.space.is_forked(author) {
            let branch = match plan.branches.entry(key) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(vacant) => vacant.insert(reader.branch(no, &range.up_to)?),
            };
            run_on(branch, seq).and_then(|run| run.starting_at(seq))
        } else {
            reader.runs_at(no, seq, false)?.into_iter().find_map(|run| run.starting_at(seq))
        };
        plan.next.extend(run.map(|run| (key, run)));
        Ok(run)
    }
}

/// Where the missing events lie, as far as it was looked up for one frame.
#[derive(Default)]
struct Plan {
    /// The run that holds the first event of a stretch, from that event on.
    next: BTreeMap<(DeviceId, Tip), Run>,
    /// All runs of a stretch of a forked chain.
    branches: BTreeMap<(DeviceId, Tip), Branch>,
}

impl Plan {
    /// The stretch that holds every event from index `first` to before `end`, if one does.
    fn covering(&self, missing: &Missing, first: u64, end: u64) -> Option<(DeviceId, Range)> {
        let covers = |(author, range): &(&DeviceId, &Range)| {
            let run = self.next.get(&(**author, range.up_to));
            run.is_some_and(|run| {
                let cut = run.len.min(range.len());
                run.seq == range.after + 1 && run.index == first && end - first <= cut
            })
        };
        missing.iter().find(covers).map(|(author, range)| (*author, *range))
    }

    fn holds(&self, author: &DeviceId, range: &Range, (seq, index): (u64, u64)) -> bool {
        let branch = self.branches.get(&(*author, range.up_to));
        let within = seq > range.after && seq <= range.up_to.seq;
        within && branch.is_none_or(|branch| index_on(branch, seq) == Some(index))
    }

    /// Places of the events of a segment that the other side lacks. The signature of a chain's end covers what comes
    /// before it: where it lies beyond what is missing, the whole segment is taken.
    fn pick(&self, events: &[VerifiedEvent], first: u64, missing: &Missing) -> Vec<usize> {
        let mut unsigned: BTreeSet<EventId> = BTreeSet::new();
        let mut picked = vec![];
        for (at, (index, event)) in (first..).zip(events).enumerate() {
            let header = event.header();
            let place = (header.seq, index);
            let ranges = missing.ranges(&header.author);
            if !ranges.iter().any(|range| self.holds(&header.author, range, place)) {
                continue;
            }
            picked.push(at);
            header.prev.iter().for_each(|prev| _ = unsigned.remove(prev));
            if event.signature().is_none() {
                unsigned.insert(event.id());
            }
        }
        if unsigned.is_empty() { picked } else { (0..events.len()).collect() }
    }

    fn mark(&self, events: &[VerifiedEvent], first: u64, missing: &mut Missing) {
        for (index, event) in (first..).zip(events) {
            let header = event.header();
            let place = (header.seq, index);
            let ranges = missing.ranges(&header.author).iter();
            let held: Vec<Tip> = ranges
                .filter(|range| self.holds(&header.author, range, place))
                .map(|range| range.up_to)
                .collect();
            held.iter().for_each(|up_to| missing.mark_sent(&header.author, up_to, header.seq));
        }
    }
}

const VERBATIM_EVENTS_MIN: u64 = 64;
