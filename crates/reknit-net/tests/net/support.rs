//! Peers on loopback, and waiting for what they report.

use futures::future::BoxFuture;
use reknit_net::{Multiaddr, Net, NetConfig, NetEvent, NetEvents, Transport};
use reknit_types::DeviceId;
use std::time::Duration;

/// A running peer and its events.
pub(crate) struct Peer {
    /// The handle.
    pub(crate) net: Net,
    /// What it reports.
    pub(crate) events: NetEvents,
}

/// How long any single thing may take before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

impl Peer {
    /// A peer on loopback with both transports.
    pub(crate) async fn start(seed: u8) -> Self {
        Self::with(NetConfig::loopback([seed; 32])).await
    }

    /// A peer on loopback that listens only by one transport.
    pub(crate) async fn only(seed: u8, transport: Transport) -> Self {
        let mut config = NetConfig::loopback([seed; 32]);
        config.listen = vec![listen(transport)];
        Self::with(config).await
    }

    /// A peer, once it listens on all it was told to.
    pub(crate) async fn with(config: NetConfig) -> Self {
        let listeners = config.listen.len();
        let (net, events) = Net::start(config).await.expect("the network starts");
        let mut peer = Self { net, events };
        for _ in 0..listeners {
            peer.until("a listen address", |event| matches!(event, NetEvent::Listening { .. }).then_some(()))
                .await;
        }
        peer
    }

    /// This peer's device.
    pub(crate) fn id(&self) -> DeviceId {
        self.net.local()
    }

    /// Where this peer is.
    pub(crate) async fn addresses(&self) -> Vec<Multiaddr> {
        self.net.addresses().await
    }

    /// Stays connected to `other` from now on.
    pub(crate) async fn know(&self, other: &Self) {
        self.net.know(other.id(), other.addresses().await).await.expect("there is room");
    }

    /// The first event that `pick` takes; others are passed over.
    pub(crate) async fn until<T>(&mut self, what: &str, mut pick: impl FnMut(NetEvent) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.next().await.expect("the network runs");
                if let Some(found) = pick(event) {
                    return found;
                }
            }
        };
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(found) => found,
            Err(_) => panic!("waited {PATIENCE:?} for {what}"),
        }
    }

    /// Waits for a connection with `other`; by which way.
    pub(crate) async fn connected(&mut self, other: DeviceId) -> Transport {
        self.until("a connection", |event| match event {
            NetEvent::Connected { device, transport, .. } if device == other => Some(transport),
            _ => None,
        })
        .await
    }

    /// Waits for the end of the connection with `other`.
    pub(crate) async fn disconnected(&mut self, other: DeviceId) {
        self.until("the end of a connection", |event| match event {
            NetEvent::Disconnected { device, .. } if device == other => Some(()),
            _ => None,
        })
        .await;
    }

    /// Waits for a stream that another peer opens.
    pub(crate) async fn stream(&mut self) -> reknit_net::SyncStream {
        self.until("a stream", |event| match event {
            NetEvent::Stream(stream) => Some(stream),
            _ => None,
        })
        .await
    }
}

/// Both wait for their connection with the other.
pub(crate) async fn meet(a: &mut Peer, b: &mut Peer) -> (Transport, Transport) {
    let (a_id, b_id) = (a.id(), b.id());
    let both: BoxFuture<'_, _> = Box::pin(futures::future::join(a.connected(b_id), b.connected(a_id)));
    both.await
}

/// A loopback listen address with a port of the system's choosing.
pub(crate) fn listen(transport: Transport) -> Multiaddr {
    let address = match transport {
        Transport::Quic => "/ip4/127.0.0.1/udp/0/quic-v1",
        Transport::Tcp => "/ip4/127.0.0.1/tcp/0",
        Transport::Relay => panic!("a relay is listened through, not on"),
    };
    address.parse().expect("it is an address")
}
