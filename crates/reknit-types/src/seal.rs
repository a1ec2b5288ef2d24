//! Sealing: a payload encrypted so that its sealed form is a pure function of key, header and content.
//!
//! SIV (Rogaway and Shrimpton, *Deterministic Authenticated-Encryption*, 2006) with keyed BLAKE3 as the pseudo-random
//! function and XChaCha20 as the cipher: the nonce is a keyed hash of the header's core and the plaintext, and is the
//! authenticator as well, since whoever opens computes it again. It repeats only if core and plaintext do, so a
//! restored backup or a cloned machine never reuses a nonce for different content. A second authenticator, such as
//! Poly1305, would add nothing and take most of the time.
//!
//! Because sealing is deterministic, two peers that both hold the key may exchange and store payloads opened (and
//! compressed), and still agree on the hash of what a peer without the key would carry.

use crate::limits::PAYLOAD_BYTES_MAX;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use chacha20::{Key, XChaCha20, XNonce};
use std::fmt;
use thiserror::Error;
use zeroize::Zeroizing;

/// Why a sealed payload does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SealError {
    /// Shorter than its nonce, or longer than a payload may be.
    #[error("a sealed payload of {0} bytes is out of bounds")]
    Length(usize),
    /// Sealed under another key or for another header, or damaged.
    #[error("the payload was sealed with another key, for another event, or is damaged")]
    Forged,
}

/// A key that seals and opens the payloads of one epoch.
#[derive(Clone)]
pub struct PayloadKey {
    secret: Zeroizing<[u8; 32]>,
    cipher_key: Zeroizing<[u8; 32]>,
    nonce_key: Zeroizing<[u8; 32]>,
}

impl PayloadKey {
    /// The key with this secret.
    pub fn new(secret: [u8; 32]) -> Self {
        let cipher_key = Zeroizing::new(blake3::derive_key("reknit/1 payload cipher", &secret));
        let nonce_key = Zeroizing::new(blake3::derive_key("reknit/1 payload nonce", &secret));
        Self { secret: Zeroizing::new(secret), cipher_key, nonce_key }
    }

    /// The secret, to be put into a ticket or a sealed message.
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// Seals `plain` for the event whose header core is `core`: nonce, ciphertext.
    pub fn seal(&self, core: &[u8], plain: &[u8]) -> Vec<u8> {
        let nonce = self.nonce(core, plain);
        let mut sealed = Vec::with_capacity(SEAL_OVERHEAD + plain.len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        self.apply_keystream(nonce, &mut sealed[NONCE_BYTES..]);
        sealed
    }

    /// Opens what [`Self::seal`] made for the same core.
    pub fn open(&self, core: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let out_of_bounds = SealError::Length(sealed.len());
        if sealed.len() > PAYLOAD_BYTES_MAX + SEAL_OVERHEAD {
            return Err(out_of_bounds);
        }
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(out_of_bounds)?;
        let mut plain = ciphertext.to_vec();
        self.apply_keystream(*nonce, &mut plain);
        if self.nonce(core, &plain) == *nonce { Ok(plain) } else { Err(SealError::Forged) }
    }

    fn apply_keystream(&self, nonce: [u8; NONCE_BYTES], bytes: &mut [u8]) {
        XChaCha20::new(&Key::from(*self.cipher_key), &XNonce::from(nonce))
            .try_apply_keystream(bytes)
            .expect("a payload is far below the cipher's limit of 256 GiB");
    }

    fn nonce(&self, core: &[u8], plain: &[u8]) -> [u8; NONCE_BYTES] {
        let mut hasher = blake3::Hasher::new_keyed(&self.nonce_key);
        hasher.update(&(core.len() as u64).to_le_bytes()).update(core).update(plain);
        let mut nonce = [0; NONCE_BYTES];
        hasher.finalize_xof().fill(&mut nonce);
        nonce
    }
}

impl fmt::Debug for PayloadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PayloadKey(..)")
    }
}

/// Bytes that sealing adds to a payload.
pub(crate) const SEAL_OVERHEAD: usize = NONCE_BYTES;
const NONCE_BYTES: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_sealed_opens_with_the_same_key_and_core_only(
            secret: [u8; 32],
            core in proptest::collection::vec(any::<u8>(), 0..64),
            plain in proptest::collection::vec(any::<u8>(), 0..200),
            at: prop::sample::Index,
            bit in 0u8..8,
        ) {
            let key = PayloadKey::new(secret);
            let mut sealed = key.seal(&core, &plain);
            prop_assert_eq!(sealed.len(), plain.len() + SEAL_OVERHEAD);
            prop_assert_eq!(key.seal(&core, &plain), sealed.clone());
            prop_assert_eq!(key.open(&core, &sealed).unwrap(), plain);
            let mut other = core.clone();
            other.push(0);
            prop_assert_eq!(key.open(&other, &sealed), Err(SealError::Forged));
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert_eq!(key.open(&core, &sealed), Err(SealError::Forged));
        }
    }

    #[test]
    fn too_few_bytes_are_refused() {
        assert_eq!(PayloadKey::new([0; 32]).open(b"", &[0; SEAL_OVERHEAD - 1]), Err(SealError::Length(23)));
    }
}
