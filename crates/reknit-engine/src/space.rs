//! One space as the engine holds it in memory: small, and rebuilt from a few records when a peer opens.

use crate::error::EngineError;
use crate::held::Held;
use crate::layout::{AuthorNo, SpaceNo, SpaceRecordKind, author_key, parse_author_key, space_key};
use crate::links::Links;
use crate::log::{Authors, Log, LogReader, Placed, SegmentCache};
use crate::store::{Batch, Direction, Reads, Table, View};
use reknit_access::{Membership, SpaceKeys, Ticket};
use reknit_sync::{Frontier, Source};
use reknit_types::{DecodeError, DeviceId, Dot, EventId, Reader, SpaceId, Stamp, Tip, Writer};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// An event that nothing follows yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) dot: Dot,
    pub(crate) stamp: Stamp,
}

/// The state of one space.
#[derive(Debug)]
pub(crate) struct SpaceState {
    pub(crate) no: SpaceNo,
    pub(crate) id: SpaceId,
    pub(crate) keys: Arc<SpaceKeys>,
    pub(crate) membership: Membership,
    pub(crate) frontier: Frontier,
    pub(crate) heads: Vec<Head>,
    pub(crate) log: Log,
    pub(crate) links: Links,
    /// The ticket by which this device became a member, or is about to. It is kept: a member that has not heard of the
    /// join yet serves whoever shows the invite.
    pub(crate) ticket: Option<Ticket>,
    /// Why this device was last not let in, since it last asked.
    pub(crate) join_refused: Option<String>,
    pub(crate) round: Round,
    pub(crate) held: Held,
    segments: RefCell<SegmentCache>,
}

/// What one round of the engine did to a space, until it is settled.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// Events admitted, with where they came from.
    pub(crate) admitted: Vec<(Dot, Source, Option<DeviceId>)>,
    /// Those events by id, for their successors in the same round.
    pub(crate) recent: BTreeMap<EventId, Head>,
    pub(crate) authors: BTreeSet<DeviceId>,
    pub(crate) membership_changed: bool,
}

impl Round {
    /// Whether nothing was admitted.
    pub(crate) fn is_empty(&self) -> bool {
        self.admitted.is_empty()
    }
}

impl SpaceState {
    /// A space of which nothing is here yet.
    pub(crate) fn new(no: SpaceNo, id: SpaceId, keys: SpaceKeys) -> Self {
        Self {
            no,
            id,
            keys: Arc::new(keys),
            membership: Membership::new(id),
            frontier: Frontier::default(),
            heads: vec![],
            log: Log::new(no, 0, 0, Authors::default()),
            links: Links::default(),
            ticket: None,
            join_refused: None,
            round: Round::default(),
            held: Held::default(),
            segments: RefCell::new(SegmentCache::new()),
        }
    }

    /// Whether this device is not a member yet.
    pub(crate) fn is_joining(&self, us: &DeviceId) -> bool {
        self.ticket.is_some() && self.membership.member(us).is_none()
    }

    /// Puts what never changes into the batch.
    pub(crate) fn found(&self, batch: &mut Batch) {
        batch.put(Table::Spaces, space_key(self.no, SpaceRecordKind::Keys), self.keys.encode().to_vec());
        self.put_state(batch);
        self.put_membership(batch);
    }

    /// Takes back what [`Self::found`] put, and the ticket.
    pub(crate) fn abandon(&self, batch: &mut Batch) {
        for record in SpaceRecordKind::ALL {
            batch.delete(Table::Spaces, space_key(self.no, record));
        }
    }

    /// Puts the ticket into the batch.
    pub(crate) fn put_ticket(&self, batch: &mut Batch) {
        if let Some(ticket) = &self.ticket {
            let key = space_key(self.no, SpaceRecordKind::Ticket);
            batch.put(Table::Spaces, key, ticket.to_string().into_bytes());
        }
    }

    /// Opens every space that the store holds.
    pub(crate) fn load_all(reads: &dyn Reads) -> Result<Vec<Self>, EngineError> {
        let mut numbers = BTreeSet::new();
        reads.scan_prefix(Table::Spaces, &[], Direction::Forward, &mut |key, _| {
            if let Some(no) = key.first_chunk::<4>() {
                numbers.insert(u32::from_be_bytes(*no));
            }
            ControlFlow::Continue(())
        })?;
        numbers.into_iter().map(|no| Self::load(reads, SpaceNo(no))).collect()
    }

    /// The id of a space and its keys.
    pub(crate) fn identity(reads: &dyn Reads, no: SpaceNo) -> Result<(SpaceId, SpaceKeys), EngineError> {
        let record = |kind| reads.get(Table::Spaces, &space_key(no, kind));
        let missing = || EngineError::Damaged(format!("the records of space number {}", no.0));
        let state = record(SpaceRecordKind::State)?.ok_or_else(missing)?;
        let keys = record(SpaceRecordKind::Keys)?.ok_or_else(missing)?;
        Ok((Stored::decode(&state)?.id, SpaceKeys::decode(&keys)?))
    }

