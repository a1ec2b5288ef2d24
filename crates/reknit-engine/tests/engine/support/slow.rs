//! Streams that carry so many bytes a minute in each direction.

use super::{End, Item, World};
use reknit_engine::{Incoming, Input};
use reknit_sync::limits::{ARRIVING_MS, PROGRESS_BYTES};

/// What has come of the next item of one end, and what its reader has said of it.
#[derive(Default)]
pub(super) struct Pipe {
    /// Bytes, in parts of which a minute at one byte a minute has one a millisecond.
    parts: u64,
    unreported: u64,
    reported_ms: u64,
}

impl World {
    /// Moves what `elapsed_ms` moves.
    pub(super) fn let_arrive(&mut self, elapsed_ms: u64) {
        let Some(bytes_a_minute) = self.bytes_a_minute else { return };
        self.pipes.retain(|end, _| self.queues.contains_key(end));
        for (end, queue) in &self.queues {
            let pipe = self.pipes.entry(*end).or_default();
            if queue.is_empty() {
                pipe.parts = 0;
                continue;
            }
            let before = pipe.parts / PARTS;
            pipe.parts += bytes_a_minute * elapsed_ms;
            pipe.unreported += pipe.parts / PARTS - before;
        }
    }

    /// When to look again whether something came.
    pub(super) fn next_arrival_ms(&self) -> u64 {
        let waiting = self.queues.values().any(|queue| !queue.is_empty());
        if self.bytes_a_minute.is_some() && waiting { self.now_ms + LOOK_MS } else { u64::MAX }
    }

    /// Hands on one item that is whole, or says that one is arriving.
    pub(super) fn deliver_what_arrived(&mut self) -> bool {
        let ends: Vec<End> = self.pipes.keys().copied().collect();
        for end in ends {
            let Some(pipe) = self.pipes.get_mut(&end) else { continue };
            if pipe.unreported >= PROGRESS_BYTES && self.now_ms >= pipe.reported_ms + ARRIVING_MS {
                pipe.reported_ms = self.now_ms;
                let incoming = Incoming::Arriving { bytes: std::mem::take(&mut pipe.unreported) };
                self.round(end.peer, vec![Input::Incoming { link: end.link, incoming }]);
                return true;
            }
            let Some(queue) = self.queues.get_mut(&end) else { continue };
            if let Some(item) = queue.pop_front_if(|item| pipe.parts >= item.bytes() * PARTS) {
                pipe.parts -= item.bytes() * PARTS;
                let inputs = self.receive(end, item);
                self.round(end.peer, inputs.into_iter().collect());
                return true;
            }
        }
        false
    }
}

impl Item {
    fn bytes(&self) -> u64 {
        match self {
            Self::Opening(bytes) | Self::Message(bytes) => bytes.len() as u64 + 4,
            Self::End(_) => 1,
        }
    }
}

const PARTS: u64 = 60_000;
const LOOK_MS: u64 = 200;
