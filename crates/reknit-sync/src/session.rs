//! The conversation of two peers about one space.
//!
//! ```text
//! initiator                       responder
//! Hello                     ->
//!                           <-    Hello, Receipt            equal: the receipt is answered, and the session is live
//!                           <-    Hello, Frontier           unequal, a few tips: all, or those new since the last receipt
//!                           <-    Hello, Sketch             unequal, more tips: enough to tell a small difference
//! Want                      ->                              after a sketch: more of it (it tells no difference yet; each
//!                           <-    Sketch or Frontier        time four times as much), else the tips that differ
//! Frontier (against yours)  ->                              both now know what the other lacks, forks aside
//!                           <-    Unknown                   usually empty; else Locate, Located, Settled per tip
//! Events ..                 <->   Events ..                 causal order, under credit
//! Receipt                   <->   Receipt                   each when it lacks nothing and has sent everything
//! ```
//!
//! Events flow after one round trip where a few tips are all there is to say; after two where up to about 16 tips differ,
//! whatever the number of authors; and one more for each four times as many.
//!
//! From then on the session is live. Events committed here are pushed at once. Events learnt elsewhere wait a moment for
//! a sign that the peer has them (in a mesh it usually does), and are announced to it by [`Message::Have`], so that it
//! need not push them here. Such a sign takes a round trip: where there was one of late for an author, the next is waited
//! for so long. When things fall quiet, receipts are exchanged again.
//!
//! A slow link is not a silent peer: while a long message arrives, its receiver says so by [`Message::Credit`] every few
//! seconds, and both sides wait on as long as it comes at a least rate ([`crate::limits::PROGRESS_BYTES`]).
//!
//! What is pushed never lacks a cause: a local event takes everything it may depend on with it. A session that ends
//! leaves nothing behind; the next one starts from what both have then.

mod compare;
mod forks;
mod learning;
mod live;
mod pace;
mod shown;
mod status;
mod turn;

pub use status::{Phase, SessionStatus, Waiting};

use crate::close::CloseReason;
use crate::frame::Frame;
use crate::frontier::Frontier;
use crate::limits::CREDIT_WINDOW_BYTES;
use crate::message::{Hello, Message, Receipt};
use crate::missing::Missing;
use forks::Forks;
use learning::{Learner, Teller};
use live::Relay;
use pace::Pace;
use reknit_types::{DeviceId, DeviceKey, Dot, EventId, SpaceId, Tip};
use shown::Shown;
use std::sync::Arc;
use thiserror::Error;

/// The version of the session protocol.
pub const PROTOCOL_VERSION: u64 = 1;

/// What a session reads of the local history of its space, and of the past with its peer.
pub trait History {
    /// What is admitted here.
    fn frontier(&self) -> &Frontier;
    /// How many events are admitted here.
    fn event_count(&self) -> u64;
    /// The events of an author with a sequence number: none, one, or one for each branch of a forked chain.
    fn ids_at(&self, author: &DeviceId, seq: u64) -> Result<Vec<EventId>, HistoryError>;
    /// The event with sequence number `seq` on the chain that ends in `tip`, which is admitted here. `None` if `seq`
    /// is 0 or greater than the tip's. For an author with a single tip this is the only event with that number.
    fn ancestor(&self, author: &DeviceId, tip: &Tip, seq: u64) -> Result<Option<EventId>, HistoryError>;
    /// The digest of the frontier when receipts were last exchanged with this peer.
    fn last_shared(&self) -> Option<[u8; 32]>;
    /// A frontier at which receipts were exchanged with this peer, if it is still known under this digest.
    fn past_frontier(&self, digest: &[u8; 32]) -> Option<Frontier>;
    /// The next events out of `missing` in causal order, as one frame of about `bytes_max` bytes before compression,
    /// see [`crate::frame::prefix`]. Notes in `missing` what it took ([`Missing::mark_sent`]). `None` if nothing can be
    /// taken for now; the session asks again when something is admitted.
    fn next_frame(&self, missing: &mut Missing, bytes_max: usize) -> Result<Option<Frame>, HistoryError>;
}

/// The local history could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the local history could not be read: {0}")]
pub struct HistoryError(pub String);

/// Which side opened the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It did.
    Initiator,
    /// The other side did.
    Responder,
}

/// How events came into the local history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Written here.
    Local,
    /// Through this session.
    FromPeer,
    /// From anybody else.
    Elsewhere,
}

/// What the caller is to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this.
    Send(Message),
    /// Both sides have exactly the same events; the peer's receipt, to be kept with the frontier it is for.
    Converged(Receipt),
    /// The session is over: end the stream, after what was to be sent.
    Close(CloseReason),
}

