//! What two peers say to each other in a session.

use crate::close::CloseReason;
use crate::delta::{Delta, decode_places, encode_places};
use crate::frame::Frame;
use crate::limits::{ADMISSION_BYTES_MAX, HAVE_TIPS_MAX, MESSAGE_BYTES_MAX, PROBES_MAX, SYMBOLS_MAX};
use crate::sketch::Sketch;
use reknit_types::{DecodeError, DeviceId, Dot, Reader, Signature, SpaceId, Writer};

/// The first word on a stream, before anything of the space is said: which space is meant and who may ask. The
/// initiator's hello follows without waiting for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The newest version of the protocol that the initiator speaks.
    pub version: u64,
    /// The blinded name of the space.
    pub tag: [u8; 32],
    /// What entitles the initiator to be served, if it is not a member yet.
    pub admission: Option<Vec<u8>>,
}

impl Opening {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.varint(self.version).raw(&self.tag).flag(self.admission.is_some());
        if let Some(admission) = &self.admission {
            writer.bytes(admission);
        }
        writer.into_bytes()
    }

    /// The opening with these canonical bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let version = reader.varint("version")?;
        let tag = reader.array("tag of a space")?;
        let admission = match reader.flag("admission")? {
            true => Some(reader.bytes(ADMISSION_BYTES_MAX, "admission")?.to_vec()),
            false => None,
        };
        reader.finish()?;
        Ok(Self { version, tag, admission })
    }
}

/// The first message of each side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The version of the protocol spoken.
    pub version: u64,
    /// The digest of the sender's frontier.
    pub digest: [u8; 32],
    /// How many events the sender has.
    pub events: u64,
    /// The sender's clock, milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// The digest of the frontier at the sender's last receipt with this peer.
    pub base: Option<[u8; 32]>,
}

/// What a frontier message is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// Nothing: every tip is listed.
    Nothing,
    /// The frontier with this digest, known to both since their last receipt.
    Base([u8; 32]),
    /// The frontier that the receiver sent just before.
    Yours,
    /// The tips that both are known to have since a sketch was read: those asked for are listed.
    Sketch,
}

/// What a sketch leaves to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// So many symbols in all: those sent do not give the difference.
    Symbols(u64),
    /// The tips with these fingerprints, ascending: the difference is found.
    Tips(Vec<u64>),
    /// Every tip: the two differ so much that this is cheaper, or the sketch was misleading.
    All,
}

/// A place of a chain, asked about: sequence number and the first half of the id found there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// The sequence number.
    pub seq: u64,
    /// The first 16 bytes of the event's id.
    pub id: [u8; 16],
}

/// Asks which events of a branch the receiver has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locate {
    /// Which of the tips that the receiver called unknown.
    pub tip: u64,
    /// Places of its chain, the greatest sequence number first.
    pub probes: Vec<Probe>,
}

/// A device's word that it has exactly the events that a frontier names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The digest of the frontier.
    pub digest: [u8; 32],
    /// The device's signature over space and digest.
    pub signature: Signature,
}

impl Receipt {
    /// Signs for `space` that the frontier with this digest is complete here.
    pub fn sign(space: &SpaceId, digest: [u8; 32], key: &reknit_types::DeviceKey) -> Self {
        Self { digest, signature: key.sign(RECEIPT_DOMAIN, &receipt_text(space, &digest)) }
    }

    /// Whether `device` signed it for `space`.
    pub fn verifies(&self, space: &SpaceId, device: &DeviceId) -> bool {
        device.signed(RECEIPT_DOMAIN, &receipt_text(space, &self.digest), &self.signature)
    }
}

