//! What to ask of bootstrap nodes, and when: registrations, discoveries, and a reservation at their relay.
//!
//! A state machine without IO: time is an argument.

use crate::limits;
use data_encoding::BASE32_NOPAD;
use libp2p::PeerId;
use libp2p::core::transport::ListenerId;
use libp2p::rendezvous::{Cookie, Namespace};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A namespace as the application names it: 32 bytes that mean nothing to strangers.
pub type NamespaceId = [u8; 32];

/// Something to ask a bootstrap node now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    Register {
        node: PeerId,
        namespace: NamespaceId,
    },
    Discover {
        node: PeerId,
        namespace: NamespaceId,
        cookie: Option<Cookie>,
    },
    /// Listen through the node's relay. The answer is [`Rendezvous::on_reserving`].
    Reserve {
        node: PeerId,
    },
}

/// The bootstrap nodes and the namespaces announced there.
#[derive(Debug, Default)]
pub(crate) struct Rendezvous {
    nodes: BTreeMap<PeerId, Node>,
    namespaces: BTreeSet<NamespaceId>,
}

#[derive(Debug)]
enum Node {
    Down,
    Up { circuit: Circuit, plans: BTreeMap<NamespaceId, Plan> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Circuit {
    At(Duration),
    Listening(Option<ListenerId>),
}

#[derive(Debug)]
struct Plan {
    register_at: Duration,
    registered: bool,
    discover_at: Duration,
    interval: Duration,
    cookie: Option<Cookie>,
}

impl Plan {
    fn new(now: Duration) -> Self {
        let interval = limits::DISCOVER_INTERVAL.0;
        Self { register_at: now, registered: false, discover_at: now, interval, cookie: None }
    }
}

impl Rendezvous {
    pub(crate) fn new(nodes: impl IntoIterator<Item = PeerId>) -> Self {
        Self {
            nodes: nodes.into_iter().map(|node| (node, Node::Down)).collect(),
            namespaces: BTreeSet::new(),
        }
    }

    pub(crate) fn is_node(&self, peer: &PeerId) -> bool {
        self.nodes.contains_key(peer)
    }

    /// Announces us in a namespace. False when there are too many.
    pub(crate) fn announce(&mut self, namespace: NamespaceId, now: Duration) -> bool {
        if !self.namespaces.contains(&namespace) && self.namespaces.len() >= limits::NAMESPACES_MAX {
            return false;
        }
        if self.namespaces.insert(namespace) {
            self.each_up(|plans| drop(plans.insert(namespace, Plan::new(now))));
        }
        true
    }

    /// Ends an announcement. Returns the nodes to tell.
    pub(crate) fn stop(&mut self, namespace: &NamespaceId) -> Vec<PeerId> {
        self.namespaces.remove(namespace);
        self.each_up(|plans| drop(plans.remove(namespace)));
        self.nodes.iter().filter(|(_, node)| matches!(node, Node::Up { .. })).map(|(peer, _)| *peer).collect()
    }

    pub(crate) fn on_up(&mut self, peer: &PeerId, now: Duration) {
        let plans = self.namespaces.iter().map(|namespace| (*namespace, Plan::new(now))).collect();
        if let Some(node) = self.nodes.get_mut(peer) {
            *node = Node::Up { circuit: Circuit::At(now), plans };
        }
    }

    pub(crate) fn on_down(&mut self, peer: &PeerId) {
        if let Some(node) = self.nodes.get_mut(peer) {
            *node = Node::Down;
        }
    }

    /// Our own addresses changed: registrations that failed for want of one may work now. (Those that stand are renewed
    /// by libp2p itself.)
    pub(crate) fn on_addresses_changed(&mut self, now: Duration) {
        self.each_up(|plans| {
            for plan in plans.values_mut().filter(|plan| !plan.registered) {
                plan.register_at = plan.register_at.min(now);
            }
        });
    }

    /// The network changed, or we came back: ask often again.
    pub(crate) fn on_network_change(&mut self, now: Duration) {
        self.each_up(|plans| {
            for plan in plans.values_mut() {
                plan.interval = limits::DISCOVER_INTERVAL.0;
                plan.discover_at = plan.discover_at.min(now);
            }
        });
    }

    pub(crate) fn on_registered(&mut self, node: &PeerId, namespace: &NamespaceId) {
        if let Some(plan) = self.plan(node, namespace) {
            plan.registered = true;
        }
    }

    pub(crate) fn on_register_failed(&mut self, node: &PeerId, namespace: &NamespaceId, now: Duration) {
        if let Some(plan) = self.plan(node, namespace) {
            plan.registered = false;
            plan.register_at = now + limits::BOOTSTRAP_RETRY;
        }
    }

    /// A discovery was answered. Returns its namespace, if it is one of ours.
    pub(crate) fn on_discovered(&mut self, node: &PeerId, cookie: Cookie) -> Option<NamespaceId> {
        let namespace = namespace_id(cookie.namespace()?)?;
        self.plan(node, &namespace)?.cookie = Some(cookie);
        Some(namespace)
    }

    pub(crate) fn on_discover_failed(&mut self, node: &PeerId, namespace: &NamespaceId) {
        if let Some(plan) = self.plan(node, namespace) {
            plan.cookie = None;
        }
    }

    /// We listen, or could not, through the node's relay.
    pub(crate) fn on_reserving(&mut self, node: &PeerId, listener: Option<ListenerId>, now: Duration) {
        if let Some(Node::Up { circuit, .. }) = self.nodes.get_mut(node) {
            *circuit = match listener {
                Some(listener) => Circuit::Listening(Some(listener)),
                None => Circuit::At(now + limits::BOOTSTRAP_RETRY),
            };
        }
    }

    /// A listener ended. If it was one through a relay, it is set up again after a while.
    pub(crate) fn on_listener_closed(&mut self, listener: ListenerId, now: Duration) {
        for node in self.nodes.values_mut() {
            if let Node::Up { circuit, .. } = node
                && *circuit == Circuit::Listening(Some(listener))
            {
                *circuit = Circuit::At(now + limits::BOOTSTRAP_RETRY);
            }
        }
    }

    /// What to ask now.
    pub(crate) fn take_due(&mut self, now: Duration) -> Vec<Ask> {
        let mut asks = Vec::new();
        for (peer, node) in &mut self.nodes {
            let Node::Up { circuit, plans } = node else { continue };
            if let Circuit::At(at) = *circuit
                && at <= now
            {
                *circuit = Circuit::Listening(None);
                asks.push(Ask::Reserve { node: *peer });
            }
            for (namespace, plan) in plans {
                plan.take_due(*peer, *namespace, now, &mut asks);
            }
        }
        asks
    }

    /// When [`Rendezvous::take_due`] has something to do next.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let due = |node: &Node| match node {
            Node::Down => None,
            Node::Up { circuit, plans } => {
                let circuit = match circuit {
                    Circuit::At(at) => Some(*at),
                    Circuit::Listening(_) => None,
                };
                plans.values().map(|plan| plan.register_at.min(plan.discover_at)).chain(circuit).min()
            }
        };
        self.nodes.values().filter_map(due).min()
    }

