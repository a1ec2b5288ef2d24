//! What can go wrong at this crate's boundary.

use libp2p::Multiaddr;
use reknit_types::DeviceId;
use thiserror::Error;

/// Why the network refused or failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetError {
    /// The secret is no Ed25519 seed.
    #[error("the device secret is not an Ed25519 seed")]
    BadSecret,
    /// The id cannot name a device.
    #[error("{0} is not an Ed25519 public key, so no device can have this id")]
    NotAKey(DeviceId),
    /// A bootstrap address does not say which node it leads to.
    #[error("bootstrap address {0} must end in /p2p/ and the node's Ed25519 peer id")]
    BadBootstrap(Multiaddr),
    /// The address is not one this peer can use.
    #[error(
        "{0} is not an address of a Reknit peer: use /ip4, /ip6 or /dns with /udp/<port>/quic-v1 or /tcp/<port>"
    )]
    BadAddress(Multiaddr),
    /// No listen address could be used.
    #[error("cannot listen on any of the given addresses: {0}")]
    CannotListen(String),
    /// A part of libp2p refused its settings.
    #[error("cannot set up {part}: {reason}")]
    Setup {
        /// Which part.
        part: &'static str,
        /// What it said.
        reason: String,
    },
    /// There is no connection with the device.
    #[error("not connected to {0}: wait for it to be connected")]
    NotConnected(DeviceId),
    /// The connection ended or the other side refused the stream.
    #[error("could not open a stream to {device}: {reason}")]
    StreamFailed {
        /// The device at the other end.
        device: DeviceId,
        /// What happened.
        reason: String,
    },
    /// The message is larger than gossip carries.
    #[error("a message of {bytes} bytes is too large to publish")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A bound is reached.
    #[error("too many {what}: at most {max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// The network was shut down.
    #[error("the network has been shut down")]
    Closed,
}
