//! The world of a simulation: peers, the network between them, and the time.

mod acting;
mod asking;
mod connections;
mod disks;
mod gossip;
mod hostile;
mod joining;
mod rounds;
mod scripted;
mod streams;

pub use asking::{AskError, HOME};

use crate::action::Action;
use crate::agenda::Agenda;
use crate::chance::Chance;
use crate::check::Checks;
use crate::disk::SimulatedDisk;
use crate::enemy::{Enemies, Enemy};
use crate::link::Link;
use crate::network::{Arrival, ConnNo, Network, PeerNo};
use crate::outcome::Timeline;
use crate::peer::{Disk, Peer};
use crate::prepared::Prepared;
use crate::trace::Trace;
use rand_chacha::ChaCha8Rng;
use reknit_access::Ticket;
use reknit_engine::store::MemoryStore;
use reknit_sync::Announce;
use reknit_types::{DeviceId, DeviceKey, VerifiedEvent};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

/// Everything there is.
pub struct World {
    pub(crate) now: Duration,
    pub(crate) chance: Chance,
    pub(crate) peers: Vec<Peer>,
    pub(crate) network: Network,
    pub(crate) trace: Trace,
    pub(crate) checks: Checks,
    pub(crate) traffic: Traffic,
    pub(crate) enemies: Enemies,
    agenda: Agenda<Step>,
    network_rng: ChaCha8Rng,
    numbers: BTreeMap<DeviceId, PeerNo>,
    gossiped: u64,
    disks: Disks,
    prepared: Prepared,
    /// What an app demands of every peer.
    pub(crate) invariants: Vec<Invariant>,
    shifts: Vec<scripted::Shift>,
    /// The ticket that devices join with.
    pub(crate) ticket: Option<Ticket>,
    pub(crate) timeline: Timeline,
    sample_gap: Duration,
}

/// A rule of an app.
#[derive(Clone)]
pub(crate) struct Invariant {
    pub(crate) rule: &'static str,
    pub(crate) holds: Rc<Holds>,
}

/// Says what does not hold at a peer.
type Holds = dyn Fn(&World, PeerNo) -> Result<(), String>;

impl fmt::Debug for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule)
    }
}

/// What peers keep their data on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disks {
    /// The memory store: fast, and untouched by crashes.
    #[default]
    Memory,
    /// The production redb store on a simulated disk.
    Redb,
}

/// What was carried, and how much work it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Traffic {
    /// Messages delivered by streams.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Announces delivered by gossip.
    pub announces: u64,
    /// Their bytes.
    pub announce_bytes: u64,
    /// Events that came to a peer by a stream.
    pub events: u64,
    /// Of those, events that the peer had.
    pub events_again: u64,
    /// Events that a peer took in from others.
    pub delivered: u64,
    /// Rounds of engines.
    pub rounds: u64,
}

impl std::ops::Sub for Traffic {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            messages: self.messages - earlier.messages,
            bytes: self.bytes - earlier.bytes,
            announces: self.announces - earlier.announces,
            announce_bytes: self.announce_bytes - earlier.announce_bytes,
            events: self.events - earlier.events,
            events_again: self.events_again - earlier.events_again,
            delivered: self.delivered - earlier.delivered,
            rounds: self.rounds - earlier.rounds,
        }
    }
}

/// Something that is to happen.
#[derive(Debug)]
enum Step {
    Arrive(Arrival),
    Gossip {
        from: PeerNo,
        to: PeerNo,
        message: Rc<Gossiped>,
    },
    Round(PeerNo, u64),
    Tick(PeerNo, u64),
    Dial {
        from: PeerNo,
        to: PeerNo,
        attempt: u64,
        probe: u32,
    },
    Connect {
        from: PeerNo,
        to: PeerNo,
        attempt: u64,
        relay: Option<usize>,
    },
    /// A connection is dead if nothing has come through since.
    Idle(ConnNo, Duration),
    Retransmit(ConnNo),
    Act(Action),
    Restart(PeerNo),
    Work(usize),
    Turn(PeerNo, Box<Enemy>),
    Attack(PeerNo),
    Sample,
}

/// An announce on its way.
#[derive(Debug)]
struct Gossiped {
    number: u64,
    topic: [u8; 32],
    sealed: Vec<u8>,
    /// What a member makes of it: a pure function of its bytes and the keys of the topic's space.
    opened: OnceCell<Option<(Announce, Vec<VerifiedEvent>)>>,
}

