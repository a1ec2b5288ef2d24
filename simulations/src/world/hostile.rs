//! Enemies at work: when they begin and end, what they see, and whom they attack.

mod forging;
mod lying;
mod saying;

use super::{Step, World};
use crate::chance::exponential;
use crate::disk::Crash;
use crate::enemy::{Enemy, EnemyKind, Hostile};
use crate::network::{Item, PeerNo, StreamNo};
use crate::outcome::{Mark, MarkKind};
use crate::scenario::seconds;
use rand::seq::IndexedRandom;
use reknit_access::{INVITE_SEED_BYTES, InviteSecret};
use reknit_engine::{Input, Notice, SpaceInfo, Why};
use reknit_sync::{Announce, frame};
use reknit_types::DeviceId;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

impl World {
    /// These devices attack, for `longest` or however long each says.
    pub(crate) fn beset(&mut self, enemies: &[Enemy]) {
        let members: Vec<PeerNo> = (0..self.peers()).collect();
        for enemy in enemies {
            let at = if enemy.kind == EnemyKind::Stranger {
                (0..enemy.count).map(|_| self.add_stranger(&members)).collect()
            } else {
                enemy.at.clone()
            };
            for peer in at {
                let from = self.now + seconds(enemy.from);
                self.agenda.plan(from, Step::Turn(peer, Box::new(enemy.clone())));
            }
        }
    }

    /// A device that knows where to find peers, and of their space a ticket without the secret of its invite.
    fn add_stranger(&mut self, others: &[PeerNo]) -> PeerNo {
        let stranger = self.add_peer();
        self.checks.on_hostile(stranger);
        self.checks.on_forked(self.peers[stranger].id);
        self.checks.on_outsider(stranger);
        others.iter().for_each(|other| self.introduce(*other, stranger));
        if let Some(mut ticket) = self.ticket.clone() {
            ticket.invite_secret = InviteSecret::from_seed([7; INVITE_SEED_BYTES]);
            self.begin_join(stranger, &ticket);
        }
        stranger
    }

    /// A peer attacks from now on.
    pub(super) fn turn_hostile(&mut self, peer: PeerNo, enemy: Enemy) {
        if peer >= self.peers() {
            return;
        }
        self.trace.note(self.now, format_args!("{peer} turns hostile: {}", enemy.kind));
        self.mark(peer, format!("{peer} turns hostile: {}", enemy.kind));
        self.checks.on_hostile(peer);
        self.checks.on_forked(self.peers[peer].id);
        let until = enemy.until.map(|until| self.now + seconds((until - enemy.from).max(0.0)));
        let rng = self.chance.stream("enemy", peer as u64);
        let mut hostile = Hostile::new(enemy, until, rng);
        if hostile.enemy.kind == EnemyKind::Forker {
            hostile.twin = self.add_twin(peer);
        }
        self.enemies.hostile.insert(peer, hostile);
        self.plan_attack(peer);
    }

    /// Whether an enemy still attacks.
    pub(crate) fn is_beset(&self) -> bool {
        self.enemies.hostile.values().any(|hostile| hostile.active)
    }