    fn load(reads: &dyn Reads, no: SpaceNo) -> Result<Self, EngineError> {
        let record = |kind| reads.get(Table::Spaces, &space_key(no, kind));
        let missing = |what: &str| EngineError::Damaged(format!("the {what} of space number {}", no.0));
        let state = record(SpaceRecordKind::State)?.ok_or_else(|| missing("state"))?;
        let keys = record(SpaceRecordKind::Keys)?.ok_or_else(|| missing("keys"))?;
        let membership = record(SpaceRecordKind::Membership)?.ok_or_else(|| missing("membership"))?;
        let ticket = record(SpaceRecordKind::Ticket)?;
        let Stored { id, next_index, packed, heads } = Stored::decode(&state)?;
        let authors = Authors::load(reads, no)?;
        let frontier = load_frontier(reads, no, &authors)?;
        let ticket = ticket.map(|text| parse_ticket(&text)).transpose()?;
        let mut space = Self::new(no, id, SpaceKeys::decode(&keys)?);
        space.membership = Membership::decode(&membership)?;
        space.log = Log::new(no, next_index, packed, authors);
        (space.frontier, space.heads, space.ticket) = (frontier, heads, ticket);
        space.held = Held::load(&space.log_reader(reads))?;
        Ok(space)
    }

    /// Puts what the round changed into the batch.
    pub(crate) fn put_round(&mut self, batch: &mut Batch) {
        for author in std::mem::take(&mut self.round.authors) {
            let Some(no) = self.log.authors.number(&author) else { continue };
            let tips: Vec<Tip> = self.frontier.tips(&author).to_vec();
            batch.put(Table::Frontier, author_key(self.no, no), encode_tips(&tips));
        }
        if std::mem::take(&mut self.round.membership_changed) {
            self.put_membership(batch);
        }
        self.round.recent.clear();
        self.put_state(batch);
    }

    /// Packs small segments of the log, if that is due.
    pub(crate) fn pack(
        &mut self,
        now_ms: u64,
        reads: &dyn Reads,
        batch: &mut Batch,
    ) -> Result<(), EngineError> {
        if self.log.is_packing_due(now_ms) { self.pack_some(reads, batch) } else { Ok(()) }
    }

    /// Packs the log as far as [`PACKS_AT_END_MAX`] goes. No session may be open, and none may begin.
    pub(crate) fn pack_at_end(&mut self, reads: &dyn Reads, batch: &mut Batch) -> Result<(), EngineError> {
        self.log.grow_old();
        for _ in 0..PACKS_AT_END_MAX {
            let before = self.log.packed();
            self.pack_some(reads, batch)?;
            if self.log.packed() == before {
                break;
            }
        }
        self.put_state(batch);
        Ok(())
    }

    fn pack_some(&mut self, reads: &dyn Reads, batch: &mut Batch) -> Result<(), EngineError> {
        let mut packed = Batch::new();
        let view = View::new(reads, batch);
        let reader = LogReader { reads: &view, space: self.no, id: self.id, keys: &*self.keys, live: None };
        if self.log.pack(&reader, &mut packed)? {
            self.segments.borrow_mut().clear();
        }
        batch.append(packed);
        Ok(())
    }

    fn put_membership(&self, batch: &mut Batch) {
        batch.put(Table::Spaces, space_key(self.no, SpaceRecordKind::Membership), self.membership.encode());
    }

    fn put_state(&self, batch: &mut Batch) {
        let stored = Stored {
            id: self.id,
            next_index: self.log.len(),
            packed: self.log.packed(),
            heads: self.heads.clone(),
        };
        batch.put(Table::Spaces, space_key(self.no, SpaceRecordKind::State), stored.encode());
    }

    /// The reading end of the log in this state of the store.
    pub(crate) fn log_reader<'a>(&'a self, reads: &'a dyn Reads) -> LogReader<'a> {
        let live = Some((&self.log, &self.segments));
        LogReader { reads, space: self.no, id: self.id, keys: &*self.keys, live }
    }

    /// Whether the author's chain has more than one end.
    pub(crate) fn is_forked(&self, author: &DeviceId) -> bool {
        self.frontier.tips(author).len() > 1
    }

    /// Ids of the author's events at `seq`: one a branch.
    pub(crate) fn ids_at(
        &self,
        reads: &dyn Reads,
        author: &DeviceId,
        seq: u64,
    ) -> Result<Vec<EventId>, EngineError> {
        let tips = self.frontier.tips(author);
        if let [tip] = tips
            && tip.seq == seq
        {
            return Ok(vec![tip.id]);
        }
        Ok(self.events_at(reads, author, seq)?.into_iter().map(|placed| placed.id).collect())
    }

    /// The author's events at `seq`: one a branch.
    fn events_at(&self, reads: &dyn Reads, author: &DeviceId, seq: u64) -> Result<Vec<Placed>, EngineError> {
        let Some(no) = self.log.authors.number(author) else { return Ok(vec![]) };
        let reader = self.log_reader(reads);
        let runs = reader.runs_at(no, seq, self.is_forked(author))?;
        runs.iter().filter_map(|run| run.index_of(seq)).map(|index| reader.placed_at(index)).collect()
    }

