//! From the bytes of a frame to events.

use super::{
    FLAG_CONTROL, FLAG_EPOCH, FORM_RAW, FORM_ZSTD, FrameError, PARENTS_BEFORE, PARENTS_NONE, PARENTS_OWN,
    PARENTS_SHIFT, PAYLOAD_ERASED, PAYLOAD_OPEN, PAYLOAD_SEALED, PAYLOAD_SHIFT, STAMP_COUNTER_BITS,
    STAMP_FRESH, STAMP_LATER, STAMP_SHIFT, STAMP_SUCCESSOR, fits_outside, pack, weight,
};
use crate::limits::{FRAME_BODY_BYTES_MAX, FRAME_BYTES_MAX, FRAME_EVENTS_MAX, FRAME_EXTERNALS_MAX};
use reknit_types::limits::{PARENTS_MAX, PAYLOAD_BYTES_MAX};
use reknit_types::{
    DecodeError, DeviceId, Dot, Draft, Epoch, EventId, Kind, Payload, PayloadKeys, Proof, Reader, Signature,
    SpaceId, Stamp, Tip, UnverifiedEvent, VerifiedEvent, verify,
};
use std::collections::BTreeSet;

/// The events of a frame, each lane's last one with its signature, none of them checked.
pub fn decode(
    bytes: &[u8],
    space: SpaceId,
    keys: &dyn PayloadKeys,
) -> Result<Vec<(UnverifiedEvent, Option<Proof>)>, FrameError> {
    decode_with(bytes, space, keys, Vouchers::Signatures)
}

/// The events of a frame that came from elsewhere, each covered by its author's signature.
pub fn decode_verified(
    bytes: &[u8],
    space: SpaceId,
    keys: &dyn PayloadKeys,
) -> Result<Vec<VerifiedEvent>, FrameError> {
    Ok(verify(decode(bytes, space, keys)?)?)
}

/// What proves the last event of each lane.
#[derive(Clone, Copy)]
pub(crate) enum Vouchers<'a> {
    /// The signatures in the frame.
    Signatures,
    /// The ids under which this device stored them.
    Stored(&'a [EventId]),
}

pub(crate) fn decode_with(
    bytes: &[u8],
    space: SpaceId,
    keys: &dyn PayloadKeys,
    vouchers: Vouchers<'_>,
) -> Result<Vec<(UnverifiedEvent, Option<Proof>)>, FrameError> {
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge);
    }
    let mut reader = Reader::new(bytes);
    let form = reader.u8("form of a frame")?;
    let (lanes, outside, count) = read_head(&mut reader)?;
    match form {
        FORM_RAW => {
            let body = reader.take_rest();
            if body.len() > FRAME_BODY_BYTES_MAX {
                return Err(FrameError::TooLarge);
            }
            read_body(body, Rebuild { space, keys, lanes, outside, count })?.finish(vouchers)
        }
        FORM_ZSTD => {
            let len = reader.varint("length of a body")?;
            let body = pack::decompress(reader.take_rest(), len)?;
            read_body(&body, Rebuild { space, keys, lanes, outside, count })?.finish(vouchers)
        }
        found => Err(DecodeError::Version { what: "frames", found: u64::from(found >> 4), known: 1 }.into()),
    }
}

struct Lane {
    author: DeviceId,
    tip: Option<Tip>,
    signature: Signature,
    last: Option<usize>,
}

impl Lane {
    fn dot(&self) -> Option<Dot> {
        self.tip.map(|tip| Dot { author: self.author, seq: tip.seq, id: tip.id })
    }
}

fn dot(event: &UnverifiedEvent) -> Dot {
    Dot { author: event.header().author, seq: event.header().seq, id: event.id() }
}

/// Lanes, events outside the frame, number of events.
fn read_head(reader: &mut Reader<'_>) -> Result<(Vec<Lane>, Vec<Dot>, usize), FrameError> {
    let lanes = (0..reader.count(FRAME_EVENTS_MAX, "lanes of a frame")?)
        .map(|_| {
            let author = DeviceId::decode(reader)?;
            let tip = match reader.varint("sequence number")? {
                0 => None,
                seq => Some(Tip { seq, id: EventId::decode(reader)? }),
            };
            let signature = Signature::from_bytes(reader.array("signature")?);
            Ok(Lane { author, tip, signature, last: None })
        })
        .collect::<Result<Vec<_>, DecodeError>>()?;
    let (outside, externals) = read_outside(reader, &lanes)?;
    let count = reader.varint("events of a frame")?;
    match usize::try_from(count) {
        Ok(0) => Err(FrameError::Empty),
        Ok(count) if count <= FRAME_EVENTS_MAX && fits_outside(externals, count) => {
            Ok((lanes, outside, count))
        }
        _ => Err(FrameError::TooLarge),
    }
}

