//! The handle by which a peer drives its network.

use crate::addresses::split_peer;
use crate::config::NetConfig;
use crate::device::{device_of, keypair_of};
use crate::error::NetError;
use crate::event::NetEvents;
use crate::gossip::{Published, TopicId};
use crate::limits;
use crate::meter::Meter;
use crate::outbox::Outbox;
use crate::rendezvous::NamespaceId;
use crate::router::{Node, Parts, Router};
use crate::stream::{OpenError, OpenReply, SyncStream};
use bytes::Bytes;
use libp2p::Multiaddr;
use reknit_types::DeviceId;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};

/// A running network. Cheap to clone; the network ends with [`Net::shutdown`] or with its last handle.
#[derive(Debug, Clone)]
pub struct Net {
    local: DeviceId,
    commands: mpsc::Sender<Command>,
    meter: Arc<Meter>,
    gossip_dropped: Arc<AtomicU64>,
}

/// What a handle asks of the swarm task.
#[derive(Debug)]
pub(crate) enum Command {
    Know { device: DeviceId, addresses: Vec<Multiaddr>, reply: Reply<Result<(), NetError>> },
    Forget { device: DeviceId },
    Disconnect { device: DeviceId },
    Subscribe { topic: TopicId, reply: Reply<Result<(), NetError>> },
    Unsubscribe { topic: TopicId },
    Publish { topic: TopicId, data: Bytes, reply: Reply<Result<Published, NetError>> },
    OpenStream { device: DeviceId, reply: OpenReply },
    Announce { namespace: NamespaceId, reply: Reply<Result<(), NetError>> },
    StopAnnouncing { namespace: NamespaceId },
    Addresses { reply: Reply<Vec<Multiaddr>> },
    Pause { reply: Reply<()> },
    Resume { reply: Reply<()> },
    Shutdown { reply: Reply<()> },
}

type Reply<T> = oneshot::Sender<T>;

impl Net {
    /// Starts listening, looking for peers, and connecting to bootstrap nodes.
    ///
    /// # Errors
    /// When the secret or a bootstrap address is no good, or none of the listen addresses can be used.
    pub async fn start(config: NetConfig) -> Result<(Self, NetEvents), NetError> {
        let keypair = keypair_of(&config.secret)?;
        let local = device_of(&keypair.public().to_peer_id()).ok_or(NetError::BadSecret)?;
        let bootstrap = bootstrap_nodes(&config.bootstrap)?;
        let (commands, inbox) = mpsc::channel(limits::COMMANDS_MAX);
        let (events, receiver) = mpsc::channel(limits::EVENTS_MAX);
        let (meter, gossip_dropped) = (Arc::new(Meter::default()), Arc::new(AtomicU64::new(0)));
        let outbox = Outbox::new(events, Arc::clone(&gossip_dropped));
        let mut router =
            Router::new(Parts { keypair, local, mdns: config.mdns, bootstrap, inbox, outbox }, &meter)?;
        router.listen(&config.listen)?;
        tokio::spawn(router.run());
        Ok((Self { local, commands, meter, gossip_dropped }, NetEvents::new(receiver)))
    }

    /// This device.
    pub fn local(&self) -> DeviceId {
        self.local
    }

    /// Where this device can be dialled, each ending in its `/p2p/`: addresses reachable from anywhere first, then those of
    /// local networks, then circuits through relays, then loopback.
    pub async fn addresses(&self) -> Vec<Multiaddr> {
        self.ask(|reply| Command::Addresses { reply }).await.unwrap_or_default()
    }

    /// Stays connected to a device from now on: it is dialled whenever it is not connected, at these addresses and at those
    /// it is later found at. Calling it again adds addresses, and tries them at once.
    ///
    /// # Errors
    /// [`NetError::TooMany`] beyond [`limits::KNOWN_DEVICES_MAX`]; [`NetError::NotAKey`] for an id that is no device's.
    pub async fn know(&self, device: DeviceId, addresses: Vec<Multiaddr>) -> Result<(), NetError> {
        self.ask(|reply| Command::Know { device, addresses, reply }).await?
    }

    /// No longer stays connected to a device. A present connection lives on while it is used.
    pub async fn forget(&self, device: DeviceId) {
        self.tell(Command::Forget { device }).await;
    }

    /// [`Net::forget`] without waiting: in order with what is asked later. `false` if there is no room for it now.
    pub fn try_forget(&self, device: DeviceId) -> bool {
        self.commands.try_send(Command::Forget { device }).is_ok()
    }

    /// Ends every connection with a device. A known device is dialled again after a while: [`Net::forget`] it first if it
    /// should stay away.
    pub async fn disconnect(&self, device: DeviceId) {
        self.tell(Command::Disconnect { device }).await;
    }

