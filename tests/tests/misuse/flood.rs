//! Garbage at every door.

use std::io::Write;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use reknit_net::{Multiaddr, Net, NetConfig, NetEvent, NetEvents};
use reknit_types::DeviceId;

use crate::peer::{PATIENCE, Peer, until_equal};
use crate::seed::seed;

#[test]
fn a_flood_of_random_bytes_leaves_the_peer_serving() {
    let mut rng = ChaCha20Rng::seed_from_u64(seed());
    let (mut ada, doors) = serving();
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for door in &doors.udp {
        for _ in 0..20_000 {
            // A flood may well be more than the socket takes.
            let _ = udp.send_to(&noise(&mut rng, 1400), door);
        }
    }
    let mut open = Vec::new();
    for door in &doors.tcp {
        for nth in 0..300 {
            // Refused, reset or open: all are fine.
            let Ok(mut stream) = TcpStream::connect_timeout(door, Duration::from_secs(1)) else { continue };
            let greeting: &[u8] = if nth % 2 == 0 { b"\x13/multistream/1.0.0\n" } else { b"" };
            let _ = stream.write_all(greeting).and_then(|()| stream.write_all(&noise(&mut rng, 4000)));
            open.push(stream);
        }
    }
    serves_on(&mut ada);
    drop(open);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_that_opens_streams_and_talks_nonsense_is_put_off() {
    let mut rng = ChaCha20Rng::seed_from_u64(seed());
    let (mut ada, doors) = serving();
    let (stranger, mut events) = Net::start(NetConfig::loopback([66; 32])).await.expect("a network");
    stranger.know(doors.device, doors.addresses.clone()).await.expect("an address");
    for round in 0..40 {
        connected(&stranger, &mut events, doors.device).await;
        let Ok(mut stream) = stranger.open_stream(doors.device).await else { continue };
        let mut bytes = noise(&mut rng, 20_000);
        if round % 2 == 0 {
            // A length that promises more than will ever come.
            bytes.splice(..0, [0xff, 0xff, 0xff, 0x7f]);
        }
        // The peer may hang up at any time; that it says nothing of the space is what counts.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.flush().await;
        let mut answer = Vec::new();
        let mut reader = stream.take(ANSWER_MAX);
        let _ = tokio::time::timeout(Duration::from_millis(500), reader.read_to_end(&mut answer)).await;
        assert!((answer.len() as u64) < ANSWER_MAX, "{} bytes for a stranger", answer.len());
    }
    stranger.shutdown().await;
    tokio::task::block_in_place(|| serves_on(&mut ada));
}

/// What a stranger may be told: that it is not welcome.
const ANSWER_MAX: u64 = 256;

/// Waits for a connection with the device, for as long as the peer may keep a nuisance waiting.
async fn connected(stranger: &Net, events: &mut NetEvents, device: DeviceId) {
    if stranger.open_stream(device).await.is_ok() {
        return;
    }
    let wait = async {
        while let Some(event) = events.next().await {
            if matches!(event, NetEvent::Connected { device: found, .. } if found == device) {
                return;
            }
        }
    };
    // Not being let in at all is no failure of the peer.
    let _ = tokio::time::timeout(Duration::from_secs(3), wait).await;
}

/// Where a peer can be reached.
struct Doors {
    device: DeviceId,
    addresses: Vec<Multiaddr>,
    udp: Vec<SocketAddr>,
    tcp: Vec<SocketAddr>,
}

/// A peer with a space, up.
fn serving() -> (Peer, Doors) {
    let mut ada = Peer::here("ada");
    ada.run(&["space", "new", "garden"]);
    ada.create_entity("notes", &["title=Safe"]);
    ada.up();
    let status = ada.run(&["status"]);
    let device = status["device"].as_str().expect("a device").parse().expect("a device");
    let listed = status["network"]["addresses"].as_array().expect("addresses");
    let addresses: Vec<Multiaddr> =
        listed.iter().filter_map(|address| address.as_str()?.parse().ok()).collect();
    let sockets = |protocol: &str| {
        let texts = addresses.iter().map(ToString::to_string);
        texts.filter_map(|text| socket(&text, protocol)).collect::<Vec<_>>()
    };
    let doors = Doors { device, udp: sockets("udp"), tcp: sockets("tcp"), addresses };
    assert!(!doors.udp.is_empty() && !doors.tcp.is_empty(), "{status}");
    (ada, doors)
}

/// The socket address in a multiaddress such as `/ip4/127.0.0.1/udp/4001/quic-v1`.
fn socket(address: &str, protocol: &str) -> Option<SocketAddr> {
    let parts: Vec<&str> = address.split('/').collect();
    match parts.as_slice() {
        ["", "ip4", host, found, port, ..] if *found == protocol => format!("{host}:{port}").parse().ok(),
        _ => None,
    }
}

/// Answers commands, and lets a newcomer in.
fn serves_on(ada: &mut Peer) {
    assert!(ada.is_up(), "the peer did not survive");
    let mut bob = Peer::here("bob");
    bob.up();
    bob.run(&["join", &ada.invite()]);
    until_equal(&[ada, &bob], PATIENCE);
    assert_eq!(bob.run(&["ls"])["notes"], 1);
    ada.down();
    bob.down();
}

fn noise(rng: &mut ChaCha20Rng, len_max: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(rng.next_u64() % len_max).unwrap_or_default()];
    rng.fill_bytes(&mut bytes);
    bytes
}
