//! A bootstrap node: the rendezvous and the relay through which peers find and reach each other.
//!
//! It holds nothing of any space: namespaces are blinded ids, and what it relays is encrypted end to end. Everything it
//! keeps for others is bounded by [`limits`]. Namespaces are no secrets, though: the protocol lets anybody ask for all of
//! them, and register in them, so peers take whoever they find there for a stranger.

use crate::addresses::is_loopback;
use crate::behaviour::{identify, ping};
use crate::device::{device_of, keypair_of};
use crate::error::NetError;
use crate::meter::Meter;
use crate::router::swarm_config;
use crate::{limits, transport};
use futures::StreamExt;
use libp2p::core::transport::ListenerId;
use libp2p::swarm::{NetworkBehaviour, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, connection_limits, identity, relay, rendezvous};
use reknit_types::DeviceId;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// How to start a [`Bootstrap`] node.
pub struct BootstrapConfig {
    /// The node's Ed25519 seed. Wiped when the configuration is dropped.
    pub secret: Zeroizing<[u8; 32]>,
    /// Where to listen.
    pub listen: Vec<Multiaddr>,
    /// Where else it can be dialled, such as a public address that is forwarded to it.
    pub external: Vec<Multiaddr>,
}

/// A running bootstrap node. It works while [`Bootstrap::next`] is awaited.
pub struct Bootstrap {
    swarm: Swarm<Server>,
    listening: Vec<(ListenerId, Multiaddr)>,
    only_loopback: bool,
}

/// Something happened at a bootstrap node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BootstrapEvent {
    /// Peers can use the node by this address, which ends in its `/p2p/`.
    Listening {
        /// The address.
        addr: Multiaddr,
    },
    /// A listen address cannot be used any more.
    ListenFailed {
        /// The address asked for.
        addr: Multiaddr,
        /// What the system said.
        reason: String,
    },
    /// A device registered in a namespace.
    Registered {
        /// Which device.
        device: DeviceId,
    },
    /// A device may be reached through the relay.
    Reserved {
        /// Which device.
        device: DeviceId,
    },
    /// Two devices are connected through the relay.
    CircuitOpened {
        /// Who asked.
        from: DeviceId,
        /// For whom.
        to: DeviceId,
    },
}

#[derive(NetworkBehaviour)]
struct Server {
    limits: connection_limits::Behaviour,
    rendezvous: rendezvous::server::Behaviour,
    relay: relay::Behaviour,
    identify: libp2p::identify::Behaviour,
    ping: libp2p::ping::Behaviour,
}

impl Bootstrap {
    /// Starts listening.
    ///
    /// # Errors
    /// When the secret is no good or an address cannot be listened on.
    pub fn start(config: &BootstrapConfig) -> Result<Self, NetError> {
        let keypair = keypair_of(&config.secret)?;
        let peer = keypair.public().to_peer_id();
        let transport = transport::direct(&keypair, &Arc::new(Meter::default()))?;
        let swarm = Swarm::new(transport, Server::new(&keypair, peer), peer, swarm_config());
        let only_loopback = config.listen.iter().all(is_loopback);
        let mut node = Self { swarm, listening: Vec::new(), only_loopback };
        for address in &config.listen {
            let listener = node.swarm.listen_on(address.clone());
            let id = listener.map_err(|error| NetError::CannotListen(format!("{address}: {error}")))?;
            node.listening.push((id, address.clone()));
        }
        for address in &config.external {
            node.swarm.add_external_address(address.clone());
        }
        Ok(node)
    }

    /// The node's PeerId, by which peers address it.
    pub fn peer_id(&self) -> PeerId {
        *self.swarm.local_peer_id()
    }

    /// Devices connected now.
    pub fn connected(&self) -> usize {
        self.swarm.connected_peers().count()
    }

    /// Works until something happens that is worth telling. Cancel-safe.
    pub async fn next(&mut self) -> BootstrapEvent {
        loop {
            let event = self.swarm.select_next_some().await;
            if let Some(event) = self.on_swarm_event(event) {
                return event;
            }
        }
    }

    /// Says good-bye to everyone, within [`limits::SHUTDOWN_TIMEOUT`].
    pub async fn shutdown(mut self) {
        let peers: Vec<_> = self.swarm.connected_peers().copied().collect();
        for (id, _) in self.listening.drain(..) {
            self.swarm.remove_listener(id);
        }
        for peer in peers {
            // An error says that it is not connected, which is what is wanted.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closed = async {
            while self.connected() > 0 {
                self.swarm.select_next_some().await;
            }
        };
        let _ = tokio::time::timeout(limits::SHUTDOWN_TIMEOUT, closed).await;
    }

