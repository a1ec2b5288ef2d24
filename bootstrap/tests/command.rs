//! The command as a process: its address, its signals, its exit codes.

use reknit_net::{Multiaddr, Net, NetConfig, NetEvent};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A running node. Killed when the test ends, whatever happens.
struct Node {
    child: Child,
    address: Multiaddr,
}

impl Drop for Node {
    fn drop(&mut self) {
        // An error says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(key: &Path, listen: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reknit-bootstrap"));
    command
        .arg("--key")
        .arg(key)
        .args(["--listen", listen, "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

fn start(key: &Path) -> Node {
    let mut child = command(key, "/ip4/127.0.0.1/udp/0/quic-v1").spawn().expect("the command starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("stdout is piped");
    BufReader::new(stdout).read_line(&mut line).expect("the command prints");
    let printed: serde_json::Value = serde_json::from_str(&line).expect("the line is JSON");
    let address =
        printed["address"].as_str().expect("there is an address").parse().expect("it is an address");
    Node { child, address }
}

fn stop(mut node: Node, signal: &str) -> Option<i32> {
    let told = Command::new("kill").args([signal, &node.child.id().to_string()]).status().expect("kill runs");
    assert!(told.success());
    node.child.wait().expect("the command ends").code()
}

#[test]
fn node_keeps_its_identity_and_stops_cleanly() {
    let directory = tempfile::tempdir().expect("there is room");
    let key = directory.path().join("key");
    let first = start(&key);
    let peer = first.address.iter().last();
    assert_eq!(stop(start(&key), "-TERM"), Some(0));
    let again = start(&key);
    assert_eq!(again.address.iter().last(), peer);
    assert_eq!(stop(again, "-INT"), Some(0));
    drop(first);
}

#[tokio::test]
async fn failures_have_their_own_exit_codes() {
    let directory = tempfile::tempdir().expect("there is room");
    let key = directory.path().join("key");
    assert_eq!(code(&key, "nonsense").await, Some(2));
    assert_eq!(code(&directory.path().join("no/key"), "/ip4/127.0.0.1/tcp/0").await, Some(3));
    let node = start(&key);
    let taken = node.address.to_string();
    let taken = taken.split("/p2p/").next().expect("split yields something");
    assert_eq!(code(&key, taken).await, Some(4));
    assert_eq!(code(&key, "/memory/1").await, Some(4));
}

/// What the command ends with, when it does so at once.
async fn code(key: &Path, listen: &str) -> Option<i32> {
    let mut command = tokio::process::Command::from(command(key, listen));
    let ended = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).status()).await;
    ended.expect("the command ends by itself").expect("the command runs").code()
}

#[tokio::test]
async fn peer_connects_to_the_node_by_its_printed_address() {
    let directory = tempfile::tempdir().expect("there is room");
    let node = start(&directory.path().join("key"));
    let mut config = NetConfig::loopback([1; 32]);
    config.bootstrap = vec![node.address.clone()];
    let (net, mut events) = Net::start(config).await.expect("the network starts");
    let up = async {
        while let Some(event) = events.next().await {
            if matches!(event, NetEvent::BootstrapUp { .. }) {
                return true;
            }
        }
        false
    };
    assert_eq!(tokio::time::timeout(PATIENCE, up).await, Ok(true));
    net.shutdown().await;
}
