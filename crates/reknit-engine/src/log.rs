//! The event log of a space: segments of events in the causal order in which they were admitted, and the runs that
//! say where the chain of each author lies in it.
//!
//! A segment is a stored frame: the last event of each chain in it carries its author's signature, so segments travel
//! to other peers as they are, and nothing inside one needs a signature of its own.

mod forks;
mod pack;
mod reader;

pub(crate) use forks::{Branch, index_on, run_on};
pub(crate) use reader::{LogReader, Placed, SegmentCache, parse_run};

use crate::error::EngineError;
use crate::layout::{AuthorNo, SpaceNo, author_key, log_key, parse_author_key, run_key};
use crate::store::{Batch, Direction, Reads, Table};
use forks::Forks;
use pack::Ages;
use reknit_sync::limits::FRAME_BODY_BYTES_MAX;
use reknit_sync::{Frame, Segment, frame};
use reknit_types::limits::SIGNATURE_SPAN_EVENTS;
use reknit_types::{DeviceId, DeviceKey, EventId, Payload, VerifiedEvent, Writer};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// The authors of a space by local number.
#[derive(Debug, Default)]
pub(crate) struct Authors {
    by_id: BTreeMap<DeviceId, AuthorNo>,
    by_no: Vec<DeviceId>,
}

impl Authors {
    pub(crate) fn load(reads: &dyn Reads, space: SpaceNo) -> Result<Self, EngineError> {
        let mut authors = Self::default();
        let mut whole = true;
        reads.scan_prefix(Table::Authors, &space.prefix(), Direction::Forward, &mut |key, value| match (
            parse_author_key(key),
            value.try_into(),
        ) {
            (Some(no), Ok(bytes)) if no.0 as usize == authors.by_no.len() => {
                authors.by_no.push(DeviceId::from_bytes(bytes));
                authors.by_id.insert(DeviceId::from_bytes(bytes), no);
                ControlFlow::Continue(())
            }
            _ => {
                whole = false;
                ControlFlow::Break(())
            }
        })?;
        if whole { Ok(authors) } else { Err(EngineError::Damaged("the table of authors".to_owned())) }
    }

    pub(crate) fn number(&self, author: &DeviceId) -> Option<AuthorNo> {
        self.by_id.get(author).copied()
    }

    pub(crate) fn id(&self, no: AuthorNo) -> Option<DeviceId> {
        self.by_no.get(no.0 as usize).copied()
    }

    fn number_or_new(&mut self, author: DeviceId, space: SpaceNo, batch: &mut Batch) -> AuthorNo {
        if let Some(no) = self.number(&author) {
            return no;
        }
        let no = AuthorNo(self.by_no.len() as u32);
        self.by_no.push(author);
        self.by_id.insert(author, no);
        batch.put(Table::Authors, author_key(space, no), author.as_bytes().to_vec());
        no
    }
}

/// Events of one author that lie one after the other in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) seq: u64,
    pub(crate) index: u64,
    pub(crate) len: u64,
}

impl Run {
    /// The index of the author's event `seq`, if it lies in this run.
    pub(crate) fn index_of(&self, seq: u64) -> Option<u64> {
        let offset = seq.checked_sub(self.seq).filter(|offset| *offset < self.len)?;
        Some(self.index + offset)
    }

    /// The rest of the run from the author's event `seq` on, if that lies in it.
    pub(crate) fn starting_at(self, seq: u64) -> Option<Self> {
        let index = self.index_of(seq)?;
        Some(Self { seq, index, len: self.len - (index - self.index) })
    }
}

/// Events admitted together, until the round is settled. Each group ends every chain in it with a signature, or with an
/// event written here, which is signed when it ends a segment.
#[derive(Debug)]
struct Group {
    events: Vec<VerifiedEvent>,
    /// The frame they came in, if it is worth storing as it came.
    frame: Option<Frame>,
    /// Whether a session began to follow the log right before: the end of the group before it may be asked for by
    /// itself, so it keeps its signature.
    apart: bool,
}

/// The writing end of a space's log.
#[derive(Debug)]
pub(crate) struct Log {
    space: SpaceNo,
    next_index: u64,
    packed: u64,
    /// The last run of each author that wrote since the space was opened, with its last event: a run never joins two
    /// branches of a forked chain.
    open_runs: BTreeMap<AuthorNo, (Run, EventId)>,
    pending: Vec<Group>,
    pending_bytes: usize,
    barrier: bool,
    ages: Ages,
    forks: RefCell<Forks>,
    pub(crate) authors: Authors,
}

impl Log {
    pub(crate) fn new(space: SpaceNo, next_index: u64, packed: u64, authors: Authors) -> Self {
        let ages = Ages::new(next_index);
        let open_runs = BTreeMap::new();
        Self {
            space,
            next_index,
            packed,
            open_runs,
            pending: vec![],
            pending_bytes: 0,
            barrier: false,
            ages,
            forks: RefCell::new(Forks::new()),
            authors,
        }
    }

    /// How many events the log holds; also the index of the next.
    pub(crate) fn len(&self) -> u64 {
        self.next_index
    }

    /// Events before this index are in segments; the others wait for the round to be settled.
    pub(crate) fn settled(&self) -> u64 {
        self.next_index - self.pending.iter().map(|group| group.events.len()).sum::<usize>() as u64
    }

