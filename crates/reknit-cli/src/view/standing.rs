//! How a peer and its spaces stand.

use crate::calls::Host;
use crate::exit::Failure;
use reknit::{DeviceId, Space, SpaceId};
use serde::{Deserialize, Serialize};

/// A space, its history and its members.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SpaceView {
    pub(crate) id: SpaceId,
    pub(crate) name: String,
    /// This device's role; none while it is joining.
    pub(crate) role: Option<String>,
    pub(crate) events: u64,
    /// Events that nothing follows yet.
    pub(crate) heads: usize,
    pub(crate) authors: usize,
    /// Frames of events that wait until the local clock gets to their time.
    pub(crate) held: u64,
    /// Operations without effect.
    pub(crate) voids: u64,
    /// When the newest event was written, by its author's clock.
    pub(crate) newest_stamp_ms: Option<u64>,
    /// Digest of all that is known: equal at two peers exactly if they have the same events.
    pub(crate) frontier: String,
    pub(crate) members: Vec<MemberView>,
    pub(crate) links: Vec<LinkView>,
}

impl SpaceView {
    pub(crate) async fn of(space: &Space) -> Result<Self, Failure> {
        let status = space.status().await?;
        Ok(Self {
            id: status.id,
            name: status.name,
            role: status.role,
            events: status.events,
            heads: status.heads.len(),
            authors: status.authors,
            held: status.held,
            voids: status.voids,
            newest_stamp_ms: space.log(1)?.first().map(|entry| entry.stamp_ms),
            frontier: status.frontier,
            members: space.members().into_iter().map(MemberView::from).collect(),
            links: status.peers.into_iter().map(LinkView::from).collect(),
        })
    }
}

/// A device that belongs to a space.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MemberView {
    pub(crate) device: DeviceId,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) since_ms: u64,
}

impl From<reknit::MemberInfo> for MemberView {
    fn from(member: reknit::MemberInfo) -> Self {
        let reknit::MemberInfo { device, name, role, since_ms } = member;
        Self { device, name, role: role.to_string(), since_ms }
    }
}

/// How far apart this peer and another are in one space.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LinkView {
    pub(crate) device: DeviceId,
    pub(crate) name: String,
    pub(crate) connected: bool,
    /// How far the session is.
    pub(crate) phase: String,
    /// What the session waits for.
    pub(crate) waiting: Option<String>,
    /// Events still to be sent to it.
    pub(crate) they_lack: u64,
    /// Events of it that are known to be still to come.
    pub(crate) we_lack: u64,
    /// Whether it has signed for exactly what is here now.
    pub(crate) converged: bool,
    pub(crate) last_receipt: Option<ReceiptView>,
    /// Why the last session ended, if none is open.
    pub(crate) ended: Option<String>,
}

impl From<reknit::LinkStatus> for LinkView {
    fn from(link: reknit::LinkStatus) -> Self {
        Self {
            device: link.device,
            name: link.name,
            connected: link.connected,
            phase: link.phase.to_owned(),
            waiting: link.waiting.map(str::to_owned),
            they_lack: link.they_lack,
            we_lack: link.we_lack,
            converged: link.converged,
            last_receipt: link.last_receipt.map(ReceiptView::from),
            ended: link.ended,
        }
    }
}

/// The other's signed word that it had the same events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReceiptView {
    pub(crate) device: DeviceId,
    pub(crate) frontier: String,
    pub(crate) at_ms: u64,
    pub(crate) signature: String,
}

impl From<reknit::ReceiptInfo> for ReceiptView {
    fn from(receipt: reknit::ReceiptInfo) -> Self {
        let reknit::ReceiptInfo { device, frontier, at_ms, signature } = receipt;
        Self { device, frontier, at_ms, signature }
    }
}

/// All about a peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StatusView {
    pub(crate) device: DeviceId,
    pub(crate) name: String,
    pub(crate) store_bytes: u64,
    /// None when it is offline.
    pub(crate) network: Option<NetworkView>,
    /// Connected devices.
    pub(crate) peers: Vec<PeerView>,
    pub(crate) spaces: Vec<SpaceView>,
}

impl StatusView {
    pub(crate) async fn of(host: &Host) -> Result<Self, Failure> {
        let status = host.peer().status().await?;
        let mut spaces = Vec::new();
        for space in host.peer().spaces() {
            spaces.push(SpaceView::of(&space).await?);
        }
        Ok(Self {
            device: status.device,
            name: status.name,
            store_bytes: host.store_bytes(),
            network: status.network.map(NetworkView::from),
            peers: status.peers.into_iter().map(PeerView::from).collect(),
            spaces,
        })
    }
}

/// What the peer does on the network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NetworkView {
    pub(crate) addresses: Vec<String>,
    /// Why peers nearby cannot find each other, if they cannot.
    pub(crate) mdns_problem: Option<String>,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
}

impl From<reknit::NetworkStatus> for NetworkView {
    fn from(network: reknit::NetworkStatus) -> Self {
        let reknit::NetworkStatus { addresses, mdns_problem, bytes_sent, bytes_received, .. } = network;
        Self { addresses, mdns_problem, bytes_sent, bytes_received }
    }
}

/// A connected device.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PeerView {
    pub(crate) device: DeviceId,
    /// What people call it, if it is a member of a space.
    pub(crate) name: Option<String>,
    pub(crate) transport: String,
    pub(crate) address: String,
}

impl From<reknit::PeerInfo> for PeerView {
    fn from(peer: reknit::PeerInfo) -> Self {
        let reknit::PeerInfo { device, name, transport, address } = peer;
        Self { device, name, transport, address }
    }
}

/// Why two peers may not have the same events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReasonView {
    pub(crate) device: Option<DeviceId>,
    pub(crate) code: String,
    pub(crate) text: String,
    pub(crate) events: u64,
}

impl From<reknit::Reason> for ReasonView {
    fn from(reason: reknit::Reason) -> Self {
        let reknit::Reason { device, code, text, events } = reason;
        Self { device, code: code.to_owned(), text, events }
    }
}
