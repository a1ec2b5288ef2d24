//! Who edits, where, and in which order.

use reknit_types::{DeviceId, EntityId, EventId, Name, Stamp};

/// Who edits. The nonce is drawn fresh for every (device, entity, session), so a restored backup never continues an
/// identity that others have seen further along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The device that writes.
    pub author: DeviceId,
    /// The nonce of its session.
    pub nonce: u64,
}

/// Where an edit goes. Identities are derived from it, so a delta is void at any other place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The entity.
    pub entity: EntityId,
    /// The field of the entity.
    pub field: &'a Name,
}

/// What an edit came in: registers are ordered by it, and contested fields replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The device that wrote the event.
    pub author: DeviceId,
    /// The stamp of the event.
    pub stamp: Stamp,
    /// The event.
    pub event: EventId,
}

impl Place<'_> {
    /// The hash that every identity used here by `author` in the session `nonce` is cut from.
    pub(crate) fn identify(&self, author: DeviceId, nonce: u64) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(IDENTITY_KEY);
        hasher.update(author.as_bytes()).update(&self.entity.to_bytes()).update(&nonce.to_le_bytes());
        hasher.update(self.field.as_str().as_bytes());
        *hasher.finalize().as_bytes()
    }
}

/// The first eight bytes of a hash, as an integer.
pub(crate) const fn prefix(hash: &[u8; 32]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *hash;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

const IDENTITY_KEY: &[u8; 32] = b"reknit/1 crdt identity          ";
