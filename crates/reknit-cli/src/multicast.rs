//! Whether this machine can send multicast to itself, which is the least that mDNS needs.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;
use tokio::net::UdpSocket;

/// Sends a datagram to the group of mDNS, on a port of our own, and waits for it to come back.
pub(crate) async fn probe() -> Result<(), String> {
    let failed = |cause: std::io::Error| cause.to_string();
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.map_err(failed)?;
    socket.join_multicast_v4(MDNS_GROUP, Ipv4Addr::UNSPECIFIED).map_err(failed)?;
    socket.set_multicast_loop_v4(true).map_err(failed)?;
    let port = socket.local_addr().map_err(failed)?.port();
    socket.send_to(PROBE, SocketAddrV4::new(MDNS_GROUP, port)).await.map_err(failed)?;
    let heard = async {
        let mut buffer = [0; PROBE.len()];
        while socket.recv_from(&mut buffer).await.map_err(failed)?.0 != PROBE.len() || buffer != *PROBE {}
        Ok(())
    };
    tokio::time::timeout(PATIENCE, heard).await.unwrap_or_else(|_| Err("nothing comes back".to_owned()))
}

const MDNS_GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PROBE: &[u8; 12] = b"reknit probe";
const PATIENCE: Duration = Duration::from_millis(500);
