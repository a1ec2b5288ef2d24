//! The header: what names, orders and authorises an event. The payload travels beside it and can be erased.

use crate::codec::{DecodeError, Reader, Writer};
use crate::ids::{DeviceId, EventId, SpaceId};
use crate::limits::PARENTS_MAX;
use crate::stamp::Stamp;

/// What an event is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Operations on entities.
    Data,
    /// Operations on the space itself: its founding, invites, joins.
    Control,
}

impl Kind {
    /// The byte this kind travels as.
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Data => 0,
            Self::Control => 1,
        }
    }

    /// The kind with this byte.
    pub const fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        match byte {
            0 => Ok(Self::Data),
            1 => Ok(Self::Control),
            _ => Err(DecodeError::Invalid("event kind")),
        }
    }
}

/// Which key of the space seals a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub [u8; 8]);

impl Epoch {
    /// The epoch whose key travels in the ticket.
    pub const FIRST: Self = Self([0; 8]);
}

/// The signed part of an event. Its [`EventId`] is the hash of [`Header::encode`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What the event is for.
    pub kind: Kind,
    /// The space it belongs to.
    pub space: SpaceId,
    /// Who wrote it.
    pub author: DeviceId,
    /// Its place in the author's chain, from 1.
    pub seq: u64,
    /// The author's previous event; none for the first.
    pub prev: Option<EventId>,
    /// The heads its author had: ascending, no two the same, none an ancestor of another.
    pub parents: Vec<EventId>,
    /// When it was written.
    pub stamp: Stamp,
    /// Which key seals the payload.
    pub epoch: Epoch,
    /// Bytes of the sealed payload.
    pub payload_len: u32,
    /// BLAKE3 of the sealed payload.
    pub payload_hash: [u8; 32],
}

impl Header {
    /// The canonical bytes of the header.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = self.encode_core();
        writer.raw(&self.payload_len.to_le_bytes()).raw(&self.payload_hash);
        writer.into_bytes()
    }

    /// All of the header that is known before the payload is sealed; the seal binds it.
    pub(crate) fn encode_core(&self) -> Writer {
        let mut writer = Writer::with_capacity(192 + 32 * self.parents.len());
        writer.u8(VERSION).u8(self.kind.to_byte());
        writer.raw(self.space.as_bytes()).raw(self.author.as_bytes()).raw(&self.seq.to_le_bytes());
        writer.flag(self.prev.is_some());
        if let Some(prev) = &self.prev {
            writer.raw(prev.as_bytes());
        }
        writer.u8(self.parents.len() as u8);
        for parent in &self.parents {
            writer.raw(parent.as_bytes());
        }
        writer.raw(&self.stamp.to_u128().to_be_bytes()).raw(&self.epoch.0);
        writer
    }

    /// The header with these canonical bytes, and nothing after them.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8("version")?;
        if version != VERSION {
            let (found, known) = (u64::from(version), u64::from(VERSION));
            return Err(DecodeError::Version { what: "the event header", found, known });
        }
        let kind = Kind::from_byte(reader.u8("kind")?)?;
        let space = SpaceId::decode(&mut reader)?;
        let author = DeviceId::decode(&mut reader)?;
        let seq = u64::from_le_bytes(reader.array("seq")?);
        let prev = if reader.flag("prev")? { Some(EventId::decode(&mut reader)?) } else { None };
        let parents = decode_parents(&mut reader)?;
        let stamp = Stamp::from_u128(u128::from_be_bytes(reader.array("stamp")?));
        let epoch = Epoch(reader.array("epoch")?);
        let payload_len = u32::from_le_bytes(reader.array("payload length")?);
        let payload_hash = reader.array("payload hash")?;
        reader.finish()?;
        let header =
            Self { kind, space, author, seq, prev, parents, stamp, epoch, payload_len, payload_hash };
        header.check_shape()?;
        Ok(header)
    }

    /// The id of the event with this header.
    pub fn id(&self) -> EventId {
        EventId::of_header(&self.encode())
    }

    /// What must hold of any header, whoever wrote it: sequence numbers start at 1 and only the first event has no
    /// predecessor; parents are few and strictly ascending.
    pub(crate) fn check_shape(&self) -> Result<(), DecodeError> {
        if self.seq == 0 || (self.seq == 1) != self.prev.is_none() {
            return Err(DecodeError::Invalid("sequence number"));
        }
        if self.parents.len() > PARENTS_MAX || !self.parents.is_sorted_by(|a, b| a < b) {
            return Err(DecodeError::Invalid("list of parents"));
        }
        Ok(())
    }
}

fn decode_parents(reader: &mut Reader<'_>) -> Result<Vec<EventId>, DecodeError> {
    let count = usize::from(reader.u8("parents")?);
    if count > PARENTS_MAX {
        let (found, limit) = (count as u64, PARENTS_MAX as u64);
        return Err(DecodeError::TooLong { what: "the list of parents", found, limit });
    }
    (0..count).map(|_| EventId::decode(reader)).collect()
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers() -> impl Strategy<Value = Header> {
        let parents = proptest::collection::btree_set(any::<[u8; 32]>(), 0..5);
        (
            any::<bool>(),
            any::<[[u8; 32]; 4]>(),
            1u64..,
            parents,
            any::<u128>(),
            any::<[u8; 8]>(),
            any::<u32>(),
        )
            .prop_map(
                |(control, [space, author, prev, payload_hash], seq, parents, stamp, epoch, payload_len)| {
                    Header {
                        kind: if control { Kind::Control } else { Kind::Data },
                        space: SpaceId::from_bytes(space),
                        author: DeviceId::from_bytes(author),
                        seq,
                        prev: (seq > 1).then_some(EventId::from_bytes(prev)),
                        parents: parents.into_iter().map(EventId::from_bytes).collect(),
                        stamp: Stamp::from_u128(stamp),
                        epoch: Epoch(epoch),
                        payload_len,
                        payload_hash,
                    }
                },
            )
    }

    proptest! {
        #[test]
        fn headers_round_trip(header in headers()) {
            prop_assert_eq!(Header::decode(&header.encode()).unwrap(), header);
        }

        #[test]
        fn a_flipped_bit_never_gives_the_same_event(header in headers(), at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = header.encode();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(other) = Header::decode(&bytes) {
                prop_assert_ne!(other.id(), header.id());
            }
        }

        #[test]
        fn what_decodes_is_its_only_encoding(
            header in headers(), changes in changes(), extra in proptest::collection::vec(any::<u8>(), 0..2),
        ) {
            let mut bytes = header.encode();
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            bytes.extend(extra);
            if let Ok(header) = Header::decode(&bytes) {
                prop_assert_eq!(header.encode(), bytes);
            }
        }

        #[test]
        fn a_header_cut_short_is_refused(header in headers(), at: prop::sample::Index) {
            let bytes = header.encode();
            prop_assert!(Header::decode(&bytes[..at.index(bytes.len())]).is_err());
        }
    }

    /// Bytes of a header to be overwritten, and with what: small numbers mean most in it.
    fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
        let value = prop_oneof![3 => 0u8..4, 1 => any::<u8>()];
        proptest::collection::vec((any::<prop::sample::Index>(), value), 0..3)
    }
}