    /// Receives what is published on a topic.
    ///
    /// # Errors
    /// [`NetError::TooMany`] beyond [`limits::TOPICS_MAX`].
    pub async fn subscribe(&self, topic: TopicId) -> Result<(), NetError> {
        self.ask(|reply| Command::Subscribe { topic, reply }).await?
    }

    /// No longer receives what is published on a topic.
    pub async fn unsubscribe(&self, topic: TopicId) {
        self.tell(Command::Unsubscribe { topic }).await;
    }

    /// Publishes to the subscribers of a topic, without any promise: that nobody was there is an answer, not an error.
    ///
    /// # Errors
    /// [`NetError::TooLarge`] beyond [`limits::GOSSIP_BYTES_MAX`].
    pub async fn publish(&self, topic: TopicId, data: Bytes) -> Result<Published, NetError> {
        self.ask(|reply| Command::Publish { topic, data, reply }).await?
    }

    /// Opens a sync stream to a connected device. The other side learns of it with the first bytes.
    ///
    /// Do not await this in the only place that drains [`NetEvents`]: a network whose events are not taken stands still.
    ///
    /// # Errors
    /// [`NetError::NotConnected`] and [`NetError::StreamFailed`].
    pub async fn open_stream(&self, device: DeviceId) -> Result<SyncStream, NetError> {
        let (reply, opened) = futures::channel::oneshot::channel();
        self.commands.send(Command::OpenStream { device, reply }).await.map_err(|_| NetError::Closed)?;
        match opened.await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(OpenError::NotConnected)) => Err(NetError::NotConnected(device)),
            Ok(Err(OpenError::Failed(reason))) => Err(NetError::StreamFailed { device, reason }),
            Err(_) => Err(NetError::StreamFailed { device, reason: "the connection ended".to_owned() }),
        }
    }

    /// Registers this device in a namespace at every bootstrap node, and reports the others there as
    /// [`NetEvent::Found`](crate::NetEvent::Found), until stopped.
    ///
    /// # Errors
    /// [`NetError::TooMany`] beyond [`limits::NAMESPACES_MAX`].
    pub async fn announce_at_rendezvous(&self, namespace: NamespaceId) -> Result<(), NetError> {
        self.ask(|reply| Command::Announce { namespace, reply }).await?
    }

    /// Ends what [`Net::announce_at_rendezvous`] began.
    pub async fn stop_announcing(&self, namespace: NamespaceId) {
        self.tell(Command::StopAnnouncing { namespace }).await;
    }

    /// Cuts this peer off: ends all connections, refuses new ones, neither dials nor looks for peers. Returns when it is so.
    /// Listen addresses stay, so that others find it where it was.
    pub async fn pause(&self) {
        let _ = self.ask(|reply| Command::Pause { reply }).await;
    }

    /// Ends a pause: every known device is dialled at once.
    pub async fn resume(&self) {
        let _ = self.ask(|reply| Command::Resume { reply }).await;
    }

    /// Bytes `(sent, received)` since the start, over all connections, ended ones included.
    ///
    /// TCP is counted at the socket, encryption and multiplexing included. QUIC is counted at its streams, all protocols
    /// included, but without handshake, packet headers, acknowledgements and retransmissions. What a circuit carries counts
    /// once, on the connection to its relay.
    pub fn wire_bytes(&self) -> (u64, u64) {
        self.meter.read()
    }

    /// Gossip messages dropped since the start because [`NetEvents`] was drained too slowly.
    pub fn gossip_dropped(&self) -> u64 {
        self.gossip_dropped.load(Ordering::Relaxed)
    }

    /// Says good-bye to everyone and ends the network, at the latest after [`limits::SHUTDOWN_TIMEOUT`].
    pub async fn shutdown(self) {
        let _ = self.ask(|reply| Command::Shutdown { reply }).await;
    }

    async fn tell(&self, command: Command) {
        // A network that has ended has done what any of these commands ask.
        let _ = self.commands.send(command).await;
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, NetError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| NetError::Closed)?;
        answer.await.map_err(|_| NetError::Closed)
    }
}

fn bootstrap_nodes(addresses: &[Multiaddr]) -> Result<Vec<Node>, NetError> {
    let mut nodes: Vec<Node> = Vec::new();
    for address in addresses {
        let (peer, bare) = split_peer(address)?;
        let device = device_of(&peer).ok_or_else(|| NetError::BadBootstrap(address.clone()))?;
        match nodes.iter_mut().find(|node| node.peer == peer) {
            Some(node) => node.addresses.push(bare),
            None => nodes.push(Node { peer, device, addresses: vec![bare] }),
        }
    }
    if nodes.len() > limits::BOOTSTRAP_NODES_MAX {
        return Err(NetError::TooMany { what: "bootstrap nodes", max: limits::BOOTSTRAP_NODES_MAX });
    }
    Ok(nodes)
}