    fn plan(&mut self, node: &PeerId, namespace: &NamespaceId) -> Option<&mut Plan> {
        match self.nodes.get_mut(node)? {
            Node::Down => None,
            Node::Up { plans, .. } => plans.get_mut(namespace),
        }
    }

    fn each_up(&mut self, mut change: impl FnMut(&mut BTreeMap<NamespaceId, Plan>)) {
        for node in self.nodes.values_mut() {
            if let Node::Up { plans, .. } = node {
                change(plans);
            }
        }
    }
}

impl Plan {
    fn take_due(&mut self, node: PeerId, namespace: NamespaceId, now: Duration, asks: &mut Vec<Ask>) {
        if self.register_at <= now {
            self.register_at = now + limits::REGISTRATION_TTL / 2;
            asks.push(Ask::Register { node, namespace });
        }
        if self.discover_at <= now {
            self.discover_at = now + self.interval;
            self.interval = (self.interval * 2).min(limits::DISCOVER_INTERVAL.1);
            asks.push(Ask::Discover { node, namespace, cookie: self.cookie.clone() });
        }
    }
}

pub(crate) fn namespace(id: &NamespaceId) -> Option<Namespace> {
    Namespace::new(BASE32_NOPAD.encode(id).to_ascii_lowercase()).ok()
}

