//! Real processes on real networks: each peer in a namespace of its own, on a cable to a switch.

mod absence;
mod addresses;
mod bootstrap;
mod clock;
mod discovery;
mod partition;
mod stranger;

use super::lab::{Host, Lab};
use super::peer::Peer;

/// A space with one peer on each host: all of them are up, are members, and have the same events.
fn together<const N: usize>(hosts: &[Host; N]) -> [Peer; N] {
    let mut peers = std::array::from_fn(|nth| Peer::on(&hosts[nth], NAMES[nth]));
    let (founder, others) = peers.split_first_mut().expect("at least one host");
    founder.up();
    founder.run(&["space", "new", "garden"]);
    let ticket = founder.invite();
    for other in others {
        other.up();
        other.run(&["join", &ticket]);
    }
    let all: Vec<&Peer> = peers.iter().collect();
    super::peer::until_equal(&all, super::peer::PATIENCE);
    peers
}

/// A space with two peers on the two hosts of a new lab.
fn pair(lab: &Lab) -> ([Host; 2], [Peer; 2]) {
    let hosts = lab.hosts();
    let peers = together(&hosts);
    (hosts, peers)
}

/// What people call the devices.
const NAMES: [&str; 5] = ["ada", "bob", "cyd", "dan", "eve"];
