//! Devices found, and what bootstrap nodes are asked and answer.

use super::Router;
use crate::addresses::{Transport, Trust, dialable, is_global, is_loopback};
use crate::device::device_of;
use crate::event::{FoundBy, NetEvent};
use crate::limits;
use crate::rendezvous::{self, Ask};
use libp2p::multiaddr::Protocol;
use libp2p::rendezvous::client;
use libp2p::{Multiaddr, PeerId, identify, mdns};
use reknit_types::DeviceId;
use std::collections::BTreeMap;

impl Router {
    pub(super) fn on_mdns(&mut self, event: mdns::Event) {
        let mdns::Event::Discovered(found) = event else { return };
        let mut by_peer: BTreeMap<PeerId, Vec<Multiaddr>> = BTreeMap::new();
        for (peer, address) in found {
            by_peer.entry(peer).or_default().push(address);
        }
        for (peer, addresses) in by_peer {
            self.on_found(&peer, addresses, FoundBy::Mdns);
        }
    }

    pub(super) fn on_identify(&mut self, event: identify::Event) {
        let identify::Event::Received { peer_id, info, .. } = event else { return };
        let Some(device) = device_of(&peer_id) else { return };
        if self.rendezvous.is_node(&peer_id) {
            self.on_observed(info.observed_addr);
            return;
        }
        let near = self.links.best(&device).is_some_and(|link| is_loopback(&link.address));
        let addresses =
            info.listen_addrs.into_iter().filter(|address| near || !is_loopback(address)).collect();
        self.on_found(&peer_id, addresses, FoundBy::Identify);
    }

    /// A bootstrap node says where it sees us. Behind one kind of NAT, others can reach us there.
    fn on_observed(&mut self, address: Multiaddr) {
        let useful = Transport::of(&address) == Transport::Quic && is_global(&address);
        if useful
            && self.observed.len() < limits::OBSERVED_ADDRESSES_MAX
            && self.observed.insert(address.clone())
        {
            self.swarm.add_external_address(address);
        }
    }

    pub(super) fn on_rendezvous(&mut self, event: client::Event) {
        let now = self.now();
        match event {
            client::Event::Discovered { rendezvous_node, registrations, cookie } => {
                let Some(namespace) = self.rendezvous.on_discovered(&rendezvous_node, cookie) else { return };
                let near = device_of(&rendezvous_node)
                    .and_then(|node| self.links.best(&node))
                    .is_some_and(|link| is_loopback(&link.address));
                for registration in registrations {
                    let peer = registration.record.peer_id();
                    let addresses = registration.record.addresses().iter();
                    let addresses = addresses.filter(|it| near || !is_loopback(it)).cloned().collect();
                    self.on_found(&peer, addresses, FoundBy::Rendezvous(namespace));
                }
            }
            client::Event::DiscoverFailed { rendezvous_node, namespace, error } => {
                tracing::debug!(node = %rendezvous_node, ?error, "discovery failed");
                if let Some(namespace) = namespace.as_ref().and_then(rendezvous::namespace_id) {
                    self.rendezvous.on_discover_failed(&rendezvous_node, &namespace);
                }
            }
            client::Event::Registered { rendezvous_node, namespace, .. } => {
                if let Some(namespace) = rendezvous::namespace_id(&namespace) {
                    self.rendezvous.on_registered(&rendezvous_node, &namespace);
                }
            }
            client::Event::RegisterFailed { rendezvous_node, namespace, error } => {
                tracing::debug!(node = %rendezvous_node, ?error, "registration failed");
                if let Some(namespace) = rendezvous::namespace_id(&namespace) {
                    self.rendezvous.on_register_failed(&rendezvous_node, &namespace, now);
                }
            }
            client::Event::Expired { .. } => {}
        }
    }

    /// A device was sighted: a known one is dialled at once.
    fn on_found(&mut self, peer: &PeerId, addresses: Vec<Multiaddr>, by: FoundBy) {
        let Some(device) = device_of(peer) else { return };
        if device == self.local || self.swarm.behaviour().gate.is_shut() {
            return;
        }
        let addrs: Vec<_> = addresses
            .iter()
            .filter_map(|address| dialable(address, peer, Trust::Heard))
            .take(limits::ADDRESSES_PER_DEVICE_MAX)
            .collect();
        self.learn(&device, &addrs);
        let found = NetEvent::Found { device, addrs, by };
        match by {
            // It comes again with the next connection.
            FoundBy::Identify => self.outbox.push_hint(found),
            // Whoever is found once on the local network, or in a discovery that tells news only, is not told of again.
            FoundBy::Mdns | FoundBy::Rendezvous(_) => self.outbox.push(found),
        }
    }

    fn learn(&mut self, device: &DeviceId, addresses: &[Multiaddr]) {
        let now = self.now();
        for address in addresses {
            self.book.learn(device, address.clone(), now);
        }
        self.book.on_word(device, now);
    }

    pub(super) fn ask_node(&mut self, ask: Ask) {
        let client = &mut self.swarm.behaviour_mut().rendezvous;
        match ask {
            Ask::Register { node, namespace } => {
                let Some(name) = rendezvous::namespace(&namespace) else { return };
                if let Err(error) = client.register(name, node, Some(limits::REGISTRATION_TTL.as_secs())) {
                    tracing::debug!(%node, %error, "cannot register yet");
                    let now = self.now();
                    self.rendezvous.on_register_failed(&node, &namespace, now);
                }
            }
            Ask::Discover { node, namespace, cookie } => {
                client.discover(rendezvous::namespace(&namespace), cookie, Some(limits::DISCOVER_MAX), node);
            }
            Ask::Reserve { node } => self.reserve(node),
        }
    }

    /// Listens through the relay of a bootstrap node, on the connection we have with it.
    fn reserve(&mut self, node: PeerId) {
        let now = self.now();
        let link = device_of(&node).and_then(|device| self.links.best(&device)).filter(|link| link.ours);
        let listener = link.and_then(|link| {
            let base = dialable(&link.address, &node, Trust::Given)?;
            let circuit = base.with(Protocol::P2p(node)).with(Protocol::P2pCircuit);
            self.swarm
                .listen_on(circuit)
                .inspect_err(|error| tracing::debug!(%node, %error, "cannot reserve"))
                .ok()
        });
        self.rendezvous.on_reserving(&node, listener, now);
    }
}
