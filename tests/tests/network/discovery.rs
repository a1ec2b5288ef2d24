//! Peers that nobody told about each other.

use crate::lab::{Host, Lab};
use crate::peer::{PATIENCE, Peer, until_equal};

#[test]
fn peers_on_one_network_find_each_other() {
    let Some(lab) = Lab::open() else { return };
    find_each_other(lab.hosts());
}

#[test]
fn peers_on_a_switch_without_a_router_find_each_other() {
    let Some(lab) = Lab::open() else { return };
    let hosts: [Host; 2] = lab.hosts();
    hosts.iter().for_each(Host::lose_router);
    find_each_other(hosts);
}

fn find_each_other([left, right]: [Host; 2]) {
    let (mut ada, mut bob) = (Peer::on(&left, "ada"), Peer::on(&right, "bob"));
    ada.run(&["space", "new", "garden"]);
    // Made while no peer runs, the ticket cannot say where one is.
    let invite = ada.run(&["invite"]);
    assert_eq!(invite["addresses"], 0, "{invite}");
    let id = ada.create_entity("notes", &["title=Found"]);

    ada.up();
    bob.up();
    bob.run(&["join", invite["ticket"].as_str().expect("a ticket")]);

    assert_eq!(bob.field("notes", &id, "title"), "Found");
    until_equal(&[&ada, &bob], PATIENCE);
}

#[test]
fn a_peer_without_multicast_finds_the_address_in_the_ticket() {
    let Some(lab) = Lab::open() else { return };
    let [left, right] = lab.hosts();
    left.lose_multicast();
    right.lose_multicast();
    let (mut ada, mut bob) = (Peer::on(&left, "ada"), Peer::on(&right, "bob"));
    ada.run(&["space", "new", "garden"]);
    ada.up();
    let ticket = ada.invite();
    bob.up();
    bob.run(&["join", &ticket]);
    until_equal(&[&ada, &bob], PATIENCE);
}

#[test]
fn a_peer_that_starts_without_a_network_is_found_when_it_gets_one() {
    let Some(lab) = Lab::open() else { return };
    let [left, right] = lab.hosts();
    let (mut ada, mut bob) = (Peer::on(&left, "ada"), Peer::on(&right, "bob"));
    ada.run(&["space", "new", "garden"]);
    let ticket = ada.invite();
    right.lose_address();
    ada.up();
    bob.up();
    right.settle_in();
    bob.run(&["join", &ticket]);
    until_equal(&[&ada, &bob], PATIENCE);
}