/// The events before the lanes, then the external parents; and how many these are.
fn read_outside(reader: &mut Reader<'_>, lanes: &[Lane]) -> Result<(Vec<Dot>, usize), DecodeError> {
    let befores = lanes.iter().filter_map(|lane| Some((lane.author, lane.tip?)));
    let mut outside: Vec<Dot> =
        befores.map(|(author, tip)| Dot { author, seq: tip.seq, id: tip.id }).collect();
    let mut authors: Vec<DeviceId> = lanes.iter().map(|lane| lane.author).collect();
    let externals = reader.count(FRAME_EXTERNALS_MAX, "parents outside a frame")?;
    for _ in 0..externals {
        let author = match reader.varint("author of a parent")?.checked_sub(1) {
            Some(place) => {
                let author = usize::try_from(place).ok().and_then(|place| authors.get(place));
                *author.ok_or(DecodeError::Invalid("author of a parent"))?
            }
            None => {
                authors.push(DeviceId::decode(reader)?);
                authors[authors.len() - 1]
            }
        };
        let seq = reader.varint("sequence number")?;
        outside.push(Dot { author, seq, id: EventId::decode(reader)? });
    }
    Ok((outside, externals))
}

struct Rebuild<'a> {
    space: SpaceId,
    keys: &'a dyn PayloadKeys,
    lanes: Vec<Lane>,
    outside: Vec<Dot>,
    count: usize,
}

struct Rebuilt {
    lanes: Vec<Lane>,
    events: Vec<(UnverifiedEvent, Option<Proof>)>,
}

fn read_body(body: &[u8], frame: Rebuild<'_>) -> Result<Rebuilt, FrameError> {
    let Rebuild { space, keys, mut lanes, outside, count } = frame;
    let mut reader = Reader::new(body);
    let mut column = |what| Ok::<_, DecodeError>(Reader::new(reader.bytes(FRAME_BODY_BYTES_MAX, what)?));
    let mut runs = column("column of runs")?;
    let (stamps, lengths, rare) =
        (column("column of stamps")?, column("column of lengths")?, column("rare")?);
    let flags = reader.raw(count, "column of flags")?;
    let events = Vec::with_capacity(count);
    let (stamp, epoch) = (Stamp::from_u128(0), Epoch::FIRST);
    let mut columns = Columns { stamps, lengths, rare, payloads: reader, outside, stamp, epoch, events };
    let mut flags = flags.iter();
    let (branched, mut opened) = (is_branched(&lanes), 0);
    while flags.len() > 0 {
        let at = usize::try_from(runs.varint("lane")?).unwrap_or(usize::MAX);
        if at == opened {
            opened += 1;
            check_opens(&lanes, at, branched)?;
        }
        let lane = lanes.get_mut(at).filter(|_| at < opened).ok_or(DecodeError::Invalid("lane"))?;
        let run = runs.varint("run")?;
        if run == 0 || run > flags.len() as u64 {
            return Err(DecodeError::Invalid("run").into());
        }
        for flags in flags.by_ref().take(run as usize) {
            let draft = columns.read_draft(*flags, lane.dot())?;
            let event = UnverifiedEvent::rebuild(space, lane.author, lane.tip, draft, keys)?;
            (lane.tip, lane.last) = (Some(event.tip()), Some(columns.events.len()));
            columns.events.push((event, None));
        }
    }
    runs.finish()?;
    let events = columns.finish()?;
    check_whole(&events, branched)?;
    Ok(Rebuilt { lanes, events })
}

/// Whether an author has more than one lane.
fn is_branched(lanes: &[Lane]) -> bool {
    let mut authors = BTreeSet::new();
    !lanes.iter().all(|lane| authors.insert(lane.author))
}

/// A chain that goes on stays in its lane.
fn check_opens(lanes: &[Lane], at: usize, branched: bool) -> Result<(), DecodeError> {
    let (before, rest) = lanes.split_at_checked(at).ok_or(DecodeError::Invalid("lane"))?;
    let follows = |lane: &Lane| before.iter().any(|other| other.dot() == lane.dot() && lane.tip.is_some());
    match rest.first() {
        Some(lane) if branched && follows(lane) => Err(DecodeError::Invalid("lane")),
        _ => Ok(()),
    }
}

/// The events fit into a frame, and none comes twice.
fn check_whole(events: &[(UnverifiedEvent, Option<Proof>)], branched: bool) -> Result<(), FrameError> {
    let weights = events.iter().map(|(event, _)| weight(event.parents().len(), event.payload()));
    if weights.sum::<usize>() > FRAME_BODY_BYTES_MAX {
        return Err(FrameError::TooLarge);
    }
    let mut ids = BTreeSet::new();
    if branched && !events.iter().all(|(event, _)| ids.insert(event.id())) {
        return Err(DecodeError::Invalid("event that comes twice").into());
    }
    Ok(())
}

struct Columns<'a> {
    stamps: Reader<'a>,
    lengths: Reader<'a>,
    rare: Reader<'a>,
    payloads: Reader<'a>,
    outside: Vec<Dot>,
    stamp: Stamp,
    epoch: Epoch,
    events: Vec<(UnverifiedEvent, Option<Proof>)>,
}

