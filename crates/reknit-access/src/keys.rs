//! The keys of a space, and the names under which strangers see it.

use crate::control::newer;
use crate::limits::EPOCHS_MAX;
use rand::CryptoRng;
use reknit_types::{DecodeError, DeviceId, Epoch, Kind, PayloadKey, PayloadKeys, Reader, SealError, Writer};
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// The secret that a space begins with. It travels in the ticket; the control key and the key of the first epoch are
/// derived from it, and neither gives away the other. Wiped on drop, never shown by `Debug`.
#[derive(Clone)]
pub struct SpaceSecret(Zeroizing<[u8; 32]>);

impl SpaceSecret {
    /// A fresh secret.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut secret = [0; 32];
        rng.fill_bytes(&mut secret);
        Self::from_bytes(secret)
    }

    /// The secret with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes of the secret.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SpaceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpaceSecret(..)")
    }
}

/// The keys of a space: the *control key* seals control payloads and blinds the space's names; each *epoch* has a key
/// for data payloads.
#[derive(Clone)]
pub struct SpaceKeys {
    secret: SpaceSecret,
    control: PayloadKey,
    announces: PayloadKey,
    epochs: BTreeMap<Epoch, PayloadKey>,
}

impl SpaceKeys {
    /// The keys of a new space.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self::from_secret(SpaceSecret::generate(rng))
    }

    /// The keys of the space that began with `secret`, as far as its first epoch.
    pub fn from_secret(secret: SpaceSecret) -> Self {
        let control = blake3::derive_key("reknit/1 control key", secret.as_bytes());
        let announces = blake3::derive_key("reknit/1 announce key", &control);
        let first = blake3::derive_key("reknit/1 first epoch key", secret.as_bytes());
        Self {
            secret,
            control: PayloadKey::new(control),
            announces: PayloadKey::new(announces),
            epochs: BTreeMap::from([(Epoch::FIRST, PayloadKey::new(first))]),
        }
    }

    /// The secret that the space began with, for a ticket.
    pub fn secret(&self) -> &SpaceSecret {
        &self.secret
    }

    /// The key of control payloads.
    pub fn control(&self) -> &PayloadKey {
        &self.control
    }

    /// The epoch to write in, and its key.
    pub fn newest(&self) -> (Epoch, &PayloadKey) {
        let (epoch, key) = self.epochs.last_key_value().expect("the first epoch's key is always held");
        (*epoch, key)
    }

    /// The gossip topic of the space.
    pub fn topic(&self) -> [u8; 32] {
        self.blind("reknit/1 gossip topic", &[])
    }

    /// The namespace under which members register at a bootstrap node.
    pub fn rendezvous(&self) -> [u8; 32] {
        self.blind("reknit/1 rendezvous", &[])
    }

    /// Names the space on a stream from `initiator` to `responder`. Only holders of the control key recognise it, and
    /// it differs for every pair and direction.
    pub fn session_tag(&self, initiator: DeviceId, responder: DeviceId) -> [u8; 32] {
        self.blind("reknit/1 session tag", &[initiator.as_bytes(), responder.as_bytes()])
    }

    /// Seals an announce; equal announces look equal. A relay will hold the key of announces, but none of an epoch:
    /// data payloads inside an announce are sealed once more, under their epoch.
    pub fn seal_announce(&self, plain: &[u8]) -> Vec<u8> {
        self.announces.seal(ANNOUNCE_CORE, plain)
    }

    /// Opens what [`Self::seal_announce`] made.
    pub fn open_announce(&self, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        self.announces.open(ANNOUNCE_CORE, sealed)
    }

    /// The keys as they are stored.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut writer = Writer::with_capacity(64 + 40 * self.epochs.len());
        writer.u8(VERSION).u8(HOLDER_MEMBER).raw(self.secret.as_bytes());
        let later = || self.epochs.iter().filter(|(epoch, _)| **epoch != Epoch::FIRST);
        writer.varint(later().count() as u64);
        for (epoch, key) in later() {
            writer.raw(&epoch.0).raw(key.secret());
        }
        Zeroizing::new(writer.into_bytes())
    }

    /// The keys that [`Self::encode`] stored.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8("keys of a space")?;
        if version != VERSION {
            return Err(newer("the keys of a space", version, VERSION));
        }
        let holder = reader.u8("holder of keys")?;
        if holder != HOLDER_MEMBER {
            return Err(newer("the holders of keys", holder, HOLDER_MEMBER));
        }
        let mut keys = Self::from_secret(SpaceSecret::from_bytes(reader.array("secret of a space")?));
        for _ in 0..reader.count(EPOCHS_MAX, "epochs")? {
            let epoch = Epoch(reader.array("epoch")?);
            if epoch <= keys.newest().0 {
                return Err(DecodeError::Invalid("order of epochs"));
            }
            keys.epochs.insert(epoch, PayloadKey::new(reader.array("epoch key")?));
        }
        reader.finish()?;
        Ok(keys)
    }

    fn blind(&self, context: &str, parts: &[&[u8; 32]]) -> [u8; 32] {
        let key = Zeroizing::new(blake3::derive_key(context, self.control.secret()));
        let mut hasher = blake3::Hasher::new_keyed(&key);
        parts.iter().for_each(|part| _ = hasher.update(*part));
        *hasher.finalize().as_bytes()
    }
}

impl PayloadKeys for SpaceKeys {
    fn payload_key(&self, kind: Kind, epoch: Epoch) -> Option<&PayloadKey> {
        match kind {
            Kind::Control => Some(&self.control),
            Kind::Data => self.epochs.get(&epoch),
        }
    }
}

impl fmt::Debug for SpaceKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpaceKeys({} epochs)", self.epochs.len())
    }
}

const VERSION: u8 = 1;
/// Reserved above it: 1 for a relay, which is given the control key alone.
const HOLDER_MEMBER: u8 = 0;
const ANNOUNCE_CORE: &[u8] = b"reknit/1 announce";

#[cfg(test)]
mod tests;