/// A simulation found something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When, since the start.
    pub at: Duration,
    /// The rule that was broken, by a name that stays the same.
    pub rule: &'static str,
    /// What was found.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:.3} s: {}", self.rule, self.at.as_secs_f64(), self.what)
    }
}

impl std::error::Error for Violation {}

impl World {
    pub(crate) fn new(seed: u64, link: Link, disks: Disks, kept: usize) -> Self {
        let chance = Chance::new(seed);
        Self {
            now: Duration::ZERO,
            chance,
            peers: vec![],
            network: Network::new(link),
            trace: Trace::new(kept),
            checks: Checks::new(&chance),
            traffic: Traffic::default(),
            enemies: Enemies::default(),
            agenda: Agenda::new(),
            network_rng: chance.stream("network", 0),
            numbers: BTreeMap::new(),
            gossiped: 0,
            disks,
            prepared: Prepared::default(),
            invariants: vec![],
            shifts: vec![],
            ticket: None,
            timeline: Timeline::default(),
            sample_gap: scripted::SAMPLE_GAP,
        }
    }

    /// The time since the start.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// How many devices there are, running or not.
    pub fn peers(&self) -> usize {
        self.peers.len()
    }

    /// The device of a peer.
    pub fn device(&self, peer: PeerNo) -> DeviceId {
        self.peers[peer].id
    }

    /// What was carried so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// The story so far.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Adds a device and starts it.
    pub fn add_peer(&mut self) -> PeerNo {
        let no = self.peers.len();
        let key = self.device_key(no);
        let disk = match self.disks {
            Disks::Memory => Disk::Memory(MemoryStore::new()),
            Disks::Redb => Disk::Redb(SimulatedDisk::new(self.disk_seed(no)), None),
        };
        self.numbers.insert(key.id(), no);
        self.install(Peer::new(key, disk));
        no
    }

    fn device_key(&self, peer: PeerNo) -> DeviceKey {
        DeviceKey::from_seed(&self.chance.bytes("device", peer as u64))
    }

    fn install(&mut self, peer: Peer) {
        let no = self.peers.len();
        let device = peer.id;
        self.peers.push(peer);
        self.network.add_peer();
        self.checks.add_peer(device);
        self.start(no);
    }

    pub(crate) fn plan(&mut self, at: Duration, step: Action) {
        self.agenda.plan(at, Step::Act(step));
    }

    /// Lets everything happen that is planned until then.
    ///
    /// # Errors
    /// The first [`Violation`] of what must always hold.
    pub fn pass(&mut self, duration: Duration) -> Result<(), Violation> {
        let end = self.now + duration;
        while self.agenda.next_at().is_some_and(|at| at <= end) {
            self.step()?;
        }
        self.now = end;
        Ok(())
    }

    /// Lets things happen until `done` holds; `false` if it did not in that time. It is asked after every step.
    ///
    /// # Errors
    /// As for [`World::pass`].
    pub fn pass_until(
        &mut self,
        longest: Duration,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> Result<bool, Violation> {
        let end = self.now + longest;
        loop {
            if done(self) {
                return Ok(true);
            }
            if self.agenda.next_at().is_none_or(|at| at > end) {
                self.now = end;
                return Ok(false);
            }
            self.step()?;
        }
    }

    fn step(&mut self) -> Result<(), Violation> {
        let Some((at, step)) = self.agenda.take_next() else { return Ok(()) };
        self.now = self.now.max(at);
        match step {
            Step::Arrive(arrival) => self.on_arrival(arrival),
            Step::Gossip { from, to, message } => self.on_gossip(from, to, &message),
            Step::Round(peer, session) => self.on_round(peer, session),
            Step::Tick(peer, session) => self.on_tick(peer, session),
            Step::Dial { from, to, attempt, probe } => self.on_dial(from, to, attempt, probe),
            Step::Connect { from, to, attempt, relay } => self.on_connect(from, to, attempt, relay),
            Step::Idle(conn, since) => self.on_idle(conn, since),
            Step::Retransmit(conn) => self.on_retransmit(conn),
            Step::Act(action) => self.act(&action),
            Step::Restart(peer) => self.on_restart(peer),
            Step::Work(shift) => self.on_work(shift),
            Step::Turn(peer, enemy) => self.turn_hostile(peer, *enemy),
            Step::Attack(peer) => self.on_attack(peer),
            Step::Sample => self.sample(),
        }
        self.checks.verdict(self.now)
    }
}
