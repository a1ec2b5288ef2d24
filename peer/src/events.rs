//! What happens to a peer, for those who show it.

use crate::model::Difference;
use reknit_engine::SpaceNo;
use reknit_types::{DeviceId, SpaceId};
use serde::Serialize;

/// Something happened to a peer or one of its spaces.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PeerEvent {
    /// A device is connected.
    PeerConnected {
        /// The device.
        device: DeviceId,
        /// Where it is.
        address: String,
        /// By which way: `quic`, `tcp` or `relay`.
        transport: String,
    },
    /// A device is no longer connected.
    PeerDisconnected {
        /// The device.
        device: DeviceId,
        /// Why.
        reason: String,
    },
    /// A device was found.
    PeerFound {
        /// The device.
        device: DeviceId,
        /// How: `mdns`, `rendezvous` or `identify`.
        by: String,
    },
    /// A space was founded or joined, or its name or members changed.
    SpaceChanged {
        /// The space.
        space: SpaceId,
        /// What people call it.
        name: String,
        /// How many members it has.
        members: usize,
    },
    /// A space was given up before this device became a member.
    SpaceLeft {
        /// The space.
        space: SpaceId,
    },
    /// A device signed that it has exactly what this one has.
    Converged {
        /// The space.
        space: SpaceId,
        /// The device.
        device: DeviceId,
        /// The digest of the frontier both have.
        frontier: String,
    },
    /// Events are held, because their stamps are ahead of the local clock.
    Held {
        /// The space.
        space: SpaceId,
        /// Who sent them.
        device: DeviceId,
        /// When they are admitted, in milliseconds since the Unix epoch.
        until_ms: u64,
    },
    /// Events were refused.
    Refused {
        /// The space.
        space: SpaceId,
        /// Who sent them.
        device: DeviceId,
        /// Why.
        reason: String,
    },
    /// A session with a device ended.
    SessionEnded {
        /// The space.
        space: SpaceId,
        /// The device.
        device: DeviceId,
        /// Why.
        reason: String,
    },
    /// What one model says about a collection contradicts what another does: two peers declared it while they were apart.
    /// [`Space::schema`](crate::Space::schema) has what stands; a model that contradicts it can be used to read only.
    SchemaConflict {
        /// The space.
        space: SpaceId,
        /// The collection.
        collection: String,
        /// Where.
        differences: Vec<Difference>,
    },
    /// Peers nearby cannot be found by themselves here.
    MdnsUnavailable {
        /// Why.
        reason: String,
    },
    /// An address cannot be listened on.
    ListenFailed {
        /// The address.
        address: String,
        /// Why.
        reason: String,
    },
    /// The peer has stopped, because its store failed.
    Failed {
        /// Why, and what to do.
        reason: String,
    },
}

/// An event of the engine that names a space by its local number, once the id is looked up.
pub(crate) fn space_id(core: &crate::core::Core, no: SpaceNo) -> Option<SpaceId> {
    core.space_info(no).map(|info| info.id)
}
