//! What every turn ends with: events under credit, receipts, deadlines.

use super::{History, Output, Session, Stage};
use crate::close::CloseReason;
use crate::limits::{
    ANSWER_TIMEOUT_MS, CREDIT_TIMEOUT_MS, CREDIT_WINDOW_BYTES, DELIVERY_TIMEOUT_MS, FRAME_BYTES_MAX,
    FRAME_BYTES_TARGET, FRAMES_PER_TURN, QUIET_MS, UNEQUAL_TIMEOUT_MS,
};
use crate::message::{Message, Receipt};

impl Session {
    /// When [`Self::on_tick`] is to be called next, if nothing else happens.
    pub fn next_wakeup(&self) -> Option<u64> {
        if self.is_closed() {
            return None;
        }
        let more = self.more.then_some(self.active_at);
        let receipt = self.may_sign().then(|| self.receipt_at());
        let deadline = self.deadline().map(|(at, _)| at);
        [more, self.relay.next_wakeup().filter(|_| self.is_open()), receipt, deadline]
            .into_iter()
            .flatten()
            .min()
    }

    /// The reason to give up, if the peer has kept this side waiting too long.
    pub(super) fn overdue(&self, now_ms: u64) -> Option<CloseReason> {
        self.deadline().filter(|(at, _)| now_ms >= *at).map(|(_, reason)| reason)
    }

    fn deadline(&self) -> Option<(u64, CloseReason)> {
        let answer = self.since.saturating_add(ANSWER_TIMEOUT_MS);
        match &self.stage {
            Stage::Closed(_) => None,
            Stage::Fresh | Stage::HelloSent(_) => Some((answer, CloseReason::SilentHello)),
            Stage::AwaitingFrontier(_) | Stage::AwaitingReply(_) => {
                Some((answer, CloseReason::SilentFrontier))
            }
            Stage::Open if self.forks.pending() => Some((answer, CloseReason::SilentFrontier)),
            Stage::Open => self.open_deadline(),
        }
    }

    fn open_deadline(&self) -> Option<(u64, CloseReason)> {
        let after = |ms| self.active_at.saturating_add(ms);
        let starved =
            self.starved_since.map(|since| (since.saturating_add(CREDIT_TIMEOUT_MS), CloseReason::NoCredit));
        let owed = self.shown.owed().then(|| (after(DELIVERY_TIMEOUT_MS), CloseReason::BrokenPromise));
        let unequal = !self.receipts.equal;
        let unequal = unequal.then(|| (after(UNEQUAL_TIMEOUT_MS), CloseReason::Unequal));
        [starved, owed, unequal].into_iter().flatten().min()
    }

    /// Ends a turn: sends what there is to send now.
    pub(super) fn settle(
        &mut self,
        now_ms: u64,
        history: &dyn History,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        self.release(now_ms, history, out)?;
        self.send_events(now_ms, history, out)?;
        self.exchange_receipts(now_ms, history, out);
        Ok(())
    }

    fn send_events(
        &mut self,
        now_ms: u64,
        history: &dyn History,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        self.more = false;
        if !self.is_open() || self.forks.pending() {
            return Ok(());
        }
        for _ in 0..FRAMES_PER_TURN {
            if self.missing.is_empty() || self.allowance <= 0 {
                break;
            }
            let Some(frame) = history.next_frame(&mut self.missing, FRAME_BYTES_TARGET)? else {
                return Ok(());
            };
            let bytes = frame.as_bytes().len();
            self.allowance -= bytes as i64;
            self.traffic.bytes_out += bytes as u64;
            self.active_at = now_ms;
            out.push(Output::Send(Message::Events(frame)));
        }
        let left = !self.missing.is_empty();
        self.more = left && self.allowance > 0;
        let starved = left && self.allowance <= 0;
        if starved && self.starved_since.is_none() {
            self.pace.forget_signs();
        }
        self.starved_since = starved.then(|| self.starved_since.unwrap_or(now_ms));
        Ok(())
    }

    /// Counts a frame that came against the credit given.
    pub(super) fn note_received(&mut self, now_ms: u64, events: u64, bytes: u64) -> Result<(), CloseReason> {
        self.to_admit = self.to_admit.saturating_add(bytes);
        if self.to_admit.saturating_add(self.to_grant) > CREDIT_WINDOW_BYTES + FRAME_BYTES_MAX as u64 {
            return Err(CloseReason::CreditExceeded);
        }
        self.active_at = now_ms;
        self.traffic.bytes_in += bytes;
        self.traffic.events_in += events;
        Ok(())
    }

    pub(super) fn on_credit(&mut self, now_ms: u64, bytes: u64) -> Result<(), CloseReason> {
        // While the two compare, it says no more than that a long message arrives.
        match self.stage {
            Stage::Open => {}
            Stage::AwaitingFrontier(_) | Stage::AwaitingReply(_) if bytes == 0 => {}
            _ => return Err(CloseReason::OutOfTurn),
        }
        self.note_credit(now_ms, bytes);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.allowance = self.allowance.saturating_add(bytes).min(CREDIT_WINDOW_BYTES as i64);
        Ok(())
    }

    pub(super) fn on_receipt(&mut self, receipt: Receipt) -> Result<(), CloseReason> {
        if !self.is_open() {
            return Err(CloseReason::OutOfTurn);
        }
        if !receipt.verifies(&self.space, &self.them) {
            return Err(CloseReason::ForgedReceipt);
        }
        self.receipts.theirs = Some(receipt);
        Ok(())
    }

    /// Nothing is under way in either direction, as far as this side knows.
    fn idle(&self) -> bool {
        self.is_open()
            && !self.forks.pending()
            && self.missing.is_empty()
            && self.relay.is_empty()
            && self.shown.is_empty()
    }

    /// Whether a receipt is due now or once things are quiet.
    fn may_sign(&self) -> bool {
        self.idle() && (self.receipts.sent.is_none() || self.receipts.stale)
    }

    /// The first receipt comes at once, later ones when things are quiet.
    fn receipt_at(&self) -> u64 {
        if self.receipts.sent.is_none() { self.active_at } else { self.active_at.saturating_add(QUIET_MS) }
    }

    fn exchange_receipts(&mut self, now_ms: u64, history: &dyn History, out: &mut Vec<Output>) {
        if self.may_sign() && now_ms >= self.receipt_at() {
            let digest = history.frontier().digest();
            self.receipts.stale = false;
            if self.receipts.sent != Some(digest) {
                self.receipts.sent = Some(digest);
                let receipt = Receipt::sign(&self.space, digest, &self.key);
                out.push(Output::Send(Message::Receipt(receipt)));
            }
        }
        if self.idle()
            && !self.receipts.equal
            && let Some(receipt) = self.receipts.theirs
            && receipt.digest == history.frontier().digest()
        {
            (self.receipts.equal, self.receipts.live) = (true, true);
            out.push(Output::Converged(receipt));
        }
    }
}
