//! Connections: dialled, found dead, mended.

use super::{Step, World};
use crate::link::{HANDSHAKE_MAX, IDLE_MAX, PROBE_FIRST, handshake};
use crate::network::{ConnNo, PeerNo, Reach, Route};
use rand::RngExt;
use reknit_engine::Input;
use reknit_types::DeviceId;
use std::time::Duration;

impl World {
    /// A device dials everybody it wants to be connected with, at once: it has just started, or woken up.
    pub(super) fn dial_all(&mut self, peer: PeerNo) {
        let others: Vec<PeerNo> = self.network.wanted[peer].iter().copied().collect();
        for other in others {
            self.dial_soon(peer, other, Duration::ZERO);
        }
    }

    /// From now on the two stay connected as far as the network lets them.
    pub fn introduce(&mut self, a: PeerNo, b: PeerNo) {
        self.network.want(a, b);
        self.dial_soon(a, b, Duration::ZERO);
        self.dial_soon(b, a, Duration::ZERO);
    }

    /// Which of the peers that one is connected with has this device's key. A copied device is reached under one name with
    /// its original.
    pub(super) fn reached_as(&self, peer: PeerNo, device: DeviceId) -> Option<PeerNo> {
        self.network.connected(peer).find(|other| self.device(*other) == device)
    }

    fn dial_soon(&mut self, from: PeerNo, to: PeerNo, wait: Duration) {
        let dialling = self.network.dialling.entry((from, to)).or_default();
        dialling.attempt += 1;
        let attempt = dialling.attempt;
        self.agenda.plan(self.now + wait, Step::Dial { from, to, attempt, probe: 0 });
    }

    pub(super) fn on_dial(&mut self, from: PeerNo, to: PeerNo, attempt: u64, probe: u32) {
        let current =
            self.network.dialling.get(&(from, to)).is_some_and(|dialling| dialling.attempt == attempt);
        if !current || !self.peers[from].acts() {
            return;
        }
        if self.network.newest_conn(from, to).is_some() {
            return self.dialled(from, to);
        }
        let route = self.network.reach.route(from, to).filter(|_| self.peers[to].acts());
        let relay = match route {
            None => None,
            Some(Route::Direct) => Some(None),
            Some(Route::Relay(relay)) => Some(Some(relay)),
        };
        if let Some(relay) = relay {
            let (there, back) = (self.network.path(from, to, relay).0, self.network.path(to, from, relay).0);
            return match handshake(&there, &back, &mut self.network_rng) {
                Some(took) => self.agenda.plan(self.now + took, Step::Connect { from, to, attempt, relay }),
                None => self.dial_failed((from, to), HANDSHAKE_MAX),
            };
        }
        // Nothing answers. The first packet is sent again, each time after twice as long.
        let next = PROBE_FIRST * 2u32.saturating_pow(probe);
        let tried = PROBE_FIRST * (2u32.saturating_pow(probe) - 1);
        if tried + next <= HANDSHAKE_MAX {
            return self.agenda.plan(self.now + next, Step::Dial { from, to, attempt, probe: probe + 1 });
        }
        self.dial_failed((from, to), HANDSHAKE_MAX.saturating_sub(tried));
    }

    /// An attempt fails, or will have failed `after` some time.
    fn dial_failed(&mut self, (from, to): (PeerNo, PeerNo), after: Duration) {
        let now = self.now;
        let dialling = self.network.dialling.entry((from, to)).or_default();
        dialling.failures += 1;
        let lately = dialling.parted.is_some_and(|parted| now < parted + PARTED_RECENTLY);
        let most = if lately { RETRY_PARTED_MAX } else { RETRY_MAX };
        let most = RETRY_MIN.saturating_mul(2u32.saturating_pow(dialling.failures.min(20))).min(most);
        let wait = most.mul_f64(self.network_rng.random_range(0.0..=1.0));
        self.dial_soon(from, to, after + wait.max(Duration::from_millis(1)));
    }

    fn dialled(&mut self, from: PeerNo, to: PeerNo) {
        for pair in [(from, to), (to, from)] {
            let dialling = self.network.dialling.entry(pair).or_default();
            dialling.failures = 0;
            dialling.attempt += 1;
        }
    }

    pub(super) fn on_connect(&mut self, from: PeerNo, to: PeerNo, attempt: u64, relay: Option<usize>) {
        let current =
            self.network.dialling.get(&(from, to)).is_some_and(|dialling| dialling.attempt == attempt);
        if !current {
            return;
        }
        if !self.network.reach.both(from, to) || !self.peers[from].acts() || !self.peers[to].acts() {
            return self.dial_failed((from, to), Duration::ZERO);
        }
        self.dialled(from, to);
        let (fresh_from, fresh_to) = (
            self.reached_as(from, self.device(to)).is_none(),
            self.reached_as(to, self.device(from)).is_none(),
        );
        self.network.add_conn(from, to, relay);
        self.trace.note(self.now, format_args!("{from} connects to {to}"));
        for (at, other, fresh) in [(from, to, fresh_from), (to, from, fresh_to)] {
            if fresh {
                let device = self.device(other);
                self.input(at, Input::Connected { device });
            }
        }
    }

