//! The peer's side of the network: who is known, what was found, and what to do about it.

use crate::core::{Connection, Core, Task, locked};
use crate::events::PeerEvent;
use crate::streams::{Streams, stopped};
use bytes::Bytes;
use reknit_engine::store::Table;
use reknit_engine::{Input, SpaceInfo};
use reknit_net::{FoundBy, Multiaddr, Net, NetEvent, NetEvents};
use reknit_types::{DeviceId, Reader};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, PoisonError};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, broadcast, mpsc};

/// Follows the network and the spaces until the peer stops.
pub(crate) struct Network {
    core: Arc<Core>,
    net: Net,
    streams: Streams,
    /// Members, and the peers that a ticket names.
    known: BTreeSet<DeviceId>,
    /// Where devices are that were met and are not known: one that joins next, or the peer that a ticket names.
    sighted: BTreeMap<DeviceId, Vec<Multiaddr>>,
    /// Devices that registered in a namespace of ours and are not known, the oldest first.
    prospects: VecDeque<DeviceId>,
    /// The topics of our spaces, each with the namespace at bootstrap nodes.
    topics: BTreeMap<[u8; 32], [u8; 32]>,
    /// Room for announces that are being opened.
    opening: Arc<Semaphore>,
}

impl Network {
    pub(crate) fn new(core: Arc<Core>, net: Net, streams: Streams) -> Self {
        Self {
            core,
            net,
            streams,
            known: BTreeSet::new(),
            sighted: BTreeMap::new(),
            prospects: VecDeque::new(),
            topics: BTreeMap::new(),
            opening: Arc::new(Semaphore::new(OPENING_MAX)),
        }
    }

