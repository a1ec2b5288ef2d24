//! Gossip: a hint that is flooded, and may be lost, doubled, late, or out of order.

use super::{Gossiped, Step, World};
use crate::network::PeerNo;
use rand::RngExt;
use rand::seq::IndexedRandom;
use reknit_engine::Input;
use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

impl World {
    /// A peer tells everybody it is connected with; they tell others.
    pub(super) fn publish(&mut self, peer: PeerNo, topic: [u8; 32], sealed: Vec<u8>) {
        let sealed = self.as_published(peer, topic, sealed);
        self.flood_gossip(peer, topic, sealed);
    }

    pub(super) fn flood_gossip(&mut self, peer: PeerNo, topic: [u8; 32], sealed: Vec<u8>) {
        self.gossiped += 1;
        self.checks.on_published(peer, sealed.len());
        let message = Rc::new(Gossiped { number: self.gossiped, topic, sealed, opened: OnceCell::new() });
        if let Some(running) = self.peers[peer].running_mut() {
            running.sees_gossip(message.number);
        }
        let others: Vec<PeerNo> = self.network.connected(peer).collect();
        others.into_iter().for_each(|other| self.pass_on(peer, other, &message));
    }

    fn pass_on(&mut self, from: PeerNo, to: PeerNo, message: &Rc<Gossiped>) {
        let link = *self.network.link(from, to);
        let copies =
            1 + usize::from(link.duplication > 0.0 && self.network_rng.random_bool(link.duplication));
        for _ in 0..copies {
            let loss = 1.0 - (1.0 - link.loss) * (1.0 - self.network.gossip_loss);
            if loss > 0.0 && self.network_rng.random_bool(loss.min(1.0)) {
                continue;
            }
            let mut takes = link.latency.draw(&mut self.network_rng);
            if let Some(bandwidth) = link.bandwidth {
                takes += Duration::from_secs_f64(message.sealed.len() as f64 / bandwidth.max(1) as f64);
            }
            if link.reordering > 0.0 && self.network_rng.random_bool(link.reordering) {
                takes = takes.mul_f64(self.network_rng.random_range(1.0..10.0));
            }
            let step = Step::Gossip { from, to, message: Rc::clone(message) };
            self.agenda.plan(self.now + takes, step);
        }
    }

    pub(super) fn on_gossip(&mut self, from: PeerNo, to: PeerNo, message: &Rc<Gossiped>) {
        if !self.network.reach.both(from, to) || !self.peers[to].acts() {
            return;
        }
        self.traffic.announces += 1;
        self.traffic.announce_bytes += message.sealed.len() as u64;
        let device = self.device(from);
        let Some(running) = self.peers[to].running_mut() else { return };
        if !running.sees_gossip(message.number) {
            return;
        }
        // Only who follows the topic passes it on.
        let Some(no) = running.topics.get(&message.topic).copied() else { return };
        let Some(info) = running.spaces.get(&no) else { return };
        let opened = message.opened.get_or_init(|| info.open_announce(&message.sealed));
        if let Some((announce, events)) = opened.clone() {
            self.checks.on_events(to, &events);
            self.input(to, Input::Gossip { space: no, from: device, announce, events });
        }
        let others: Vec<PeerNo> = self.network.connected(to).filter(|other| *other != from).collect();
        let chosen: Vec<PeerNo> = others.sample(&mut self.network_rng, MESH_DEGREE).copied().collect();
        chosen.into_iter().for_each(|other| self.pass_on(to, other, message));
    }
}

/// Neighbours that a peer passes a message on to (gossipsub's D).
const MESH_DEGREE: usize = 6;