/// One side of the conversation. Every method appends to `out`; after [`Output::Close`] none does.
#[derive(Debug)]
pub struct Session {
    space: SpaceId,
    key: Arc<DeviceKey>,
    them: DeviceId,
    role: Role,
    stage: Stage,
    /// When the stage, or the last step within it, began, or something came for it last.
    since: u64,
    /// What the peer lacks and is to be sent now.
    missing: Missing,
    relay: Relay,
    shown: Shown,
    forks: Forks,
    /// Bytes of frames that may still be sent; one frame may overdraw it.
    allowance: i64,
    /// When the allowance ran out with events left to send.
    starved_since: Option<u64>,
    /// Bytes of frames received that no credit was handed back for: admitted, and not yet admitted.
    to_grant: u64,
    to_admit: u64,
    /// When events last came or went, or a sign that they do.
    active_at: u64,
    pace: Pace,
    /// More could be sent than one turn may.
    more: bool,
    receipts: Receipts,
    traffic: Traffic,
}

#[derive(Debug)]
enum Stage {
    /// Nothing said yet.
    Fresh,
    /// The initiator said hello, with this frontier.
    HelloSent(Frontier),
    /// The two differ; the initiator waits for the other's frontier.
    AwaitingFrontier(Box<Learner>),
    /// The responder tells its frontier and waits for the other's.
    AwaitingReply(Box<Teller>),
    /// Events flow.
    Open,
    /// It is over.
    Closed(CloseReason),
}

#[derive(Debug, Default)]
struct Receipts {
    /// The digest of the last one sent.
    sent: Option<[u8; 32]>,
    /// The last one of the peer, which may be ahead of what is admitted here.
    theirs: Option<Receipt>,
    /// Events were admitted since.
    stale: bool,
    /// Both sides are known to be equal now.
    equal: bool,
    /// They have been once.
    live: bool,
}

#[derive(Debug, Default)]
struct Traffic {
    bytes_in: u64,
    bytes_out: u64,
    events_in: u64,
    their_events: Option<u64>,
    their_clock_lead_ms: Option<i64>,
}

impl Session {
    /// A session about `space` between the owner of `key` and `them`.
    pub fn new(space: SpaceId, key: Arc<DeviceKey>, them: DeviceId, role: Role) -> Self {
        Self {
            space,
            key,
            them,
            role,
            stage: Stage::Fresh,
            since: 0,
            missing: Missing::default(),
            relay: Relay::default(),
            shown: Shown::default(),
            forks: Forks::default(),
            allowance: CREDIT_WINDOW_BYTES as i64,
            starved_since: None,
            to_grant: 0,
            to_admit: 0,
            active_at: 0,
            pace: Pace::default(),
            more: false,
            receipts: Receipts::default(),
            traffic: Traffic::default(),
        }
    }

    /// Begins. To be called once, before anything else.
    pub fn start(&mut self, now_ms: u64, history: &dyn History, out: &mut Vec<Output>) {
        (self.since, self.active_at) = (now_ms, now_ms);
        self.pace.start(now_ms);
        if self.role == Role::Initiator && matches!(self.stage, Stage::Fresh) {
            let frontier = history.frontier().clone();
            self.say_hello(now_ms, history, out);
            self.stage = Stage::HelloSent(frontier);
        }
    }

    /// A message came. Frames of events are verified elsewhere and then go to [`Self::on_events`].
    pub fn on_message(
        &mut self,
        now_ms: u64,
        message: Message,
        history: &dyn History,
        out: &mut Vec<Output>,
    ) {
        if self.is_closed() {
            return;
        }
        let handled = self.handle(now_ms, message, history, out);
        let settled = handled.and_then(|()| self.settle(now_ms, history, out));
        self.close_on_failure(settled, out);
    }

    /// A frame of `bytes` came, and these are its verified events, in their order. The caller admits them and then
    /// calls [`Self::on_admitted`] with [`Source::FromPeer`], even if none was admitted: that hands credit back.
    pub fn on_events(
        &mut self,
        now_ms: u64,
        (dots, bytes): (&[Dot], usize),
        history: &dyn History,
        out: &mut Vec<Output>,
    ) {
        if self.is_closed() {
            return;
        }
        let handled = self.take_events(now_ms, dots, bytes as u64, history);
        let settled = handled.and_then(|()| self.settle(now_ms, history, out));
        self.close_on_failure(settled, out);
    }

