//! How devices come to be members before a simulation begins.

use super::{AskError, World};
use crate::network::{ConnNo, PeerNo};
use crate::peer::{Disk, Peer};
use reknit_access::Ticket;
use reknit_engine::RequestId;
use reknit_engine::store::MemoryStore;
use std::time::Duration;

impl World {
    /// Waits until a peer has joined.
    pub(crate) fn joined(&mut self, peer: PeerNo, request: RequestId) -> Result<(), AskError> {
        let mut reply = None;
        self.pass_until(JOIN_MAX, |world| {
            reply = reply.take().or_else(|| world.take_reply(peer, request));
            reply.is_some()
        })?;
        reply.ok_or(AskError::NoAnswer { peer })?.map_err(AskError::Refused).map(drop)
    }

    /// Lets devices join one after the other, each on a copy of what the founder has, and then gives all of them what the
    /// founder has in the end.
    pub(crate) fn join_as_copies(&mut self, peers: usize, ticket: &Ticket) -> Result<(), AskError> {
        let first = self.glance(FOUNDER).map_or(0, |glance| glance.events);
        for (events, peer) in (first + 1..).zip(1..peers) {
            let key = self.device_key(peer);
            let disk = Disk::Memory(self.memory(FOUNDER));
            self.numbers.insert(key.id(), peer);
            self.install(Peer::new(key, disk));
            self.introduce(FOUNDER, peer);
            let request = self.begin_join(peer, ticket).ok_or(AskError::NotRunning { peer })?;
            self.joined(peer, request)?;
            let told = self.pass_until(JOIN_MAX, |world| {
                world.glance(FOUNDER).is_some_and(|glance| glance.events >= events)
            })?;
            if !told {
                return Err(AskError::NoAnswer { peer: FOUNDER });
            }
            self.part(FOUNDER, peer);
            self.peers[peer].state = crate::peer::State::Down("not begun".to_owned());
        }
        let whole = self.memory(FOUNDER);
        for peer in 1..peers {
            self.peers[peer].disk = Disk::Memory(whole.clone());
            self.start(peer);
        }
        Ok(())
    }

    fn memory(&self, peer: PeerNo) -> MemoryStore {
        match &self.peers[peer].disk {
            Disk::Memory(store) => store.clone(),
            Disk::Redb(..) => MemoryStore::new(),
        }
    }

    /// The two are disconnected, and do not want to be connected any more.
    fn part(&mut self, a: PeerNo, b: PeerNo) {
        self.network.wanted[a].remove(&b);
        self.network.wanted[b].remove(&a);
        let conns: Vec<ConnNo> = self.network.of_peer[a].get(&b).into_iter().flatten().copied().collect();
        conns.into_iter().for_each(|conn| self.kill(conn, "parted"));
    }
}

const FOUNDER: PeerNo = 0;
const JOIN_MAX: Duration = Duration::from_secs(600);