    /// One loop; every branch is cancel-safe, as receiving from a channel is.
    pub(crate) async fn run(
        mut self,
        mut events: NetEvents,
        mut publications: mpsc::Receiver<([u8; 32], Vec<u8>)>,
    ) {
        let mut news = self.core.events.subscribe();
        let mut stop = self.core.stop.subscribe();
        self.follow_spaces();
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => self.on_event(event).await,
                    None => break,
                },
                Some((topic, sealed)) = publications.recv() => self.publish(topic, sealed),
                space = next_space_change(&mut news) => if space { self.follow_spaces() } else { break },
                () = stopped(&mut stop) => break,
            }
        }
    }

    fn publish(&self, topic: [u8; 32], sealed: Vec<u8>) {
        let net = self.net.clone();
        tokio::spawn(async move {
            if let Err(error) = net.publish(topic, Bytes::from(sealed)).await {
                tracing::debug!(%error, "an announce was not published");
            }
        });
    }

    /// Subscribes to the topics of new spaces and stays connected to their members.
    fn follow_spaces(&mut self) {
        let infos = self.core.space_infos();
        let left = |topic: &[u8; 32], _: &mut _| infos.iter().all(|info| info.keys.topic() != *topic);
        for (topic, namespace) in self.topics.extract_if(.., left) {
            let net = self.net.clone();
            tokio::spawn(async move {
                net.unsubscribe(topic).await;
                net.stop_announcing(namespace).await;
            });
        }
        for info in infos {
            let topic = info.keys.topic();
            if self.topics.insert(topic, info.keys.rendezvous()).is_none() {
                self.follow(topic, &info);
            }
            self.know_members(&info);
        }
    }

    /// Commands to the network are never awaited by the task that drains its events: each could wait for the other.
    fn follow(&self, topic: [u8; 32], info: &SpaceInfo) {
        let (net, space, namespace) = (self.net.clone(), info.id, info.keys.rendezvous());
        tokio::spawn(async move {
            let subscribed = net.subscribe(topic).await;
            if let Err(error) = subscribed.and(net.announce_at_rendezvous(namespace).await) {
                tracing::warn!(%error, %space, "the space cannot be followed");
            }
        });
    }

    fn know_members(&mut self, info: &SpaceInfo) {
        let us = self.core.device;
        for (device, addrs) in &info.hints {
            let addrs = addrs.iter().filter_map(|addr| addr.parse().ok()).collect();
            self.know(*device, addrs);
        }
        for member in info.members.iter().filter(|member| member.device != us) {
            if !self.known.contains(&member.device) {
                let addrs = self.remembered(&member.device);
                self.know(member.device, addrs);
            }
        }
    }

    fn know(&mut self, device: DeviceId, mut addrs: Vec<Multiaddr>) {
        if device == self.core.device {
            return;
        }
        if let Some(sighted) = self.sighted.remove(&device) {
            self.remember(device, &sighted);
            addrs.extend(sighted);
        }
        self.known.insert(device);
        self.prospects.retain(|prospect| *prospect != device);
        self.keep_connected(device, addrs);
    }

    fn keep_connected(&self, device: DeviceId, addrs: Vec<Multiaddr>) {
        let net = self.net.clone();
        tokio::spawn(async move {
            if let Err(error) = net.know(device, addrs).await {
                tracing::warn!(%device, %error, "the device cannot be kept connected");
            }
        });
    }

    fn remembered(&self, device: &DeviceId) -> Vec<Multiaddr> {
        let stored = {
            let store = self.core.store.read().unwrap_or_else(PoisonError::into_inner);
            store.get(Table::Known, device.as_bytes()).ok().flatten().unwrap_or_default()
        };
        let mut reader = Reader::new(&stored);
        let mut addrs = vec![];
        while reader.remaining() > 0 {
            let Ok(bytes) = reader.bytes(ADDRESS_BYTES_MAX, "address") else { break };
            addrs.extend(Multiaddr::try_from(bytes.to_vec()).ok());
        }
        addrs
    }

    async fn on_event(&mut self, event: NetEvent) {
        match event {
            NetEvent::Connected { device, addr, transport } | NetEvent::Moved { device, addr, transport } => {
                let connection = Connection { addr: addr.clone(), transport };
                if self.core.connect(device, connection) {
                    let (address, transport) = (addr.to_string(), transport_text(transport).to_owned());
                    self.core.tell(PeerEvent::PeerConnected { device, address, transport });
                }
                self.input(Input::Connected { device }).await;
            }
            NetEvent::Disconnected { device, reason } => {
                self.core.disconnect(&device);
                self.core.tell(PeerEvent::PeerDisconnected { device, reason });
                self.input(Input::Disconnected { device }).await;
            }
            NetEvent::Found { device, addrs, by } => self.on_found(device, addrs, by),
            NetEvent::Gossip { topic, from, data } => self.on_gossip(topic, from, data),
            NetEvent::Stream(stream) => self.streams.take_inbound(stream),
            NetEvent::MdnsUnavailable { reason } => {
                *locked(&self.core.mdns_problem) = Some(reason.clone());
                self.core.tell(PeerEvent::MdnsUnavailable { reason });
            }
            NetEvent::MdnsAvailable => *locked(&self.core.mdns_problem) = None,
            NetEvent::ListenFailed { addr, reason } => {
                self.core.tell(PeerEvent::ListenFailed { address: addr.to_string(), reason });
            }
            event => tracing::debug!(?event, "network"),
        }
    }

    fn on_found(&mut self, device: DeviceId, addrs: Vec<Multiaddr>, by: FoundBy) {
        let how = match by {
            FoundBy::Mdns => "mdns",
            FoundBy::Identify => "identify",
            FoundBy::Rendezvous(_) => "rendezvous",
        };
        if by != FoundBy::Identify {
            self.core.tell(PeerEvent::PeerFound { device, by: how.to_owned() });
        }
        if self.known.contains(&device) {
            self.remember(device, &addrs);
            self.know(device, addrs);
            return;
        }
        self.sight(device, addrs.clone());
        if matches!(by, FoundBy::Rendezvous(_)) {
            self.try_out(device, addrs);
        }
    }

    /// Connects to a device that registered in a namespace of ours: a member that is not heard of here yet, or one that is
    /// about to join. Or anybody at all, since a bootstrap node tells its namespaces to whoever asks: so there are few
    /// of them at a time, the oldest makes room, and nothing is written down.
    fn try_out(&mut self, device: DeviceId, addrs: Vec<Multiaddr>) {
        if !self.prospects.contains(&device) {
            if self.prospects.len() >= PROSPECTS_MAX {
                let oldest = self.prospects.pop_front();
                if !oldest.is_none_or(|oldest| self.net.try_forget(oldest)) {
                    // The network is busy. Whoever is serious is found again.
                    self.prospects.extend(oldest);
                    return;
                }
            }
            self.prospects.push_back(device);
        }
        self.keep_connected(device, addrs);
    }

    /// Notes where to look for a device after a restart; losing this costs a search.
    fn remember(&self, device: DeviceId, addrs: &[Multiaddr]) {
        let _ = self.core.inbox.try_send(Task::Remember(device, addrs.to_vec()));
    }

    fn sight(&mut self, device: DeviceId, addrs: Vec<Multiaddr>) {
        if self.sighted.len() >= SIGHTED_MAX && !self.sighted.contains_key(&device) {
            // Which one goes does not matter: it is found again by its next announcement.
            self.sighted.pop_first();
        }
        self.sighted.insert(device, addrs);
    }

    /// Opens an announce on a worker; what cannot be opened is not ours.
    fn on_gossip(&self, topic: [u8; 32], from: DeviceId, data: Bytes) {
        let Some(info) = self.core.space_infos().into_iter().find(|info| info.keys.topic() == topic) else {
            return;
        };
        // A hint: when there is more than can be opened, sessions will bring it.
        let Ok(room) = Arc::clone(&self.opening).try_acquire_owned() else { return };
        let core = Arc::clone(&self.core);
        tokio::task::spawn_blocking(move || {
            let _room = room;
            let Some((announce, events)) = info.open_announce(&data) else { return };
            let _ =
                core.inbox.try_send(Task::Input(Input::Gossip { space: info.no, from, announce, events }));
        });
    }

    async fn input(&self, input: Input) {
        // An error means that the peer stops.
        let _ = self.core.send(Task::Input(input)).await;
    }
}

