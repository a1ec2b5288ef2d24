//! The libp2p side of a Reknit peer: connections, discovery, announces and sync streams.
//!
//! It knows devices, topics, namespaces and byte streams. It never learns what a space, an event or a member is: whom to stay
//! connected to, what to publish and what a stream means is decided by the peer that drives it. It never reads a wall clock and
//! keeps nothing on disk.
//!
//! Read [`Net`] and [`NetEvent`] first: commands go in by the one, what happens comes out by the other. Inside, one task (the
//! router) owns the swarm; every decision is made by a state machine without IO beside it: the address book with its back-off,
//! the links with their choice among several connections, the rendezvous plans.
//!
//! ```
//! use reknit_net::{Net, NetConfig, NetEvent};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), reknit_net::NetError> {
//! let (a, mut events) = Net::start(NetConfig::loopback([1; 32])).await?;
//! let (b, mut listens) = Net::start(NetConfig::loopback([2; 32])).await?;
//! while !matches!(listens.next().await, Some(NetEvent::Listening { .. })) {}
//! a.know(b.local(), b.addresses().await).await?;
//! while let Some(event) = events.next().await {
//!     if let NetEvent::Connected { device, .. } = event {
//!         assert_eq!(device, b.local());
//!         break;
//!     }
//! }
//! # a.shutdown().await;
//! # b.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What it takes care of
//!
//! * A device's Ed25519 key *is* its PeerId, so a connection proves who is at its other end.
//! * QUIC goes first and TCP follows some 30 ms later on local networks, 250 ms elsewhere; relays get their turn after
//!   [`limits::RELAY_DELAY`] or once direct addresses have failed, and a relayed connection gives way to a direct one.
//! * A known device that is not connected is dialled with a doubling, jittered wait, at most [`limits::RETRY_MAX`], and
//!   [`limits::RETRY_PARTED_MAX`] if it was connected not long ago. The wait starts over when the network changes and on any
//!   word of the device: a connection, a sighting, a registration.
//! * A dead connection is noticed within 10 s (measured: 7.5 s for a peer that freezes, over QUIC and TCP alike).
//! * Peers that dial each other at once end up with the same one connection.
//! * Gossip is a hint: it is dropped and counted when its consumer is slow. Nothing else is ever dropped.
//!
//! # Why the first QUIC connection of a process was slow
//!
//! The first QUIC connection took 24 ms where TCP took 0.8 ms, later ones did not. The time is not spent on the network, in
//! libp2p or in quinn: the first `RAND_bytes` of a process makes AWS-LC, which rustls uses, seed its generator from CPU jitter
//! (`tree_jitter_initialize_once` -> `jent_entropy_collector_alloc`, which self-tests and then collects), and the first to ask
//! is the `ClientHello` of the first handshake. A profile of a first connection shows nothing but `jent_*`; the stack at
//! that point is `libp2p_quic dial -> quinn Endpoint::connect_with -> rustls ClientHelloInput::new -> RAND_bytes`. TCP
//! uses Noise, whose randomness is the system's, so it never pays; a quinn built on `ring` does not either. Certificates, interface
//! watching, mDNS, happy eyeballs and acknowledgement delays have no part in it.
//!
//! So the generator is seeded in the background as soon as a network starts, and [`warm_up`] lets a process begin even
//! earlier. Then the first QUIC connection takes about as long as any other: 2 to 6 ms, p50 2 ms, on a busy machine where it
//! took 34 ms and more without, and TCP takes 1 ms. `cargo run --release -p reknit-net --example connect` measures it, with
//! `-- --cold` for how it was.

mod addresses;
mod behaviour;
mod bootstrap;
mod config;
mod device;
mod error;
mod event;
mod gate;
mod gossip;
pub mod limits;
mod links;
mod meter;
mod nearby;
mod net;
mod outbox;
mod rendezvous;
mod resolve;
mod router;
mod stream;
mod transport;

pub use addresses::Transport;
pub use bootstrap::{Bootstrap, BootstrapConfig, BootstrapEvent};
pub use config::{NetConfig, everywhere};
pub use device::{device_of, peer_of};
pub use error::NetError;
pub use event::{FoundBy, NetEvent, NetEvents};
pub use gossip::{Published, TopicId};
pub use libp2p::multiaddr::Protocol;
pub use libp2p::{Multiaddr, PeerId};
pub use net::Net;
pub use rendezvous::NamespaceId;
pub use stream::SyncStream;
pub use transport::warm_up;
