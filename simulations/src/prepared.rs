//! What workers make of messages. It is a pure function of the bytes, so what several peers get is worked out once: half the
//! time of a simulation would go into signatures otherwise.

use reknit_engine::{Incoming, LinkContext};
use reknit_sync::Frame;
use reknit_types::{SpaceId, VerifiedEvent};
use std::collections::BTreeMap;

/// Frames that were decoded and verified a short while ago.
#[derive(Default)]
pub(crate) struct Prepared {
    frames: BTreeMap<Key, (Frame, Vec<VerifiedEvent>)>,
    weight: usize,
}

/// The space, whose keys are part of the function, and what the message hashes to.
type Key = (SpaceId, [u8; 32]);

impl Prepared {
    /// As [`Incoming::prepare`].
    pub(crate) fn prepare(&mut self, bytes: &[u8], context: &LinkContext) -> Incoming {
        let key = (context.space, *blake3::hash(bytes).as_bytes());
        if let Some((frame, events)) = self.frames.get(&key) {
            return Incoming::Events { frame: frame.clone(), events: events.clone() };
        }
        let incoming = Incoming::prepare(bytes, context);
        if let Incoming::Events { frame, events } = &incoming {
            if self.weight > WEIGHT_MAX {
                (self.frames, self.weight) = (BTreeMap::new(), 0);
            }
            self.weight += bytes.len() + events.len() * EVENT_WEIGHT;
            self.frames.insert(key, (frame.clone(), events.clone()));
        }
        incoming
    }
}

/// Bytes kept, about.
const WEIGHT_MAX: usize = 32 * 1024 * 1024;
/// Bytes that a decoded event takes, about.
const EVENT_WEIGHT: usize = 1_024;
