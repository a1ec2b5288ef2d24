//! What enemies say besides: lies, damaged bytes, floods and guesses.

use super::super::World;
use crate::enemy::lie::{damage, noise, tell};
use crate::enemy::{Hostile, messages};
use crate::network::{Item, PeerNo};
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use reknit_sync::limits::{ANNOUNCE_BYTES_MAX, MESSAGE_BYTES_MAX};
use reknit_sync::{Announce, Message, Opening, PROTOCOL_VERSION};

impl World {
    /// Makes up a message of any kind, and lies in it.
    pub(super) fn lie(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        match hostile.rng.random_range(0..8) {
            0 => return self.lie_about_opening(peer, hostile),
            1 => return self.lie_about_announce(peer, hostile),
            _ => {}
        }
        let all = messages::make_up_all(&mut hostile.rng, &hostile.known);
        let Some(mut message) = all.choose(&mut hostile.rng).cloned() else { return };
        if let Some(field) = tell(&mut message, &mut hostile.rng, &hostile.known) {
            self.count(peer, field);
        }
        self.put_on_a_stream(peer, hostile, message.encode());
    }

    pub(super) fn lie_about_opening(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        let Some(other) = self.victim(peer, hostile) else { return };
        let Some(space) = self.space(peer).cloned() else { return };
        let tag = space.keys.session_tag(self.device(peer), self.device(other));
        let mut opening = Opening { version: PROTOCOL_VERSION, tag, admission: Some(vec![0; 96]) };
        if let Some(field) = tell(&mut opening, &mut hostile.rng, &hostile.known) {
            self.count(peer, field);
        }
        self.knock(peer, other, opening.encode());
    }

    pub(super) fn lie_about_announce(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        let Some(space) = self.space(peer).cloned() else { return };
        let frame = hostile.known.frames.back().cloned();
        let mut announce = Announce::new(hostile.heads(), hostile.rng.random(), frame);
        if let Some(field) = tell(&mut announce, &mut hostile.rng, &hostile.known) {
            self.count(peer, field);
        }
        self.publish_raw(peer, &space, &announce);
    }

    /// Puts damaged bytes on streams.
    pub(super) fn throw(&mut self, peer: PeerNo, hostile: &mut Hostile, count: usize) {
        for _ in 0..count {
            let bytes = match hostile.rng.random_range(0..256) {
                0 => vec![hostile.rng.random(); MESSAGE_BYTES_MAX + 1],
                1..32 => noise(&mut hostile.rng, 4_096),
                32..40 => vec![],
                _ => {
                    let all = messages::make_up_all(&mut hostile.rng, &hostile.known);
                    let mut bytes = all.choose(&mut hostile.rng).map(Message::encode).unwrap_or_default();
                    damage(&mut bytes, &mut hostile.rng);
                    bytes
                }
            };
            self.count(peer, "bytes");
            self.put_on_a_stream(peer, hostile, bytes);
        }
        if hostile.rng.random_ratio(1, 4)
            && let Some(other) = self.victim(peer, hostile)
        {
            let mut bytes = self.enemies.overheard.openings.back().cloned().unwrap_or_default();
            damage(&mut bytes, &mut hostile.rng);
            self.count(peer, "opening bytes");
            self.knock(peer, other, bytes);
        }
    }

    /// Very much at once: in order by itself, mostly.
    pub(super) fn flood(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        let Some(space) = self.space(peer).cloned() else { return };
        let count = hostile.rng.random_range(FLOOD / 4..FLOOD);
        match hostile.rng.random_range(0..4) {
            0 => {
                let Some(other) = self.victim(peer, hostile) else { return };
                let tag = space.keys.session_tag(self.device(peer), self.device(other));
                let opening = Opening { version: PROTOCOL_VERSION, tag, admission: None }.encode();
                self.count(peer, "openings");
                (0..count / 4).for_each(|_| _ = self.knock(peer, other, opening.clone()));
            }
            1 => {
                self.count(peer, "announces");
                for _ in 0..count / 4 {
                    let announce = Announce::new(hostile.heads(), hostile.rng.random(), None);
                    self.publish_raw(peer, &space, &announce);
                }
            }
            2 => {
                self.count(peer, "junk");
                let junk = noise(&mut hostile.rng, ANNOUNCE_BYTES_MAX);
                (0..count / 8).for_each(|_| self.flood_gossip(peer, space.keys.topic(), junk.clone()));
            }
            _ => {
                self.count(peer, "messages");
                let all = messages::make_up_all(&mut hostile.rng, &hostile.known);
                let Some(message) = all.choose(&mut hostile.rng) else { return };
                let Some((stream, side)) = self.streams_of_peer(peer).choose(&mut hostile.rng).copied()
                else {
                    return;
                };
                (0..count).for_each(|_| self.transmit(stream, side, Item::Message(message.encode())));
            }
        }
    }

    /// What somebody says who knows nothing but what it heard.
    pub(super) fn guess(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        let Some(other) = self.victim(peer, hostile) else { return };
        let openings: Vec<Vec<u8>> = self.enemies.overheard.openings.iter().cloned().collect();
        let announces: Vec<_> = self.enemies.overheard.announces.iter().cloned().collect();
        match hostile.rng.random_range(0..4) {
            0 => {
                let mut opening = Opening { version: PROTOCOL_VERSION, tag: [0; 32], admission: None };
                hostile.rng.fill_bytes(&mut opening.tag);
                if hostile.rng.random_bool(0.5) {
                    opening.admission = Some(noise(&mut hostile.rng, 128));
                }
                self.count(peer, "guessed opening");
                self.knock(peer, other, opening.encode());
            }
            1 | 2 => {
                let Some(mut opening) = openings.choose(&mut hostile.rng).cloned() else { return };
                if hostile.rng.random_bool(0.3) {
                    damage(&mut opening, &mut hostile.rng);
                }
                self.count(peer, "replayed opening");
                let Some((stream, side)) = self.knock(peer, other, opening) else { return };
                // Whoever was let in would go on like this.
                for message in messages::make_up_all(&mut hostile.rng, &hostile.known) {
                    self.transmit(stream, side, Item::Message(message.encode()));
                }
            }
            _ => {
                let Some((topic, mut sealed)) = announces.choose(&mut hostile.rng).cloned() else { return };
                if hostile.rng.random_bool(0.5) {
                    damage(&mut sealed, &mut hostile.rng);
                }
                self.count(peer, "replayed announce");
                self.flood_gossip(peer, topic, sealed);
            }
        }
    }
}

/// Messages in one burst.
const FLOOD: usize = 1_000;
