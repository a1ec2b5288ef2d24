//! Everything a peer does on its connections, composed.

use crate::error::NetError;
use crate::gate::Gate;
use crate::gossip::{self, Gossip};
use crate::{limits, stream};
use libp2p::core::transport::ListenerId;
use libp2p::identity::Keypair;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::{FromSwarm, NetworkBehaviour, NewListenAddr};
use libp2p::{Multiaddr, PeerId, connection_limits, dcutr, identify, mdns, ping, relay, rendezvous};
use std::io;

/// The behaviours of a peer. The gate and the limits come first, so that they refuse before anything else has looked.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) gate: Gate,
    limits: connection_limits::Behaviour,
    pub(crate) streams: stream::Behaviour,
    pub(crate) gossip: Gossip,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub(crate) mdns: Toggle<mdns::tokio::Behaviour>,
    relay: relay::client::Behaviour,
    dcutr: dcutr::Behaviour,
    pub(crate) rendezvous: rendezvous::client::Behaviour,
}

impl Behaviour {
    pub(crate) fn new(keypair: &Keypair, relay: relay::client::Behaviour) -> Result<Self, NetError> {
        let local = keypair.public().to_peer_id();
        Ok(Self {
            gate: Gate::default(),
            limits: connection_limits(),
            streams: stream::Behaviour::default(),
            gossip: gossip::behaviour()?,
            identify: identify(keypair),
            ping: ping(),
            mdns: None.into(),
            relay,
            dcutr: dcutr::Behaviour::new(local),
            rendezvous: rendezvous::client::Behaviour::new(keypair.clone()),
        })
    }

    /// Starts looking for peers on the local network, and telling them these addresses.
    pub(crate) fn start_mdns(&mut self, local: PeerId, listeners: &[Multiaddr]) -> io::Result<()> {
        let mut mdns = mdns::tokio::Behaviour::new(mdns::Config::default(), local)?;
        for addr in listeners {
            // It learns of addresses as they come, and these came before it did.
            let listener_id = ListenerId::next();
            mdns.on_swarm_event(FromSwarm::NewListenAddr(NewListenAddr { listener_id, addr }));
        }
        self.mdns = Some(mdns).into();
        Ok(())
    }

    pub(crate) fn stop_mdns(&mut self) {
        self.mdns = None.into();
    }
}

pub(crate) fn connection_limits() -> connection_limits::Behaviour {
    connection_limits::Behaviour::new(
        connection_limits::ConnectionLimits::default()
            .with_max_pending_incoming(Some(limits::CONNECTIONS_PENDING_MAX))
            .with_max_pending_outgoing(Some(limits::CONNECTIONS_PENDING_MAX))
            .with_max_established_incoming(Some(limits::CONNECTIONS_IN_MAX))
            .with_max_established(Some(limits::CONNECTIONS_MAX))
            .with_max_established_per_peer(Some(limits::CONNECTIONS_PER_DEVICE_MAX)),
    )
}

pub(crate) fn identify(keypair: &Keypair) -> identify::Behaviour {
    identify::Behaviour::new(
        identify::Config::new(PROTOCOL_VERSION.to_owned(), keypair.public())
            .with_agent_version(concat!("reknit/", env!("CARGO_PKG_VERSION")).to_owned())
            .with_push_listen_addr_updates(true)
            .with_cache_size(0),
    )
}

pub(crate) fn ping() -> ping::Behaviour {
    ping::Behaviour::new(
        ping::Config::new().with_interval(limits::PING_INTERVAL).with_timeout(limits::PING_TIMEOUT),
    )
}

const PROTOCOL_VERSION: &str = "/reknit/1";
