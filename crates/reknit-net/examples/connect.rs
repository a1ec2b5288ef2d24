//! Measures the network between two peers on loopback: first connection, stream round trips, bulk throughput.
//!
//! `cargo run --release -p reknit-net --example connect`; with `-- --cold`, the very first connection pays for seeding the TLS
//! library's randomness.

use futures::{AsyncReadExt, AsyncWriteExt};
use reknit_net::{Multiaddr, Net, NetConfig, NetEvent, NetEvents, SyncStream};
use reknit_types::{DeviceId, DeviceKey};
use std::error::Error;
use std::time::{Duration, Instant};

const CONNECTS: u8 = 20;
const ROUND_TRIPS: usize = 5_000;
const OPENS: usize = 500;
const BULK_BYTES: usize = 512 << 20;
const CHUNK_BYTES: usize = 64 << 10;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    if std::env::var_os("RUST_LOG").is_some() {
        tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    }
    if !std::env::args().any(|argument| argument == "--cold") {
        let started = Instant::now();
        reknit_net::warm_up().await;
        println!("first random bytes of the TLS library: {:?}", started.elapsed());
    }
    for listen in ["/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"] {
        let listen: Multiaddr = listen.parse()?;
        println!("{listen}");
        connects(&listen).await?;
        let (mut a, mut b) = (peer(1, &listen).await?, peer(2, &listen).await?);
        connect(&mut a, &mut b).await?;
        let echo = tokio::spawn(echo(b));
        opens(&a.net, echo_device()).await?;
        round_trips(&a.net, echo_device()).await?;
        bulk(&a.net, echo_device()).await?;
        echo.abort();
    }
    Ok(())
}

struct Peer {
    net: Net,
    events: NetEvents,
}

async fn peer(seed: u8, listen: &Multiaddr) -> Result<Peer, Box<dyn Error>> {
    let mut config = NetConfig::loopback([seed; 32]);
    config.listen = vec![listen.clone()];
    let (net, mut events) = Net::start(config).await?;
    while !matches!(events.next().await.ok_or("closed")?, NetEvent::Listening { .. }) {}
    Ok(Peer { net, events })
}

fn echo_device() -> DeviceId {
    DeviceKey::from_seed(&[2; 32]).id()
}

/// From `know` to both sides being connected.
async fn connect(a: &mut Peer, b: &mut Peer) -> Result<(Duration, Duration), Box<dyn Error>> {
    let addresses = b.net.addresses().await;
    let started = Instant::now();
    a.net.know(b.net.local(), addresses).await?;
    let connected = async |events: &mut NetEvents| {
        while let Some(event) = events.next().await {
            if let NetEvent::Connected { .. } = event {
                return started.elapsed();
            }
        }
        Duration::MAX
    };
    Ok(futures::join!(connected(&mut a.events), connected(&mut b.events)))
}

async fn connects(listen: &Multiaddr) -> Result<(), Box<dyn Error>> {
    let (mut dialler, mut listener) = (Vec::new(), Vec::new());
    for seed in 0..CONNECTS {
        let (mut a, mut b) = (peer(100 + seed, listen).await?, peer(150 + seed, listen).await?);
        let (ours, theirs) = connect(&mut a, &mut b).await?;
        dialler.push(ours);
        listener.push(theirs);
        a.net.shutdown().await;
        b.net.shutdown().await;
    }
    println!("  the first connect of all: {:?}", dialler[0]);
    report("first connect, dialler", dialler);
    report("first connect, listener", listener);
    Ok(())
}

async fn echo(mut peer: Peer) {
    while let Some(event) = peer.events.next().await {
        if let NetEvent::Stream(stream) = event {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let mut kind = [0];
                read.read_exact(&mut kind).await?;
                if kind == [ECHO] {
                    futures::io::copy(read, &mut write).await?;
                } else {
                    let mut chunk = vec![0; CHUNK_BYTES];
                    while read.read(&mut chunk).await? > 0 {}
                    write.write_all(&kind).await?;
                }
                write.close().await
            });
        }
    }
}

const ECHO: u8 = 1;
const SINK: u8 = 2;

async fn opens(net: &Net, to: DeviceId) -> Result<(), Box<dyn Error>> {
    let mut took = Vec::new();
    for _ in 0..OPENS {
        let started = Instant::now();
        let mut stream = net.open_stream(to).await?;
        round_trip(&mut stream, &[ECHO, 7], &mut [0; 1]).await?;
        took.push(started.elapsed());
        stream.close().await?;
    }
    report("stream opened and answered", took);
    Ok(())
}

async fn round_trips(net: &Net, to: DeviceId) -> Result<(), Box<dyn Error>> {
    let mut stream = net.open_stream(to).await?;
    stream.write_all(&[ECHO]).await?;
    let (mut took, sent, mut back) = (Vec::new(), [7; 300], [0; 300]);
    for _ in 0..ROUND_TRIPS {
        let started = Instant::now();
        round_trip(&mut stream, &sent, &mut back).await?;
        took.push(started.elapsed());
    }
    report("round trip of 300 bytes", took);
    Ok(())
}

async fn round_trip(stream: &mut SyncStream, sent: &[u8], back: &mut [u8]) -> Result<(), Box<dyn Error>> {
    stream.write_all(sent).await?;
    stream.flush().await?;
    stream.read_exact(back).await?;
    Ok(())
}

async fn bulk(net: &Net, to: DeviceId) -> Result<(), Box<dyn Error>> {
    let mut stream = net.open_stream(to).await?;
    stream.write_all(&[SINK]).await?;
    let chunk = vec![7; CHUNK_BYTES];
    let started = Instant::now();
    for _ in 0..BULK_BYTES / CHUNK_BYTES {
        stream.write_all(&chunk).await?;
    }
    stream.close().await?;
    stream.read_exact(&mut [0; 1]).await?;
    let seconds = started.elapsed().as_secs_f64();
    println!("  bulk, one stream: {:.0} MiB/s", (BULK_BYTES >> 20) as f64 / seconds);
    Ok(())
}

fn report(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |part: usize| took[(took.len() - 1) * part / 100];
    println!("  {what}: p50 {:?}, p99 {:?}, max {:?}", at(50), at(99), at(100));
}
