//! A few engines over memory stores, and messages between them that arrive at once.

use crate::oracle::{Found, differences, expected};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use reknit_access::Role;
use reknit_engine::store::{Durability, MemoryStore, Store as _};
use reknit_engine::{Config, Effects, Engine, Incoming, Input, LinkContext, LinkId, Notice, Output, Reply};
use reknit_engine::{RequestId, SpaceInfo, SpaceNo, SpaceStatus, Tx, TxError, read};
use reknit_sync::{Announce, frame};
use reknit_types::{DeviceId, DeviceKey, VerifiedEvent};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub(super) const HOME: SpaceNo = SpaceNo(1);

pub(super) struct Peer {
    pub(super) key: DeviceKey,
    pub(super) store: MemoryStore,
    engine: Engine,
    info: Option<Arc<SpaceInfo>>,
    replies: Vec<Reply>,
}

pub(super) struct World {
    pub(super) peers: Vec<Peer>,
    pub(super) now_ms: u64,
    pub(super) rng: ChaCha20Rng,
    connected: BTreeSet<(usize, usize)>,
    links: BTreeMap<(usize, LinkId), (usize, LinkId)>,
    contexts: BTreeMap<(usize, LinkId), LinkContext>,
    queue: VecDeque<(usize, Input)>,
    sent: VecDeque<((usize, LinkId), Vec<u8>)>,
    next_link: u64,
}

impl World {
    /// Peers that are all members of one space, connected and equal.
    pub(super) fn family(seed: u64, count: usize) -> Self {
        let mut world = Self {
            peers: vec![],
            now_ms: 1_700_000_000_000,
            rng: ChaCha20Rng::seed_from_u64(seed),
            connected: BTreeSet::new(),
            links: BTreeMap::new(),
            contexts: BTreeMap::new(),
            queue: VecDeque::new(),
            sent: VecDeque::new(),
            next_link: 1 << 32,
        };
        for _ in 0..count {
            let key = DeviceKey::generate(&mut world.rng);
            let peer = world.boot(key, MemoryStore::new());
            world.peers.push(peer);
        }
        let request = RequestId(0);
        world.input(0, Input::Create { request, name: "home".into() });
        (1..count).for_each(|at| world.connect(0, at));
        world.input(0, Input::Invite { request, space: HOME, role: Role::Writer, expires_ms: None });
        let ticket = world.peers[0].replies.pop();
        let Some(Reply::Ticket(ticket)) = ticket else { panic!("no ticket: {ticket:?}") };
        (1..count).for_each(|at| world.input(at, Input::Join { request, ticket: ticket.clone() }));
        world.connect_all();
        world.converge();
        world
    }

    fn boot(&mut self, device: DeviceKey, store: MemoryStore) -> Peer {
        let rng = ChaCha20Rng::seed_from_u64(self.rng.random());
        let config = Config { device: device.clone(), device_name: device.id().short(), rng };
        let engine = Engine::open(config, &store).unwrap();
        Peer { key: device, store, engine, info: None, replies: vec![] }
    }

    /// Starts a peer again, over this store, cut off.
    pub(super) fn restart(&mut self, at: usize, store: MemoryStore) {
        self.disconnect(at);
        let key = self.peers[at].key.clone();
        self.peers[at] = self.boot(key, store);
        self.input(at, Input::Tick);
    }

    pub(super) fn connect(&mut self, a: usize, b: usize) {
        if self.connected.insert((a, b)) && self.connected.insert((b, a)) {
            let (one, other) = (self.id(a), self.id(b));
            self.queue.push_back((a, Input::Connected { device: other }));
            self.queue.push_back((b, Input::Connected { device: one }));
        }
        self.run();
    }

    pub(super) fn connect_all(&mut self) {
        for a in 0..self.peers.len() {
            (0..a).for_each(|b| self.connect(a, b));
        }
    }

    /// Cuts a peer off.
    pub(super) fn disconnect(&mut self, at: usize) {
        let others: Vec<usize> =
            (0..self.peers.len()).filter(|other| self.connected.contains(&(at, *other))).collect();
        for other in others {
            self.connected.remove(&(at, other));
            self.connected.remove(&(other, at));
            let (one, two) = (self.id(at), self.id(other));
            self.queue.push_back((at, Input::Disconnected { device: two }));
            self.queue.push_back((other, Input::Disconnected { device: one }));
        }
        let cut: Vec<_> = self
            .links
            .iter()
            .filter(|(near, far)| near.0 == at || far.0 == at)
            .map(|(near, _)| *near)
            .collect();
        for near in cut {
            self.links.remove(&near);
            self.queue.push_front((near.0, Input::Closed { link: near.1, why: "cut".into() }));
        }
        self.run();
    }

    fn id(&self, at: usize) -> DeviceId {
        self.peers[at].key.id()
    }

    pub(super) fn input(&mut self, at: usize, input: Input) {
        self.queue.push_back((at, input));
        self.run();
    }

