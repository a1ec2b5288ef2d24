//! Lies in frames: in every part that their format has, before anything is signed anew.

use super::known::Known;
use super::lie::{Liar, Lie, damage, tell};
use super::messages::show_signature;
use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use reknit_sync::limits::{FRAME_BODY_BYTES_MAX, FRAME_EVENTS_MAX, FRAME_EXTERNALS_MAX};
use reknit_sync::{Frame, frame};
use reknit_types::{DecodeError, DeviceId, EventId, Reader, Signature, Tip, VerifiedEvent, Writer};

/// A frame taken apart, as the documentation of `reknit_sync::frame` has it. Nothing of it means anything here.
#[derive(Debug, Clone, PartialEq)]
struct Parts {
    form: u8,
    lanes: Vec<Lane>,
    externals: Vec<External>,
    events: u64,
    /// What is said of the length of the body when it is unpacked.
    claimed: u64,
    columns: Columns,
}

#[derive(Debug, Clone, PartialEq)]
struct Lane {
    author: DeviceId,
    before: Option<Tip>,
    signature: Signature,
}

#[derive(Debug, Clone, PartialEq)]
struct External {
    /// A place in a list of authors; zero if the author is spelled out.
    place: u64,
    author: Option<DeviceId>,
    tip: Tip,
}

#[derive(Debug, Clone, PartialEq)]
struct Columns {
    runs: Vec<u8>,
    stamps: Vec<u8>,
    lengths: Vec<u8>,
    rare: Vec<u8>,
    /// Flags and payloads.
    rest: Vec<u8>,
}

impl Liar<'_> {
    /// The bytes of a frame.
    pub(crate) fn frame(&mut self, field: &'static str, frame: &mut Frame) {
        if self.is_chosen(field) {
            *frame = distort(frame, self.rng, self.known);
        }
    }
}

/// Another frame than this one.
fn distort(frame: &Frame, rng: &mut ChaCha8Rng, known: &Known) -> Frame {
    let distorted = match rng.random_range(0..16) {
        0 => Some(bomb(rng)),
        1 => known.frames.iter().collect::<Vec<_>>().choose(rng).map(|frame| (*frame).clone()),
        2 => rearrange(rng, known),
        3..6 => None,
        _ => Parts::read(frame.as_bytes()).ok().map(|mut parts| {
            tell(&mut parts, rng, known);
            parts.write()
        }),
    };
    distorted.unwrap_or_else(|| {
        let mut bytes = frame.as_bytes().to_vec();
        damage(&mut bytes, rng);
        Frame::from_bytes(bytes)
    })
}

/// A small frame that unpacks to very much, and says so, or not.
fn bomb(rng: &mut ChaCha8Rng) -> Frame {
    let claims = [10, FRAME_BODY_BYTES_MAX as u64, FRAME_BODY_BYTES_MAX as u64 + 1, u64::MAX];
    let claimed = claims.choose(rng).copied().unwrap_or(u64::MAX);
    let packed = zstd::bulk::compress(&vec![0; BOMB_BYTES], 1).unwrap_or_default();
    let mut writer = Writer::new();
    writer.u8(FORM_ZSTD).varint(0).varint(0).varint(FRAME_EVENTS_MAX as u64).varint(claimed).raw(&packed);
    Frame::from_bytes(writer.into_bytes())
}

/// Events that exist, in a frame that has some of them, in some order: causes are missing, or come too late.
fn rearrange(rng: &mut ChaCha8Rng, known: &Known) -> Option<Frame> {
    let mut events: Vec<VerifiedEvent> =
        known.events.iter().filter(|event| event.signature().is_some()).cloned().collect();
    events.shuffle(rng);
    events.truncate(rng.random_range(1..4));
    frame::encode(&events).ok()
}

impl Parts {
    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let form = reader.u8("form")?;
        let lanes = (0..reader.count(FRAME_EVENTS_MAX, "lanes")?).map(|_| Lane::read(&mut reader));
        let lanes = lanes.collect::<Result<_, _>>()?;
        let externals =
            (0..reader.count(FRAME_EXTERNALS_MAX, "externals")?).map(|_| External::read(&mut reader));
        let externals = externals.collect::<Result<_, _>>()?;
        let events = reader.varint("events")?;
        let (claimed, body) = if form == FORM_ZSTD {
            let claimed = reader.varint("length")?;
            let body = zstd::bulk::decompress(reader.take_rest(), FRAME_BODY_BYTES_MAX);
            (claimed, body.map_err(|_| DecodeError::Invalid("body"))?)
        } else {
            (0, reader.take_rest().to_vec())
        };
        Ok(Self { form, lanes, externals, events, claimed, columns: Columns::read(&body)? })
    }

    fn write(&self) -> Frame {
        let mut writer = Writer::new();
        writer.u8(self.form).varint(self.lanes.len() as u64);
        for Lane { author, before, signature } in &self.lanes {
            writer.raw(author.as_bytes()).varint(before.map_or(0, |tip| tip.seq));
            if let Some(tip) = before.filter(|tip| tip.seq > 0) {
                writer.raw(tip.id.as_bytes());
            }
            writer.raw(signature.as_bytes());
        }
        writer.varint(self.externals.len() as u64);
        for External { place, author, tip } in &self.externals {
            writer.varint(*place);
            if let Some(author) = author {
                writer.raw(author.as_bytes());
            }
            writer.varint(tip.seq).raw(tip.id.as_bytes());
        }
        writer.varint(self.events);
        let body = self.columns.write();
        if self.form == FORM_ZSTD {
            writer.varint(self.claimed).raw(&zstd::bulk::compress(&body, 1).unwrap_or_default());
        } else {
            writer.raw(&body);
        }
        Frame::from_bytes(writer.into_bytes())
    }
}

