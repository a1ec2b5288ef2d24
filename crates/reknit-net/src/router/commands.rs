//! Commands from the handle.

use super::Router;
use crate::addresses::{Transport, is_global, is_loopback};
use crate::device::peer_of;
use crate::error::NetError;
use crate::gossip::{self, Published, TopicId};
use crate::limits;
use crate::net::Command;
use crate::rendezvous::{self, NamespaceId};
use crate::stream::{OpenError, OpenReply};
use bytes::Bytes;
use libp2p::Multiaddr;
use reknit_types::DeviceId;

impl Router {
    /// A reply that cannot be delivered has no one waiting for it: that is what the unused results below say.
    pub(super) fn on_command(&mut self, command: Command) {
        match command {
            Command::Know { device, addresses, reply } => drop(reply.send(self.know(device, addresses))),
            Command::Forget { device } => self.forget(device),
            Command::Disconnect { device } => self.disconnect(device),
            Command::Subscribe { topic, reply } => drop(reply.send(self.subscribe(&topic))),
            Command::Unsubscribe { topic } => {
                self.swarm.behaviour_mut().gossip.unsubscribe(&gossip::topic(&topic));
            }
            Command::Publish { topic, data, reply } => drop(reply.send(self.publish(&topic, &data))),
            Command::OpenStream { device, reply } => self.open_stream(device, reply),
            Command::Announce { namespace, reply } => drop(reply.send(self.announce(namespace))),
            Command::StopAnnouncing { namespace } => self.stop_announcing(&namespace),
            Command::Addresses { reply } => drop(reply.send(self.addresses())),
            Command::Pause { reply } => {
                self.shut();
                self.pausing.push(reply);
            }
            Command::Resume { reply } => {
                self.resume();
                let _ = reply.send(());
            }
            Command::Shutdown { .. } => unreachable!("the loop ends on it"),
        }
    }

    fn forget(&mut self, device: DeviceId) {
        let Ok(peer) = peer_of(device) else { return };
        if !self.rendezvous.is_node(&peer) {
            self.book.forget(&device);
            self.swarm.behaviour_mut().streams.keep(peer, false);
        }
    }

    fn disconnect(&mut self, device: DeviceId) {
        if let Ok(peer) = peer_of(device) {
            // An error says that it is not connected, which is what is wanted.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    fn subscribe(&mut self, topic: &TopicId) -> Result<(), NetError> {
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        if gossip.topics().count() >= limits::TOPICS_MAX {
            return Err(NetError::TooMany { what: "topics", max: limits::TOPICS_MAX });
        }
        match gossip.subscribe(&gossip::topic(topic)) {
            Ok(_) => Ok(()),
            Err(error) => Err(NetError::Setup { part: "subscription", reason: error.to_string() }),
        }
    }

    fn publish(&mut self, topic: &TopicId, data: &Bytes) -> Result<Published, NetError> {
        let published = self.swarm.behaviour_mut().gossip.publish(gossip::topic(topic), data.to_vec());
        gossip::outcome(published, data.len())
    }

    fn open_stream(&mut self, device: DeviceId, reply: OpenReply) {
        match (peer_of(device), self.links.best(&device)) {
            (Ok(peer), Some(link)) => self.swarm.behaviour_mut().streams.open(peer, link.id, reply),
            _ => drop(reply.send(Err(OpenError::NotConnected))),
        }
    }

    fn announce(&mut self, namespace: NamespaceId) -> Result<(), NetError> {
        let now = self.now();
        if self.rendezvous.announce(namespace, now) {
            Ok(())
        } else {
            Err(NetError::TooMany { what: "namespaces", max: limits::NAMESPACES_MAX })
        }
    }

    fn stop_announcing(&mut self, namespace: &NamespaceId) {
        let Some(name) = rendezvous::namespace(namespace) else { return };
        for node in self.rendezvous.stop(namespace) {
            self.swarm.behaviour_mut().rendezvous.unregister(name.clone(), node);
        }
    }

    fn addresses(&self) -> Vec<Multiaddr> {
        let peer = *self.swarm.local_peer_id();
        let mut addresses: Vec<_> = self
            .swarm
            .listeners()
            .chain(self.swarm.external_addresses())
            .filter_map(|address| address.clone().with_p2p(peer).ok())
            .collect();
        addresses.sort_by_key(|address| {
            let relayed = Transport::of(address) == Transport::Relay;
            (is_loopback(address), relayed, !is_global(address), Transport::of(address), address.to_vec())
        });
        addresses.dedup();
        addresses
    }

    fn resume(&mut self) {
        if !self.swarm.behaviour().gate.is_shut() {
            return;
        }
        self.swarm.behaviour_mut().gate.open();
        self.start_mdns();
        let now = self.now();
        self.book.on_network_change(now);
        self.rendezvous.on_network_change(now);
    }
}
