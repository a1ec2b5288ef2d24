//! Host names in addresses, resolved by the system.

use crate::limits;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use std::net::IpAddr;

/// Whether the address starts with a host name.
pub(crate) fn has_name(address: &Multiaddr) -> bool {
    matches!(address.iter().next(), Some(Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_)))
}

/// The addresses with names replaced by what they resolve to, each with the address it came from. Names that do not resolve in
/// time are left out.
pub(crate) async fn resolve(addresses: Vec<Multiaddr>) -> Vec<Multiaddr> {
    let mut resolved = Vec::new();
    for address in addresses {
        if has_name(&address) {
            resolved.extend(resolve_one(&address).await);
        } else {
            resolved.push(address);
        }
    }
    resolved
}

async fn resolve_one(address: &Multiaddr) -> Vec<Multiaddr> {
    let (name, wants): (_, fn(&IpAddr) -> bool) = match address.iter().next() {
        Some(Protocol::Dns(name)) => (name.into_owned(), |_| true),
        Some(Protocol::Dns4(name)) => (name.into_owned(), IpAddr::is_ipv4),
        Some(Protocol::Dns6(name)) => (name.into_owned(), IpAddr::is_ipv6),
        _ => return Vec::new(),
    };
    let lookup = tokio::net::lookup_host((name.as_str(), 0));
    match tokio::time::timeout(limits::RESOLVE_TIMEOUT, lookup).await {
        Ok(Ok(found)) => found
            .map(|found| found.ip())
            .filter(wants)
            .take(limits::RESOLVED_MAX)
            .filter_map(|ip| with_ip(address, ip))
            .collect(),
        Ok(Err(error)) => {
            tracing::warn!(%name, %error, "cannot resolve a host name");
            Vec::new()
        }
        Err(_) => {
            tracing::warn!(%name, "host name did not resolve in time");
            Vec::new()
        }
    }
}

fn with_ip(address: &Multiaddr, ip: IpAddr) -> Option<Multiaddr> {
    address.replace(0, |_| Some(ip.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_become_addresses_and_addresses_stay() {
        let literal: Multiaddr = "/ip4/10.0.0.1/tcp/1".parse().unwrap();
        let named: Multiaddr = "/dns4/localhost/udp/9/quic-v1".parse().unwrap();
        let expected: Multiaddr = "/ip4/127.0.0.1/udp/9/quic-v1".parse().unwrap();
        let resolved = resolve(vec![literal.clone(), named]).await;
        assert_eq!(resolved[0], literal);
        assert!(resolved[1..].contains(&expected), "{resolved:?}");
    }
}
