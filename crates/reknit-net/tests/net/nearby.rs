//! Peers on one local network.

use crate::support::{Peer, meet};
use reknit_net::{FoundBy, Multiaddr, NetConfig, NetEvent};

/// A peer on every IPv4 interface that looks for others nearby.
async fn nearby(seed: u8) -> Peer {
    let mut config = NetConfig::new([seed; 32]);
    config.listen = vec!["/ip4/0.0.0.0/udp/0/quic-v1".parse::<Multiaddr>().expect("it is an address")];
    let (net, events) = reknit_net::Net::start(config).await.expect("the network starts");
    Peer { net, events }
}

#[tokio::test]
async fn peers_on_one_network_find_each_other() {
    let (mut a, mut b) = (nearby(41).await, nearby(42).await);
    let b_id = b.id();
    let found = a
        .until("b by mDNS", |event| match event {
            NetEvent::Found { device, addrs, by: FoundBy::Mdns } if device == b_id => Some(Ok(addrs)),
            NetEvent::MdnsUnavailable { reason } => Some(Err(reason)),
            _ => None,
        })
        .await;
    let addrs = match found {
        Ok(addrs) => addrs,
        Err(reason) => {
            eprintln!("SKIPPED: no multicast here ({reason}); discovery on a local network is NOT tested");
            return;
        }
    };
    a.net.know(b_id, addrs).await.expect("there is room");
    meet(&mut a, &mut b).await;
}
