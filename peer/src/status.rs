//! How a peer and its spaces stand, in a form for people and programs.

use crate::runtime::digest_text;
use reknit_access::Role;
use reknit_engine as engine;
use reknit_sync::{Phase, Waiting};
use reknit_types::{DeviceId, Dot, SpaceId};
use serde::Serialize;

/// How a peer stands.
#[derive(Debug, Clone, Serialize)]
pub struct PeerStatus {
    /// This device.
    pub device: DeviceId,
    /// What people call it.
    pub name: String,
    /// Its clock, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// Its network; none when it runs offline.
    pub network: Option<NetworkStatus>,
    /// Connected devices.
    pub peers: Vec<PeerInfo>,
    /// Its spaces.
    pub spaces: Vec<SpaceStatus>,
}

/// How the network stands.
#[derive(Debug, Clone, Serialize)]
pub struct NetworkStatus {
    /// Where this device can be dialled.
    pub addresses: Vec<String>,
    /// Why peers nearby cannot be found by themselves, if they cannot.
    pub mdns_problem: Option<String>,
    /// Bytes sent since the start.
    pub bytes_sent: u64,
    /// Bytes received since the start.
    pub bytes_received: u64,
}

/// A connected device.
#[derive(Debug, Clone, Serialize)]
pub struct PeerInfo {
    /// The device.
    pub device: DeviceId,
    /// What people call it, if it is a member of a space.
    pub name: Option<String>,
    /// Where it is.
    pub address: String,
    /// By which way: `quic`, `tcp` or `relay`.
    pub transport: String,
}

/// How a space stands.
#[derive(Debug, Clone, Serialize)]
pub struct SpaceStatus {
    /// Its id.
    pub id: SpaceId,
    /// What people call it.
    pub name: String,
    /// What this device may do; none while it is joining.
    pub role: Option<String>,
    /// Events in the log.
    pub events: u64,
    /// Events that nothing follows yet.
    pub heads: Vec<EventRef>,
    /// Authors whose events are here.
    pub authors: usize,
    /// The digest of the frontier: equal digests, equal sets of events.
    pub frontier: String,
    /// Frames held because their stamps are ahead of the local clock.
    pub held: u64,
    /// Operations without effect.
    pub voids: u64,
    /// The other members.
    pub peers: Vec<LinkStatus>,
}

/// An event by author, place and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EventRef {
    /// Who wrote it.
    pub author: DeviceId,
    /// Its place in the author's chain, from 1.
    pub seq: u64,
    /// Its id.
    pub id: reknit_types::EventId,
}

/// How a space stands with another member.
#[derive(Debug, Clone, Serialize)]
pub struct LinkStatus {
    /// The member.
    pub device: DeviceId,
    /// What people call it.
    pub name: String,
    /// Whether it is connected.
    pub connected: bool,
    /// How far the session is: `none`, `comparing`, `catching-up`, `live` or `closed`.
    pub phase: &'static str,
    /// What the session waits for.
    pub waiting: Option<&'static str>,
    /// Events still to be sent to it.
    pub they_lack: u64,
    /// Events of it that are known to be still to come.
    pub we_lack: u64,
    /// Whether it has signed for exactly what is here now.
    pub converged: bool,
    /// Its last receipt.
    pub last_receipt: Option<ReceiptInfo>,
    /// Why the last session ended, if none is open.
    pub ended: Option<String>,
}

/// A device's signed word that it had exactly what this one had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReceiptInfo {
    /// The device.
    pub device: DeviceId,
    /// The digest of the frontier both had.
    pub frontier: String,
    /// When it came, by the local clock, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The device's signature, in hexadecimal.
    pub signature: String,
}

/// One reason why two peers may not be equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The device it is about; none if it is about this one.
    pub device: Option<DeviceId>,
    /// A word that stays the same between versions.
    pub code: &'static str,
    /// What is so, and what to do about it.
    pub text: String,
    /// How many events it concerns, as far as that is known.
    pub events: u64,
}

impl From<&Dot> for EventRef {
    fn from(dot: &Dot) -> Self {
        Self { author: dot.author, seq: dot.seq, id: dot.id }
    }
}

impl From<&engine::SpaceStatus> for SpaceStatus {
    fn from(status: &engine::SpaceStatus) -> Self {
        Self {
            id: status.id,
            name: status.name.clone(),
            role: status.role.map(|role: Role| role.to_string()),
            events: status.events,
            heads: status.heads.iter().map(EventRef::from).collect(),
            authors: status.authors,
            frontier: digest_text(&status.frontier_digest),
            held: status.held.map_or(0, |(_, count)| count),
            voids: status.voids,
            peers: status.peers.iter().map(LinkStatus::from).collect(),
        }
    }
}

impl From<&engine::PeerStatus> for LinkStatus {
    fn from(peer: &engine::PeerStatus) -> Self {
        let session = peer.session.as_ref();
        Self {
            device: peer.device,
            name: peer.name.clone(),
            connected: peer.connected,
            phase: session.map_or("none", |session| phase_text(session.phase)),
            waiting: session.map(|session| waiting_text(session.waiting)),
            they_lack: session.map_or(0, |session| session.they_lack),
            we_lack: session.map_or(0, |session| session.we_lack),
            converged: peer.converged,
            last_receipt: receipt_of(peer),
            ended: peer.ended.as_ref().map(ToString::to_string),
        }
    }
}

/// The last receipt of a member.
pub(crate) fn receipt_of(peer: &engine::PeerStatus) -> Option<ReceiptInfo> {
    peer.receipt.as_ref().map(|stored| ReceiptInfo {
        device: peer.device,
        frontier: digest_text(&stored.receipt.digest),
        at_ms: stored.at_ms,
        signature: data_encoding::HEXLOWER.encode(stored.receipt.signature.as_bytes()),
    })
}

impl From<engine::Reason> for Reason {
    fn from(reason: engine::Reason) -> Self {
        Self { device: reason.device, code: reason.code, text: reason.text, events: reason.events }
    }
}

fn phase_text(phase: Phase) -> &'static str {
    match phase {
        Phase::Comparing => "comparing",
        Phase::CatchingUp => "catching-up",
        Phase::Live => "live",
        Phase::Closed(_) => "closed",
    }
}

fn waiting_text(waiting: Waiting) -> &'static str {
    match waiting {
        Waiting::AwaitingHello => "hello",
        Waiting::AwaitingFrontier => "frontier",
        Waiting::AwaitingForkPoint => "fork-point",
        Waiting::Sending => "sending",
        Waiting::AwaitingCredit => "credit",
        Waiting::AwaitingEvents => "events",
        Waiting::AwaitingAdmission => "admission",
        Waiting::AwaitingRelay => "relay",
        Waiting::AwaitingReceipt => "receipt",
        Waiting::Equal => "equal",
        Waiting::Closed => "closed",
    }
}
