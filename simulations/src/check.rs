//! What must hold at every step, whatever happens.
//!
//! Each rule has a name. The first that is broken ends the simulation with a [`Violation`].

mod bounds;
mod members;
mod promises;

use crate::chance::Chance;
use crate::disk::SimulatedDisk;
use crate::network::PeerNo;
use crate::peer::Peer;
use crate::people::{Work, entity_id};
use crate::world::{HOME, Violation};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use reknit_engine::store::StoreError;
use reknit_engine::{Committed, EngineError, RequestId, read};
use reknit_sync::Message;
use reknit_sync::limits::{ANNOUNCE_BYTES_MAX, CREDIT_WINDOW_BYTES, MESSAGE_BYTES_MAX};
use reknit_types::limits::{PARENTS_MAX, STAMP_LEAD_MS_MAX};
use reknit_types::{DeviceId, Dot, EntityId, EventId, VerifiedEvent};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The checks of one run, and what they know.
pub(crate) struct Checks {
    broken: Option<(&'static str, String)>,
    /// Causes of every event that travelled.
    causes: BTreeMap<EventId, Vec<EventId>>,
    /// Devices that may not fork their own chains: honest, and their disk neither went back in time nor was copied.
    constant: BTreeSet<DeviceId>,
    /// Those who have no right to any event.
    outsiders: BTreeSet<PeerNo>,
    /// What others were sent under each number of a chain.
    sent: BTreeMap<(DeviceId, u64), EventId>,
    peers: Vec<Watch>,
    /// The sequences that devices wrote whose disks are not what they left.
    forked: BTreeSet<EntityId>,
    roll: members::Roll,
    rng: ChaCha8Rng,
}

/// What is known of one peer.
#[derive(Default)]
struct Watch {
    /// Events it committed, as far as its disk still has them.
    committed: BTreeSet<EventId>,
    /// Events of its own that it acknowledged as durable.
    acknowledged: BTreeSet<Dot>,
    /// It has just started: what is on its disk is not compared yet.
    fresh: bool,
    /// Its disk is not what it left: an older image, a copy, or damaged. What it acknowledged may be gone.
    tampered: bool,
    /// A bit on its disk is wrong.
    damaged: bool,
    /// It lies: nothing that it says of itself is believed.
    hostile: bool,
    promises: promises::Promises,
}

impl Checks {
    pub(crate) fn new(chance: &Chance) -> Self {
        let forked = BTreeSet::new();
        let (causes, sent, roll) = (BTreeMap::new(), BTreeMap::new(), members::Roll::default());
        let (constant, outsiders, rng) = (BTreeSet::new(), BTreeSet::new(), chance.stream("checks", 0));
        Self { broken: None, causes, constant, outsiders, sent, peers: vec![], forked, roll, rng }
    }

    pub(crate) fn add_peer(&mut self, device: DeviceId) {
        self.peers.push(Watch::default());
        self.constant.insert(device);
    }

    pub(crate) fn on_outsider(&mut self, peer: PeerNo) {
        self.outsiders.insert(peer);
    }

    /// Events are given to members only, and to who proves to hold an invite, by members and by who is about to be one.
    pub(crate) fn on_served(&mut self, from: PeerNo, to: PeerNo) {
        if self.outsiders.contains(&to) && !self.is_hostile(from) {
            self.broke("outsiders-get-nothing", || {
                format!("{from} gives events to {to}, which is no member")
            });
        }
    }

    /// The disk of a peer was changed behind its back: what it acknowledged may be gone.
    pub(crate) fn on_tampered(&mut self, peer: PeerNo) {
        self.peers[peer].tampered = true;
        self.forked.insert(entity_id(Work::Sequence, peer as u64));
    }

    pub(crate) fn on_hostile(&mut self, peer: PeerNo) {
        self.peers[peer].hostile = true;
    }

    /// Whether anybody ever was hostile.
    pub(crate) fn knows_hostility(&self) -> bool {
        self.peers.iter().any(|watch| watch.hostile)
    }

    pub(crate) fn is_hostile(&self, peer: PeerNo) -> bool {
        self.peers[peer].hostile
    }

    pub(crate) fn broke(&mut self, rule: &'static str, what: impl FnOnce() -> String) {
        if self.broken.is_none() {
            self.broken = Some((rule, what()));
        }
    }

    /// The first rule that was broken, if any was.
    pub(crate) fn verdict(&self, at: Duration) -> Result<(), Violation> {
        match &self.broken {
            None => Ok(()),
            Some((rule, what)) => Err(Violation { at, rule, what: what.clone() }),
        }
    }

