//! A device id is a PeerId: both are the same Ed25519 public key.

use crate::NetError;
use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey, ed25519};
use libp2p::multihash::Multihash;
use reknit_types::DeviceId;
use zeroize::Zeroizing;

/// The PeerId of a device. Fails when the id is no Ed25519 public key.
pub fn peer_of(device: DeviceId) -> Result<PeerId, NetError> {
    let key = ed25519::PublicKey::try_from_bytes(device.as_bytes()).map_err(|_| NetError::NotAKey(device))?;
    Ok(PublicKey::from(key).to_peer_id())
}

/// The device behind a PeerId. `None` unless the PeerId holds an Ed25519 key inline.
pub fn device_of(peer: &PeerId) -> Option<DeviceId> {
    let multihash: &Multihash<64> = peer.as_ref();
    if multihash.code() != IDENTITY_MULTIHASH {
        return None;
    }
    let key = PublicKey::try_decode_protobuf(multihash.digest()).ok()?.try_into_ed25519().ok()?;
    Some(DeviceId::from_bytes(key.to_bytes()))
}

/// The libp2p key pair of a device's secret seed.
pub(crate) fn keypair_of(secret: &[u8; 32]) -> Result<Keypair, NetError> {
    let mut seed = Zeroizing::new(*secret);
    Keypair::ed25519_from_bytes(seed.as_mut()).map_err(|_| NetError::BadSecret)
}

const IDENTITY_MULTIHASH: u64 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_and_peer_id_are_the_same_key() {
        let peer = keypair_of(&[7; 32]).unwrap().public().to_peer_id();
        let device = device_of(&peer).unwrap();
        assert_eq!(peer_of(device).unwrap(), peer);
        assert_eq!(device, reknit_types::DeviceKey::from_seed(&[7; 32]).id());
    }

    #[test]
    fn hashed_peer_id_is_no_device() {
        let hashed: PeerId = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N".parse().unwrap();
        assert_eq!(device_of(&hashed), None);
    }
}
