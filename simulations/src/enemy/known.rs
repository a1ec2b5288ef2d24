//! What an enemy knows, to lie with.

use reknit_sync::Frame;
use reknit_types::{DeviceId, Dot, VerifiedEvent};
use std::collections::VecDeque;
use std::time::Duration;

/// What an enemy knows.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The newest events of the space, causes first.
    pub(crate) events: Vec<VerifiedEvent>,
    /// Ids and digests of anything.
    pub(crate) digests: Vec<[u8; 32]>,
    /// Devices.
    pub(crate) devices: Vec<DeviceId>,
    /// Frames that came, or went.
    pub(crate) frames: VecDeque<Frame>,
    /// When this was looked up.
    pub(crate) at: Option<Duration>,
}

impl Known {
    pub(crate) fn dots(&self) -> impl Iterator<Item = Dot> {
        self.events.iter().map(VerifiedEvent::dot)
    }

    /// Learns what is in the space now.
    pub(crate) fn learn(&mut self, events: Vec<VerifiedEvent>, devices: Vec<DeviceId>, now: Duration) {
        self.digests = events.iter().map(|event| *event.id().as_bytes()).collect();
        (self.events, self.devices, self.at) = (events, devices, Some(now));
    }

    pub(crate) fn hear_frame(&mut self, frame: Frame) {
        if self.frames.len() >= FRAMES_KEPT {
            self.frames.pop_front();
        }
        self.frames.push_back(frame);
    }
}

const FRAMES_KEPT: usize = 16;
