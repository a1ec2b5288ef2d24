//! How quick the link is. Slow is not silent: what comes bit by bit counts as progress, down to a least rate.

use super::{Output, Session, Stage};
use crate::limits::{
    CONFIRM_MS, CREDIT_STEP_BYTES, HAVE_DELAY_MS, PROGRESS_BYTES, RELAY_DELAY_MS, RELAY_PATIENCE_MAX_MS,
    SIGNS_MAX,
};
use crate::message::Message;

/// What shows that a slow peer moves, and how long its answers take.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Bytes that came since some last counted as progress.
    came: u64,
    /// Signs that have counted as progress since the peer last handed back what counts as such itself.
    signs: u64,
    /// When the peer last heard from here that what it sends arrives.
    confirmed_at: u64,
    /// When this side said hello, until the peer answers.
    greeted_at: Option<u64>,
    /// How long the answer took.
    round_trip_ms: u64,
}

impl Pace {
    pub(super) fn start(&mut self, now_ms: u64) {
        self.confirmed_at = now_ms;
    }

    /// This side says hello: the peer's next word answers it.
    pub(super) fn greet(&mut self, now_ms: u64) {
        self.greeted_at = Some(now_ms);
    }

    /// The peer says something.
    pub(super) fn hear(&mut self, now_ms: u64) {
        if let Some(greeted_at) = self.greeted_at.take() {
            self.round_trip_ms = now_ms.saturating_sub(greeted_at);
        }
    }

    /// How long to wait for a sign that the peer has what came from elsewhere, if it is likely that there is one.
    pub(super) fn patience_ms(&self) -> u64 {
        let sign = self.round_trip_ms.saturating_add(HAVE_DELAY_MS).saturating_mul(2);
        sign.clamp(RELAY_DELAY_MS, RELAY_PATIENCE_MAX_MS)
    }

    /// A wait for credit begins.
    pub(super) fn forget_signs(&mut self) {
        self.signs = 0;
    }

    /// Whether one more sign counts.
    fn takes_sign(&mut self) -> bool {
        self.signs = self.signs.saturating_add(1);
        self.signs <= SIGNS_MAX
    }
}

impl Session {
    /// So many bytes came since the last call, of messages that are whole or still under way. To be called every few
    /// seconds while a message arrives: every [`PROGRESS_BYTES`] count as progress, here and at the peer, which is told
    /// by a [`Message::Credit`].
    pub fn on_arriving(&mut self, now_ms: u64, bytes: u64, out: &mut Vec<Output>) {
        // A hello is small.
        if matches!(self.stage, Stage::Fresh | Stage::HelloSent(_) | Stage::Closed(_)) {
            return;
        }
        self.pace.came = self.pace.came.saturating_add(bytes);
        if self.pace.came < PROGRESS_BYTES {
            return;
        }
        self.pace.came = 0;
        (self.since, self.active_at) = (now_ms, now_ms);
        // The credit that this side waits for may be behind what comes.
        if self.starved_since.is_some() && self.pace.takes_sign() {
            self.starved_since = Some(now_ms);
        }
        if now_ms >= self.pace.confirmed_at.saturating_add(CONFIRM_MS) {
            self.hand_back(now_ms, out);
        }
    }

    /// Everything received so far has been taken in.
    pub(super) fn grant_credit(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        self.to_grant += std::mem::take(&mut self.to_admit);
        if self.to_grant >= CREDIT_STEP_BYTES {
            self.hand_back(now_ms, out);
        }
    }

    /// The peer hands back credit: progress. If it is less than what counts as such, it is a sign that what was sent
    /// arrives, and of those no more count than can be true.
    pub(super) fn note_credit(&mut self, now_ms: u64, bytes: u64) {
        if bytes >= PROGRESS_BYTES {
            self.pace.forget_signs();
        } else if !self.pace.takes_sign() {
            return;
        }
        (self.since, self.active_at) = (now_ms, now_ms);
        self.starved_since = self.starved_since.map(|_| now_ms);
    }

    fn hand_back(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        self.pace.confirmed_at = now_ms;
        out.push(Output::Send(Message::Credit(std::mem::take(&mut self.to_grant))));
    }
}
