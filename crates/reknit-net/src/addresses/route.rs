//! What an address says: by which transport, and whether it is one we may dial.

use crate::NetError;
use crate::limits;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

/// How a connection travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// QUIC, directly.
    Quic,
    /// TCP with Noise and Yamux, directly.
    Tcp,
    /// A circuit through a relay.
    Relay,
}

impl Transport {
    /// The transport an address leads through.
    pub(crate) fn of(address: &Multiaddr) -> Self {
        if address.iter().any(|part| matches!(part, Protocol::P2pCircuit)) {
            Self::Relay
        } else if address.iter().any(|part| matches!(part, Protocol::QuicV1)) {
            Self::Quic
        } else {
            Self::Tcp
        }
    }
}

/// Who told us an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The user, or a ticket: host names may be resolved.
    Given,
    /// Another peer: only literal addresses.
    Heard,
}

/// The address without the trailing `/p2p/` of `peer`, if it is one we may dial to reach `peer`.
pub(crate) fn dialable(address: &Multiaddr, peer: &PeerId, trust: Trust) -> Option<Multiaddr> {
    if address.len() > limits::ADDRESS_BYTES_MAX {
        return None;
    }
    let mut bare = address.clone();
    match bare.iter().last()? {
        Protocol::P2p(last) if last == *peer => drop(bare.pop()),
        Protocol::P2p(_) => return None,
        _ => {}
    }
    let mut parts = bare.iter();
    base(&mut parts, trust)?;
    match parts.next() {
        None => Some(bare),
        Some(Protocol::P2p(relay)) if relay != *peer => match (parts.next(), parts.next()) {
            (Some(Protocol::P2pCircuit), None) => Some(bare),
            _ => None,
        },
        Some(_) => None,
    }
}

/// Checks host and transport; leaves `parts` behind them.
fn base<'a>(parts: &mut impl Iterator<Item = Protocol<'a>>, trust: Trust) -> Option<()> {
    match parts.next()? {
        Protocol::Ip4(ip) if !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast() => {}
        Protocol::Ip6(ip) if !ip.is_unspecified() && !ip.is_multicast() => {}
        Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) if trust == Trust::Given => {}
        _ => return None,
    }
    match parts.next()? {
        Protocol::Tcp(port) if port != 0 => Some(()),
        Protocol::Udp(port) if port != 0 => matches!(parts.next()?, Protocol::QuicV1).then_some(()),
        _ => None,
    }
}

/// The peer id an address ends in, and the address before it.
pub(crate) fn split_peer(address: &Multiaddr) -> Result<(PeerId, Multiaddr), NetError> {
    let mut bare = address.clone();
    match bare.pop() {
        Some(Protocol::P2p(peer)) => match dialable(&bare, &peer, Trust::Given) {
            Some(bare) => Ok((peer, bare)),
            None => Err(NetError::BadAddress(address.clone())),
        },
        _ => Err(NetError::BadBootstrap(address.clone())),
    }
}

/// Whether the address is of this machine only.
pub(crate) fn is_loopback(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.is_loopback(),
        Some(Protocol::Ip6(ip)) => ip.is_loopback(),
        _ => false,
    }
}

/// Whether the address can be reached from anywhere, as far as one can tell from its look.
pub(crate) fn is_global(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => {
            let shared = ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1]);
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || shared)
        }
        Some(Protocol::Ip6(ip)) => {
            !(ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(seed: u8) -> PeerId {
        crate::device::keypair_of(&[seed; 32]).unwrap().public().to_peer_id()
    }

    fn check(address: &str, trust: Trust) -> Option<String> {
        dialable(&address.parse().unwrap(), &peer(1), trust).map(|address| address.to_string())
    }

    #[test]
    fn only_literal_addresses_are_taken_from_others() {
        assert!(check("/ip4/10.0.0.1/udp/4001/quic-v1", Trust::Heard).is_some());
        assert!(check("/ip6/fd00::2/tcp/4001", Trust::Heard).is_some());
        assert!(check("/dns4/example.com/tcp/4001", Trust::Given).is_some());
        assert!(check("/dns4/example.com/tcp/4001", Trust::Heard).is_none());
    }

    #[test]
    fn addresses_that_lead_nowhere_are_refused() {
        for address in [
            "/ip4/0.0.0.0/tcp/1",
            "/ip4/1.2.3.4/tcp/0",
            "/ip4/224.0.0.1/udp/1/quic-v1",
            "/memory/7",
            "/ip4/1.2.3.4/udp/9",
        ] {
            assert_eq!(check(address, Trust::Given), None, "{address}");
        }
    }

    #[test]
    fn peer_id_is_stripped_or_must_match() {
        let own = format!("/ip4/10.0.0.1/tcp/1/p2p/{}", peer(1));
        assert_eq!(check(&own, Trust::Heard).as_deref(), Some("/ip4/10.0.0.1/tcp/1"));
        assert_eq!(check(&format!("/ip4/10.0.0.1/tcp/1/p2p/{}", peer(2)), Trust::Heard), None);
    }

    #[test]
    fn circuit_goes_through_another_peer() {
        let via = |relay: u8| format!("/ip4/10.0.0.1/tcp/1/p2p/{}/p2p-circuit/p2p/{}", peer(relay), peer(1));
        let circuit = check(&via(2), Trust::Heard).unwrap();
        assert_eq!(Transport::of(&circuit.parse().unwrap()), Transport::Relay);
        assert_eq!(check(&via(1), Trust::Heard), None);
    }
}
