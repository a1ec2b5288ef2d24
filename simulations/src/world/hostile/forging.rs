//! What members do who hold a key and use it as no engine would.

use super::super::World;
use crate::disk::SimulatedDisk;
use crate::enemy::Hostile;
use crate::enemy::forging::Forge;
use crate::network::{Item, PeerNo};
use crate::peer::{Disk, Peer};
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use reknit_engine::{Incoming, Input, SpaceInfo};
use reknit_sync::{Announce, Frame, Message, frame};
use reknit_types::{DeviceKey, Tip, VerifiedEvent};
use std::sync::Arc;

impl World {
    /// Signs what no engine would write, and gives it to one peer or all.
    pub(super) fn forge(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        let Some(space) = self.space(peer).cloned() else { return };
        let key = self.peers[peer].key.clone();
        let now_ms = self.peers[peer].clock.now_ms(self.now);
        let own = hostile.known.events.iter().rev().filter(|event| event.header().author == key.id());
        let own: Vec<Tip> = own.map(VerifiedEvent::tip).collect();
        // Mostly after what it wrote last, and a few times after something in the middle of its chain or after what was
        // forged last, whatever became of that. Who forks without end is soon not heard any more.
        let last = own.first().copied();
        let branches = hostile.forks_left > 0 && hostile.rng.random_ratio(1, 10);
        hostile.forks_left -= u32::from(branches);
        let prev = match branches {
            true if hostile.rng.random_bool(0.5) => own.choose(&mut hostile.rng).copied(),
            true => hostile.forged.as_ref().map(VerifiedEvent::tip).or(last),
            false => last,
        };
        let stranger = DeviceKey::from_seed(&[0xee; 32]);
        let by_stranger = hostile.rng.random_ratio(1, 16);
        let (key, prev) = if by_stranger { (&stranger, None) } else { (&key, prev) };
        let heads = match branches {
            true => hostile.forged.iter().map(VerifiedEvent::dot).collect(),
            false => hostile.heads(),
        };
        let forge = Forge { space: space.id, keys: &space.keys, key, now_ms, known: &hostile.known };
        let mut rng = hostile.rng.clone();
        let two = branches && hostile.rng.random_bool(0.5);
        let made: Vec<(VerifiedEvent, &'static str)> = if two {
            let plain = |rng: &mut _| forge.plain((prev, &heads), rng).map(|event| (event, "two branches"));
            (0..2).filter_map(|_| plain(&mut rng)).collect()
        } else {
            forge.event((prev, &heads), &mut rng).into_iter().collect()
        };
        hostile.rng = rng;
        for (event, what) in made {
            self.count(peer, if by_stranger { "event.author" } else { what });
            if let Ok(frame) = frame::encode(std::slice::from_ref(&event)) {
                self.take_home(peer, hostile, frame.clone());
                self.hand_out(peer, hostile, (&space, &event, frame));
            }
            hostile.forged = Some(event);
        }
    }

    /// The enemy's own engine goes on after what was forged, if that is in order.
    pub(super) fn take_home(&mut self, peer: PeerNo, hostile: &mut Hostile, frame: Frame) {
        let Some(running) = self.peers[peer].running() else { return };
        let links: Vec<_> = running.contexts.iter().collect();
        let Some((link, context)) = links.choose(&mut hostile.rng) else { return };
        let (link, incoming) = (**link, Incoming::prepare(&Message::Events(frame).encode(), context));
        if matches!(incoming, Incoming::Events { .. }) {
            self.input(peer, Input::Incoming { link, incoming });
        }
    }

    pub(super) fn hand_out(
        &mut self,
        peer: PeerNo,
        hostile: &mut Hostile,
        (space, event, frame): (&Arc<SpaceInfo>, &VerifiedEvent, Frame),
    ) {
        match hostile.rng.random_range(0..6) {
            0 => {
                let announce = Announce::new(vec![event.dot()], hostile.rng.random(), Some(frame));
                self.publish_raw(peer, space, &announce);
            }
            1 => {
                let bytes = Message::Events(frame).encode();
                for (stream, side) in self.streams_of_peer(peer) {
                    self.transmit(stream, side, Item::Message(bytes.clone()));
                }
            }
            _ => self.put_on_a_stream(peer, hostile, Message::Events(frame).encode()),
        }
    }

    /// Copies a device, its key included: the two run at one time.
    pub(super) fn add_twin(&mut self, peer: PeerNo) -> Option<PeerNo> {
        let twin = self.peers.len();
        let disk = match &self.peers[peer].disk {
            Disk::Memory(store) => Disk::Memory(store.clone()),
            Disk::Redb(disk, _) => {
                Disk::Redb(SimulatedDisk::from_image(self.disk_seed(twin), &disk.image()), None)
            }
        };
        self.install(Peer::new(self.peers[peer].key.clone(), disk));
        self.checks.on_hostile(twin);
        self.checks.on_forked(self.peers[twin].id);
        for other in self.network.wanted[peer].clone() {
            self.introduce(other, twin);
        }
        Some(twin)
    }

    /// The two devices of one key write each their own branch, and change places: each has half of the others.
    pub(super) fn fork(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        let Some(twin) = hostile.twin else { return };
        if hostile.turns % TURNS_APART == 1 {
            self.count(peer, "places changed");
            let swapped = (hostile.turns / TURNS_APART) % 2 == 1;
            let honest: Vec<PeerNo> =
                (0..self.peers()).filter(|other| !self.checks.is_hostile(*other)).collect();
            for other in honest {
                let even = (other % 2 == 0) != swapped;
                let (near, far) = if even { (peer, twin) } else { (twin, peer) };
                self.network_changed(|reach| {
                    reach.mend(near, other);
                    reach.cut(far, other);
                });
            }
        }
        for device in [peer, twin] {
            self.count(peer, "a branch");
            let draw = hostile.rng.next_u64();
            self.submit(device, move |tx| {
                tx.create("forks")?.set("by", draw as i64)?.add("count", 1)?;
                Ok(())
            });
        }
    }

    /// Ends what [`World::fork`] did to the network.
    pub(super) fn join_hands(&mut self, device: PeerNo) {
        let others: Vec<PeerNo> = (0..self.peers()).collect();
        self.network_changed(|reach| others.iter().for_each(|other| reach.mend(device, *other)));
    }
}

/// Attacks between one change of places and the next.
const TURNS_APART: u64 = 8;
