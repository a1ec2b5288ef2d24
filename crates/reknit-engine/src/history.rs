//! A space's history as sessions read it.

use crate::error::EngineError;
use crate::layout::receipt_key;
use crate::log::{LogReader, Run};
use crate::receipt::StoredReceipt;
use crate::space::SpaceState;
use crate::store::{Reads, Table};
use reknit_sync::limits::FRAME_EVENTS_MAX;
use reknit_sync::{Frame, Frontier, History, HistoryError, Missing, Range, Segment, frame};
use reknit_types::{DeviceId, EventId, Tip, VerifiedEvent};

/// The history of a space in one state of the store, as it looks to the session with one peer.
pub(crate) struct SpaceHistory<'a> {
    pub(crate) space: &'a SpaceState,
    pub(crate) reads: &'a dyn Reads,
    pub(crate) peer: DeviceId,
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
        self.gather(missing, bytes_max).map_err(unreadable)
    }
}

fn unreadable(error: EngineError) -> HistoryError {
    HistoryError(error.to_string())
}

/// A stretch of the log that the other side lacks.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    author: DeviceId,
    range: Range,
    run: Run,
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
        let range = Range { after: seq - 1, up_to: *tip };
        let branch = self.branch(&reader, author, &range)?;
        let index = branch.iter().find_map(|run| run.index_of(seq));
        index.map(|index| Ok(reader.event_at(index)?.id())).transpose()
    }

    /// Takes segments in the order of the log, which is causal, and leaves out what the other side has.
    fn gather(&self, missing: &mut Missing, bytes_max: usize) -> Result<Option<Frame>, EngineError> {
        let reader = self.space.log_reader(self.reads);
        let mut events: Vec<VerifiedEvent> = vec![];
        let mut bytes = 0;
        while let Some(stretches) = self.next_stretches(&reader, missing)? {
            let at = stretches.iter().map(|stretch| stretch.run.index).min().unwrap_or(0);
            let damaged = || EngineError::Damaged(format!("the log has no event {at}"));
            let (first, stored) = reader.stored_at(at)?.ok_or_else(damaged)?;
            let end = reader.segment_end(first, self.space.log.settled())?;
            if let Some(whole) = stretches.iter().find(|stretch| stretch.covers(first, end)) {
                let big = end - first >= VERBATIM_EVENTS_MIN
                    || events.is_empty() && missing.events() == end - first;
                if big && !events.is_empty() {
                    break;
                }
                if big {
                    missing.mark_sent(&whole.author, &whole.range.up_to, whole.seq_at(end - 1));
                    return Ok(Some(Segment::decode(&stored)?.frame().clone()));
                }
            }
            let decoded = reader.decode(&stored)?;
            let wanted = self.wanted(&reader, &decoded, first, missing)?;
            if !events.is_empty() && events.len() + wanted.len() > FRAME_EVENTS_MAX {
                break;
            }
            for (event, range) in wanted {
                missing.mark_sent(&event.header().author, &range.up_to, event.header().seq);
                bytes += event.header().payload_len as usize;
                events.push(event);
            }
            if bytes >= bytes_max {
                break;
            }
        }
        if events.is_empty() {
            return Ok(None);
        }
        frame::encode(&events).map(Some).map_err(|error| EngineError::Damaged(error.to_string()))
    }

    /// Where the next missing event of each author lies; `None` if nothing is missing.
    fn next_stretches(
        &self,
        reader: &LogReader<'_>,
        missing: &Missing,
    ) -> Result<Option<Vec<Stretch>>, EngineError> {
        let mut stretches = vec![];
        for (author, range) in missing.iter().filter(|(_, range)| !range.is_empty()) {
            let run = self.run_of(reader, author, range)?;
            let run = run.ok_or_else(|| {
                EngineError::Damaged(format!("no run holds event {} of {author}", range.after + 1))
            })?;
            stretches.push(Stretch { author: *author, range: *range, run });
        }
        Ok((!stretches.is_empty()).then_some(stretches))
    }

    /// The run of the range's first event, cut to begin with it.
    fn run_of(
        &self,
        reader: &LogReader<'_>,
        author: &DeviceId,
        range: &Range,
    ) -> Result<Option<Run>, EngineError> {
        let seq = range.after + 1;
        let Some(no) = self.space.log.authors.number(author) else { return Ok(None) };
        let runs = if self.space.is_forked(author) {
            self.branch(reader, author, range)?
        } else {
            reader.runs_at(no, seq, false)?
        };
        Ok(runs.into_iter().find_map(|run| run.starting_at(seq)))
    }

    /// The runs of the branch that ends in the range's last event, back to its first.
    fn branch(
        &self,
        reader: &LogReader<'_>,
        author: &DeviceId,
        range: &Range,
    ) -> Result<Vec<Run>, EngineError> {
        let Some(no) = self.space.log.authors.number(author) else { return Ok(vec![]) };
        let mut branch = vec![];
        let (mut seq, mut id) = (range.up_to.seq, Some(range.up_to.id));
        while seq > range.after {
            let mut found = None;
            for run in reader.runs_at(no, seq, true)? {
                let Some(index) = run.index_of(seq) else { continue };
                if Some(reader.event_at(index)?.id()) == id {
                    found = Some(run);
                }
            }
            let Some(run) = found else { break };
            id = reader.event_at(run.index)?.header().prev;
            seq = run.seq - 1;
            branch.push(run);
        }
        Ok(branch)
    }

    /// The events of a segment that the other side lacks, with the range each belongs to.
    fn wanted(
        &self,
        reader: &LogReader<'_>,
        events: &[VerifiedEvent],
        first: u64,
        missing: &Missing,
    ) -> Result<Vec<(VerifiedEvent, Range)>, EngineError> {
        let mut wanted = vec![];
        for (index, event) in (first..).zip(events) {
            let header = event.header();
            for range in missing.ranges(&header.author) {
                let within = header.seq > range.after && header.seq <= range.up_to.seq;
                if within && self.lies_on(reader, &header.author, range, index)? {
                    wanted.push((event.clone(), *range));
                }
            }
        }
        Ok(wanted)
    }

    fn lies_on(
        &self,
        reader: &LogReader<'_>,
        author: &DeviceId,
        range: &Range,
        index: u64,
    ) -> Result<bool, EngineError> {
        if !self.space.is_forked(author) {
            return Ok(true);
        }
        let branch = self.branch(reader, author, range)?;
        Ok(branch.iter().any(|run| (run.index..run.index + run.len).contains(&index)))
    }
}

impl Stretch {
    /// Whether every event from index `first` to before `end` belongs to it.
    fn covers(&self, first: u64, end: u64) -> bool {
        self.run.index == first
            && end <= self.run.index + self.run.len
            && self.seq_at(end - 1) <= self.range.up_to.seq
    }

    fn seq_at(&self, index: u64) -> u64 {
        self.run.seq + (index - self.run.index)
    }
}

const VERBATIM_EVENTS_MIN: u64 = 64;
