//! What the network tells its owner.

use crate::addresses::Transport;
use crate::gossip::TopicId;
use crate::rendezvous::NamespaceId;
use crate::stream::SyncStream;
use bytes::Bytes;
use futures::Stream;
use libp2p::Multiaddr;
use reknit_types::DeviceId;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Something happened on the network.
#[derive(Debug)]
#[non_exhaustive]
pub enum NetEvent {
    /// We can be dialled at this address, which ends in our `/p2p/`. A circuit address means a relay accepted us.
    Listening {
        /// The address.
        addr: Multiaddr,
    },
    /// We can no longer be dialled at this address.
    NotListening {
        /// The address.
        addr: Multiaddr,
    },
    /// One of the configured listen addresses cannot be used. Others may.
    ListenFailed {
        /// The address asked for.
        addr: Multiaddr,
        /// What the system said.
        reason: String,
    },
    /// The device is connected: the first of possibly several connections with it.
    Connected {
        /// Which device.
        device: DeviceId,
        /// Where it is.
        addr: Multiaddr,
        /// By which way.
        transport: Transport,
    },
    /// The device is still connected, but new streams now go another way. Streams on the old one may end soon: open them
    /// again.
    Moved {
        /// Which device.
        device: DeviceId,
        /// Where it is.
        addr: Multiaddr,
        /// By which way.
        transport: Transport,
    },
    /// The last connection with the device ended.
    Disconnected {
        /// Which device.
        device: DeviceId,
        /// Why, for people.
        reason: String,
    },
    /// A device was sighted. It is dialled only if it is known; whether to know it is the owner's decision.
    Found {
        /// Which device.
        device: DeviceId,
        /// Where it says it is, without `/p2p/`.
        addrs: Vec<Multiaddr>,
        /// How it was found.
        by: FoundBy,
    },
    /// A message on a topic we subscribe to.
    Gossip {
        /// The topic.
        topic: TopicId,
        /// The connected device that passed it on: not necessarily its author.
        from: DeviceId,
        /// The message.
        data: Bytes,
    },
    /// A device opened a sync stream.
    Stream(SyncStream),
    /// A bootstrap node is connected.
    BootstrapUp {
        /// The node.
        node: DeviceId,
    },
    /// A bootstrap node is not connected any more.
    BootstrapDown {
        /// The node.
        node: DeviceId,
    },
    /// Peers nearby cannot be found by themselves here.
    MdnsUnavailable {
        /// Why, for people.
        reason: String,
    },
    /// Peers nearby can be found again, after [`NetEvent::MdnsUnavailable`].
    MdnsAvailable,
    /// An interface came, went, or changed its address. Peers that could not be reached are being tried again.
    NetworkChanged,
}

/// How a device was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundBy {
    /// On the local network.
    Mdns,
    /// At a bootstrap node, in this namespace.
    Rendezvous(NamespaceId),
    /// It is connected and told us its addresses.
    Identify,
}

/// The events, in order. Also a [`futures::Stream`].
///
/// Must be drained: when it is full, gossip is dropped, and then the network stands still until there is room.
#[derive(Debug)]
pub struct NetEvents {
    receiver: mpsc::Receiver<NetEvent>,
}

impl NetEvents {
    pub(crate) fn new(receiver: mpsc::Receiver<NetEvent>) -> Self {
        Self { receiver }
    }

    /// The next event; `None` after a shutdown. Cancel-safe.
    pub async fn next(&mut self) -> Option<NetEvent> {
        self.receiver.recv().await
    }

    /// The next event, if there is one already.
    pub fn try_next(&mut self) -> Option<NetEvent> {
        self.receiver.try_recv().ok()
    }
}

impl Stream for NetEvents {
    type Item = NetEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<NetEvent>> {
        self.receiver.poll_recv(cx)
    }
}
