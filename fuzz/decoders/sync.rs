//! What peers say to each other and what the store keeps of it: openings, messages, announces, frontiers, frames, segments.

use reknit_access::{SpaceKeys, SpaceSecret};
use reknit_sync::frame;
use reknit_sync::{Announce, Frame, Frontier, Message, Opening, Segment};
use reknit_types::SpaceId;

pub(crate) fn opening(bytes: &[u8]) -> bool {
    let Ok(opening) = Opening::decode(bytes) else { return false };
    assert_eq!(opening.encode(), bytes, "an opening has one encoding");
    true
}

pub(crate) fn message(bytes: &[u8]) -> bool {
    let Ok(message) = Message::decode(bytes) else { return false };
    assert_eq!(message.encode(), bytes, "a message has one encoding");
    true
}

pub(crate) fn announce(bytes: &[u8]) -> bool {
    let Ok(announce) = Announce::decode(bytes) else { return false };
    assert_eq!(announce.encode(), bytes, "an announce has one encoding");
    true
}

pub(crate) fn frontier(bytes: &[u8]) -> bool {
    let Ok(frontier) = Frontier::decode(bytes) else { return false };
    assert_eq!(frontier.encode(), bytes, "a frontier has one encoding");
    true
}

pub(crate) fn segment(bytes: &[u8]) -> bool {
    let Ok(segment) = Segment::decode(bytes) else { return false };
    assert_eq!(segment.encode(), bytes, "a segment has one encoding");
    segment.events(SpaceId::from_bytes(SPACE), &keys()).is_ok()
}

/// Decodes a frame as what a peer sent; what is genuine in it must survive being framed again.
pub(crate) fn frame(bytes: &[u8]) -> bool {
    let (space, keys) = (SpaceId::from_bytes(SPACE), keys());
    let Ok(rebuilt) = frame::decode(bytes, space, &keys) else { return false };
    assert!(!rebuilt.is_empty(), "a frame holds events");
    let Ok(events) = frame::decode_verified(bytes, space, &keys) else { return false };
    let again: Frame = frame::encode(&events).expect("events of a frame make a frame");
    assert_eq!(frame::decode_verified(again.as_bytes(), space, &keys).expect("a frame of ours"), events);
    true
}

pub(crate) fn keys() -> SpaceKeys {
    SpaceKeys::from_secret(SpaceSecret::from_bytes([7; 32]))
}

/// The space whose frames the corpus holds.
pub(crate) const SPACE: [u8; 32] = [4; 32];