    fn on_swarm_event(&mut self, event: SwarmEvent<ServerEvent>) -> Option<BootstrapEvent> {
        match event {
            SwarmEvent::Behaviour(event) => self.on_server_event(event),
            SwarmEvent::NewListenAddr { address, .. } => {
                if self.only_loopback || !is_loopback(&address) {
                    self.swarm.add_external_address(address.clone());
                }
                let addr = address.with_p2p(self.peer_id()).ok()?;
                Some(BootstrapEvent::Listening { addr })
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.swarm.remove_external_address(&address);
                None
            }
            SwarmEvent::ListenerClosed { listener_id, reason, .. } => {
                let at = self.listening.iter().position(|(id, _)| *id == listener_id)?;
                let (_, addr) = self.listening.remove(at);
                let reason = reason.err().map_or_else(|| "closed".to_owned(), |error| error.to_string());
                Some(BootstrapEvent::ListenFailed { addr, reason })
            }
            _ => None,
        }
    }

    fn on_server_event(&mut self, event: ServerEvent) -> Option<BootstrapEvent> {
        match event {
            ServerEvent::Rendezvous(rendezvous::server::Event::PeerRegistered { peer, .. }) => {
                Some(BootstrapEvent::Registered { device: device_of(&peer)? })
            }
            ServerEvent::Relay(relay::Event::ReservationReqAccepted { src_peer_id, renewed: false }) => {
                Some(BootstrapEvent::Reserved { device: device_of(&src_peer_id)? })
            }
            ServerEvent::Relay(relay::Event::CircuitReqAccepted { src_peer_id, dst_peer_id }) => {
                Some(BootstrapEvent::CircuitOpened {
                    from: device_of(&src_peer_id)?,
                    to: device_of(&dst_peer_id)?,
                })
            }
            ServerEvent::Ping(libp2p::ping::Event { connection, result: Err(error), .. }) => {
                tracing::debug!(%error, "no answer to pings: closing the connection");
                self.swarm.close_connection(connection);
                None
            }
            event => {
                tracing::trace!(?event, "bootstrap");
                None
            }
        }
    }
}

impl Server {
    fn new(keypair: &identity::Keypair, peer: PeerId) -> Self {
        Self {
            limits: connection_limits(),
            rendezvous: rendezvous::server::Behaviour::new(registrations()),
            relay: relay::Behaviour::new(peer, circuits()),
            identify: identify(keypair),
            ping: ping(),
        }
    }
}

fn connection_limits() -> connection_limits::Behaviour {
    connection_limits::Behaviour::new(
        connection_limits::ConnectionLimits::default()
            .with_max_pending_incoming(Some(limits::NODE_PENDING_MAX))
            .with_max_established(Some(limits::NODE_CONNECTIONS_MAX))
            .with_max_established_per_peer(Some(limits::CONNECTIONS_PER_DEVICE_MAX)),
    )
}

fn registrations() -> rendezvous::server::Config {
    rendezvous::server::Config::default()
        .with_max_ttl(limits::REGISTRATION_TTL.as_secs())
        .with_max_registration_per_peer(limits::NODE_REGISTRATIONS_PER_DEVICE_MAX)
        .with_max_registration_total(limits::NODE_REGISTRATIONS_MAX)
        .with_max_stored_cookies(limits::NODE_COOKIES_MAX)
}

fn circuits() -> relay::Config {
    let config = relay::Config {
        max_reservations: limits::NODE_RESERVATIONS_MAX,
        max_reservations_per_peer: limits::NODE_RESERVATIONS_PER_DEVICE_MAX,
        reservation_duration: limits::NODE_RESERVATION_DURATION,
        reservation_rate_limiters: Vec::new(),
        max_circuits: limits::NODE_CIRCUITS_MAX,
        max_circuits_per_peer: limits::NODE_CIRCUITS_PER_DEVICE_MAX,
        max_circuit_duration: limits::NODE_CIRCUIT_DURATION,
        max_circuit_bytes: limits::NODE_CIRCUIT_BYTES_MAX,
        circuit_src_rate_limiters: Vec::new(),
    };
    config
        .reservation_rate_per_peer(PER_DEVICE, RATE_INTERVAL)
        .reservation_rate_per_ip(PER_ADDRESS, RATE_INTERVAL)
        .circuit_src_per_peer(PER_DEVICE, RATE_INTERVAL)
        .circuit_src_per_ip(PER_ADDRESS, RATE_INTERVAL)
}

/// Requests to the relay: a burst of this many, and one more every [`RATE_INTERVAL`].
const PER_DEVICE: NonZeroU32 = NonZeroU32::new(30).expect("30 is not zero");
const PER_ADDRESS: NonZeroU32 = NonZeroU32::new(120).expect("120 is not zero");
const RATE_INTERVAL: Duration = Duration::from_secs(10);