    /// Bytes that the events which wait for the round to be settled may take in the batch.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Events before this index are in packed segments.
    pub(crate) fn packed(&self) -> u64 {
        self.packed
    }

    /// Appends events that were admitted together; `frame` is the one they came in, if that was all of it. Returns the
    /// index of the first.
    pub(crate) fn append(
        &mut self,
        batch: &mut Batch,
        events: Vec<VerifiedEvent>,
        frame: Option<Frame>,
    ) -> u64 {
        let first = self.next_index;
        events.iter().for_each(|event| self.place(batch, event));
        self.pending_bytes += events.iter().map(event_bytes).sum::<usize>();
        let frame = frame.filter(|_| events.len() >= VERBATIM_EVENTS_MIN);
        self.pending.push(Group { events, frame, apart: std::mem::take(&mut self.barrier) });
        first
    }

    /// A session begins to follow the log here, in the middle of a round.
    pub(crate) fn set_apart(&mut self) {
        self.barrier = true;
    }

    /// The event at `index`, if it waits for the round to be settled.
    pub(crate) fn pending_at(&self, index: u64) -> Option<&VerifiedEvent> {
        let mut offset = usize::try_from(index.checked_sub(self.settled())?).ok()?;
        for group in &self.pending {
            match group.events.get(offset) {
                Some(event) => return Some(event),
                None => offset -= group.events.len(),
            }
        }
        None
    }

    fn place(&mut self, batch: &mut Batch, event: &VerifiedEvent) {
        let header = event.header();
        let index = self.next_index;
        self.next_index += 1;
        let author = self.authors.number_or_new(header.author, self.space, batch);
        let run = match self.open_runs.get(&author) {
            Some((run, last)) if header.prev == Some(*last) && run.index + run.len == index => {
                Run { len: run.len + 1, ..*run }
            }
            _ => Run { seq: header.seq, index, len: 1 },
        };
        self.open_runs.insert(author, (run, event.id()));
        self.forks.get_mut().on_run(author, run);
        let mut writer = Writer::new();
        writer.varint(run.len);
        batch.put(Table::Runs, run_key(self.space, author, run.seq, run.index), writer.into_bytes());
    }

    /// Signs what was written here and puts every pending event into the batch.
    pub(crate) fn settle(&mut self, batch: &mut Batch, key: &DeviceKey) -> Result<(), EngineError> {
        self.barrier = false;
        self.pending_bytes = 0;
        let mut index = self.settled();
        for Group { mut events, frame, .. } in join_small(std::mem::take(&mut self.pending)) {
            sign_ends(&mut events, key);
            let segment = match frame {
                Some(frame) => Segment::new(&events, frame).encode(),
                None => encode_segment(&events)?,
            };
            batch.put(Table::Log, log_key(self.space, index), segment);
            index += events.len() as u64;
        }
        Ok(())
    }
}

pub(super) fn encode_segment(events: &[VerifiedEvent]) -> Result<Vec<u8>, EngineError> {
    let frame = frame::encode(events).map_err(|error| EngineError::Damaged(error.to_string()))?;
    Ok(Segment::new(events, frame).encode())
}

/// What an event takes in a frame before compression, rounded up.
pub(crate) fn event_bytes(event: &VerifiedEvent) -> usize {
    let header = event.header();
    header.payload_len as usize + EVENT_BYTES + PARENT_BYTES * header.parents.len()
}

/// Joins neighbouring groups that are not stored as they came, up to the bounds of a segment.
fn join_small(groups: Vec<Group>) -> Vec<Group> {
    let mut joined: Vec<Group> = vec![];
    for group in groups {
        match joined.last_mut() {
            Some(last) if last.has_room_for(&group) => last.events.extend(group.events),
            _ => joined.push(group),
        }
    }
    joined
}

impl Group {
    fn has_room_for(&self, other: &Self) -> bool {
        self.frame.is_none()
            && other.frame.is_none()
            && !other.apart
            && self.events.len() + other.events.len() <= SIGNATURE_SPAN_EVENTS
            && self.bytes() + other.bytes() <= SEGMENT_BYTES_MAX
    }

    fn bytes(&self) -> usize {
        self.events.iter().map(event_bytes).sum()
    }
}

/// Signs the last event of this device in a segment; forks of its own chain have an end each.
fn sign_ends(events: &mut [VerifiedEvent], key: &DeviceKey) {
    let mut continued: Vec<EventId> = vec![];
    for event in events.iter_mut().rev().filter(|event| event.header().author == key.id()) {
        if !continued.contains(&event.id()) {
            event.sign(key);
        }
        continued.extend(event.header().prev);
    }
}

/// The opened payload, if the event carries one that this peer can read.
pub(crate) fn opened(event: &VerifiedEvent) -> Option<&[u8]> {
    if let Payload::Open(bytes) = event.payload() { Some(bytes) } else { None }
}

/// Frames of fewer events are joined with their neighbours instead of being stored as they came.
const VERBATIM_EVENTS_MIN: usize = 64;
const SEGMENT_EVENTS_MAX: usize = 256;
const SEGMENT_BYTES_MAX: usize = 128 * 1024;
const EVENT_BYTES: usize = 40;
const PARENT_BYTES: usize = 44;
const _: () = assert!(2 * SEGMENT_BYTES_MAX < FRAME_BODY_BYTES_MAX);
