//! How a space stands, and why two peers are not equal.

use crate::engine::Engine;
use crate::error::EngineError;
use crate::held;
use crate::layout::{EVIDENCE_VOID, SpaceNo, fork_prefix, parse_fork_key, receipt_key};
use crate::receipt::StoredReceipt;
use crate::space::SpaceState;
use crate::store::{Direction, Reads, Table};
use reknit_access::Role;
use reknit_sync::limits::{BRANCHES_MAX, OWN_TIPS_MAX, TIPS_MAX};
use reknit_sync::{CloseReason, Frontier, Phase, SessionStatus, Waiting};
use reknit_types::limits::STAMP_LEAD_MS_MAX;
use reknit_types::{DeviceId, Dot, EventId, SpaceId};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;

/// How a space stands.
#[derive(Debug, Clone)]
pub struct SpaceStatus {
    /// Its local number.
    pub no: SpaceNo,
    /// Its id.
    pub id: SpaceId,
    /// What people call it.
    pub name: String,
    /// What this device may do; `None` while it is joining.
    pub role: Option<Role>,
    /// Events in the log.
    pub events: u64,
    /// Events that nothing follows yet.
    pub heads: Vec<Dot>,
    /// Authors whose events are here.
    pub authors: usize,
    /// Names the set of events: equal digests, equal sets.
    pub frontier_digest: [u8; 32],
    /// Frames held because their stamps are ahead of the local clock: when the first is due, and how many.
    pub held: Option<(u64, u64)>,
    /// Authors whose chains have more than one end.
    pub forked: Vec<DeviceId>,
    /// Where those chains part: each is evidence that stands for itself, since every event is covered by its author's
    /// signature.
    pub forks: Vec<Fork>,
    /// Operations without effect, as far as their events alone tell: malformed, too many, or under another author's
    /// identity. Equal at peers with equal events. A delta that no honest author could have made may turn out to have no
    /// effect only once it meets the text or document it edits, and is not counted.
    pub voids: u64,
    /// The other members.
    pub peers: Vec<PeerStatus>,
    /// Why a member may lack events that are here, or this device events that are elsewhere.
    pub reasons: Vec<Reason>,
}

/// What an engine knows of a space without reading its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// Events in the log.
    pub events: u64,
    /// Events that nothing follows yet.
    pub heads: usize,
    /// Names the set of events: equal digests, equal sets.
    pub frontier_digest: [u8; 32],
}

/// Several events that one author wrote under one number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// Who wrote them.
    pub author: DeviceId,
    /// The number.
    pub seq: u64,
    /// Their ids, ascending.
    pub events: Vec<EventId>,
}

/// How a space stands with another member.
#[derive(Debug, Clone)]
pub struct PeerStatus {
    /// The member.
    pub device: DeviceId,
    /// What people call it.
    pub name: String,
    /// Whether it is connected.
    pub connected: bool,
    /// The session with it.
    pub session: Option<SessionStatus>,
    /// Its last receipt.
    pub receipt: Option<StoredReceipt>,
    /// Whether that receipt is for what is here now.
    pub converged: bool,
    /// Why the last session ended, if none is open.
    pub ended: Option<Why>,
}

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// One side ended it.
    Closed(CloseReason),
    /// The peer is no longer connected.
    Disconnected,
    /// The stream failed.
    Stream(String),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(reason) => reason.fmt(f),
            Self::Disconnected => f.write_str("the connection was lost"),
            Self::Stream(why) => write!(f, "the stream failed: {why}"),
        }
    }
}

/// One reason why two peers may not be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The peer it is about; none if it is about this device.
    pub device: Option<DeviceId>,
    /// A word that stays the same between versions.
    pub code: &'static str,
    /// What is so, and what to do about it.
    pub text: String,
    /// How many events it concerns, as far as that is known.
    pub events: u64,
}

impl Engine {
    /// How every space stands.
    pub(crate) fn statuses(&self, now_ms: u64, reads: &dyn Reads) -> Result<Vec<SpaceStatus>, EngineError> {
        let us = self.device.id();
        self.spaces.values().map(|space| inspect(space, reads, us, &self.connected, now_ms)).collect()
    }
}

