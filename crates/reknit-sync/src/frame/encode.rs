//! From events to the bytes of a frame.

use super::lane::{Lane, Lanes};
use super::{
    FLAG_CONTROL, FLAG_EPOCH, FORM_RAW, FORM_ZSTD, Frame, FrameError, PARENTS_BEFORE, PARENTS_LIST,
    PARENTS_NONE, PARENTS_OWN, PARENTS_SHIFT, PAYLOAD_ERASED, PAYLOAD_OPEN, PAYLOAD_SEALED, PAYLOAD_SHIFT,
    STAMP_COUNTER_BITS, STAMP_FRESH, STAMP_FULL, STAMP_LATER, STAMP_SHIFT, STAMP_SUCCESSOR, fits_outside,
    pack, weight,
};
use crate::limits::{FRAME_BODY_BYTES_MAX, FRAME_EVENTS_MAX};
use reknit_types::{Dot, Epoch, EventId, Kind, Payload, Stamp, VerifiedEvent, Writer};
use std::collections::BTreeMap;

/// The frame of these events, which are in causal order and end each lane with a signed one.
pub fn encode(events: &[VerifiedEvent]) -> Result<Frame, FrameError> {
    if events.is_empty() {
        return Err(FrameError::Empty);
    }
    if events.len() > FRAME_EVENTS_MAX {
        return Err(FrameError::TooLarge);
    }
    let mut lanes = Lanes::default();
    let placed: Vec<usize> = events.iter().map(|event| lanes.place(event)).collect();
    let mut columns = Columns::new(events, &lanes.list);
    columns.write_runs(&placed);
    events.iter().enumerate().try_for_each(|(at, event)| columns.write_event(at, event))?;
    let (externals, body) = columns.into_body()?;
    let packed = pack::compress(&body);
    let mut head = write_head(&lanes.list, &externals, events.len(), packed.is_some())?;
    if packed.is_some() {
        head.varint(body.len() as u64);
    }
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(packed.as_deref().unwrap_or(&body));
    Ok(Frame(bytes))
}

/// How many of these events, which are in causal order, to put into the next frame: as many as stay below `bytes_max`
/// (before compression) with every lane ending signed. At least one such stretch is taken, however large; zero means
/// that there is none a frame could hold.
pub fn prefix(events: &[VerifiedEvent], bytes_max: usize) -> usize {
    let (mut lanes, mut bytes, mut parents, mut best) = (Lanes::default(), 0, 0, 0);
    for (at, event) in events.iter().take(FRAME_EVENTS_MAX).enumerate() {
        bytes += weight(event.parents().len(), event.payload());
        parents += event.parents().len();
        let fits = bytes <= FRAME_BODY_BYTES_MAX && fits_outside(parents, at + 1);
        if !fits || (bytes + PARENT_BYTES * parents > bytes_max && best > 0) {
            break;
        }
        lanes.place(event);
        if lanes.signed() {
            best = at + 1;
        }
    }
    best
}

fn write_head(lanes: &[Lane], externals: &[Dot], events: usize, packed: bool) -> Result<Writer, FrameError> {
    let mut head = Writer::with_capacity(32 + LANE_BYTES * lanes.len() + PARENT_BYTES * externals.len());
    head.u8(if packed { FORM_ZSTD } else { FORM_RAW }).varint(lanes.len() as u64);
    for lane in lanes {
        let unsigned = FrameError::Unsigned { author: lane.author, seq: lane.last.seq };
        let signature = lane.signature.ok_or(unsigned)?;
        head.raw(lane.author.as_bytes()).varint(lane.before.map_or(0, |tip| tip.seq));
        if let Some(before) = &lane.before {
            head.raw(before.id.as_bytes());
        }
        head.raw(signature.as_bytes());
    }
    write_externals(&mut head, lanes, externals);
    head.varint(events as u64);
    Ok(head)
}

/// Each external parent names its author by a place in a list that begins with the authors of the lanes and grows by
/// those that are spelled out.
fn write_externals(head: &mut Writer, lanes: &[Lane], externals: &[Dot]) {
    head.varint(externals.len() as u64);
    let mut authors = BTreeMap::new();
    for (place, lane) in lanes.iter().enumerate() {
        authors.entry(lane.author).or_insert(place);
    }
    let mut next = lanes.len();
    for external in externals {
        match authors.get(&external.author) {
            Some(place) => head.varint(*place as u64 + 1),
            None => {
                authors.insert(external.author, next);
                next += 1;
                head.varint(0).raw(external.author.as_bytes())
            }
        };
        head.varint(external.seq).raw(external.id.as_bytes());
    }
}

struct Columns<'a> {
    events: &'a [VerifiedEvent],
    runs: Writer,
    stamps: Writer,
    lengths: Writer,
    rare: Writer,
    flags: Vec<u8>,
    stamp: Stamp,
    epoch: Epoch,
    /// Places of events in the frame, ascending by id; filled when first needed, since most frames never are.
    inside: Vec<(EventId, usize)>,
    /// Places of what lies outside: first the events before the lanes, then the external parents.
    outside: BTreeMap<Dot, usize>,
    befores: usize,
    externals: Vec<Dot>,
}