/// The namespace behind a name, unless it is not one of ours.
pub(crate) fn namespace_id(name: &Namespace) -> Option<NamespaceId> {
    BASE32_NOPAD.decode(name.to_string().to_ascii_uppercase().as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: NamespaceId = [3; 32];

    fn node() -> PeerId {
        crate::device::keypair_of(&[5; 32]).unwrap().public().to_peer_id()
    }

    fn up() -> Rendezvous {
        let mut rendezvous = Rendezvous::new([node()]);
        assert!(rendezvous.announce(N, Duration::ZERO));
        assert_eq!(rendezvous.take_due(Duration::ZERO), [], "there is no one to ask");
        rendezvous.on_up(&node(), Duration::ZERO);
        rendezvous
    }

    #[test]
    fn node_that_comes_up_is_asked_for_everything() {
        let mut rendezvous = up();
        let asks = rendezvous.take_due(Duration::ZERO);
        let register = Ask::Register { node: node(), namespace: N };
        let discover = Ask::Discover { node: node(), namespace: N, cookie: None };
        assert_eq!(asks, [Ask::Reserve { node: node() }, register, discover]);
        assert_eq!(rendezvous.next_due(), Some(limits::DISCOVER_INTERVAL.0));
    }

    #[test]
    fn discoveries_grow_rarer_and_carry_the_cookie() {
        let mut rendezvous = up();
        rendezvous.take_due(Duration::ZERO);
        let cookie = Cookie::for_namespace(namespace(&N).unwrap());
        assert_eq!(rendezvous.on_discovered(&node(), cookie.clone()), Some(N));
        let first = rendezvous.next_due().unwrap();
        let asks = rendezvous.take_due(first);
        assert_eq!(asks, [Ask::Discover { node: node(), namespace: N, cookie: Some(cookie) }]);
        assert_eq!(rendezvous.next_due(), Some(first + limits::DISCOVER_INTERVAL.0 * 2));
        rendezvous.on_network_change(first);
        assert_eq!(rendezvous.next_due(), Some(first));
    }

    #[test]
    fn refused_registration_and_lost_circuit_are_tried_again() {
        let mut rendezvous = up();
        rendezvous.take_due(Duration::ZERO);
        rendezvous.on_register_failed(&node(), &N, Duration::ZERO);
        let listener = ListenerId::next();
        rendezvous.on_reserving(&node(), Some(listener), Duration::ZERO);
        rendezvous.on_listener_closed(listener, Duration::ZERO);
        let asks = rendezvous.take_due(limits::BOOTSTRAP_RETRY);
        assert!(asks.contains(&Ask::Reserve { node: node() }));
        assert!(asks.contains(&Ask::Register { node: node(), namespace: N }));
    }

    #[test]
    fn registration_is_renewed_before_it_ends() {
        let mut rendezvous = up();
        rendezvous.take_due(Duration::ZERO);
        rendezvous.on_registered(&node(), &N);
        let asks = rendezvous.take_due(limits::REGISTRATION_TTL - Duration::from_secs(1));
        assert!(asks.contains(&Ask::Register { node: node(), namespace: N }));
    }

    #[test]
    fn namespaces_are_bounded_and_survive_their_string_form() {
        let mut rendezvous = Rendezvous::default();
        for n in 0..=limits::NAMESPACES_MAX {
            let id = [u8::try_from(n).unwrap(); 32];
            assert_eq!(rendezvous.announce(id, Duration::ZERO), n < limits::NAMESPACES_MAX);
            assert_eq!(namespace_id(&namespace(&id).unwrap()), Some(id));
        }
    }
}