    /// The event with the id of `dot`: wherever it lies, if that is at hand, else only if it lies where `dot` says.
    pub(crate) fn find(&self, reads: &dyn Reads, dot: &Dot) -> Result<Option<Head>, EngineError> {
        if let Some(recent) = self.round.recent.get(&dot.id) {
            return Ok(Some(*recent));
        }
        if let Some(head) = self.heads.iter().find(|head| head.dot.id == dot.id) {
            return Ok(Some(*head));
        }
        let events = self.events_at(reads, &dot.author, dot.seq)?;
        let placed = events.into_iter().find(|placed| placed.id == dot.id);
        Ok(placed.map(|placed| Head { dot: *dot, stamp: placed.stamp }))
    }
}

/// The record that changes with every commit.
struct Stored {
    id: SpaceId,
    next_index: u64,
    packed: u64,
    heads: Vec<Head>,
}

impl Stored {
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(64 + 96 * self.heads.len());
        writer.u8(VERSION).raw(self.id.as_bytes()).varint(self.next_index).varint(self.packed);
        writer.varint(self.heads.len() as u64);
        for head in &self.heads {
            head.dot.encode(&mut writer);
            writer.raw(&head.stamp.to_u128().to_be_bytes());
        }
        writer.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8("space version")?;
        if version != VERSION {
            let (found, known) = (u64::from(version), u64::from(VERSION));
            return Err(DecodeError::Version { what: "a space", found, known });
        }
        let id = SpaceId::decode(&mut reader)?;
        let (next_index, packed) = (reader.varint("next index")?, reader.varint("packed index")?);
        if next_index > INDEX_MAX || packed > next_index {
            return Err(DecodeError::Invalid("next index"));
        }
        let count = reader.count(usize::MAX, "heads")?;
        let heads = (0..count).map(|_| decode_head(&mut reader)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self { id, next_index, packed, heads })
    }
}

fn decode_head(reader: &mut Reader<'_>) -> Result<Head, DecodeError> {
    let dot = Dot::decode(reader)?;
    Ok(Head { dot, stamp: Stamp::from_u128(u128::from_be_bytes(reader.array("stamp")?)) })
}

fn parse_ticket(text: &[u8]) -> Result<Ticket, EngineError> {
    let text = std::str::from_utf8(text).map_err(|_| EngineError::Damaged("a stored ticket".to_owned()))?;
    text.parse().map_err(|error| EngineError::Damaged(format!("a stored ticket: {error}")))
}

fn encode_tips(tips: &[Tip]) -> Vec<u8> {
    let mut writer = Writer::new();
    for tip in tips {
        writer.varint(tip.seq).raw(tip.id.as_bytes());
    }
    writer.into_bytes()
}

fn load_frontier(reads: &dyn Reads, space: SpaceNo, authors: &Authors) -> Result<Frontier, EngineError> {
    let mut frontier = Frontier::default();
    let mut damaged = false;
    reads.scan_prefix(Table::Frontier, &space.prefix(), Direction::Forward, &mut |key, value| {
        damaged |= load_tips(authors, parse_author_key(key), value, &mut frontier).is_none();
        ControlFlow::Continue(())
    })?;
    if damaged { Err(EngineError::Damaged("the frontier".to_owned())) } else { Ok(frontier) }
}

fn load_tips(authors: &Authors, no: Option<AuthorNo>, value: &[u8], frontier: &mut Frontier) -> Option<()> {
    let author = authors.id(no?)?;
    frontier.set(author, decode_tips(value).ok()?);
    Some(())
}

fn decode_tips(value: &[u8]) -> Result<Vec<Tip>, DecodeError> {
    let mut reader = Reader::new(value);
    let mut tips = vec![];
    while reader.remaining() > 0 {
        let seq = reader.varint("seq")?;
        tips.push(Tip { seq, id: EventId::decode(&mut reader)? });
    }
    Ok(tips)
}

/// Whether the record is one of a space, of this kind.
pub(crate) fn check_space_record(kind: u8, value: &[u8]) -> Result<(), EngineError> {
    let kind = SpaceRecordKind::ALL.into_iter().find(|known| *known as u8 == kind);
    match kind.ok_or(DecodeError::Invalid("kind of a space's record"))? {
        SpaceRecordKind::State => Stored::decode(value).map(drop)?,
        SpaceRecordKind::Keys => SpaceKeys::decode(value).map(drop)?,
        SpaceRecordKind::Membership => Membership::decode(value).map(drop)?,
        SpaceRecordKind::Ticket => drop(parse_ticket(value)?),
    }
    Ok(())
}

/// Whether the record is one of the tips of an author.
pub(crate) fn check_tips(value: &[u8]) -> Result<(), EngineError> {
    Ok(decode_tips(value).map(drop)?)
}

const VERSION: u8 = 1;
/// Records that the log is packed into when a peer stops: some ten thousand events.
const PACKS_AT_END_MAX: usize = 64;
/// More events than anybody writes: what adds to an index below it never overflows.
const INDEX_MAX: u64 = 1 << 62;
