//! Frames as a store keeps them.

use crate::frame::{Frame, FrameError, Vouchers, decode_with, last_ids};
use crate::limits::FRAME_EVENTS_MAX;
use reknit_types::{DecodeError, EventId, PayloadKeys, Reader, SpaceId, VerifiedEvent, Writer, verify};

/// A frame whose events were verified before it was stored, with the ids that its lanes end in. Reloaded events are
/// proven by these: hashing finds any damage, and no signature is checked again.
///
/// ```text
/// segment  count varint | id 32 of the last event of each lane | frame
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    last_ids: Vec<EventId>,
    frame: Frame,
}

impl Segment {
    /// The segment that keeps `frame`, of which `events` are the verified events.
    pub fn new(events: &[VerifiedEvent], frame: Frame) -> Self {
        Self { last_ids: last_ids(events), frame }
    }

    /// The frame, to be sent as it is.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(4 + 32 * self.last_ids.len() + self.frame.as_bytes().len());
        writer.varint(self.last_ids.len() as u64);
        for id in &self.last_ids {
            writer.raw(id.as_bytes());
        }
        writer.raw(self.frame.as_bytes());
        writer.into_bytes()
    }

    /// The segment with these bytes. Its events are checked by [`Self::events`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let count = reader.count(FRAME_EVENTS_MAX, "lanes of a segment")?;
        let last_ids = (0..count).map(|_| EventId::decode(&mut reader)).collect::<Result<_, _>>()?;
        Ok(Self { last_ids, frame: Frame::from_bytes(reader.take_rest().to_vec()) })
    }

    /// The events, each lane's last one with its signature. Damaged bytes are refused.
    pub fn events(&self, space: SpaceId, keys: &dyn PayloadKeys) -> Result<Vec<VerifiedEvent>, FrameError> {
        let stored = Vouchers::Stored(&self.last_ids);
        Ok(verify(decode_with(self.frame.as_bytes(), space, keys, stored)?)?)
    }
}