    /// Something in the network changed: connections whose path is cut now stall, and those that are mended go on.
    pub(super) fn network_changed(&mut self, change: impl FnOnce(&mut Reach)) {
        change(&mut self.network.reach);
        let conns: Vec<ConnNo> = self.network.conns.keys().copied().collect();
        for no in conns {
            let Some(conn) = self.network.conns.get(&no) else { continue };
            let whole = self.network.reach.both(conn.ends[0], conn.ends[1]) && conn.gone.is_none();
            match (whole, conn.cut_since) {
                (false, None) => self.stall(no),
                (true, Some(since)) => {
                    // What was lost goes out again when the probe timeout that has grown meanwhile runs out.
                    let stalled = self.now.saturating_sub(since);
                    let wait = stalled.mul_f64(self.network_rng.random_range(0.0..=1.0));
                    self.agenda.plan(self.now + wait.max(Duration::from_millis(1)), Step::Retransmit(no));
                }
                _ => {}
            }
        }
    }

    pub(super) fn stall(&mut self, no: ConnNo) {
        let now = self.now;
        let Some(conn) = self.network.conns.get_mut(&no) else { return };
        conn.cut_since = Some(now);
        self.agenda.plan(now + IDLE_MAX, Step::Idle(no, now));
    }

    pub(super) fn on_retransmit(&mut self, no: ConnNo) {
        let Some(conn) = self.network.conns.get_mut(&no) else { return };
        let ends = conn.ends;
        if conn.gone.is_some() || !self.network.reach.both(ends[0], ends[1]) || conn.cut_since.is_none() {
            return;
        }
        conn.cut_since = None;
        let held = [std::mem::take(&mut conn.held[0]), std::mem::take(&mut conn.held[1])];
        for (side, held) in held.into_iter().enumerate() {
            for arrival in held {
                self.deliver(ends[side], ends[1 - side], arrival);
            }
        }
    }

    pub(super) fn on_idle(&mut self, no: ConnNo, since: Duration) {
        let idle = self.network.conns.get(&no).is_some_and(|conn| conn.cut_since == Some(since));
        if idle {
            self.kill(no, "the connection was lost");
        }
    }

    /// A connection is over. Both ends that are left are told, and dial again.
    pub(super) fn kill(&mut self, no: ConnNo, why: &str) {
        let Some(conn) = self.network.conns.remove(&no) else { return };
        for stream in self.network.streams_of(no) {
            let Some(stream) = self.network.streams.remove(&stream) else { continue };
            for (side, link) in stream.links.iter().enumerate() {
                if let Some(link) = link.filter(|_| conn.gone != Some(conn.ends[side])) {
                    self.cut_link(conn.ends[side], link, why);
                }
            }
        }
        for side in [0, 1] {
            let (at, other) = (conn.ends[side], conn.ends[1 - side]);
            let device = self.device(other);
            if conn.gone != Some(at)
                && self.network.detach(no, at, other)
                && self.reached_as(at, device).is_none()
            {
                self.input(at, Input::Disconnected { device });
            }
        }
        self.trace.note(self.now, format_args!("{} and {} are disconnected", conn.ends[0], conn.ends[1]));
        for side in [0, 1] {
            let (at, other) = (conn.ends[side], conn.ends[1 - side]);
            let wanted = self.network.wanted[at].contains(&other);
            if wanted && self.network.newest_conn(at, other).is_none() {
                let dialling = self.network.dialling.entry((at, other)).or_default();
                dialling.parted = Some(self.now);
                self.dial_soon(at, other, Duration::from_millis(1));
            }
        }
    }

    fn cut_link(&mut self, peer: PeerNo, link: reknit_engine::LinkId, why: &str) {
        let Some(running) = self.peers[peer].running_mut() else { return };
        running.contexts.remove(&link);
        running.unread.remove(&link);
        if running.links.remove(&link).is_some() {
            self.input(peer, Input::Closed { link, why: why.to_owned() });
        }
    }

    /// A device's peer has ended: its own ends of connections are gone at once; others notice when nothing comes back.
    pub(super) fn leave_connections(&mut self, peer: PeerNo) {
        let others: Vec<(PeerNo, Vec<ConnNo>)> = self.network.of_peer[peer]
            .iter()
            .map(|(other, conns)| (*other, conns.iter().copied().collect()))
            .collect();
        for (other, conns) in others {
            for no in conns {
                self.network.detach(no, peer, other);
                let Some(conn) = self.network.conns.get_mut(&no) else { continue };
                if conn.gone.is_some() {
                    // Nobody is left who would miss it.
                    self.network.conns.remove(&no);
                    self.network.streams_of(no).iter().for_each(|stream| {
                        self.network.streams.remove(stream);
                    });
                    continue;
                }
                conn.gone = Some(peer);
                if conn.cut_since.is_none() {
                    self.stall(no);
                }
            }
        }
    }
}

const RETRY_MIN: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(30);
const RETRY_PARTED_MAX: Duration = Duration::from_secs(2);
const PARTED_RECENTLY: Duration = Duration::from_secs(15 * 60);
