//! Two peers on loopback: connecting, streams, gossip, being cut off and coming back.

use crate::support::{PATIENCE, Peer, meet};
use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt};
use reknit_net::{NetError, NetEvent, Published, Transport};
use std::time::{Duration, Instant};

#[tokio::test]
async fn known_peer_is_connected_over_quic_first() {
    let (mut a, mut b) = (Peer::start(1).await, Peer::start(2).await);
    a.know(&b).await;
    assert_eq!(meet(&mut a, &mut b).await, (Transport::Quic, Transport::Quic));
}

#[tokio::test]
async fn known_peer_without_quic_is_connected_over_tcp() {
    let (mut a, mut b) = (Peer::start(1).await, Peer::only(2, Transport::Tcp).await);
    a.know(&b).await;
    assert_eq!(meet(&mut a, &mut b).await, (Transport::Tcp, Transport::Tcp));
}

#[tokio::test]
async fn stream_echoes_over_each_transport() {
    for transport in [Transport::Quic, Transport::Tcp] {
        let (mut a, mut b) = (Peer::only(1, transport).await, Peer::only(2, transport).await);
        a.know(&b).await;
        meet(&mut a, &mut b).await;
        echo(&mut a, &mut b).await;
    }
}

async fn echo(a: &mut Peer, b: &mut Peer) {
    let sent = vec![7u8; 300_000];
    let (b_id, a_id) = (b.id(), a.id());
    let asking = async {
        let mut stream = a.net.open_stream(b_id).await.expect("it is connected");
        assert_eq!(stream.device(), b_id);
        let mut back = Vec::new();
        let (mut read, mut write) = (&mut stream).split();
        let writing = async {
            write.write_all(&sent).await?;
            write.close().await
        };
        let (wrote, read) = futures::join!(writing, read.read_to_end(&mut back));
        wrote.and(read).expect("the stream works");
        back
    };
    let answering = async {
        let stream = b.stream().await;
        assert_eq!(stream.device(), a_id);
        let (read, mut write) = stream.split();
        futures::io::copy(read, &mut write).await.expect("the stream works");
        write.close().await.expect("the stream closes");
    };
    let (back, ()) = futures::join!(asking, answering);
    assert_eq!(back, sent);
    let (sent, received) = a.net.wire_bytes();
    assert!(sent > 300_000 && received > 300_000, "{sent} sent, {received} received");
}

#[tokio::test]
async fn stream_to_a_peer_that_is_not_connected_is_refused() {
    let (a, b) = (Peer::start(1).await, Peer::start(2).await);
    let refused = a.net.open_stream(b.id()).await.expect_err("there is no connection");
    assert!(matches!(refused, NetError::NotConnected(device) if device == b.id()));
}

#[tokio::test]
async fn message_reaches_the_subscribers_once_they_are_known() {
    let (mut a, mut b) = (Peer::start(1).await, Peer::start(2).await);
    let topic = [9; 32];
    a.net.subscribe(topic).await.expect("there is room");
    b.net.subscribe(topic).await.expect("there is room");
    let alone = a.net.publish(topic, Bytes::from_static(b"anyone?")).await.expect("it is small");
    assert_eq!(alone, Published::NoPeers);
    a.know(&b).await;
    meet(&mut a, &mut b).await;
    let message = Bytes::from_static(b"heads");
    let deadline = Instant::now() + PATIENCE;
    while a.net.publish(topic, message.clone()).await.expect("it is small") != Published::Sent {
        assert!(Instant::now() < deadline, "the subscription never arrived");
        tokio::task::yield_now().await;
    }
    let a_id = a.id();
    let heard = b.until("a message", |event| match event {
        NetEvent::Gossip { topic: on, from, data } if on == topic && from == a_id => Some(data),
        _ => None,
    });
    assert_eq!(heard.await, message);
    let again = a.net.publish(topic, message).await.expect("it is small");
    assert_eq!(again, Published::Duplicate);
    let large = a.net.publish(topic, Bytes::from(vec![0; reknit_net::limits::GOSSIP_BYTES_MAX + 1])).await;
    assert!(matches!(large, Err(NetError::TooLarge { .. })));
}

#[tokio::test]
async fn paused_peer_is_cut_off_and_comes_back_at_once() {
    let (mut a, mut b) = (Peer::start(1).await, Peer::start(2).await);
    a.know(&b).await;
    b.know(&a).await;
    meet(&mut a, &mut b).await;
    b.net.pause().await;
    let (a_id, b_id) = (a.id(), b.id());
    futures::join!(a.disconnected(b_id), b.disconnected(a_id));
    assert!(matches!(b.net.open_stream(a_id).await, Err(NetError::NotConnected(_))));
    // While cut off, nothing gets through however often the other side tries. That side may take itself for connected until
    // it learns that its handshake was refused.
    let trying = async {
        loop {
            a.disconnected(b_id).await;
        }
    };
    let quiet = tokio::select! {
        connected = tokio::time::timeout(Duration::from_millis(1500), b.connected(a_id)) => connected.is_err(),
        () = trying => unreachable!("it tries for as long as it may"),
    };
    assert!(quiet, "a paused peer was connected");
    let resumed = Instant::now();
    b.net.resume().await;
    meet(&mut a, &mut b).await;
    echo(&mut a, &mut b).await;
    assert!(resumed.elapsed() < Duration::from_secs(2), "{:?}", resumed.elapsed());
}

#[tokio::test]
async fn simultaneous_dials_end_with_one_usable_connection() {
    for round in 0..5 {
        let (mut a, mut b) = (Peer::start(10 + round).await, Peer::start(20 + round).await);
        let (a_at, b_at) = (a.addresses().await, b.addresses().await);
        let (known_a, known_b) = futures::join!(b.net.know(a.id(), a_at), a.net.know(b.id(), b_at));
        known_a.and(known_b).expect("there is room");
        meet(&mut a, &mut b).await;
        // Longer than a surplus connection lives.
        let settled = tokio::time::sleep(Duration::from_millis(400));
        let a_id = a.id();
        tokio::select! {
            () = settled => {}
            () = b.disconnected(a_id) => panic!("both connections were closed"),
        }
        echo(&mut a, &mut b).await;
    }
}

#[tokio::test]
async fn peer_that_moves_is_found_again() {
    let (mut a, mut b) = (Peer::start(1).await, Peer::start(2).await);
    a.know(&b).await;
    meet(&mut a, &mut b).await;
    // The same device at another address, as after a restart: it knows where its peer is, but not the other way round.
    let gone = b.id();
    b.net.shutdown().await;
    a.disconnected(gone).await;
    let mut b = Peer::start(2).await;
    b.know(&a).await;
    meet(&mut a, &mut b).await;
    // Its new addresses arrive by identify, so that it can be dialled there.
    a.until("its new addresses", |event| match event {
        NetEvent::Found { device, addrs, .. } if device == gone && !addrs.is_empty() => Some(()),
        _ => None,
    })
    .await;
    b.net.forget(a.id()).await;
    b.net.disconnect(a.id()).await;
    meet(&mut a, &mut b).await;
}

#[tokio::test]
async fn shutdown_ends_the_events_and_tells_the_other_side() {
    let (mut a, mut b) = (Peer::start(1).await, Peer::start(2).await);
    a.know(&b).await;
    meet(&mut a, &mut b).await;
    let b_id = b.id();
    let started = Instant::now();
    b.net.shutdown().await;
    a.disconnected(b_id).await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    while b.events.next().await.is_some() {}
}