    /// How often each field, or whatever else, was attacked so far.
    pub fn attacks(&self) -> &BTreeMap<&'static str, u64> {
        &self.enemies.told
    }

    /// What honest peers did about attacks, by why.
    pub fn answers(&self) -> &BTreeMap<String, u64> {
        &self.enemies.answers
    }

    /// An honest peer tells of what came from an enemy.
    pub(super) fn note_answer(&mut self, peer: PeerNo, notice: &Notice) {
        let answer = match notice {
            Notice::Refused { reason, .. } => format!("refused: {}", variant(reason)),
            Notice::Unlinked { device, why: Why::Closed(reason), .. } if self.is_enemy(device) => {
                format!("closed: {}", variant(reason))
            }
            Notice::Held { .. } => "held".to_owned(),
            _ => return,
        };
        if self.checks.knows_hostility() && !self.checks.is_hostile(peer) {
            *self.enemies.answers.entry(answer).or_default() += 1;
        }
    }

    fn is_enemy(&self, device: &DeviceId) -> bool {
        (0..self.peers()).any(|peer| self.checks.is_hostile(peer) && self.device(peer) == *device)
    }

    fn plan_attack(&mut self, peer: PeerNo) {
        let Some(hostile) = self.enemies.hostile.get_mut(&peer) else { return };
        let wait = seconds(exponential(&mut hostile.rng) / hostile.enemy.per_second);
        let at = self.now.saturating_add(wait);
        let at = hostile.until.map_or(at, |until| at.min(until));
        if at < Duration::MAX {
            self.agenda.plan(at, Step::Attack(peer));
        }
    }

    pub(super) fn on_attack(&mut self, peer: PeerNo) {
        let Some(mut hostile) = self.enemies.hostile.remove(&peer) else { return };
        let over = hostile.until.is_some_and(|until| self.now >= until);
        if over {
            self.give_up(peer, &mut hostile);
        } else if self.peers[peer].acts() {
            self.learn(peer, &mut hostile);
            self.attack(peer, &mut hostile);
        }
        self.enemies.hostile.insert(peer, hostile);
        if !over {
            self.plan_attack(peer);
        }
    }

    fn mark(&mut self, peer: PeerNo, what: String) {
        let at_s = self.now.as_secs_f64();
        self.timeline.mark(Mark { at_s, what, peers: vec![peer], kind: MarkKind::Other });
    }

    fn give_up(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        hostile.active = false;
        self.trace.note(self.now, format_args!("{peer} attacks no more"));
        self.mark(peer, format!("{peer} attacks no more"));
        let devices = [Some(peer), hostile.twin];
        for device in devices.into_iter().flatten() {
            self.join_hands(device);
            if hostile.enemy.leaves && self.peers[device].running().is_some() {
                self.end(device, "the enemy is gone", Crash::Process);
            }
        }
    }

    fn attack(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        hostile.turns += 1;
        self.come_again(peer);
        match hostile.enemy.kind {
            EnemyKind::Liar => self.lie(peer, hostile),
            EnemyKind::Vandal => self.throw(peer, hostile, 1),
            EnemyKind::Flooder => self.flood(peer, hostile),
            EnemyKind::Forger => self.forge(peer, hostile),
            EnemyKind::Forker => self.fork(peer, hostile),
            EnemyKind::Stranger => self.guess(peer, hostile),
        }
    }

    /// An enemy does not wait until its engine would try again whoever ended the session.
    fn come_again(&mut self, peer: PeerNo) {
        if self.streams_of_peer(peer).len() < self.network.connected(peer).count() {
            for other in self.network.connected(peer).collect::<Vec<_>>() {
                let device = self.device(other);
                let conns = self.network.of_peer[peer].get(&other).cloned().unwrap_or_default();
                let linked = self.streams_of_peer(peer).into_iter().any(|(stream, _)| {
                    self.network.streams.get(&stream).is_some_and(|stream| conns.contains(&stream.conn))
                });
                if !linked {
                    self.input(peer, Input::Disconnected { device });
                    self.input(peer, Input::Connected { device });
                }
            }
        }
    }

    fn count(&mut self, peer: PeerNo, what: &'static str) {
        *self.enemies.told.entry(what).or_default() += 1;
        self.trace.note(self.now, format_args!("{peer} attacks: {what}"));
    }

    /// An enemy looks around, now and then.
    fn learn(&mut self, peer: PeerNo, hostile: &mut Hostile) {
        let now = self.now;
        let seldom = hostile.enemy.kind != EnemyKind::Forger;
        if seldom && hostile.known.at.is_some_and(|at| now < at + LEARN_EVERY) {
            return;
        }
        let mut events = self.newest(peer, EVENTS_KNOWN).unwrap_or_default();
        events.reverse();
        let devices = (0..self.peers()).map(|peer| self.device(peer)).collect();
        for event in events.iter().filter(|event| event.signature().is_some()).rev().take(4) {
            if let Ok(frame) = frame::encode(std::slice::from_ref(event)) {
                hostile.known.hear_frame(frame);
            }
        }
        hostile.known.learn(events, devices, now);
    }

    /// The streams that the engine of a peer talks on.
    fn streams_of_peer(&self, peer: PeerNo) -> Vec<(StreamNo, usize)> {
        let links = self.peers[peer].running().map(|running| &running.links);
        links.into_iter().flat_map(|links| links.values().copied()).collect()
    }

    fn put_on_a_stream(&mut self, peer: PeerNo, hostile: &mut Hostile, bytes: Vec<u8>) {
        let streams = self.streams_of_peer(peer);
        if let Some((stream, side)) = streams.choose(&mut hostile.rng).copied() {
            self.transmit(stream, side, Item::Message(bytes));
        }
    }

    fn publish_raw(&mut self, peer: PeerNo, space: &Arc<SpaceInfo>, announce: &Announce) {
        let sealed = space.keys.seal_announce(&announce.encode());
        self.flood_gossip(peer, space.keys.topic(), sealed);
    }

    /// Somebody to attack: connected, and no enemy.
    fn victim(&self, peer: PeerNo, hostile: &mut Hostile) -> Option<PeerNo> {
        let honest = |other: &PeerNo| !self.checks.is_hostile(*other);
        let victims: Vec<PeerNo> = self.network.connected(peer).filter(honest).collect();
        victims.choose(&mut hostile.rng).copied()
    }

    /// Opens a stream that no engine knows of here.
    fn knock(&mut self, peer: PeerNo, other: PeerNo, opening: Vec<u8>) -> Option<(StreamNo, usize)> {
        let conn = self.network.newest_conn(peer, other)?;
        let side = self.network.conns.get(&conn)?.side(peer);
        let stream = self.network.add_stream(conn);
        self.transmit(stream, side, Item::Opening(opening));
        Some((stream, side))
    }
}

/// The name of a variant.
fn variant(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    // Of a refusal by rights, what rights.
    words.take(if text.starts_with("Access") { 2 } else { 1 }).collect::<Vec<_>>().join(" ")
}

const EVENTS_KNOWN: usize = 64;
const LEARN_EVERY: Duration = Duration::from_secs(1);