impl Lane {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let author = DeviceId::decode(reader)?;
        let before = match reader.varint("seq")? {
            0 => None,
            seq => Some(Tip { seq, id: EventId::decode(reader)? }),
        };
        Ok(Self { author, before, signature: Signature::from_bytes(reader.array("signature")?) })
    }
}

impl External {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let place = reader.varint("author")?;
        let author = if place == 0 { Some(DeviceId::decode(reader)?) } else { None };
        Ok(Self { place, author, tip: Tip { seq: reader.varint("seq")?, id: EventId::decode(reader)? } })
    }
}

impl Columns {
    fn read(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let mut column = || reader.bytes(FRAME_BODY_BYTES_MAX, "column").map(<[u8]>::to_vec);
        let (runs, stamps, lengths, rare) = (column()?, column()?, column()?, column()?);
        Ok(Self { runs, stamps, lengths, rare, rest: reader.take_rest().to_vec() })
    }

    fn write(&self) -> Vec<u8> {
        let Self { runs, stamps, lengths, rare, rest } = self;
        let mut writer = Writer::new();
        writer.bytes(runs).bytes(stamps).bytes(lengths).bytes(rare).raw(rest);
        writer.into_bytes()
    }
}

impl Lie for Parts {
    fn show(&mut self, liar: &mut Liar<'_>) {
        let Self { form, lanes, externals, events, claimed, columns } = self;
        liar.byte("frame.form", form);
        liar.list("frame.lanes", lanes, FRAME_EVENTS_MAX);
        for Lane { author, before, signature } in lanes {
            liar.device("frame.lane.author", author);
            liar.presence("frame.lane.before", before, |rng, _| Tip {
                seq: 1,
                id: EventId::from_bytes(rng.random()),
            });
            if let Some(tip) = before {
                liar.tip(["frame.lane.seq", "frame.lane.id"], tip);
            }
            show_signature(liar, "frame.lane.signature", signature);
        }
        liar.list("frame.externals", externals, FRAME_EXTERNALS_MAX);
        for External { place, author, tip } in externals {
            liar.number("frame.external.place", place);
            if let Some(author) = author {
                liar.device("frame.external.author", author);
            }
            liar.tip(["frame.external.seq", "frame.external.id"], tip);
        }
        liar.number("frame.events", events);
        liar.number("frame.length", claimed);
        columns.show(liar);
    }
}

impl Lie for Columns {
    fn show(&mut self, liar: &mut Liar<'_>) {
        let Self { runs, stamps, lengths, rare, rest } = self;
        liar.blob("frame.runs", runs);
        liar.blob("frame.stamps", stamps);
        liar.blob("frame.lengths", lengths);
        liar.blob("frame.rare", rare);
        liar.blob("frame.payloads", rest);
    }
}

const FORM_ZSTD: u8 = 0x11;
const BOMB_BYTES: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use reknit_types::{DeviceKey, Draft, Epoch, Kind, Payload, PayloadKey, SpaceId, Stamp};

    fn frame_of(bytes: usize) -> Frame {
        let (key, space) = (DeviceKey::from_seed(&[1; 32]), SpaceId::from_bytes([2; 32]));
        let outside = reknit_types::Dot {
            author: DeviceId::from_bytes([3; 32]),
            seq: 1,
            id: EventId::from_bytes([3; 32]),
        };
        let draft = Draft {
            kind: Kind::Data,
            parents: vec![outside],
            stamp: Stamp::from_u128(1 << 90),
            epoch: Epoch::FIRST,
            payload: Payload::Open(vec![7; bytes]),
        };
        let mut event = VerifiedEvent::seal(space, &key, None, draft, &PayloadKey::new([1; 32])).unwrap();
        event.sign(&key);
        frame::encode(&[event]).unwrap()
    }

    /// If the format of frames changes, lies are told about what it is then.
    #[test]
    fn a_frame_that_is_taken_apart_is_the_same_when_it_is_put_together() {
        for frame in [frame_of(10), frame_of(2_000)] {
            let parts = Parts::read(frame.as_bytes()).unwrap();
            assert_eq!((parts.lanes.len(), parts.externals.len(), parts.events), (1, 1, 1));
            assert_eq!(Parts::read(parts.write().as_bytes()).unwrap(), parts);
        }
    }

    #[test]
    fn a_lie_about_a_frame_is_another_frame() {
        let (frame, mut rng) = (frame_of(2_000), ChaCha8Rng::seed_from_u64(1));
        let told = (0..200).filter(|_| distort(&frame, &mut rng, &Known::default()) != frame).count();
        assert!(told > 150, "{told}");
    }
}
