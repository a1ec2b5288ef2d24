//! Whether peers on the local network can be found at all.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

/// Why multicast DNS cannot work here, if so. Sends nothing.
pub(crate) fn unavailable() -> Option<String> {
    match route_to_group() {
        Ok(from) if from.ip().is_loopback() => Some("the only interface is loopback".to_owned()),
        Ok(_) => None,
        Err(error) => Some(format!("no interface takes part in multicast: {error}")),
    }
}

/// The local address from which multicast DNS would be sent.
fn route_to_group() -> io::Result<SocketAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.join_multicast_v4(&GROUP, &Ipv4Addr::UNSPECIFIED)?;
    socket.connect((GROUP, PORT))?;
    socket.local_addr()
}

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: u16 = 5353;