/// How `space` stands.
pub(crate) fn inspect(
    space: &SpaceState,
    reads: &dyn Reads,
    us: DeviceId,
    connected: &BTreeMap<DeviceId, u64>,
    now_ms: u64,
) -> Result<SpaceStatus, EngineError> {
    let digest = space.frontier.digest();
    let mut peers = vec![];
    for (device, member) in space.membership.members().filter(|(device, _)| *device != us) {
        let receipt = match reads.get(Table::Receipts, &receipt_key(space.no, &device))? {
            Some(stored) => Some(StoredReceipt::decode(&stored)?),
            None => None,
        };
        peers.push(PeerStatus {
            device,
            name: member.name.clone(),
            connected: connected.contains_key(&device),
            session: space.links.by_device.get(&device).map(|link| link.session.status()),
            converged: receipt.as_ref().is_some_and(|receipt| receipt.receipt.digest == digest),
            receipt,
            ended: space.links.ended.get(&device).cloned(),
        });
    }
    let mut status = SpaceStatus {
        no: space.no,
        id: space.id,
        name: space.membership.name().to_owned(),
        role: space.membership.member(&us).map(|member| member.role),
        events: space.log.len(),
        heads: space.heads.iter().map(|head| head.dot).collect(),
        authors: space.frontier.authors(),
        frontier_digest: digest,
        held: held::waiting(reads, space.no)?,
        forked: space.frontier.iter().filter(|(_, tips)| tips.len() > 1).map(|(author, _)| *author).collect(),
        forks: forks(reads, space.no)?,
        voids: count_voids(reads, space.no)?,
        peers,
        reasons: vec![],
    };
    status.reasons = reasons(&status, space.is_joining(&us), now_ms);
    if space.is_joining(&us)
        && let Some(why) = join_refused(space, now_ms)
    {
        let text =
            format!("{why}. Join again with a new ticket, or give the space up with `reknit space leave`");
        status.reasons.insert(0, Reason { device: None, code: "join-refused", text, events: 0 });
    }
    status.reasons.extend(about_branches(&space.frontier));
    Ok(status)
}

/// Why this device will not be let in with the ticket it has.
fn join_refused(space: &SpaceState, now_ms: u64) -> Option<String> {
    let expires_ms = space.ticket.as_ref().and_then(|ticket| ticket.expires_ms);
    let expired = expires_ms.filter(|expires_ms| now_ms > *expires_ms);
    let expired = expired.map(|expires_ms| reknit_access::Refusal::InviteExpired { expires_ms }.to_string());
    space.join_refused.clone().or(expired)
}

fn forks(reads: &dyn Reads, space: SpaceNo) -> Result<Vec<Fork>, EngineError> {
    let mut forks = vec![];
    let mut whole = true;
    reads.scan_prefix(Table::Evidence, &fork_prefix(space), Direction::Forward, &mut |key, record| {
        let (ids, rest) = record.as_chunks::<32>();
        match parse_fork_key(key).filter(|_| rest.is_empty()) {
            Some((author, seq)) => {
                let events = ids.iter().map(|id| EventId::from_bytes(*id)).collect();
                forks.push(Fork { author, seq, events });
            }
            None => whole = false,
        }
        ControlFlow::Continue(())
    })?;
    if whole { Ok(forks) } else { Err(EngineError::Damaged("the record of a fork".to_owned())) }
}

fn count_voids(reads: &dyn Reads, space: SpaceNo) -> Result<u64, EngineError> {
    let mut prefix = space.prefix().to_vec();
    prefix.push(EVIDENCE_VOID);
    let mut count = 0;
    reads.scan_prefix(Table::Evidence, &prefix, Direction::Forward, &mut |_, _| {
        count += 1;
        ControlFlow::Continue(())
    })?;
    Ok(count)
}

fn reasons(status: &SpaceStatus, joining: bool, now_ms: u64) -> Vec<Reason> {
    let own = |code, events, text: String| Reason { device: None, code, text, events };
    let mut reasons = vec![];
    if joining {
        let text = "this device is joining and has not yet got the history from a member; check that one of the \
                    peers named by the ticket is running and can be reached";
        reasons.push(own("joining", 0, text.to_owned()));
    } else if status.peers.is_empty() {
        reasons.push(own("alone", 0, "this device is the only member; invite others".to_owned()));
    }
    if let Some((until_ms, count)) = status.held {
        let ahead = until_ms.saturating_sub(now_ms) / 1000;
        let text = format!(
            "frames of events are stamped ahead of the local clock and held; the first is admitted in {ahead} s. \
             Check the clocks of this device and of the author"
        );
        reasons.push(own("held-by-clock", count, text));
    }
    if status.voids > 0 {
        let text =
            "operations had no effect: they were malformed or used another author's identity".to_owned();
        reasons.push(own("void", status.voids, text));
    }
    reasons.extend(status.peers.iter().flat_map(about_peer));
    reasons
}

