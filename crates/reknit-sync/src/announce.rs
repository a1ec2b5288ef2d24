//! The hint that a peer publishes when its heads change.

use crate::frame::Frame;
use crate::limits::{ANNOUNCE_BYTES_MAX, ANNOUNCE_HEADS_MAX};
use reknit_types::{DecodeError, Dot, Reader, Writer};

/// Says what a peer has now, and carries the newest events if they are small. It may be lost: sessions deliver.
/// It is sealed under a key of the space before it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announce {
    /// The heads of the space, at most [`ANNOUNCE_HEADS_MAX`].
    pub heads: Vec<Dot>,
    /// The digest of the frontier.
    pub frontier_digest: [u8; 32],
    /// The newest events.
    pub frame: Option<Frame>,
}

impl Announce {
    /// An announce of these heads, cut to what fits: the first heads, and the frame only if all stays small enough.
    pub fn new(mut heads: Vec<Dot>, frontier_digest: [u8; 32], frame: Option<Frame>) -> Self {
        heads.truncate(ANNOUNCE_HEADS_MAX);
        let mut announce = Self { heads, frontier_digest, frame };
        if announce.encode().len() > ANNOUNCE_BYTES_MAX {
            announce.frame = None;
        }
        announce
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(VERSION).varint(self.heads.len() as u64);
        self.heads.iter().for_each(|head| head.encode(&mut writer));
        writer.raw(&self.frontier_digest).flag(self.frame.is_some());
        if let Some(frame) = &self.frame {
            writer.raw(frame.as_bytes());
        }
        writer.into_bytes()
    }

    /// The announce with these canonical bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > ANNOUNCE_BYTES_MAX {
            let (found, limit) = (bytes.len() as u64, ANNOUNCE_BYTES_MAX as u64);
            return Err(DecodeError::TooLong { what: "an announce", found, limit });
        }
        let mut reader = Reader::new(bytes);
        let found = u64::from(reader.u8("version")?);
        if found != u64::from(VERSION) {
            return Err(DecodeError::Version { what: "announces", found, known: u64::from(VERSION) });
        }
        let count = reader.count(ANNOUNCE_HEADS_MAX, "heads of an announce")?;
        let heads = (0..count).map(|_| Dot::decode(&mut reader)).collect::<Result<_, _>>()?;
        let frontier_digest = reader.array("frontier digest")?;
        let frame = reader.flag("frame")?.then(|| Frame::from_bytes(reader.take_rest().to_vec()));
        reader.finish()?;
        Ok(Self { heads, frontier_digest, frame })
    }
}

const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use reknit_types::{DeviceId, EventId};

    fn dot(at: u8) -> Dot {
        Dot { author: DeviceId::from_bytes([at; 32]), seq: 1, id: EventId::from_bytes([at; 32]) }
    }

    #[test]
    fn a_frame_comes_along_only_if_all_stays_small() {
        let small = Announce::new(vec![dot(1)], [0; 32], Some(Frame::from_bytes(vec![0; 1000])));
        assert!(small.frame.is_some());
        assert_eq!(Announce::decode(&small.encode()), Ok(small));
        let large =
            Announce::new(vec![dot(1)], [0; 32], Some(Frame::from_bytes(vec![0; ANNOUNCE_BYTES_MAX])));
        assert_eq!(large.frame, None);
        let many = Announce::new((0..200).map(dot).collect(), [0; 32], None);
        assert_eq!(many.heads.len(), ANNOUNCE_HEADS_MAX);
    }

    #[test]
    fn an_announce_beyond_its_bound_is_refused() {
        let refused = Announce::decode(&vec![VERSION; ANNOUNCE_BYTES_MAX + 1]).unwrap_err();
        assert!(matches!(refused, DecodeError::TooLong { .. }));
    }
}
