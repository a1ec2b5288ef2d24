//! What workers do before the engine is called: decode, open, verify. Pure, and as dear as the rest of the way together.

use crate::effects::{Incoming, LinkContext, SpaceInfo};
use reknit_sync::{Announce, Message, frame};
use reknit_types::VerifiedEvent;

impl Incoming {
    /// Decodes a message of a stream, and verifies the events of a frame.
    pub fn prepare(bytes: &[u8], context: &LinkContext) -> Self {
        match Message::decode(bytes) {
            Ok(Message::Events(frame)) => {
                match frame::decode_verified(frame.as_bytes(), context.space, &*context.keys) {
                    Ok(events) => Self::Events { frame, events },
                    Err(error) => Self::Malformed(error.to_string()),
                }
            }
            Ok(message) => Self::Message(message),
            Err(error) => Self::Malformed(error.to_string()),
        }
    }
}

impl SpaceInfo {
    /// Opens an announce that came by gossip on the topic of this space, and verifies its events; `None` if it is no
    /// announce of a member. Without its events it is still a hint.
    pub fn open_announce(&self, sealed: &[u8]) -> Option<(Announce, Vec<VerifiedEvent>)> {
        let announce = Announce::decode(&self.keys.open_announce(sealed).ok()?).ok()?;
        let verified = announce
            .frame
            .as_ref()
            .map(|frame| frame::decode_verified(frame.as_bytes(), self.id, &*self.keys));
        let events = verified.and_then(Result::ok).unwrap_or_default();
        Some((announce, events))
    }
}