/// A word in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The first of each side.
    Hello(Hello),
    /// What the sender has.
    Frontier {
        /// What the entries are relative to.
        against: Against,
        /// What is different from that.
        delta: Delta,
    },
    /// What the sender has, in short, for the receiver to find what is different.
    Sketch(Sketch),
    /// Answers [`Message::Sketch`].
    Want(Want),
    /// Which tips of the frontier just received are unknown to the sender although it has its own events of their
    /// authors: places in the list of all its tips, ascending.
    Unknown(Vec<u64>),
    /// Asks where the branch of an unknown tip leaves what the receiver has.
    Locate(Locate),
    /// Answers [`Message::Locate`].
    Located {
        /// Which unknown tip.
        tip: u64,
        /// How many of the probes, from the greatest sequence number down, the sender does not have.
        unknown: u64,
    },
    /// Ends the search for an unknown tip.
    Settled {
        /// Which unknown tip.
        tip: u64,
        /// The last event of its chain that both have; none if they share nothing of it.
        shared: Option<Probe>,
    },
    /// Events.
    Events(Frame),
    /// Tips that the sender has come to have from elsewhere, ascending.
    Have(Vec<Dot>),
    /// The receiver may send this many bytes of frames more. Even of 0 bytes it says that a long message is arriving.
    Credit(u64),
    /// The sender has exactly the events of this frontier.
    Receipt(Receipt),
    /// The session ends.
    Close(CloseReason),
}

impl Message {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        match self {
            Self::Hello(hello) => hello.encode(writer.u8(TAG_HELLO)),
            Self::Frontier { against, delta } => {
                against.encode(writer.u8(TAG_FRONTIER));
                delta.encode(&mut writer);
            }
            Self::Sketch(sketch) => sketch.encode(writer.u8(TAG_SKETCH)),
            Self::Want(want) => want.encode(writer.u8(TAG_WANT)),
            Self::Unknown(tips) => encode_places(writer.u8(TAG_UNKNOWN), tips),
            Self::Locate(locate) => locate.encode(writer.u8(TAG_LOCATE)),
            Self::Located { tip, unknown } => {
                writer.u8(TAG_LOCATED).varint(*tip).varint(*unknown);
            }
            Self::Settled { tip, shared } => {
                writer.u8(TAG_SETTLED).varint(*tip).flag(shared.is_some());
                if let Some(probe) = shared {
                    probe.encode(&mut writer);
                }
            }
            Self::Events(frame) => {
                writer.u8(TAG_EVENTS).raw(frame.as_bytes());
            }
            Self::Have(dots) => {
                writer.u8(TAG_HAVE).varint(dots.len() as u64);
                dots.iter().for_each(|dot| dot.encode(&mut writer));
            }
            Self::Credit(bytes) => {
                writer.u8(TAG_CREDIT).varint(*bytes);
            }
            Self::Receipt(receipt) => {
                writer.u8(TAG_RECEIPT).raw(&receipt.digest).raw(receipt.signature.as_bytes());
            }
            Self::Close(reason) => reason.encode(writer.u8(TAG_CLOSE)),
        }
        writer.into_bytes()
    }

    /// The message with these canonical bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            let (found, limit) = (bytes.len() as u64, MESSAGE_BYTES_MAX as u64);
            return Err(DecodeError::TooLong { what: "a message", found, limit });
        }
        let mut reader = Reader::new(bytes);
        let message = match reader.u8("message")? {
            TAG_HELLO => Self::Hello(Hello::decode(&mut reader)?),
            TAG_FRONTIER => {
                let against = Against::decode(&mut reader)?;
                Self::Frontier { against, delta: Delta::decode(&mut reader)? }
            }
            TAG_SKETCH => Self::Sketch(Sketch::decode(&mut reader)?),
            TAG_WANT => Self::Want(Want::decode(&mut reader)?),
            TAG_UNKNOWN => Self::Unknown(decode_places(&mut reader)?),
            TAG_LOCATE => Self::Locate(Locate::decode(&mut reader)?),
            TAG_LOCATED => Self::Located { tip: reader.varint("tip")?, unknown: reader.varint("answer")? },
            TAG_SETTLED => {
                let tip = reader.varint("tip")?;
                let shared = if reader.flag("shared")? { Some(Probe::decode(&mut reader)?) } else { None };
                Self::Settled { tip, shared }
            }
            TAG_EVENTS => Self::Events(Frame::from_bytes(reader.take_rest().to_vec())),
            TAG_HAVE => {
                let count = reader.count(HAVE_TIPS_MAX, "tips")?;
                let dots = (0..count).map(|_| Dot::decode(&mut reader)).collect::<Result<Vec<_>, _>>()?;
                if !dots.is_sorted_by(|a, b| a < b) {
                    return Err(DecodeError::Invalid("order of tips"));
                }
                Self::Have(dots)
            }
            TAG_CREDIT => Self::Credit(reader.varint("credit")?),
            TAG_RECEIPT => {
                let digest = reader.array("frontier digest")?;
                let signature = Signature::from_bytes(reader.array("signature")?);
                Self::Receipt(Receipt { digest, signature })
            }
            TAG_CLOSE => Self::Close(CloseReason::decode(&mut reader)?),
            _ => return Err(DecodeError::Invalid("message")),
        };
        reader.finish()?;
        Ok(message)
    }
}

