//! What goes out in the place of what an enemy's engine says.

use super::super::World;
use crate::enemy::lie::{damage, tell};
use crate::enemy::{EnemyKind, Hostile};
use crate::network::PeerNo;
use rand::RngExt;
use reknit_sync::{Announce, Message, Opening};

impl World {
    /// What goes out in the place of what an engine says.
    pub(in crate::world) fn as_said(&mut self, peer: PeerNo, message: &Message) -> Vec<Vec<u8>> {
        let Some(mut hostile) = self.enemies.hostile.remove(&peer) else { return vec![message.encode()] };
        let lies = hostile.active && hostile.rng.random_bool(hostile.enemy.lies.clamp(0.0, 1.0));
        if let Message::Events(frame) = message {
            hostile.known.hear_frame(frame.clone());
        }
        let said = if lies { self.twisted(peer, &mut hostile, message) } else { vec![message.encode()] };
        self.enemies.hostile.insert(peer, hostile);
        said
    }

    pub(super) fn twisted(&mut self, peer: PeerNo, hostile: &mut Hostile, message: &Message) -> Vec<Vec<u8>> {
        match hostile.enemy.kind {
            EnemyKind::Liar => match hostile.rng.random_range(0..12) {
                0 => {
                    self.count(peer, "silence");
                    vec![]
                }
                1 => {
                    self.count(peer, "twice");
                    vec![message.encode(); 2]
                }
                _ => {
                    let mut message = message.clone();
                    if let Some(field) = tell(&mut message, &mut hostile.rng, &hostile.known) {
                        self.count(peer, field);
                    }
                    vec![message.encode()]
                }
            },
            EnemyKind::Vandal => {
                let mut bytes = message.encode();
                damage(&mut bytes, &mut hostile.rng);
                self.count(peer, "bytes");
                vec![bytes]
            }
            EnemyKind::Flooder => {
                self.count(peer, "echo");
                vec![message.encode(); hostile.rng.random_range(2..100)]
            }
            EnemyKind::Forger | EnemyKind::Forker | EnemyKind::Stranger => vec![message.encode()],
        }
    }

    /// What goes out in the place of an opening.
    pub(in crate::world) fn as_opened(&mut self, peer: PeerNo, mut opening: Opening) -> Vec<u8> {
        if let Some(hostile) = self.enemies.hostile.get_mut(&peer).filter(|hostile| hostile.active) {
            let mut field = None;
            let lies = hostile.rng.random_bool(hostile.enemy.lies.clamp(0.0, 1.0));
            if hostile.enemy.kind == EnemyKind::Liar && lies {
                field = tell(&mut opening, &mut hostile.rng, &hostile.known);
            }
            field.into_iter().for_each(|field| self.count(peer, field));
        }
        let bytes = opening.encode();
        self.enemies.overheard.hear_opening(&bytes);
        bytes
    }

    /// What is published in the place of an announce.
    pub(in crate::world) fn as_published(
        &mut self,
        peer: PeerNo,
        topic: [u8; 32],
        sealed: Vec<u8>,
    ) -> Vec<u8> {
        let sealed = self.announced(peer, &sealed).unwrap_or(sealed);
        self.enemies.overheard.hear_announce(topic, &sealed);
        sealed
    }

    pub(super) fn announced(&mut self, peer: PeerNo, sealed: &[u8]) -> Option<Vec<u8>> {
        let space = self.space(peer).cloned()?;
        let hostile = self.enemies.hostile.get_mut(&peer).filter(|hostile| hostile.active)?;
        let lies = hostile.rng.random_bool(hostile.enemy.lies.clamp(0.0, 1.0));
        let mut announce = Announce::decode(&space.keys.open_announce(sealed).ok()?).ok()?;
        match hostile.enemy.kind {
            EnemyKind::Liar if lies => {
                let field = tell(&mut announce, &mut hostile.rng, &hostile.known)?;
                self.count(peer, field);
                Some(space.keys.seal_announce(&announce.encode()))
            }
            EnemyKind::Vandal if lies => {
                let mut sealed = sealed.to_vec();
                damage(&mut sealed, &mut hostile.rng);
                self.count(peer, "announce bytes");
                Some(sealed)
            }
            _ => None,
        }
    }
}
