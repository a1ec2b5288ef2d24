//! Addresses inside a ticket. The common shapes take 7 bytes (IPv4) or 19 (IPv6) instead of some 34 characters.

use crate::limits::ADDRESS_BYTES_MAX;
use reknit_types::{DecodeError, Reader, Writer};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address as it is packed: an endpoint if its text is exactly that of one, else the text.
enum Packed<'a> {
    Quic(IpAddr, u16),
    Tcp(IpAddr, u16),
    Text(&'a str),
}

/// Whether the text can be carried: short, and printable ASCII without spaces.
pub(super) fn fits(text: &str) -> bool {
    (1..=ADDRESS_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

pub(super) fn encode(text: &str, writer: &mut Writer) {
    match pack(text) {
        Packed::Quic(ip, port) => encode_endpoint((QUIC_IP4, QUIC_IP6), ip, port, writer),
        Packed::Tcp(ip, port) => encode_endpoint((TCP_IP4, TCP_IP6), ip, port, writer),
        Packed::Text(text) => _ = writer.u8(TEXT).str(text),
    }
}

pub(super) fn decode(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let packed = match reader.u8("address")? {
        TEXT => Packed::Text(reader.str(ADDRESS_BYTES_MAX, "address")?),
        tag @ (QUIC_IP4 | TCP_IP4) => {
            let ip = Ipv4Addr::from(reader.array::<4>("address")?).into();
            endpoint(tag == QUIC_IP4, ip, reader)?
        }
        tag @ (QUIC_IP6 | TCP_IP6) => {
            let ip = Ipv6Addr::from(reader.array::<16>("address")?).into();
            endpoint(tag == QUIC_IP6, ip, reader)?
        }
        _ => return Err(DecodeError::Invalid("address")),
    };
    let text = packed.text();
    let canonical = matches!(packed, Packed::Text(_)) == matches!(pack(&text), Packed::Text(_));
    if canonical && fits(&text) { Ok(text) } else { Err(DecodeError::Invalid("address")) }
}

impl Packed<'_> {
    fn text(&self) -> String {
        match self {
            Self::Quic(ip, port) => format!("/{}/{ip}/udp/{port}/quic-v1", family(ip)),
            Self::Tcp(ip, port) => format!("/{}/{ip}/tcp/{port}", family(ip)),
            Self::Text(text) => (*text).to_owned(),
        }
    }
}

fn pack(text: &str) -> Packed<'_> {
    let parts: Vec<_> = text.split('/').collect();
    let packed = match parts.as_slice() {
        ["", "ip4" | "ip6", ip, "udp", port, "quic-v1"] => {
            parse(ip, port).map(|(ip, port)| Packed::Quic(ip, port))
        }
        ["", "ip4" | "ip6", ip, "tcp", port] => parse(ip, port).map(|(ip, port)| Packed::Tcp(ip, port)),
        _ => None,
    };
    packed.filter(|packed| packed.text() == text).unwrap_or(Packed::Text(text))
}

fn parse(ip: &str, port: &str) -> Option<(IpAddr, u16)> {
    Some((ip.parse().ok()?, port.parse().ok()?))
}

fn family(ip: &IpAddr) -> &'static str {
    if ip.is_ipv4() { "ip4" } else { "ip6" }
}

fn endpoint(quic: bool, ip: IpAddr, reader: &mut Reader<'_>) -> Result<Packed<'static>, DecodeError> {
    let port = u16::from_be_bytes(reader.array("port")?);
    Ok(if quic { Packed::Quic(ip, port) } else { Packed::Tcp(ip, port) })
}

fn encode_endpoint((ip4, ip6): (u8, u8), ip: IpAddr, port: u16, writer: &mut Writer) {
    match ip {
        IpAddr::V4(ip) => writer.u8(ip4).raw(&ip.octets()),
        IpAddr::V6(ip) => writer.u8(ip6).raw(&ip.octets()),
    };
    writer.raw(&port.to_be_bytes());
}

const TEXT: u8 = 0;
const QUIC_IP4: u8 = 1;
const TCP_IP4: u8 = 2;
const QUIC_IP6: u8 = 3;
const TCP_IP6: u8 = 4;