    pub(crate) fn on_started(&mut self, peer: PeerNo) {
        let watch = &mut self.peers[peer];
        watch.fresh = true;
        watch.committed.clear();
        watch.promises.on_restarted();
    }

    pub(crate) fn on_round(&mut self, peer: PeerNo, batch_bytes: usize) {
        if batch_bytes > BATCH_BYTES {
            self.broke("bounded-batch", || format!("a round of {peer} gathered {batch_bytes} bytes"));
        }
    }

    pub(crate) fn on_sent(&mut self, peer: PeerNo, message: &Message, bytes: usize) {
        if bytes > MESSAGE_BYTES_MAX && !self.is_hostile(peer) {
            self.broke("bounded-message", || format!("{peer} sends {bytes} bytes: {message:.100?}"));
        }
    }

    /// A frame is about to be sent, on top of so many bytes that no credit was given for.
    pub(crate) fn on_frame(&mut self, peer: PeerNo, owed: u64) {
        if owed >= CREDIT_WINDOW_BYTES && !self.is_hostile(peer) {
            self.broke("within-credit", || {
                format!("{peer} sends a frame on top of {owed} bytes without credit")
            });
        }
    }

    /// A peer has the receipt of another, and took in nothing in the same round: both had the same then.
    pub(crate) fn on_receipt(&mut self, peer: PeerNo, receipt: [u8; 32], own: Option<[u8; 32]>) {
        if own != Some(receipt) && !self.is_hostile(peer) {
            self.broke("receipt-of-equals", || {
                format!("{peer} takes the receipt {:x?} for one of what it has: {own:x?}", &receipt)
            });
        }
    }

    /// A peer failed. Disks lose and refuse, but what is read back from one that was not tampered with is what was written.
    pub(crate) fn on_failed(&mut self, peer: PeerNo, error: &EngineError) {
        let damaged = matches!(
            error,
            EngineError::Damaged(_)
                | EngineError::Store(StoreError::Corrupt { .. } | StoreError::TooLarge { .. })
        );
        if damaged && !self.peers[peer].damaged {
            self.broke("undamaged", || format!("{peer} stops: {error}"));
        }
    }

    /// What is on the disk of a peer is wrong from now on, and may be found to be.
    pub(crate) fn on_damaged(&mut self, peer: PeerNo) {
        self.on_tampered(peer);
        self.peers[peer].damaged = true;
    }

    pub(crate) fn on_published(&mut self, peer: PeerNo, bytes: usize) {
        if bytes > ANNOUNCE_BYTES_MAX + SEAL_BYTES && !self.is_hostile(peer) {
            self.broke("bounded-announce", || format!("{peer} publishes {bytes} bytes"));
        }
    }

    /// Events came to a peer; how many of them it had.
    pub(crate) fn on_events(&mut self, to: PeerNo, events: &[VerifiedEvent]) -> u64 {
        for event in events {
            self.learn(event);
            self.forks_nothing(event.dot());
        }
        let committed = &self.peers[to].committed;
        events.iter().filter(|event| committed.contains(&event.id())).count() as u64
    }

    /// Notes what an event follows.
    fn learn(&mut self, event: &VerifiedEvent) {
        let (id, header) = (event.id(), event.header());
        if self.causes.contains_key(&id) {
            return;
        }
        if header.parents.len() > PARENTS_MAX {
            self.broke("bounded-parents", || format!("{id:?} has {} parents", header.parents.len()));
        }
        let prev = header.prev.iter().copied();
        self.causes.insert(id, prev.chain(header.parents.iter().copied()).collect());
    }

    /// No device sends two events under one number, whatever happens to its power and its processes.
    fn forks_nothing(&mut self, dot: Dot) {
        let earlier = *self.sent.entry((dot.author, dot.seq)).or_insert(dot.id);
        if earlier != dot.id && self.constant.contains(&dot.author) {
            self.broke("forks-nothing", || {
                format!("{} sent {earlier:?} and then {dot:?} under one number", dot.author.short())
            });
        }
    }

    /// The disk of this device went back in time, or there are two of it, or it lies.
    pub(crate) fn on_forked(&mut self, device: DeviceId) {
        self.constant.remove(&device);
    }