/// Waits until a space changed; `false` when there will be no more news.
async fn next_space_change(news: &mut broadcast::Receiver<PeerEvent>) -> bool {
    loop {
        match news.recv().await {
            Ok(PeerEvent::SpaceChanged { .. } | PeerEvent::SpaceLeft { .. }) | Err(RecvError::Lagged(_)) => {
                return true;
            }
            Ok(_) => {}
            Err(RecvError::Closed) => return false,
        }
    }
}

pub(crate) fn transport_text(transport: reknit_net::Transport) -> &'static str {
    match transport {
        reknit_net::Transport::Quic => "quic",
        reknit_net::Transport::Tcp => "tcp",
        reknit_net::Transport::Relay => "relay",
    }
}

/// Unknown devices whose addresses are kept in memory.
const SIGHTED_MAX: usize = 256;
/// Unknown devices from bootstrap nodes that this peer stays connected to.
const PROSPECTS_MAX: usize = 64;
/// Announces being opened at one time.
const OPENING_MAX: usize = 64;
const ADDRESS_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::PeerBuilder;
    use reknit_engine::store::Direction;
    use reknit_types::DeviceKey;
    use std::ops::ControlFlow;
    use tokio::runtime::Handle;

    fn written_down(core: &Core) -> Vec<Vec<u8>> {
        let (mut found, store) = (vec![], core.store.read().unwrap());
        let visit = &mut |key: &[u8], _: &[u8]| {
            found.push(key.to_vec());
            ControlFlow::Continue(())
        };
        store.scan_prefix(Table::Known, &[], Direction::Forward, visit).unwrap();
        found
    }

    #[tokio::test]
    async fn strangers_at_a_bootstrap_node_are_few_and_are_not_written_down() {
        let peer = PeerBuilder::new(None).loopback().start().await.unwrap();
        let core = Arc::clone(peer.core());
        let streams = Streams::new(Arc::clone(&core), Handle::current());
        let mut network = Network::new(Arc::clone(&core), core.net.clone().unwrap(), streams);
        let device = |n: usize| {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&(n as u64).to_be_bytes());
            DeviceKey::from_seed(&seed).id()
        };
        let addrs = vec!["/ip4/127.0.0.1/tcp/9".parse::<Multiaddr>().unwrap()];
        let by = FoundBy::Rendezvous([7; 32]);
        for n in 0..SIGHTED_MAX + 10 {
            network.on_found(device(n), addrs.clone(), by);
            // What the network was told, it has heard.
            network.net.addresses().await;
        }
        peer.flush().await.unwrap();
        assert_eq!(network.prospects.len(), PROSPECTS_MAX);
        assert_eq!(network.prospects.back(), Some(&device(SIGHTED_MAX + 9)));
        assert_eq!(network.sighted.len(), SIGHTED_MAX);
        assert!(network.known.is_empty() && written_down(&core).is_empty());

        let member = device(SIGHTED_MAX + 9);
        network.know(member, vec![]);
        network.on_found(member, addrs, by);
        peer.flush().await.unwrap();
        assert_eq!(written_down(&core), [member.as_bytes().to_vec()]);
        assert!(!network.prospects.contains(&member));
        peer.shutdown().await.unwrap();
    }
}
