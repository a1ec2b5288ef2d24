//! Frames: runs of events as they travel and as they are stored.
//!
//! A frame needs nothing but itself, the space and its keys to be read: frames are decoded in any order, a received
//! frame is stored verbatim, a stored one is sent verbatim. Its events are in causal order. Each belongs to a *lane*,
//! an author's chain or a branch of it, and the last event of each lane carries its signature, which covers the lane.
//!
//! ```text
//! frame    form u8 (0x10 raw, 0x11 zstd) | lanes | externals | events varint | body
//! lanes    count varint, each: author 32 | seq varint and id 32 (if seq > 0) of the event before | signature 64
//! externals  count varint, each a parent outside the frame that is not the event before a lane: author varint (0:
//!          its 32 bytes follow; else a place, plus 1, among the lanes' authors and those spelled out) | seq varint | id 32
//! body     (zstd: length varint |) columns: runs, stamps, lengths, rare, each after its length; flags; payloads
//! runs     until every event is placed: lane varint | events varint
//! flags    a byte an event: kind 1 bit, parents 2, stamp 2, new epoch 1, payload 2
//! stamps   by form: nothing (the one before plus 1) | varint to add | signed ms to add, 4 random bytes | 16 bytes
//! lengths  varint a payload
//! rare     per event, as flagged: parents: count u8, each a varint: twice the distance back in the frame, or twice
//!          the place among lanes' events before and externals, plus 1 | epoch 8 | hash 32 of an erased payload
//! ```
//!
//! Ids are never sent for events of the frame: the receiver hashes each header, so a frame that decodes wrongly ends
//! in ids that no signature covers. Lanes come in the order of their first events, no event comes twice, and no chain
//! goes on in another lane: so the lanes follow from the events, and a stored frame needs no list of its own.

mod decode;
mod encode;
mod lane;
mod pack;

pub(crate) use decode::{Vouchers, decode_with};
pub use decode::{decode, decode_verified};
pub use encode::{encode, prefix};
pub(crate) use lane::last_ids;

use crate::limits::{FRAME_BODY_BYTES_MAX, FRAME_EVENTS_MAX, FRAME_EXTERNALS_MAX};
use reknit_types::{DecodeError, DeviceId, EventError, Payload};
use thiserror::Error;

/// The bytes of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Vec<u8>);

impl Frame {
    /// The frame with these bytes. Nothing is checked before it is decoded.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes of the frame.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes of the frame.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Why events do not make a frame, or bytes are not one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The last event of a lane has no signature.
    #[error("event {seq} of {author} ends its run without a signature; end the frame at a signed event")]
    Unsigned {
        /// Who wrote the event.
        author: DeviceId,
        /// Its place in the author's chain.
        seq: u64,
    },
    /// No events at all.
    #[error("a frame of no events")]
    Empty,
    /// More than a frame holds.
    #[error(
        "more than a frame holds ({FRAME_EVENTS_MAX} events, {FRAME_BODY_BYTES_MAX} bytes); use several frames"
    )]
    TooLarge,
    /// An event comes before one of its parents.
    #[error("event {seq} of {author} comes before one of its parents; put the events in causal order")]
    Order {
        /// Who wrote the event.
        author: DeviceId,
        /// Its place in the author's chain.
        seq: u64,
    },
    /// The bytes are not a frame.
    #[error("malformed frame: {0}")]
    Malformed(#[from] DecodeError),
    /// The compressed part is damaged, or larger than it says.
    #[error("the frame does not decompress")]
    Compression,
    /// An event of the frame is not genuine.
    #[error(transparent)]
    Event(#[from] EventError),
}

/// What an event counts towards [`FRAME_BODY_BYTES_MAX`]: at least what it takes in a body, whatever is there beside
/// it. Both sides check the sum, so whatever was decoded can be encoded again, in any selection.
fn weight(parents: usize, payload: &Payload) -> usize {
    let carried = match payload {
        Payload::Open(bytes) | Payload::Sealed(bytes) => bytes.len(),
        Payload::Erased { .. } => 0,
    };
    EVENT_BYTES + REFERENCE_BYTES * parents + carried
}

/// Whether a frame may have so many parents outside it. Every event counts as one: it is one to its successors, once it
/// is taken out.
fn fits_outside(externals: usize, events: usize) -> bool {
    externals + events <= FRAME_EXTERNALS_MAX
}

/// Flags 1, lane and run 4, stamp 16, length 5, number of parents 1, epoch 8, hash 32; and its share of the lengths of
/// the columns.
const EVENT_BYTES: usize = 80;
/// Of a parent in the body.
const REFERENCE_BYTES: usize = 3;
const FORM_RAW: u8 = 0x10;
const FORM_ZSTD: u8 = 0x11;

const FLAG_CONTROL: u8 = 1;
const PARENTS_SHIFT: u8 = 1;
const PARENTS_NONE: u8 = 0;
const PARENTS_OWN: u8 = 1;
const PARENTS_BEFORE: u8 = 2;
const PARENTS_LIST: u8 = 3;
const STAMP_SHIFT: u8 = 3;
const STAMP_SUCCESSOR: u8 = 0;
const STAMP_LATER: u8 = 1;
const STAMP_FRESH: u8 = 2;
const STAMP_FULL: u8 = 3;
const FLAG_EPOCH: u8 = 1 << 5;
const PAYLOAD_SHIFT: u8 = 6;
const PAYLOAD_OPEN: u8 = 0;
const PAYLOAD_SEALED: u8 = 1;
const PAYLOAD_ERASED: u8 = 2;
/// A fresh stamp draws 32 random bits above this many zeros.
const STAMP_COUNTER_BITS: u32 = 48;

#[cfg(test)]
mod tests;
