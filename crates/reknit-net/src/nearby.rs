//! Whether peers on the local network can be found at all.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Why multicast DNS reaches nobody from this device's addresses, if so. Sends nothing.
pub(crate) fn unavailable(addresses: impl Iterator<Item = IpAddr>) -> Option<String> {
    let mut reason = "the only interface is loopback".to_owned();
    for address in addresses.filter(|address| !address.is_loopback()) {
        match join(address) {
            Ok(()) => return None,
            Err(error) => reason = format!("no interface takes part in multicast: {error}"),
        }
    }
    Some(reason)
}

/// Joins the group on the interface of an address, which needs no route as joining on any interface would.
fn join(address: IpAddr) -> io::Result<()> {
    match address {
        IpAddr::V4(address) => {
            UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?.join_multicast_v4(&GROUP, &address)
        }
        IpAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?.join_multicast_v6(&GROUP_V6, 0),
    }
}

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_alone_finds_nobody() {
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        assert_eq!(unavailable(loopback.into_iter()).unwrap(), "the only interface is loopback");
        assert!(unavailable(std::iter::empty()).is_some());
    }

    #[test]
    fn an_address_that_no_interface_has_says_why() {
        let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        assert!(unavailable(std::iter::once(elsewhere)).unwrap().contains("no interface takes part"));
    }
}
