//! The connections with each device, and which of them to use when there is more than one.
//!
//! Two peers that dial each other at the same moment end up with two connections. Both prefer the same one: direct over
//! relayed, QUIC over TCP, and then the one dialled by the smaller device id. The side that dialled the other one closes it.

use crate::addresses::{Reach, Transport};
use crate::limits;
use libp2p::Multiaddr;
use libp2p::swarm::ConnectionId;
use reknit_types::DeviceId;
use std::collections::BTreeMap;
use std::time::Duration;

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) id: ConnectionId,
    pub(crate) address: Multiaddr,
    pub(crate) transport: Transport,
    pub(crate) ours: bool,
    /// Since when there has been a better one.
    surplus_since: Option<Duration>,
}

impl Link {
    pub(crate) fn new(id: ConnectionId, address: Multiaddr, transport: Transport, ours: bool) -> Self {
        Self { id, address, transport, ours, surplus_since: None }
    }
}

/// What a new or an ended connection means for its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing: another connection is in use.
    None,
    /// The device is connected now.
    Up,
    /// The device is connected still, by another way.
    Moved,
    /// The device is not connected any more.
    Down,
}

/// All connections.
#[derive(Debug)]
pub(crate) struct Links {
    local: DeviceId,
    links: BTreeMap<DeviceId, Vec<Link>>,
}

impl Links {
    pub(crate) fn new(local: DeviceId) -> Self {
        Self { local, links: BTreeMap::new() }
    }

    pub(crate) fn on_up(&mut self, device: DeviceId, link: Link, now: Duration) -> Change {
        let id = link.id;
        let links = self.links.entry(device).or_default();
        links.push(link);
        let first = links.len() == 1;
        self.sort(&device, now);
        match self.best(&device) {
            Some(best) if best.id != id => Change::None,
            _ if first => Change::Up,
            _ => Change::Moved,
        }
    }

    pub(crate) fn on_down(&mut self, device: &DeviceId, id: ConnectionId, now: Duration) -> Change {
        let Some(links) = self.links.get_mut(device) else { return Change::None };
        let Some(at) = links.iter().position(|link| link.id == id) else { return Change::None };
        links.remove(at);
        if links.is_empty() {
            self.links.remove(device);
            return Change::Down;
        }
        self.sort(device, now);
        if at == 0 { Change::Moved } else { Change::None }
    }

    /// The connection to use.
    pub(crate) fn best(&self, device: &DeviceId) -> Option<&Link> {
        self.links.get(device)?.first()
    }

    pub(crate) fn reach(&self, device: &DeviceId) -> Option<Reach> {
        let best = self.best(device)?;
        Some(if best.transport == Transport::Relay { Reach::Relayed } else { Reach::Direct })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Connections of ours that have been surplus long enough, given how many streams each carries.
    pub(crate) fn surplus(
        &self,
        now: Duration,
        streams: impl Fn(ConnectionId) -> usize,
    ) -> Vec<ConnectionId> {
        self.surplus_links()
            .filter(|(link, since)| {
                let grace = if streams(link.id) == 0 { limits::SURPLUS_IDLE } else { limits::SURPLUS_BUSY };
                now >= *since + grace
            })
            .map(|(link, _)| link.id)
            .collect()
    }

    /// When to look at [`Links::surplus`] next.
    pub(crate) fn next_due(&self, now: Duration) -> Option<Duration> {
        self.surplus_links()
            .map(|(_, since)| since + limits::SURPLUS_IDLE)
            .map(|idle| if idle > now { idle } else { now + limits::SURPLUS_IDLE })
            .min()
    }

    fn surplus_links(&self) -> impl Iterator<Item = (&Link, Duration)> {
        self.links
            .values()
            .flat_map(|links| links.iter().skip(1))
            .filter(|link| link.ours)
            .filter_map(|link| link.surplus_since.map(|since| (link, since)))
    }

    /// Best first. The order is the same at both ends but among connections of the same dialler, who decides alone.
    fn sort(&mut self, device: &DeviceId, now: Duration) {
        let ours_wins = self.local < *device;
        let Some(links) = self.links.get_mut(device) else { return };
        links.sort_by_key(|link| (link.transport, link.ours != ours_wins));
        for (at, link) in links.iter_mut().enumerate() {
            link.surplus_since = if at == 0 { None } else { link.surplus_since.or(Some(now)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: DeviceId = DeviceId::from_bytes([1; 32]);
    const LARGE: DeviceId = DeviceId::from_bytes([2; 32]);

    fn link(id: usize, transport: Transport, ours: bool) -> Link {
        Link::new(ConnectionId::new_unchecked(id), "/ip4/10.0.0.1/tcp/1".parse().unwrap(), transport, ours)
    }

    fn ids(links: &[ConnectionId]) -> Vec<String> {
        links.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn simultaneous_dials_leave_the_same_connection_at_both_ends() {
        let (mut small, mut large) = (Links::new(SMALL), Links::new(LARGE));
        // Connection 1 is dialled by SMALL, 2 by LARGE; each end sees its own first.
        assert_eq!(small.on_up(LARGE, link(1, Transport::Quic, true), Duration::ZERO), Change::Up);
        assert_eq!(small.on_up(LARGE, link(2, Transport::Quic, false), Duration::ZERO), Change::None);
        assert_eq!(large.on_up(SMALL, link(2, Transport::Quic, true), Duration::ZERO), Change::Up);
        assert_eq!(large.on_up(SMALL, link(1, Transport::Quic, false), Duration::ZERO), Change::Moved);
        assert_eq!(small.best(&LARGE).unwrap().id, large.best(&SMALL).unwrap().id);
        let later = limits::SURPLUS_IDLE;
        assert!(small.surplus(later, |_| 0).is_empty(), "the other side closes what it dialled");
        assert_eq!(ids(&large.surplus(later, |_| 0)), ["2"]);
    }

    #[test]
    fn surplus_connection_may_finish_its_streams() {
        let mut links = Links::new(LARGE);
        links.on_up(SMALL, link(1, Transport::Tcp, true), Duration::ZERO);
        links.on_up(SMALL, link(2, Transport::Quic, true), Duration::ZERO);
        assert!(links.surplus(limits::SURPLUS_IDLE, |_| 1).is_empty());
        assert_eq!(ids(&links.surplus(limits::SURPLUS_BUSY, |_| 1)), ["1"]);
    }

    #[test]
    fn device_is_down_only_with_its_last_connection() {
        let mut links = Links::new(SMALL);
        links.on_up(LARGE, link(1, Transport::Relay, true), Duration::ZERO);
        assert_eq!(links.reach(&LARGE), Some(Reach::Relayed));
        assert_eq!(links.on_up(LARGE, link(2, Transport::Tcp, false), Duration::ZERO), Change::Moved);
        assert_eq!(links.reach(&LARGE), Some(Reach::Direct));
        let id = ConnectionId::new_unchecked;
        assert_eq!(links.on_down(&LARGE, id(1), Duration::ZERO), Change::None);
        assert_eq!(links.on_down(&LARGE, id(2), Duration::ZERO), Change::Down);
        assert_eq!(links.on_down(&LARGE, id(2), Duration::ZERO), Change::None);
        assert!(links.is_empty());
    }
}