fn about_branches(frontier: &Frontier) -> Vec<Reason> {
    let mut reasons = vec![];
    for (author, tips) in frontier.iter().filter(|(_, tips)| tips.len() > 1) {
        let count = tips.len();
        let (code, text) = if count >= OWN_TIPS_MAX {
            let text = format!(
                "{author} forked its chain into {count} branches: it was restored from backups time and again, or \
                 lies. What it forks off from now on is taken in only from others who have it, up to {TIPS_MAX} \
                 branches; peers may stay without the rest. Set that device up anew, under another identity"
            );
            ("too-many-branches", text)
        } else {
            let text = format!(
                "{author} forked its chain: it was restored from a backup, or lies; all branches count"
            );
            ("forked-author", text)
        };
        reasons.push(Reason { device: Some(*author), code, text, events: 0 });
    }
    if frontier.branches() >= BRANCHES_MAX {
        let text = format!(
            "chains of this space have forked {BRANCHES_MAX} times: no further branch is taken in, and peers may \
             stay without what others have; go on in a new space without the devices that fork"
        );
        reasons.push(Reason { device: None, code: "too-many-branches", text, events: 0 });
    }
    reasons
}

fn about_peer(peer: &PeerStatus) -> Vec<Reason> {
    let reason = |code, events, text: String| Reason { device: Some(peer.device), code, text, events };
    let mut reasons = vec![];
    let lead_ms = peer.session.and_then(|session| session.their_clock_lead_ms).unwrap_or(0);
    if lead_ms.unsigned_abs() > STAMP_LEAD_MS_MAX {
        let (seconds, word) =
            (lead_ms.unsigned_abs() / 1000, if lead_ms > 0 { "ahead of" } else { "behind" });
        let text = format!("its clock is {seconds} s {word} this device's; set the one that is wrong");
        reasons.push(reason("clock-skew", 0, text));
    }
    if peer.ended == Some(Why::Closed(CloseReason::NoRoom)) {
        let text = "one of the two has no room for what the other has, and they stay unequal: an author has forked its \
                    chain too often (which is said there), or there are too many authors";
        reasons.push(reason("no-room", 0, text.to_owned()));
    }
    match &peer.session {
        // The peer may have shown events since that are not admitted here.
        Some(session) if peer.converged && !owes(session) => {}
        None if peer.converged => {}
        None if !peer.connected => {
            let text = "it is not connected; events wait here until it is reached".to_owned();
            reasons.push(reason("not-connected", 0, text));
        }
        None => {
            let text = match &peer.ended {
                Some(why) => format!("no session is open: {why}; a new one is tried shortly"),
                None => "no session is open yet; one is tried shortly".to_owned(),
            };
            reasons.push(reason("no-session", 0, text));
        }
        Some(session) => {
            let (code, text) = waiting_words(session);
            reasons.push(reason(code, session.they_lack.saturating_add(session.we_lack), text.to_owned()));
        }
    }
    reasons
}

fn owes(session: &SessionStatus) -> bool {
    matches!(session.waiting, Waiting::AwaitingEvents | Waiting::AwaitingAdmission)
}

fn waiting_words(session: &SessionStatus) -> (&'static str, &'static str) {
    if let Phase::Closed(_) = session.phase {
        return ("closed", "the session has ended; a new one is tried shortly");
    }
    match session.waiting {
        Waiting::AwaitingHello => ("awaiting-hello", "it has not said hello yet"),
        Waiting::AwaitingFrontier => ("awaiting-frontier", "it has not said yet what it has"),
        Waiting::AwaitingForkPoint => ("awaiting-fork-point", "the two find out where a forked chain parts"),
        Waiting::Sending => ("sending", "events are being sent to it"),
        Waiting::AwaitingCredit => ("awaiting-credit", "it takes in events more slowly than they are sent"),
        Waiting::AwaitingEvents => ("awaiting-events", "it has events that have not arrived yet"),
        Waiting::AwaitingAdmission => (
            "awaiting-admission",
            "its events have arrived and are not admitted: stored just now, held, or refused",
        ),
        Waiting::AwaitingRelay => ("awaiting-relay", "events from others are passed on to it shortly"),
        Waiting::AwaitingReceipt => ("awaiting-receipt", "it has everything and has not signed for it yet"),
        Waiting::Equal => ("equal", "both sides are equal"),
        Waiting::Closed => ("closed", "the session has ended; a new one is tried shortly"),
    }
}
