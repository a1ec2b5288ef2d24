//! A peer that stops without a word.

use crate::support::{Peer, listen};
use reknit_net::{Net, NetConfig, Transport};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Notices of a dead connection must come within this time.
const NOTICED: Duration = Duration::from_secs(10);

/// A peer on a thread of its own that freezes, sockets open and nobody answering, when told to.
struct Frozen {
    freeze: mpsc::SyncSender<()>,
    thaw: mpsc::SyncSender<()>,
    thread: std::thread::JoinHandle<()>,
}

fn freezable(to: (reknit_types::DeviceId, Vec<reknit_net::Multiaddr>), transport: Transport) -> Frozen {
    let (freeze, frozen) = mpsc::sync_channel::<()>(1);
    let (thaw, thawed) = mpsc::sync_channel::<()>(1);
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut config = NetConfig::loopback([2; 32]);
            config.listen = vec![listen(transport)];
            let (net, _events) = Net::start(config).await.expect("the network starts");
            net.know(to.0, to.1).await.expect("there is room");
            while frozen.try_recv().is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // The only thread of the runtime waits: nothing of this peer runs any more.
            let _ = thawed.recv();
        });
    });
    Frozen { freeze, thaw, thread }
}

async fn frozen_peer_is_noticed(transport: Transport) {
    let mut a = Peer::only(1, transport).await;
    let frozen = freezable((a.id(), a.addresses().await), transport);
    let b = reknit_types::DeviceKey::from_seed(&[2; 32]).id();
    assert_eq!(a.connected(b).await, transport);
    // The connection is at rest: what was set up at its start is done.
    tokio::time::sleep(Duration::from_millis(500)).await;
    frozen.freeze.send(()).expect("the peer listens");
    let died = Instant::now();
    a.disconnected(b).await;
    let took = died.elapsed();
    eprintln!("{transport:?}: a frozen peer was noticed after {took:?}");
    assert!(took < NOTICED, "{took:?}");
    frozen.thaw.send(()).expect("the peer waits");
    frozen.thread.join().expect("the peer ends");
}

#[tokio::test]
async fn frozen_peer_is_noticed_over_quic() {
    frozen_peer_is_noticed(Transport::Quic).await;
}

#[tokio::test]
async fn frozen_peer_is_noticed_over_tcp() {
    frozen_peer_is_noticed(Transport::Tcp).await;
}