    /// Runs a transaction; what is wrong with it is its own affair.
    pub(super) fn transact(
        &mut self,
        at: usize,
        run: impl FnOnce(&mut Tx<'_>) -> Result<(), TxError> + Send + 'static,
    ) {
        self.now_ms += self.rng.random_range(0..3);
        let (request, durability) = (RequestId(0), Durability::Durable);
        self.input(at, Input::Transact { request, space: HOME, run: Box::new(run), durability });
    }

    fn run(&mut self) {
        loop {
            if let Some((at, input)) = self.queue.pop_front() {
                self.round(at, input);
            } else if let Some((near, bytes)) = self.sent.pop_front() {
                if let (Some((at, link)), Some(context)) =
                    (self.links.get(&near), self.links.get(&near).and_then(|far| self.contexts.get(far)))
                {
                    let incoming = Incoming::prepare(&bytes, context);
                    self.queue.push_back((*at, Input::Incoming { link: *link, incoming }));
                }
            } else {
                return;
            }
        }
    }

    fn round(&mut self, at: usize, input: Input) {
        let peer = &mut self.peers[at];
        let mut effects = Effects::default();
        peer.engine.handle(self.now_ms, input, &peer.store, &mut effects).unwrap();
        peer.engine.settle(self.now_ms, &peer.store, &mut effects).unwrap();
        peer.store.commit(std::mem::take(&mut effects.batch), Durability::Durable).unwrap();
        effects.outputs.into_iter().for_each(|output| self.release(at, output));
    }

    fn release(&mut self, at: usize, output: Output) {
        match output {
            Output::Reply { reply: Ok(reply), .. } => self.peers[at].replies.push(reply),
            Output::Open { link, device, opening, context } => {
                let other = self.peers.iter().position(|peer| peer.key.id() == device).unwrap();
                self.next_link += 2;
                let (near, far) = ((at, link), (other, LinkId(self.next_link + 1)));
                self.links.extend([(near, far), (far, near)]);
                self.contexts.insert(near, context);
                self.queue.push_back((other, Input::Opened { link: far.1, device: self.id(at), opening }));
            }
            Output::Accept { link, context } => _ = self.contexts.insert((at, link), context),
            Output::Send { link, message } => self.sent.push_back(((at, link), message.encode())),
            Output::Close { link, reason } => {
                if let Some(far) = self.links.remove(&(at, link)) {
                    self.links.remove(&far);
                    self.queue.push_back((far.0, Input::Closed { link: far.1, why: reason.to_string() }));
                }
            }
            Output::Notice(Notice::Space(info)) => self.peers[at].info = Some(info),
            _ => {}
        }
    }

    /// Lets time pass until all peers have the same events.
    pub(super) fn converge(&mut self) {
        self.connect_all();
        for _ in 0..1_000 {
            let digests: BTreeSet<_> =
                (0..self.peers.len()).map(|at| self.status(at).frontier_digest).collect();
            let joined = (0..self.peers.len()).all(|at| self.info(at).role.is_some());
            if digests.len() == 1 && joined {
                return;
            }
            self.now_ms += 100;
            (0..self.peers.len()).for_each(|at| self.input(at, Input::Tick));
        }
        panic!("the peers do not converge");
    }

    pub(super) fn info(&self, at: usize) -> Arc<SpaceInfo> {
        self.peers[at].info.clone().unwrap()
    }

    pub(super) fn status(&mut self, at: usize) -> SpaceStatus {
        self.input(at, Input::Inspect { request: RequestId(0), space: HOME });
        match self.peers[at].replies.pop() {
            Some(Reply::Status(status)) => *status,
            // It has not heard of the space yet.
            other => panic!("no status: {other:?}"),
        }
    }

    pub(super) fn events(&self, at: usize) -> Vec<VerifiedEvent> {
        read::newest_events(&self.peers[at].store, &self.info(at), usize::MAX).unwrap()
    }

    /// Hands a peer events as if they came with an announce.
    pub(super) fn hand(&mut self, at: usize, from: usize, events: &[VerifiedEvent]) {
        let frame = frame::encode(events).unwrap();
        let info = self.info(at);
        let events = frame::decode_verified(frame.as_bytes(), info.id, &*info.keys).unwrap();
        let heads = events.last().map(VerifiedEvent::dot).into_iter().collect();
        let announce = Announce { heads, frontier_digest: [0; 32], frame: Some(frame) };
        let from = self.id(from);
        self.input(at, Input::Gossip { space: HOME, from, announce, events });
    }

    /// Where a peer differs from what its events make.
    pub(super) fn differences(&mut self, at: usize) -> Vec<String> {
        let (status, info) = (self.status(at), self.info(at));
        let expected = expected(&self.events(at)).unwrap();
        differences(&expected, &Found { reads: &self.peers[at].store, space: &info, status: &status })
    }

    pub(super) fn assert_as_expected(&mut self) {
        for at in 0..self.peers.len() {
            let differences = self.differences(at);
            assert!(differences.is_empty(), "peer {at}:\n{}", differences.join("\n"));
        }
    }
}