    /// Events were admitted into the local history, in this order. Every session of the space is told of every event
    /// once.
    pub fn on_admitted(
        &mut self,
        now_ms: u64,
        (dots, source): (&[Dot], Source),
        history: &dyn History,
        out: &mut Vec<Output>,
    ) {
        if self.is_closed() {
            return;
        }
        let handled = self.take_admitted(now_ms, (dots, source), history, out);
        let settled = handled.and_then(|()| self.settle(now_ms, history, out));
        self.close_on_failure(settled, out);
    }

    /// Time has passed. To be called at [`Self::next_wakeup`]; earlier or later does no harm.
    pub fn on_tick(&mut self, now_ms: u64, history: &dyn History, out: &mut Vec<Output>) {
        if self.is_closed() {
            return;
        }
        let handled = self.overdue(now_ms).map_or(Ok(()), Err);
        let settled = handled.and_then(|()| self.settle(now_ms, history, out));
        self.close_on_failure(settled, out);
    }

    /// Ends the session for a reason found outside it: a frame that did not verify, a member removed, a shutdown.
    pub fn close(&mut self, reason: CloseReason, out: &mut Vec<Output>) {
        if !self.is_closed() {
            self.stage = Stage::Closed(reason);
            out.push(Output::Send(Message::Close(reason)));
            out.push(Output::Close(reason));
        }
    }

    /// The other side.
    pub fn them(&self) -> &DeviceId {
        &self.them
    }

    fn is_closed(&self) -> bool {
        matches!(self.stage, Stage::Closed(_))
    }

    fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    fn close_on_failure(&mut self, result: Result<(), CloseReason>, out: &mut Vec<Output>) {
        if let Err(reason) = result {
            self.close(reason, out);
        }
    }

    fn say_hello(&mut self, now_ms: u64, history: &dyn History, out: &mut Vec<Output>) {
        self.pace.greet(now_ms);
        out.push(Output::Send(Message::Hello(Hello {
            version: PROTOCOL_VERSION,
            digest: history.frontier().digest(),
            events: history.event_count(),
            now_ms,
            base: history.last_shared(),
        })));
    }

    fn handle(
        &mut self,
        now_ms: u64,
        message: Message,
        history: &dyn History,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        self.pace.hear(now_ms);
        match message {
            Message::Hello(hello) => self.on_hello(now_ms, &hello, history, out),
            Message::Frontier { against, delta } => self.on_frontier(now_ms, (against, &delta), history, out),
            Message::Sketch(sketch) => self.on_sketch(now_ms, sketch, history, out),
            Message::Want(want) => self.on_want(now_ms, want, out),
            Message::Unknown(tips) => self.on_unknown(now_ms, &tips, history, out),
            Message::Locate(locate) => self.on_locate(now_ms, &locate, history, out),
            Message::Located { tip, unknown } => self.on_located(now_ms, (tip, unknown), history, out),
            Message::Settled { tip, shared } => self.on_settled(now_ms, (tip, shared), history),
            Message::Events(_) => Err(CloseReason::Misused),
            Message::Have(dots) => self.on_have(now_ms, &dots, history),
            Message::Credit(bytes) => self.on_credit(now_ms, bytes),
            Message::Receipt(receipt) => self.on_receipt(receipt),
            Message::Close(reason) => {
                self.stage = Stage::Closed(reason);
                out.push(Output::Close(reason));
                Ok(())
            }
        }
    }
}

impl From<HistoryError> for CloseReason {
    fn from(_: HistoryError) -> Self {
        Self::History
    }
}

/// Whether the local history has the event.
fn contains(history: &dyn History, author: &DeviceId, tip: &Tip) -> Result<bool, HistoryError> {
    if history.frontier().tips(author).binary_search(tip).is_ok() {
        return Ok(true);
    }
    let reaches = history.frontier().tips(author).iter().any(|own| own.seq >= tip.seq);
    Ok(reaches && history.ids_at(author, tip.seq)?.contains(&tip.id))
}

/// The greatest sequence number up to which the chains of two events, both in the local history, are the same.
fn meet(history: &dyn History, author: &DeviceId, a: &Tip, b: &Tip) -> Result<u64, HistoryError> {
    let shorter = a.seq.min(b.seq);
    if history.frontier().tips(author).len() <= 1 {
        return Ok(shorter);
    }
    let same = |seq| Ok(history.ancestor(author, a, seq)? == history.ancestor(author, b, seq)?);
    if same(shorter)? {
        return Ok(shorter);
    }
    let (mut shared, mut differs) = (0, shorter);
    while differs - shared > 1 {
        let middle = shared + (differs - shared) / 2;
        if same(middle)? {
            shared = middle;
        } else {
            differs = middle;
        }
    }
    Ok(shared)
}
