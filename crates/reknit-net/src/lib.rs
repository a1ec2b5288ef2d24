//! The libp2p side of a Reknit peer.

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
pub use libp2p::{Multiaddr, PeerId};
pub use net::Net;
pub use rendezvous::NamespaceId;
pub use stream::SyncStream;
