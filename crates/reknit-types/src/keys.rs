//! Device keys and signatures: Ed25519 (RFC 8032).

use crate::ids::{DeviceId, EventId};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use rand::CryptoRng;
use std::fmt;

/// The secret of a device. Its debug form shows the public id only; the secret is wiped on drop.
#[derive(Clone)]
pub struct DeviceKey {
    signing: SigningKey,
}

impl DeviceKey {
    /// A fresh key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        Self::from_seed(&seed)
    }

    /// The key with this 32-byte Ed25519 seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { signing: SigningKey::from_bytes(seed) }
    }

    /// The 32-byte Ed25519 seed. Whoever has it *is* the device.
    pub fn seed(&self) -> [u8; 32] {
        self.signing.to_bytes()
    }

    /// The device's public name.
    pub fn id(&self) -> DeviceId {
        DeviceId::from_bytes(self.signing.verifying_key().to_bytes())
    }

    /// Signs an event.
    pub fn sign_event(&self, id: &EventId) -> Signature {
        Signature(self.signing.sign(id.as_bytes()).to_bytes())
    }

    /// Signs a message under a domain tag, so that a signature for one purpose never serves another.
    pub fn sign(&self, domain: &str, message: &[u8]) -> Signature {
        Signature(self.signing.sign(&tagged(domain, message)).to_bytes())
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceKey({})", self.id().short())
    }
}

impl DeviceId {
    /// Whether the device signed this event.
    pub fn signed_event(&self, id: &EventId, signature: &Signature) -> bool {
        self.verifies(id.as_bytes(), signature)
    }

    /// Whether the device signed this message under this domain tag.
    pub fn signed(&self, domain: &str, message: &[u8], signature: &Signature) -> bool {
        self.verifies(&tagged(domain, message), signature)
    }

    /// Strict verification: small-order keys and malleable signatures are refused, so that peers always agree.
    fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        VerifyingKey::from_bytes(self.as_bytes())
            .is_ok_and(|key| key.verify_strict(message, &signature).is_ok())
    }
}

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// The signature with these bytes.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The bytes of the signature.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", data_encoding::HEXLOWER.encode(&self.0[..6]))
    }
}

/// An event is signed by its 32-byte id alone; everything else is hashed with its domain and length, so the two
/// can never be confused.
fn tagged(domain: &str, message: &[u8]) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new_derive_key(domain);
    hasher.update(message);
    let mut bytes = b"reknit/1 message".to_vec();
    bytes.extend_from_slice(hasher.finalize().as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_serves_one_domain_only() {
        let key = DeviceKey::from_seed(&[1; 32]);
        let signature = key.sign("receipt", b"message");
        assert!(key.id().signed("receipt", b"message", &signature));
        assert!(!key.id().signed("join", b"message", &signature));
        assert!(!key.id().signed("receipt", b"massage", &signature));
    }

    #[test]
    fn debug_output_keeps_the_secret() {
        let key = DeviceKey::from_seed(&[1; 32]);
        assert_eq!(format!("{key:?}"), format!("DeviceKey({})", key.id().short()));
    }
}
