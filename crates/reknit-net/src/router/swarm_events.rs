//! What the swarm reports.

use super::Router;
use crate::addresses::{Transport, Trust, dialable, is_loopback};
use crate::behaviour::{Behaviour, BehaviourEvent};
use crate::device::device_of;
use crate::event::NetEvent;
use crate::gossip;
use crate::links::{Change, Link};
use crate::stream;
use bytes::Bytes;
use libp2p::core::ConnectedPoint;
use libp2p::core::transport::ListenerId;
use libp2p::swarm::{ConnectionId, NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, gossipsub, ping};
use reknit_types::DeviceId;
use std::io;

pub(super) type Event = SwarmEvent<<Behaviour as NetworkBehaviour>::ToSwarm>;

impl Router {
    pub(super) fn on_swarm_event(&mut self, event: Event) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                concurrent_dial_errors,
                ..
            } => {
                self.on_established(peer_id, connection_id, &endpoint);
                if let Some(device) = device_of(&peer_id) {
                    for (address, _) in concurrent_dial_errors.unwrap_or_default() {
                        self.on_address_failed(&device, &address);
                    }
                }
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                let reason = cause.map_or_else(|| "closed".to_owned(), |cause| cause.to_string());
                self.on_closed(&peer_id, connection_id, reason);
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                self.on_dial_failed(connection_id, error);
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                tracing::debug!(from = %send_back_addr, %error, "incoming connection failed");
            }
            SwarmEvent::NewListenAddr { address, .. } => self.on_listening(&address),
            SwarmEvent::ExpiredListenAddr { address, .. } => self.on_not_listening(&address),
            SwarmEvent::ListenerClosed { listener_id, addresses, reason } => {
                self.on_listener_closed(listener_id, &addresses, reason);
            }
            SwarmEvent::ListenerError { listener_id, error } => {
                let addr = self.listening.iter().find(|(id, _)| *id == listener_id).map(|(_, addr)| addr);
                tracing::debug!(?addr, %error, "listener");
            }
            SwarmEvent::ExternalAddrConfirmed { .. } => {
                let now = self.now();
                self.rendezvous.on_addresses_changed(now);
            }
            _ => {}
        }
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Streams(stream::Event::Inbound(stream)) => {
                self.outbox.push(NetEvent::Stream(stream));
            }
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Ping(ping::Event { connection, result: Err(error), .. }) => {
                tracing::debug!(%error, "no answer to pings: closing the connection");
                self.swarm.close_connection(connection);
            }
            BehaviourEvent::Identify(event) => self.on_identify(event),
            BehaviourEvent::Mdns(event) => self.on_mdns(event),
            BehaviourEvent::Rendezvous(event) => self.on_rendezvous(event),
            BehaviourEvent::Dcutr(event) => tracing::debug!(?event, "hole punch"),
            BehaviourEvent::Relay(event) => tracing::debug!(?event, "relay"),
            BehaviourEvent::Ping(_) => {}
            BehaviourEvent::Gate(never) | BehaviourEvent::Limits(never) => match never {},
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        let gossipsub::Event::Message { propagation_source, message, .. } = event else { return };
        let (Some(topic), Some(from)) = (gossip::topic_id(&message.topic), device_of(&propagation_source))
        else {
            return;
        };
        self.outbox.push_hint(NetEvent::Gossip { topic, from, data: Bytes::from(message.data) });
    }

    fn on_established(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint) {
        let Some(device) = device_of(&peer) else { return };
        let now = self.now();
        self.dials.remove(&id);
        let address = endpoint.get_remote_address().clone();
        let transport = if endpoint.is_relayed() { Transport::Relay } else { Transport::of(&address) };
        if endpoint.is_dialer()
            && let Some(address) = dialable(&address, &peer, Trust::Given)
        {
            self.book.on_worked(&device, &address, now);
        }
        let link = Link::new(id, address, transport, endpoint.is_dialer());
        let change = self.links.on_up(device, link, now);
        if let Some(reach) = self.links.reach(&device) {
            self.book.on_up(&device, reach, now);
        }
        self.on_change(peer, device, change, String::new());
    }

    fn on_closed(&mut self, peer: &PeerId, id: ConnectionId, reason: String) {
        let Some(device) = device_of(peer) else { return };
        let now = self.now();
        let change = self.links.on_down(&device, id, now);
        match self.links.reach(&device) {
            Some(reach) => self.book.on_up(&device, reach, now),
            None => self.book.on_down(&device, now),
        }
        self.on_change(*peer, device, change, reason);
    }

    fn on_change(&mut self, peer: PeerId, device: DeviceId, change: Change, reason: String) {
        let now = self.now();
        let is_node = self.rendezvous.is_node(&peer);
        let best = self.links.best(&device).map(|link| (link.address.clone(), link.transport));
        let event = match (change, best) {
            (Change::Up, _) if is_node => {
                self.rendezvous.on_up(&peer, now);
                NetEvent::BootstrapUp { node: device }
            }
            (Change::Down, _) if is_node => {
                self.rendezvous.on_down(&peer);
                NetEvent::BootstrapDown { node: device }
            }
            (Change::Up, Some((addr, transport))) => NetEvent::Connected { device, addr, transport },
            (Change::Moved, Some((addr, transport))) if !is_node => {
                NetEvent::Moved { device, addr, transport }
            }
            (Change::Down, _) => NetEvent::Disconnected { device, reason },
            _ => return,
        };
        self.outbox.push(event);
    }

    fn on_listening(&mut self, address: &Multiaddr) {
        let now = self.now();
        let relayed = Transport::of(address) == Transport::Relay;
        if !relayed && (self.shares_loopback || !is_loopback(address)) {
            self.swarm.add_external_address(address.clone());
        }
        self.rendezvous.on_addresses_changed(now);
        if let Ok(addr) = address.clone().with_p2p(*self.swarm.local_peer_id()) {
            self.outbox.push(NetEvent::Listening { addr });
        }
    }

    fn on_not_listening(&mut self, address: &Multiaddr) {
        self.swarm.remove_external_address(address);
        if let Ok(addr) = address.clone().with_p2p(*self.swarm.local_peer_id()) {
            self.outbox.push(NetEvent::NotListening { addr });
        }
    }

    fn on_listener_closed(&mut self, id: ListenerId, addresses: &[Multiaddr], reason: io::Result<()>) {
        let now = self.now();
        self.rendezvous.on_listener_closed(id, now);
        for address in addresses {
            self.on_not_listening(address);
        }
        let Some(at) = self.listening.iter().position(|(listener, _)| *listener == id) else { return };
        let (_, addr) = self.listening.remove(at);
        if let Err(error) = reason {
            self.outbox.push(NetEvent::ListenFailed { addr, reason: error.to_string() });
        }
    }
}
