//! Invites are key pairs: the ticket carries the secret half, the invite event the public one.

use crate::control::Action;
use crate::role::Role;
use rand::CryptoRng;
use reknit_types::{DecodeError, DeviceId, DeviceKey, EventId, Reader, Signature, SpaceId};
use std::fmt;
use zeroize::Zeroizing;

/// The public half of an invite: the Ed25519 key that proofs of holding it are checked with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InviteId([u8; 32]);

impl InviteId {
    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `proof` shows that `device` holds the secret of this invite, made by the event `invite` of `space`.
    pub fn proves(&self, space: SpaceId, device: DeviceId, invite: EventId, proof: &Signature) -> bool {
        DeviceId::from_bytes(self.0).signed(PROOF_DOMAIN, &proof_message(space, device, invite), proof)
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.array("invite key")?))
    }
}

impl fmt::Debug for InviteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InviteId({})", data_encoding::HEXLOWER.encode(&self.0[..6]))
    }
}

/// The secret half of an invite. Whoever holds it may join until the invite expires. Wiped on drop, never shown by
/// `Debug`.
///
/// Its seed has 16 bytes, as much as Ed25519 is worth, so that a ticket stays short.
#[derive(Clone)]
pub struct InviteSecret {
    seed: Zeroizing<[u8; INVITE_SEED_BYTES]>,
    key: DeviceKey,
}

impl InviteSecret {
    /// A fresh secret.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = [0; INVITE_SEED_BYTES];
        rng.fill_bytes(&mut seed);
        Self::from_seed(seed)
    }

    /// The secret with this seed.
    pub fn from_seed(seed: [u8; INVITE_SEED_BYTES]) -> Self {
        let seed = Zeroizing::new(seed);
        let key_seed = Zeroizing::new(blake3::derive_key("reknit/1 invite key", &*seed));
        Self { key: DeviceKey::from_seed(&key_seed), seed }
    }

    /// The seed, to be put into a ticket.
    pub fn seed(&self) -> &[u8; INVITE_SEED_BYTES] {
        &self.seed
    }

    /// The public half.
    pub fn id(&self) -> InviteId {
        InviteId(*self.key.id().as_bytes())
    }

    /// Proof for others that `device` holds this secret. It serves no other device, space or invite.
    pub fn proof(&self, space: SpaceId, device: DeviceId, invite: EventId) -> Signature {
        self.key.sign(PROOF_DOMAIN, &proof_message(space, device, invite))
    }
}

impl fmt::Debug for InviteSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteSecret(..)")
    }
}

/// Makes an invite: the secret for the ticket and the action for the control event. Any number of devices may join by
/// it until `expires_ms` (milliseconds since the Unix epoch).
pub fn invite(role: Role, expires_ms: Option<u64>, rng: &mut impl CryptoRng) -> (InviteSecret, Action) {
    let secret = InviteSecret::generate(rng);
    let action = Action::Invite { key: secret.id(), role, expires_ms };
    (secret, action)
}

fn proof_message(space: SpaceId, device: DeviceId, invite: EventId) -> [u8; 96] {
    let mut message = [0; 96];
    message[..32].copy_from_slice(space.as_bytes());
    message[32..64].copy_from_slice(device.as_bytes());
    message[64..].copy_from_slice(invite.as_bytes());
    message
}

/// Bytes of an invite's seed.
pub const INVITE_SEED_BYTES: usize = 16;
const PROOF_DOMAIN: &str = "reknit/1 proof of invite";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_serves_one_device_in_one_space_by_one_invite() {
        let secret = InviteSecret::from_seed([1; 16]);
        let (space, device, invite) =
            (SpaceId::from_bytes([2; 32]), DeviceId::from_bytes([3; 32]), EventId::from_bytes([4; 32]));
        let proof = secret.proof(space, device, invite);
        assert!(secret.id().proves(space, device, invite, &proof));
        assert!(!secret.id().proves(SpaceId::from_bytes([9; 32]), device, invite, &proof));
        assert!(!secret.id().proves(space, DeviceId::from_bytes([9; 32]), invite, &proof));
        assert!(!secret.id().proves(space, device, EventId::from_bytes([9; 32]), &proof));
        assert!(!InviteSecret::from_seed([9; 16]).id().proves(space, device, invite, &proof));
    }

    #[test]
    fn debug_output_keeps_the_secret() {
        assert_eq!(format!("{:?}", InviteSecret::from_seed([1; 16])), "InviteSecret(..)");
    }
}