impl Columns<'_> {
    fn read_draft(&mut self, flags: u8, prev: Option<Dot>) -> Result<Draft, DecodeError> {
        let kind = if flags & FLAG_CONTROL == 0 { Kind::Data } else { Kind::Control };
        let parents = self.read_parents((flags >> PARENTS_SHIFT) & 3, prev)?;
        self.stamp = self.read_stamp((flags >> STAMP_SHIFT) & 3)?;
        if flags & FLAG_EPOCH != 0 {
            self.epoch = Epoch(self.rare.array("epoch")?);
        }
        let payload = self.read_payload((flags >> PAYLOAD_SHIFT) & 3)?;
        Ok(Draft { kind, parents, stamp: self.stamp, epoch: self.epoch, payload })
    }

    fn read_parents(&mut self, form: u8, prev: Option<Dot>) -> Result<Vec<Dot>, DecodeError> {
        let absent = DecodeError::Invalid("parent");
        match form {
            PARENTS_NONE => Ok(Vec::new()),
            PARENTS_OWN => Ok(vec![prev.ok_or(absent)?]),
            PARENTS_BEFORE => Ok(vec![dot(&self.events.last().ok_or(absent)?.0)]),
            _ => {
                let count = usize::from(self.rare.u8("number of parents")?);
                if count > PARENTS_MAX {
                    return Err(DecodeError::Invalid("number of parents"));
                }
                (0..count).map(|_| self.read_reference()).collect()
            }
        }
    }

    fn read_reference(&mut self) -> Result<Dot, DecodeError> {
        let reference = self.rare.varint("parent")?;
        let place = usize::try_from(reference >> 1).unwrap_or(usize::MAX);
        let found = if reference & 1 == 1 {
            self.outside.get(place).copied()
        } else {
            let at = self.events.len().checked_sub(place);
            at.and_then(|at| self.events.get(at)).map(|(event, _)| dot(event))
        };
        found.ok_or(DecodeError::Invalid("parent"))
    }

    fn read_stamp(&mut self, form: u8) -> Result<Stamp, DecodeError> {
        let before = self.stamp.to_u128();
        let stamp = match form {
            STAMP_SUCCESSOR => before.checked_add(1).map(Stamp::from_u128),
            STAMP_LATER => before.checked_add(u128::from(self.stamps.varint("stamp")?)).map(Stamp::from_u128),
            STAMP_FRESH => {
                let ms = self.stamp.ms().checked_add_signed(self.stamps.signed("stamp")?);
                let random = u32::from_le_bytes(self.stamps.array("stamp")?);
                ms.and_then(|ms| Stamp::from_parts(ms, u128::from(random) << STAMP_COUNTER_BITS))
            }
            _ => Some(Stamp::from_u128(u128::from_le_bytes(self.stamps.array("stamp")?))),
        };
        stamp.ok_or(DecodeError::Invalid("stamp"))
    }

    fn read_payload(&mut self, form: u8) -> Result<Payload, DecodeError> {
        let len = self.lengths.varint("length of a payload")?;
        match form {
            PAYLOAD_OPEN => Ok(Payload::Open(self.read_bytes(len)?)),
            PAYLOAD_SEALED => Ok(Payload::Sealed(self.read_bytes(len)?)),
            PAYLOAD_ERASED => {
                let len = u32::try_from(len).map_err(|_| DecodeError::Invalid("length of a payload"))?;
                Ok(Payload::Erased { len, hash: self.rare.array("hash of a payload")? })
            }
            _ => Err(DecodeError::Invalid("form of a payload")),
        }
    }

    fn read_bytes(&mut self, len: u64) -> Result<Vec<u8>, DecodeError> {
        let limit = 2 * PAYLOAD_BYTES_MAX as u64;
        if len > limit {
            return Err(DecodeError::TooLong { what: "payload", found: len, limit });
        }
        Ok(self.payloads.raw(len as usize, "payload")?.to_vec())
    }

    fn finish(self) -> Result<Vec<(UnverifiedEvent, Option<Proof>)>, DecodeError> {
        self.stamps.finish()?;
        self.lengths.finish()?;
        self.rare.finish()?;
        self.payloads.finish()?;
        Ok(self.events)
    }
}

impl Rebuilt {
    /// Gives the last event of each lane its proof.
    fn finish(mut self, vouchers: Vouchers<'_>) -> Result<Vec<(UnverifiedEvent, Option<Proof>)>, FrameError> {
        for (at, lane) in self.lanes.iter().enumerate() {
            let last = lane.last.and_then(|last| self.events.get_mut(last));
            let (_, proof) = last.ok_or(DecodeError::Invalid("lane"))?;
            *proof = Some(match vouchers {
                Vouchers::Signatures => Proof::Signature(lane.signature),
                Vouchers::Stored(ids) => {
                    let id = ids.get(at).ok_or(DecodeError::Short("the stored ids"))?;
                    Proof::StoredSigned(*id, lane.signature)
                }
            });
        }
        Ok(self.events)
    }
}