impl Hello {
    fn encode(&self, writer: &mut Writer) {
        writer.varint(self.version).raw(&self.digest).varint(self.events).varint(self.now_ms);
        writer.flag(self.base.is_some());
        if let Some(base) = &self.base {
            writer.raw(base);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            version: reader.varint("version")?,
            digest: reader.array("frontier digest")?,
            events: reader.varint("number of events")?,
            now_ms: reader.varint("clock")?,
            base: if reader.flag("base")? { Some(reader.array("base")?) } else { None },
        })
    }
}

impl Against {
    fn encode(self, writer: &mut Writer) {
        match self {
            Self::Nothing => writer.u8(0),
            Self::Base(digest) => writer.u8(1).raw(&digest),
            Self::Yours => writer.u8(2),
            Self::Sketch => writer.u8(3),
        };
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8("frontier")? {
            0 => Self::Nothing,
            1 => Self::Base(reader.array("base")?),
            2 => Self::Yours,
            3 => Self::Sketch,
            _ => return Err(DecodeError::Invalid("frontier")),
        })
    }
}

impl Want {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::All => _ = writer.u8(0),
            Self::Symbols(count) => _ = writer.u8(1).varint(*count),
            Self::Tips(fingerprints) => {
                writer.u8(2).varint(fingerprints.len() as u64);
                fingerprints.iter().for_each(|fingerprint| _ = writer.raw(&fingerprint.to_be_bytes()));
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8("what is wanted")? {
            0 => Ok(Self::All),
            1 => Ok(Self::Symbols(reader.varint("number of symbols")?)),
            2 => {
                let fingerprint =
                    |reader: &mut Reader<'_>| reader.array("fingerprint").map(u64::from_be_bytes);
                let count = reader.count(SYMBOLS_MAX, "fingerprints")?;
                let found = (0..count).map(|_| fingerprint(reader)).collect::<Result<Vec<_>, _>>()?;
                let ascending = found.is_sorted_by(|a, b| a < b);
                if ascending {
                    Ok(Self::Tips(found))
                } else {
                    Err(DecodeError::Invalid("order of fingerprints"))
                }
            }
            _ => Err(DecodeError::Invalid("what is wanted")),
        }
    }
}

impl Probe {
    fn encode(&self, writer: &mut Writer) {
        writer.varint(self.seq).raw(&self.id);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { seq: reader.varint("seq")?, id: reader.array("event id")? })
    }
}

impl Locate {
    fn encode(&self, writer: &mut Writer) {
        writer.varint(self.tip).varint(self.probes.len() as u64);
        for probe in &self.probes {
            probe.encode(writer);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let tip = reader.varint("tip")?;
        let probes: Vec<Probe> = (0..reader.count(PROBES_MAX, "probes")?)
            .map(|_| Probe::decode(reader))
            .collect::<Result<_, _>>()?;
        if !probes.is_sorted_by(|a, b| a.seq > b.seq) {
            return Err(DecodeError::Invalid("order of probes"));
        }
        Ok(Self { tip, probes })
    }
}

fn receipt_text(space: &SpaceId, digest: &[u8; 32]) -> Vec<u8> {
    [space.as_bytes().as_slice(), digest].concat()
}

const RECEIPT_DOMAIN: &str = "reknit/1 receipt";
const TAG_HELLO: u8 = 1;
const TAG_FRONTIER: u8 = 2;
const TAG_UNKNOWN: u8 = 3;
const TAG_LOCATE: u8 = 4;
const TAG_LOCATED: u8 = 5;
const TAG_SETTLED: u8 = 6;
const TAG_EVENTS: u8 = 7;
const TAG_HAVE: u8 = 8;
const TAG_CREDIT: u8 = 9;
const TAG_RECEIPT: u8 = 10;
const TAG_CLOSE: u8 = 11;
const TAG_SKETCH: u8 = 12;
const TAG_WANT: u8 = 13;
