//! A clock that is set back: whatever waits for a time would wait for as long again.

use crate::engine::{Engine, Turn};
use crate::error::EngineError;
use reknit_sync::CloseReason;
use reknit_types::DeviceId;

impl Engine {
    /// Notes the time of an input. If the clock was set back, sessions begin anew, and what was put off is due.
    pub(crate) fn note_time(&mut self, turn: &mut Turn<'_>) -> Result<(), EngineError> {
        let before_ms = std::mem::replace(&mut self.last_ms, turn.now_ms);
        if turn.now_ms.saturating_add(SET_BACK_MS_MIN) < before_ms {
            self.on_set_back(turn)?;
        }
        Ok(())
    }

    fn on_set_back(&mut self, turn: &mut Turn<'_>) -> Result<(), EngineError> {
        let now_ms = turn.now_ms;
        self.connected.values_mut().for_each(|since| *since = now_ms.min(*since));
        self.joins.iter_mut().for_each(|join| join.since_ms = now_ms.min(join.since_ms));
        let connected: Vec<DeviceId> = self.connected.keys().copied().collect();
        for no in self.space_numbers() {
            let links = &mut self.space_mut(no)?.links;
            links.retries.clear();
            links.awaiting.clear();
            links.announced_ms = now_ms.min(links.announced_ms);
            links.announce_at_ms = links.announce_at_ms.map(|_| now_ms);
            let open: Vec<DeviceId> = links.by_device.keys().copied().collect();
            self.end_sessions(turn, no, CloseReason::Unequal)?;
            for device in connected.iter().filter(|device| !open.contains(device)) {
                self.open_if_wanted(turn, no, *device)?;
            }
        }
        Ok(())
    }
}

/// A clock that is corrected by less delays everything by less.
const SET_BACK_MS_MIN: u64 = 1_000;
