//! Whose an edit is: the hash that every identity of a field is cut from.

use reknit_types::{DeviceId, EntityId, Name};

/// The field that an edit goes to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) entity: EntityId,
    pub(super) field: &'a Name,
}

impl Place<'_> {
    /// The hash of author, entity, session nonce and field.
    pub(super) fn hash(&self, author: DeviceId, nonce: u64) -> [u8; 32] {
        let mut message = author.as_bytes().to_vec();
        message.extend_from_slice(&self.entity.to_bytes());
        message.extend_from_slice(&nonce.to_le_bytes());
        message.extend_from_slice(self.field.as_str().as_bytes());
        *blake3::keyed_hash(KEY, &message).as_bytes()
    }

    /// The first eight bytes of the hash as a little-endian number: what counters add up by.
    pub(super) fn number(&self, author: DeviceId, nonce: u64) -> u64 {
        self.hash(author, nonce).iter().take(8).rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

const KEY: &[u8; 32] = b"reknit/1 crdt identity          ";
