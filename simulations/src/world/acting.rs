//! Actions carried out.

use super::World;
use crate::action::Action;
use crate::disk::Crash;
use crate::enemy::Enemy;
use crate::network::PeerNo;
use crate::outcome::Mark;
use rand::seq::IndexedRandom;

impl World {
    /// Does this now.
    pub fn act(&mut self, action: &Action) {
        self.trace.note(self.now, format_args!("{action:?}"));
        let (at_s, what) = (self.now.as_secs_f64(), action.to_string());
        self.timeline.mark(Mark { at_s, what, peers: action.peers(), kind: action.kind() });
        match action {
            Action::Partition(groups) => self.network_changed(|reach| reach.partition(groups)),
            Action::Cut(from, to) => self.network_changed(|reach| reach.cut(*from, *to)),
            Action::Mend(from, to) => self.network_changed(|reach| reach.mend(*from, *to)),
            Action::Heal => self.network_changed(super::super::network::Reach::heal),
            Action::Links(link) => self.network.set_all_links(*link),
            Action::Link(a, b, link) => {
                self.network.set_link(*a, *b, *link);
                self.network.set_link(*b, *a, *link);
            }
            Action::GossipLoss(loss) => self.network.gossip_loss = *loss,
            Action::Nat(peer, nat) => self.network.reach.set_nat(*peer, *nat),
            Action::Relays(relays) => self.network.reach.set_relays(*relays),
            Action::Kill(peer) => {
                if self.peers[*peer].running().is_some() {
                    self.end(*peer, "killed", Crash::Process);
                }
            }
            Action::Start(peer) => self.on_restart(*peer),
            Action::Join => self.join_one(),
            Action::Leave(peer) => self.leave(*peer),
            Action::Power(_)
            | Action::PowerAfter(..)
            | Action::DiskFull(_)
            | Action::SyncFails(..)
            | Action::DiskBreaks(..)
            | Action::MendDisk(_)
            | Action::FlipBit(_)
            | Action::Backup(_)
            | Action::Restore(_)
            | Action::Copy(_) => self.act_on_disk(action),
            Action::Sleep(peer) => self.sleep(*peer),
            Action::Wake(peer) => self.wake(*peer),
            Action::TurnHostile(peer, kind) => self.turn_hostile(*peer, Enemy::new(*kind)),
            Action::Jump(peer, by_ms) => {
                let now = self.now;
                self.peers[*peer].clock.jump(now, *by_ms);
                self.clock_changed(*peer);
            }
            Action::Drift(peer, ppm) => {
                let now = self.now;
                self.peers[*peer].clock.drift(now, *ppm);
                self.clock_changed(*peer);
            }
        }
    }

    /// A new device joins with the ticket that everybody had, and gets to know a few who are up.
    fn join_one(&mut self) {
        let Some(ticket) = self.ticket.clone() else { return };
        let there: Vec<PeerNo> = (0..self.peers()).filter(|peer| self.peers[*peer].acts()).collect();
        let peer = self.add_peer();
        let known: Vec<PeerNo> = there.sample(&mut self.network_rng, KNOWN_AT_FIRST).copied().collect();
        known.into_iter().for_each(|other| self.introduce(other, peer));
        self.begin_join(peer, &ticket);
    }

    fn leave(&mut self, peer: PeerNo) {
        if self.peers[peer].running().is_some() {
            self.end(peer, "left", Crash::Process);
        }
        self.peers[peer].left = true;
    }

    /// Everything that was broken is whole again, and everybody who has not left runs and is awake. How bad links are, and
    /// how many announces are lost, stays as it is: peers have to become equal all the same.
    pub(crate) fn restore_order(&mut self) {
        self.act(&Action::Heal);
        for peer in (0..self.peers()).filter(|peer| !self.peers[*peer].left).collect::<Vec<_>>() {
            self.peers[peer].loses_power = false;
            if let Some(disk) = self.peers[peer].disk.simulated() {
                disk.mend();
            }
            if self.peers[peer].running().is_none() {
                self.act(&Action::Start(peer));
            } else if !self.peers[peer].acts() {
                self.act(&Action::Wake(peer));
            }
        }
    }

    fn sleep(&mut self, peer: PeerNo) {
        let Some(running) = self.peers[peer].running_mut() else { return };
        running.asleep = true;
        running.round_planned = false;
        running.tick_planned = None;
        // Its radio is off: packets to it are lost until it wakes.
        let conns = self.network.of_peer[peer].values().flatten().copied().collect::<Vec<_>>();
        conns.into_iter().for_each(|conn| {
            if self.network.conns.get(&conn).is_some_and(|conn| conn.cut_since.is_none()) {
                self.stall(conn);
            }
        });
    }

    fn wake(&mut self, peer: PeerNo) {
        let Some(running) = self.peers[peer].running_mut().filter(|running| running.asleep) else { return };
        running.asleep = false;
        // Timers that ran out meanwhile go off.
        self.input(peer, reknit_engine::Input::Tick);
        self.network_changed(|_| {});
        self.dial_all(peer);
    }

    /// Timers are by the device's clock: they are set anew.
    fn clock_changed(&mut self, peer: PeerNo) {
        if let Some(running) = self.peers[peer].running_mut() {
            running.tick_planned = None;
            self.input(peer, reknit_engine::Input::Tick);
        }
    }
}

/// Peers that a new device gets to know at first.
const KNOWN_AT_FIRST: usize = 3;
