//! Peers that find and reach each other through a bootstrap node.

use crate::support::{Peer, listen, meet};
use futures::{AsyncReadExt, AsyncWriteExt};
use reknit_net::{Bootstrap, BootstrapConfig, FoundBy, Multiaddr, NetConfig, NetEvent, Transport};
use std::time::{Duration, Instant};

/// Starts a node that runs until the test ends; its address.
async fn bootstrap(transport: Transport) -> Multiaddr {
    let config =
        BootstrapConfig { secret: [99; 32].into(), listen: vec![listen(transport)], external: Vec::new() };
    let mut node = Bootstrap::start(&config).expect("the node starts");
    let address = loop {
        if let reknit_net::BootstrapEvent::Listening { addr } = node.next().await {
            break addr;
        }
    };
    tokio::spawn(async move {
        loop {
            node.next().await;
        }
    });
    address
}

async fn peer(seed: u8, node: &Multiaddr, transports: &[Transport]) -> Peer {
    let mut config = NetConfig::loopback([seed; 32]);
    config.listen = transports.iter().map(|transport| listen(*transport)).collect();
    config.bootstrap = vec![node.clone()];
    Peer::with(config).await
}

#[tokio::test]
async fn peers_find_each_other_through_a_bootstrap_node() {
    let node = bootstrap(Transport::Quic).await;
    let mut a = peer(1, &node, &[Transport::Quic]).await;
    let mut b = peer(2, &node, &[Transport::Quic]).await;
    let namespace = [5; 32];
    let started = Instant::now();
    a.net.announce_at_rendezvous(namespace).await.expect("there is room");
    b.net.announce_at_rendezvous(namespace).await.expect("there is room");
    let a_id = a.id();
    let addrs = b
        .until("a at the rendezvous", |event| match event {
            NetEvent::Found { device, addrs, by: FoundBy::Rendezvous(found) } if device == a_id => {
                assert_eq!(found, namespace);
                Some(addrs)
            }
            _ => None,
        })
        .await;
    b.net.know(a_id, addrs).await.expect("there is room");
    assert_eq!(meet(&mut a, &mut b).await, (Transport::Quic, Transport::Quic));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn peers_that_cannot_reach_each_other_meet_through_the_relay() {
    for transport in [Transport::Quic, Transport::Tcp] {
        let node = bootstrap(transport).await;
        // Neither listens on anything, so neither can be dialled.
        let mut a = peer(1, &node, &[]).await;
        let mut b = peer(2, &node, &[]).await;
        let circuit = b
            .until("a circuit", |event| match event {
                NetEvent::Listening { addr } => Some(addr),
                _ => None,
            })
            .await;
        a.net.know(b.id(), vec![circuit]).await.expect("there is room");
        assert_eq!(meet(&mut a, &mut b).await, (Transport::Relay, Transport::Relay));
        let mut asked = a.net.open_stream(b.id()).await.expect("it is connected");
        asked.write_all(b"through the relay").await.expect("the stream works");
        asked.close().await.expect("the stream closes");
        let mut heard = Vec::new();
        b.stream().await.read_to_end(&mut heard).await.expect("the stream works");
        assert_eq!(heard, b"through the relay");
    }
}

#[tokio::test]
async fn relayed_peer_is_found_by_its_circuit_at_the_rendezvous() {
    let node = bootstrap(Transport::Quic).await;
    let mut a = peer(1, &node, &[]).await;
    let mut b = peer(2, &node, &[Transport::Quic]).await;
    let namespace = [6; 32];
    a.net.announce_at_rendezvous(namespace).await.expect("there is room");
    b.net.announce_at_rendezvous(namespace).await.expect("there is room");
    let a_id = a.id();
    b.net.know(a_id, Vec::new()).await.expect("there is room");
    // Nobody passes its address on: it arrives by the rendezvous.
    meet(&mut a, &mut b).await;
}

#[tokio::test]
async fn bootstrap_node_by_name_is_resolved() {
    let node = bootstrap(Transport::Tcp).await.to_string().replace("/ip4/127.0.0.1/", "/dns4/localhost/");
    let mut a = peer(1, &node.parse().expect("it is an address"), &[Transport::Tcp]).await;
    a.until("the node", |event| matches!(event, NetEvent::BootstrapUp { .. }).then_some(())).await;
}
