//! `reknit-bootstrap`: a small always-on node through which Reknit peers find each other (libp2p rendezvous) and reach each
//! other (circuit relay v2) when they cannot directly. It belongs to no space and can read nothing it passes on.
//!
//! Exit codes: 0 stopped by SIGINT or SIGTERM; 1 the system failed; 2 wrong usage; 3 the key file cannot be used; 4 cannot
//! listen.

mod key;

use clap::Parser;
use key::KeyError;
use reknit_net::{Bootstrap, BootstrapConfig, BootstrapEvent, Multiaddr, NetError};
use serde_json::json;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Run a node through which Reknit peers find and reach each other.
///
/// Give its address, as printed on start, to peers. It keeps running until SIGINT or SIGTERM.
/// What it does is logged on stderr as RUST_LOG says (default: info).
#[derive(Debug, Parser)]
#[command(name = "reknit-bootstrap", version, after_help = EXIT_CODES)]
struct Arguments {
    /// File with the node's key; made on first start. The node's address changes with it.
    #[arg(long, default_value = "reknit-bootstrap.key", env = "REKNIT_BOOTSTRAP_KEY")]
    key: PathBuf,
    /// Address to listen on; may be given more than once [default: every interface, QUIC and TCP, port 4641]
    #[arg(long, value_name = "MULTIADDR")]
    listen: Vec<Multiaddr>,
    /// Address under which the node is also known, such as one forwarded to it; may be given more than once
    #[arg(long, value_name = "MULTIADDR")]
    external: Vec<Multiaddr>,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Error)]
enum Failure {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("listening ended on every address")]
    Deaf,
    #[error(transparent)]
    System(#[from] io::Error),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::System(_) => 1,
            Self::Key(_) => 3,
            Self::Net(NetError::CannotListen(_)) | Self::Deaf => 4,
            Self::Net(_) => 1,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,reknit_bootstrap=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing is left to be done when stderr is gone too.
            let _ = writeln!(io::stderr(), "reknit-bootstrap: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let listen = if arguments.listen.is_empty() { default_listen() } else { arguments.listen };
    let mut listeners = listen.len();
    let secret = key::load_or_create(&arguments.key)?;
    let mut node = Bootstrap::start(&BootstrapConfig { secret, listen, external: arguments.external })?;
    // Cancel-safe: signals are not lost, and neither are the node's events.
    loop {
        tokio::select! {
            event = node.next() => {
                if let BootstrapEvent::ListenFailed { .. } = event {
                    listeners = listeners.saturating_sub(1);
                }
                report(&event, arguments.json)?;
                if listeners == 0 {
                    return Err(Failure::Deaf);
                }
            }
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    tracing::info!(connected = node.connected(), "stopping");
    node.shutdown().await;
    Ok(())
}

/// Addresses go to stdout, for people or programs to pass on; everything else is a log line.
fn report(event: &BootstrapEvent, as_json: bool) -> io::Result<()> {
    match event {
        BootstrapEvent::Listening { addr } => {
            let mut stdout = io::stdout().lock();
            if as_json {
                writeln!(stdout, "{}", json!({ "event": "listening", "address": addr.to_string() }))?;
            } else {
                writeln!(stdout, "listening on {addr}")?;
            }
            stdout.flush()
        }
        BootstrapEvent::ListenFailed { addr, reason } => {
            tracing::warn!(%addr, %reason, "stopped listening");
            Ok(())
        }
        event => {
            tracing::info!(?event);
            Ok(())
        }
    }
}

fn default_listen() -> Vec<Multiaddr> {
    ["/ip4/0.0.0.0/udp/4641/quic-v1", "/ip4/0.0.0.0/tcp/4641", "/ip6/::/udp/4641/quic-v1", "/ip6/::/tcp/4641"]
        .iter()
        .filter_map(|address| address.parse().ok())
        .collect()
}

const EXIT_CODES: &str = "Exit codes:\n  0  stopped by SIGINT or SIGTERM\n  1  the system failed\n  2  wrong usage\n  \
                          3  the key file cannot be used\n  4  cannot listen";
