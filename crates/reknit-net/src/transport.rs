//! The transports a peer speaks: QUIC, TCP with Noise and Yamux, and circuits through a relay.

use crate::error::NetError;
use crate::limits;
use crate::meter::{Meter, Metered};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, Transport, upgrade::Version};
use libp2p::identity::Keypair;
use libp2p::{PeerId, noise, quic, relay, tcp, yamux};
use std::sync::Arc;

/// A connection that is authenticated and carries many streams.
pub(crate) type Connections = Boxed<(PeerId, StreamMuxerBox)>;

/// QUIC and TCP. Must be called in a Tokio runtime.
pub(crate) fn direct(keypair: &Keypair, meter: &Arc<Meter>) -> Result<Connections, NetError> {
    tokio::spawn(warm_up());
    let (quic_meter, tcp_meter) = (Arc::clone(meter), Arc::clone(meter));
    let quic = quic::tokio::Transport::new(quic_config(keypair)).map(move |(peer, muxer), _| {
        (peer, StreamMuxerBox::new(Metered::new(muxer, Arc::clone(&quic_meter))))
    });
    let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .map(move |socket, _| Metered::new(socket, Arc::clone(&tcp_meter)))
        .upgrade(Version::V1Lazy)
        .authenticate(noise_config(keypair)?)
        .multiplex(yamux::Config::default())
        .timeout(limits::HANDSHAKE_TIMEOUT)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    Ok(quic.or_transport(tcp).map(|either, _| either.into_inner()).boxed())
}

/// QUIC, TCP, and circuits through a relay.
pub(crate) fn with_relay(
    keypair: &Keypair,
    meter: &Arc<Meter>,
    circuits: relay::client::Transport,
) -> Result<Connections, NetError> {
    let circuits = circuits
        .upgrade(Version::V1Lazy)
        .authenticate(noise_config(keypair)?)
        .multiplex(yamux::Config::default())
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    Ok(circuits.or_transport(direct(keypair, meter)?).map(|either, _| either.into_inner()).boxed())
}

/// Draws the first random bytes of the TLS library, which takes some 20 ms once a process.
///
/// [`Net::start`](crate::Net::start) does so in the background. A process that connects right after its start gains by awaiting
/// or spawning this while it does other things, such as opening its store. See the crate's documentation for the reason.
pub async fn warm_up() {
    // A failure shows again, with its consequences, in the first handshake.
    let _ = tokio::task::spawn_blocking(|| aws_lc_rs::rand::fill(&mut [0])).await;
}

fn noise_config(keypair: &Keypair) -> Result<noise::Config, NetError> {
    noise::Config::new(keypair).map_err(|error| NetError::Setup { part: "noise", reason: error.to_string() })
}

fn quic_config(keypair: &Keypair) -> quic::Config {
    // Looking for larger packets than 1,200 bytes sends ten kilobytes of probes on every new connection, and most
    // connections of a mesh carry less than that.
    let mut config = quic::Config::new(keypair).disable_path_mtu_discovery();
    config.handshake_timeout = limits::HANDSHAKE_TIMEOUT;
    config.max_idle_timeout = u32::try_from(limits::QUIC_IDLE_MAX.as_millis()).unwrap_or(u32::MAX);
    config.keep_alive_interval = limits::QUIC_KEEP_ALIVE;
    config.max_concurrent_stream_limit = limits::QUIC_STREAMS_MAX;
    config.max_stream_data = limits::QUIC_STREAM_WINDOW;
    config.max_connection_data = limits::QUIC_CONNECTION_WINDOW;
    config
}
