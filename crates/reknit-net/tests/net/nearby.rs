//! Peers on one local network.

use crate::support::{Peer, meet};
use reknit_net::{FoundBy, Multiaddr, NetConfig, NetEvent};

/// A peer on every IPv4 interface that looks for others nearby.
async fn nearby(seed: u8) -> Result<Peer, String> {
    let mut config = NetConfig::new([seed; 32]);
    config.listen = vec!["/ip4/0.0.0.0/udp/0/quic-v1".parse::<Multiaddr>().expect("it is an address")];
    let (net, mut events) = reknit_net::Net::start(config).await.expect("the network starts");
    while let Some(event) = events.next().await {
        match event {
            NetEvent::MdnsUnavailable { reason } => return Err(reason),
            NetEvent::Listening { .. } => break,
            _ => {}
        }
    }
    Ok(Peer { net, events })
}

#[tokio::test]
async fn peers_on_one_network_find_each_other() {
    let (mut a, mut b) = match (nearby(41).await, nearby(42).await) {
        (Ok(a), Ok(b)) => (a, b),
        (Err(reason), _) | (_, Err(reason)) => {
            eprintln!("SKIPPED: no multicast here ({reason}); discovery on a local network is NOT tested");
            return;
        }
    };
    let b_id = b.id();
    let addrs = a
        .until("b by mDNS", |event| match event {
            NetEvent::Found { device, addrs, by: FoundBy::Mdns } if device == b_id => Some(addrs),
            _ => None,
        })
        .await;
    a.net.know(b_id, addrs).await.expect("there is room");
    meet(&mut a, &mut b).await;
}
