//! What a network needs to know to start.

use libp2p::Multiaddr;
use zeroize::Zeroizing;

/// How to start a [`Net`](crate::Net).
pub struct NetConfig {
    /// The device's Ed25519 seed. Wiped when the configuration is dropped.
    pub secret: Zeroizing<[u8; 32]>,
    /// Where to listen. By default every interface, QUIC and TCP, on ports of the system's choosing.
    pub listen: Vec<Multiaddr>,
    /// Bootstrap nodes, each ending in `/p2p/<peer id>`. Host names (`/dns`, `/dns4`, `/dns6`) are resolved on each dial.
    pub bootstrap: Vec<Multiaddr>,
    /// Whether to look for peers, and to be found, on the local network.
    pub mdns: bool,
}

impl NetConfig {
    /// The defaults for this device: listen on every interface, look for peers nearby, no bootstrap node.
    pub fn new(secret: [u8; 32]) -> Self {
        Self { secret: Zeroizing::new(secret), listen: everywhere(), bootstrap: Vec::new(), mdns: true }
    }

    /// Loopback only, without discovery: for tests and for several peers on one machine.
    pub fn loopback(secret: [u8; 32]) -> Self {
        let listen = parse(&["/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"]);
        Self { secret: Zeroizing::new(secret), listen, bootstrap: Vec::new(), mdns: false }
    }
}

impl std::fmt::Debug for NetConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetConfig")
            .field("listen", &self.listen)
            .field("bootstrap", &self.bootstrap)
            .field("mdns", &self.mdns)
            .finish_non_exhaustive()
    }
}

/// Every interface, QUIC and TCP, IPv4 and IPv6.
pub fn everywhere() -> Vec<Multiaddr> {
    parse(&["/ip4/0.0.0.0/udp/0/quic-v1", "/ip4/0.0.0.0/tcp/0", "/ip6/::/udp/0/quic-v1", "/ip6/::/tcp/0"])
}

fn parse(addresses: &[&str]) -> Vec<Multiaddr> {
    addresses.iter().filter_map(|address| address.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_addresses_all_parse() {
        assert_eq!(NetConfig::new([1; 32]).listen.len(), 4);
        assert_eq!(NetConfig::loopback([1; 32]).listen.len(), 2);
    }

    #[test]
    fn debug_output_keeps_the_secret() {
        assert!(!format!("{:?}", NetConfig::new([231; 32])).contains("231"));
    }
}