    /// A subscriber is shown an event.
    pub(crate) fn on_committed(&mut self, peer: PeerNo, committed: &Committed, now_ms: u64) {
        let watch = &mut self.peers[peer];
        if committed.space != HOME || watch.hostile {
            return;
        }
        let ahead_ms = committed.stamp.ms().saturating_sub(now_ms);
        if ahead_ms > STAMP_LEAD_MS_MAX && !committed.local {
            self.broke("not-from-the-future", || {
                format!(
                    "{peer} takes in {:?}, whose stamp is {ahead_ms} ms ahead of its clock",
                    committed.event
                )
            });
        }
        let watch = &mut self.peers[peer];
        let id = committed.event.id;
        let fresh = watch.committed.insert(id);
        if watch.fresh {
            return;
        }
        let missing = self.causes.get(&id).and_then(|causes| {
            causes.iter().find(|cause| !self.peers[peer].committed.contains(cause)).copied()
        });
        if !fresh {
            self.broke("shown-once", || format!("{peer} shows {:?} a second time", committed.event));
        }
        if let Some(cause) = missing {
            self.broke("causes-first", || {
                format!("{peer} shows {:?} before its cause {cause:?}", committed.event)
            });
        }
    }

    pub(crate) fn on_acknowledged(&mut self, peer: PeerNo, request: RequestId, dot: Dot) {
        let watch = &mut self.peers[peer];
        if !watch.committed.contains(&dot.id) && !watch.hostile {
            self.broke("committed-first", || {
                format!("{peer} acknowledges {request:?} before {dot:?} is there")
            });
        }
        let watch = &mut self.peers[peer];
        if watch.promises.on_acknowledged(request) {
            watch.acknowledged.insert(dot);
        }
    }

    /// After a round: what a peer that has just started has on its disk, and now and then whether an engine that is
    /// built from it equals the one that runs.
    pub(crate) fn after_round(&mut self, at: PeerNo, peer: &Peer) {
        if self.peers[at].fresh && !self.peers[at].hostile {
            self.compare_disk(at, peer);
        }
        if let Some(running) = peer.running().filter(|_| !self.peers[at].hostile) {
            self.bounded_sessions(at, running);
        }
    }

    /// Whether this is one of the moments at which costly checks are made.
    pub(crate) fn draws(&mut self, one_in: u32) -> bool {
        self.rng.random_ratio(1, one_in)
    }

    /// Everything acknowledged is there. Called on a peer's first round.
    fn compare_disk(&mut self, at: PeerNo, peer: &Peer) {
        let Some(space) = peer.running().and_then(|running| running.spaces.get(&HOME)) else {
            self.peers[at].fresh = false;
            self.lost(at, &BTreeSet::new());
            return;
        };
        let Some(reads) = peer.disk.reads() else { return };
        match read::newest_events(reads, space, usize::MAX) {
            Ok(events) => {
                events.iter().for_each(|event| self.learn(event));
                let there: BTreeSet<EventId> = events.iter().map(VerifiedEvent::id).collect();
                self.lost(at, &there);
                self.peers[at].committed = there;
                self.peers[at].fresh = false;
            }
            // It is read again once the disk is mended, and a store whose commit failed once it is reopened.
            Err(_) if peer.disk.simulated().is_some_and(SimulatedDisk::ails) => {}
            Err(EngineError::Store(StoreError::Stopped)) => {}
            Err(error) => self.broke("readable", || format!("{at} cannot read its own history: {error}")),
        }
    }

    fn lost(&mut self, at: PeerNo, there: &BTreeSet<EventId>) {
        let watch = &mut self.peers[at];
        if std::mem::take(&mut watch.tampered) || watch.damaged {
            watch.promises.on_tampered();
            watch.acknowledged.retain(|dot| there.contains(&dot.id));
        }
        if let Some(dot) = watch.acknowledged.iter().find(|dot| !there.contains(&dot.id)).copied() {
            self.broke("acknowledged-survives", || {
                format!("{at} has lost {dot:?}, which it had acknowledged")
            });
        }
    }

    /// Two views of one peer that must be equal.
    pub(crate) fn compare_rebuilt(&mut self, at: PeerNo, running: &str, rebuilt: &str) {
        if running != rebuilt {
            self.broke("rebuilt-equals-running", || {
                format!("{at} runs with\n{running}\nand would be rebuilt as\n{rebuilt}")
            });
        }
    }
}

/// A round's bound and one more input.
const BATCH_BYTES: usize = 48 * 1024 * 1024;
/// What sealing adds to an announce.
const SEAL_BYTES: usize = 64;