impl<'a> Columns<'a> {
    fn new(events: &'a [VerifiedEvent], lanes: &[Lane]) -> Self {
        let befores = lanes.iter().filter_map(Lane::dot_before);
        let outside: BTreeMap<_, _> = befores.clone().enumerate().map(|(at, dot)| (dot, at)).collect();
        Self {
            events,
            runs: Writer::new(),
            stamps: Writer::with_capacity(8 * events.len()),
            lengths: Writer::with_capacity(2 * events.len()),
            rare: Writer::new(),
            flags: Vec::with_capacity(events.len()),
            stamp: Stamp::from_u128(0),
            epoch: Epoch::FIRST,
            inside: Vec::new(),
            befores: befores.count(),
            outside,
            externals: Vec::new(),
        }
    }

    fn write_runs(&mut self, placed: &[usize]) {
        for run in placed.chunk_by(|a, b| a == b) {
            self.runs.varint(run[0] as u64).varint(run.len() as u64);
        }
    }

    fn write_event(&mut self, at: usize, event: &VerifiedEvent) -> Result<(), FrameError> {
        let header = event.header();
        let mut flags = if header.kind == Kind::Control { FLAG_CONTROL } else { 0 };
        flags |= self.write_parents(at, event)? << PARENTS_SHIFT;
        flags |= self.write_stamp(header.stamp) << STAMP_SHIFT;
        if header.epoch != self.epoch {
            self.rare.raw(&header.epoch.0);
            self.epoch = header.epoch;
            flags |= FLAG_EPOCH;
        }
        flags |= self.write_payload(event.payload()) << PAYLOAD_SHIFT;
        self.flags.push(flags);
        Ok(())
    }

    fn write_parents(&mut self, at: usize, event: &VerifiedEvent) -> Result<u8, FrameError> {
        let header = event.header();
        match event.parents() {
            [] => return Ok(PARENTS_NONE),
            [only] if Some(only.id) == header.prev => return Ok(PARENTS_OWN),
            [only] if at > 0 && only.id == self.events[at - 1].id() => return Ok(PARENTS_BEFORE),
            _ => {}
        }
        self.rare.u8(header.parents.len() as u8);
        for parent in event.parents() {
            let reference = self.reference(at, parent);
            let order = FrameError::Order { author: header.author, seq: header.seq };
            self.rare.varint(reference.ok_or(order)?);
        }
        Ok(PARENTS_LIST)
    }

    /// Where a parent is found; `None` if it comes later in the frame than its child.
    fn reference(&mut self, at: usize, parent: &Dot) -> Option<u64> {
        if self.inside.is_empty() {
            self.inside = self.events.iter().enumerate().map(|(at, event)| (event.id(), at)).collect();
            self.inside.sort_unstable();
        }
        if let Ok(found) = self.inside.binary_search_by(|(id, _)| id.cmp(&parent.id)) {
            let distance = at.checked_sub(self.inside[found].1)?;
            return (distance > 0).then_some((distance as u64) << 1);
        }
        let next = self.befores + self.externals.len();
        let place = *self.outside.entry(*parent).or_insert_with(|| {
            self.externals.push(*parent);
            next
        });
        Some(((place as u64) << 1) | 1)
    }

    fn write_stamp(&mut self, stamp: Stamp) -> u8 {
        let before = std::mem::replace(&mut self.stamp, stamp);
        let later = stamp.to_u128().checked_sub(before.to_u128());
        let later = later.and_then(|later| u64::try_from(later).ok());
        match later {
            Some(1) => return STAMP_SUCCESSOR,
            Some(later) if stamp.ms() == before.ms() => {
                self.stamps.varint(later);
                return STAMP_LATER;
            }
            _ => {}
        }
        let random = stamp.fraction() >> STAMP_COUNTER_BITS;
        if random << STAMP_COUNTER_BITS != stamp.fraction() {
            self.stamps.raw(&stamp.to_u128().to_le_bytes());
            return STAMP_FULL;
        }
        self.stamps.signed(stamp.ms() as i64 - before.ms() as i64).raw(&(random as u32).to_le_bytes());
        STAMP_FRESH
    }

    fn write_payload(&mut self, payload: &Payload) -> u8 {
        match payload {
            Payload::Open(bytes) => {
                self.lengths.varint(bytes.len() as u64);
                PAYLOAD_OPEN
            }
            Payload::Sealed(bytes) => {
                self.lengths.varint(bytes.len() as u64);
                PAYLOAD_SEALED
            }
            Payload::Erased { len, hash } => {
                self.lengths.varint(u64::from(*len));
                self.rare.raw(hash);
                PAYLOAD_ERASED
            }
        }
    }

    fn into_body(self) -> Result<(Vec<Dot>, Vec<u8>), FrameError> {
        let columns = [&self.runs, &self.stamps, &self.lengths, &self.rare];
        let weights = self.events.iter().map(|event| weight(event.parents().len(), event.payload()));
        let bytes: usize = weights.sum();
        if bytes > FRAME_BODY_BYTES_MAX || !fits_outside(self.externals.len(), self.events.len()) {
            return Err(FrameError::TooLarge);
        }
        let mut body = Writer::with_capacity(bytes);
        columns.iter().for_each(|column| {
            body.bytes(column.as_slice());
        });
        body.raw(&self.flags);
        for event in self.events {
            if let Payload::Open(bytes) | Payload::Sealed(bytes) = event.payload() {
                body.raw(bytes);
            }
        }
        Ok((self.externals, body.into_bytes()))
    }
}

/// Of a parent outside the frame, in its head.
const PARENT_BYTES: usize = 32;
const LANE_BYTES: usize = 32 + 10 + 32 + 64;
