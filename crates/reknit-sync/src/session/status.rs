//! What a session tells about itself.

use super::{Session, Stage};
use crate::close::CloseReason;

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Finding out what each side lacks.
    Comparing,
    /// Sending each other what was missing at the start.
    CatchingUp,
    /// Both have been equal in this session; events go as they happen.
    Live,
    /// Over.
    Closed(CloseReason),
}

/// What a session is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// The peer's hello.
    AwaitingHello,
    /// The peer's frontier.
    AwaitingFrontier,
    /// Where a forked chain parts.
    AwaitingForkPoint,
    /// Nothing: events are being sent.
    Sending,
    /// The peer's credit, to send it more.
    AwaitingCredit,
    /// Events that the peer has shown.
    AwaitingEvents,
    /// The admission of events that have come: they are under way to the store, or held.
    AwaitingAdmission,
    /// A sign that the peer has what came from elsewhere; else it is sent shortly.
    AwaitingRelay,
    /// The peer's receipt for what is here now.
    AwaitingReceipt,
    /// Nothing: both sides are equal.
    Equal,
    /// Nothing: it is over.
    Closed,
}

/// What a session tells about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionStatus {
    /// How far it is.
    pub phase: Phase,
    /// What it waits for.
    pub waiting: Waiting,
    /// How many events are still to be sent to the peer.
    pub they_lack: u64,
    /// How many events of the peer are known to be still to come.
    pub we_lack: u64,
    /// How many events the peer had at its hello.
    pub their_events: Option<u64>,
    /// By how much the peer's clock was ahead of this one's at its hello.
    pub their_clock_lead_ms: Option<i64>,
    /// Bytes of frames received.
    pub bytes_in: u64,
    /// Bytes of frames sent.
    pub bytes_out: u64,
    /// Events received.
    pub events_in: u64,
}

impl Session {
    /// What is going on.
    pub fn status(&self) -> SessionStatus {
        let to_send = self.missing.events().saturating_add(self.relay.events());
        SessionStatus {
            phase: self.phase(),
            waiting: self.waiting(),
            they_lack: to_send.saturating_add(self.forks.doubted()),
            we_lack: self.shown.events(),
            their_events: self.traffic.their_events,
            their_clock_lead_ms: self.traffic.their_clock_lead_ms,
            bytes_in: self.traffic.bytes_in,
            bytes_out: self.traffic.bytes_out,
            events_in: self.traffic.events_in,
        }
    }

    fn phase(&self) -> Phase {
        match self.stage {
            Stage::Closed(reason) => Phase::Closed(reason),
            Stage::Open if self.receipts.live => Phase::Live,
            Stage::Open if !self.forks.pending() => Phase::CatchingUp,
            _ => Phase::Comparing,
        }
    }

    fn waiting(&self) -> Waiting {
        match self.stage {
            Stage::Closed(_) => Waiting::Closed,
            Stage::Fresh | Stage::HelloSent(_) => Waiting::AwaitingHello,
            Stage::AwaitingFrontier(_) | Stage::AwaitingReply(_) => Waiting::AwaitingFrontier,
            Stage::Open if self.forks.pending() => Waiting::AwaitingForkPoint,
            Stage::Open if self.starved_since.is_some() => Waiting::AwaitingCredit,
            Stage::Open if !self.missing.is_empty() => Waiting::Sending,
            Stage::Open if self.shown.owed() => Waiting::AwaitingEvents,
            Stage::Open if !self.shown.is_empty() => Waiting::AwaitingAdmission,
            Stage::Open if !self.relay.is_empty() => Waiting::AwaitingRelay,
            Stage::Open if self.receipts.equal => Waiting::Equal,
            Stage::Open => Waiting::AwaitingReceipt,
        }
    }
}
