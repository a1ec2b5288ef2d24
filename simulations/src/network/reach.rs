//! Whether packets of one device reach another: partitions, one-way links, network address translation, relays.

use super::PeerNo;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a device's router does (RFC 4787, section 4.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nat {
    /// Nothing: whoever knows the address reaches it.
    #[default]
    Open,
    /// The same outer address for every peer (endpoint-independent mapping): reachable after hole punching.
    Cone,
    /// Another outer address for every peer: reaches open devices only, and all others over a relay.
    Symmetric,
}

/// Who reaches whom.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reach {
    nat: Vec<Nat>,
    /// Every device is in one part; parts do not reach each other. None: there is no partition.
    parts: Option<BTreeMap<PeerNo, BTreeSet<usize>>>,
    /// Directions that are cut.
    cut: BTreeSet<(PeerNo, PeerNo)>,
    /// How many relays stand in the open.
    relays: usize,
}

/// How one device gets to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    Direct,
    Relay(usize),
}

impl Reach {
    pub(crate) fn add_peer(&mut self) {
        self.nat.push(Nat::Open);
    }

    pub(crate) fn set_nat(&mut self, peer: PeerNo, nat: Nat) {
        self.nat[peer] = nat;
    }

    pub(crate) fn set_relays(&mut self, relays: usize) {
        self.relays = relays;
    }

    /// Devices reach each other if they share a part; a device that is named in none reaches nobody, one that is named in
    /// several is a bridge.
    pub(crate) fn partition(&mut self, groups: &[Vec<PeerNo>]) {
        let mut parts: BTreeMap<PeerNo, BTreeSet<usize>> = BTreeMap::new();
        for (number, group) in groups.iter().enumerate() {
            group.iter().for_each(|peer| _ = parts.entry(*peer).or_default().insert(number));
        }
        self.parts = Some(parts);
    }

    /// Packets from one no longer reach the other. The way back stays as it is.
    pub(crate) fn cut(&mut self, from: PeerNo, to: PeerNo) {
        self.cut.insert((from, to));
    }

    pub(crate) fn mend(&mut self, from: PeerNo, to: PeerNo) {
        self.cut.remove(&(from, to));
    }

    /// Everybody's packets reach everybody again, as far as routers let them.
    pub(crate) fn heal(&mut self) {
        self.parts = None;
        self.cut.clear();
    }

    /// Whether packets get through in both directions.
    pub(crate) fn both(&self, a: PeerNo, b: PeerNo) -> bool {
        self.one_way(a, b) && self.one_way(b, a)
    }

    pub(crate) fn one_way(&self, from: PeerNo, to: PeerNo) -> bool {
        let shared = self.parts.as_ref().is_none_or(|parts| match (parts.get(&from), parts.get(&to)) {
            (Some(a), Some(b)) => !a.is_disjoint(b),
            _ => false,
        });
        shared && !self.cut.contains(&(from, to))
    }

    /// How a dial gets from one to the other, if it does.
    pub(crate) fn route(&self, a: PeerNo, b: PeerNo) -> Option<Route> {
        if !self.both(a, b) {
            return None;
        }
        match (self.nat[a], self.nat[b]) {
            (Nat::Open, _) | (_, Nat::Open) => Some(Route::Direct),
            // Hole punching is arranged over a relay.
            (Nat::Cone, Nat::Cone) if self.relays > 0 => Some(Route::Direct),
            _ if self.relays > 0 => Some(Route::Relay((a + b) % self.relays)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(peers: usize) -> Reach {
        let mut reach = Reach::default();
        (0..peers).for_each(|_| reach.add_peer());
        reach
    }

    #[test]
    fn parts_do_not_reach_each_other_but_over_a_bridge() {
        let mut reach = reach(5);
        reach.partition(&[vec![0, 1, 2], vec![2, 3]]);
        assert!(reach.both(0, 1) && reach.both(0, 2) && reach.both(2, 3));
        assert!(!reach.both(0, 3) && !reach.both(4, 0) && !reach.both(4, 3));
        reach.heal();
        assert!(reach.both(0, 3));
    }

    #[test]
    fn a_cut_is_one_way() {
        let mut reach = reach(2);
        reach.cut(0, 1);
        assert!(!reach.one_way(0, 1) && reach.one_way(1, 0) && !reach.both(0, 1));
        assert_eq!(reach.route(1, 0), None);
    }

    #[test]
    fn routers_that_hide_devices_are_passed_by_relays() {
        let mut reach = reach(4);
        reach.set_nat(1, Nat::Cone);
        reach.set_nat(2, Nat::Cone);
        reach.set_nat(3, Nat::Symmetric);
        assert_eq!(reach.route(0, 3), Some(Route::Direct));
        assert_eq!((reach.route(1, 2), reach.route(1, 3)), (None, None));
        reach.set_relays(1);
        assert_eq!((reach.route(1, 2), reach.route(1, 3)), (Some(Route::Direct), Some(Route::Relay(0))));
    }
}
