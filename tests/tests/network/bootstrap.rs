//! Peers that nothing but a bootstrap node can introduce to each other.

use serde_json::Value;

use crate::binaries;
use crate::lab::{Host, Lab};
use crate::peer::{PATIENCE, Peer, Running, until_equal};

#[test]
fn peers_find_each_other_through_a_bootstrap_node() {
    let Some(lab) = Lab::open() else { return };
    let [left, right, middle] = lab.hosts();
    [&left, &right, &middle].into_iter().for_each(Host::lose_multicast);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = middle.command(&binaries::bootstrap());
    command.arg("--json").arg("--key").arg(folder.path().join("key"));
    let mut node = Running::start("bootstrap", command);
    let mut address = None;
    node.until("it listens", |said| {
        address = said.iter().find_map(|line| listening_at(line, middle.address()));
        address.is_some()
    });
    let address = address.expect("it listens");

    let (mut ada, mut bob) = (Peer::on(&left, "ada"), Peer::on(&right, "bob"));
    ada.run(&["space", "new", "garden"]);
    let invite = ada.run(&["invite"]);
    assert_eq!(invite["addresses"], 0, "the ticket must not help: {invite}");
    for peer in [&mut ada, &mut bob] {
        peer.up_with(&["--no-mdns", "--bootstrap", &address], &[]);
    }
    bob.run(&["join", invite["ticket"].as_str().expect("a ticket")]);
    ada.create_entity("notes", &["title=Introduced"]);
    until_equal(&[&ada, &bob], PATIENCE);
}

/// The dialable QUIC address in a line that the node printed, if it is one on this host.
fn listening_at(line: &str, host: &str) -> Option<String> {
    let event: Value = serde_json::from_str(line).ok()?;
    let address = event["address"].as_str()?;
    let wanted = address.contains(&format!("/ip4/{host}/udp/")) && address.contains("/p2p/");
    wanted.then(|| address.to_owned())
}
