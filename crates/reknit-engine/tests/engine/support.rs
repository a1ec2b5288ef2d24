//! Several peers in one process: engines over memory stores, ordered streams of encoded messages between them, gossip
//! that gets lost, and virtual time. Everything follows from one seed.

mod asking;
mod slow;
mod streams;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use reknit_access::Role;
use reknit_engine::journal::{Opening, Recorder};
use reknit_engine::store::{Durability, MemoryStore, Store, View};
use reknit_engine::{
    Config, Effects, Engine, EngineError, Input, LinkContext, LinkId, Notice, Numbers, Output, Reply,
    RequestId, SpaceInfo, SpaceNo,
};
use reknit_types::{DeviceId, DeviceKey, Dot, EventId, Name};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What comes through a stream.
#[derive(Debug, Clone)]
enum Item {
    Opening(Vec<u8>),
    Message(Vec<u8>),
    End(String),
}

/// One end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    peer: usize,
    link: LinkId,
}

/// A peer: what survives a restart, and what does not.
pub(crate) struct Peer {
    pub(crate) store: MemoryStore,
    pub(crate) engine: Engine,
    pub(crate) key: DeviceKey,
    /// What its generator of chance was seeded with when it started.
    pub(crate) seed: u64,
    pub(crate) skew_ms: i64,
    pub(crate) notices: Vec<Notice>,
    pub(crate) spaces: BTreeMap<SpaceNo, Arc<SpaceInfo>>,
    /// Events admitted since it started.
    pub(crate) admitted: BTreeSet<EventId>,
    /// What it was fed since it started.
    pub(crate) journal: Vec<u8>,
    recorder: Recorder,
    /// A redacted journal, if one is kept.
    pub(crate) story: Option<(Recorder, Vec<u8>)>,
    replies: BTreeMap<RequestId, Result<Reply, EngineError>>,
    contexts: BTreeMap<LinkId, LinkContext>,
    next_request: u64,
    next_link: u64,
}

/// All peers, what lies between them, and the time.
pub(crate) struct World {
    pub(crate) peers: Vec<Peer>,
    pub(crate) now_ms: u64,
    pub(crate) rng: ChaCha20Rng,
    /// Announces are lost with this probability.
    pub(crate) gossip_loss: f64,
    /// Bytes delivered by streams.
    pub(crate) bytes: u64,
    /// Messages delivered by streams.
    pub(crate) messages: u64,
    /// Events delivered by streams to a peer that had them.
    pub(crate) resent: u64,
    /// Bytes of the largest batch that was committed.
    pub(crate) largest_batch: usize,
    /// Damages every frame that comes from this peer.
    pub(crate) garbles: Option<usize>,
    /// Streams carry so much in each direction; without it, anything at once.
    pub(crate) bytes_a_minute: Option<u64>,
    pipes: BTreeMap<End, slow::Pipe>,
    connected: BTreeSet<(usize, usize)>,
    other_end: BTreeMap<End, End>,
    queues: BTreeMap<End, VecDeque<Item>>,
    gossip: VecDeque<(usize, usize, [u8; 32], Vec<u8>)>,
}

pub(crate) const START_MS: u64 = 1_700_000_000_000;

impl World {
    /// `count` peers that know nothing of each other.
    pub(crate) fn new(seed: u64, count: usize) -> Self {
        let mut world = Self {
            peers: vec![],
            now_ms: START_MS,
            rng: ChaCha20Rng::seed_from_u64(seed),
            gossip_loss: 0.0,
            bytes: 0,
            messages: 0,
            resent: 0,
            largest_batch: 0,
            garbles: None,
            bytes_a_minute: None,
            pipes: BTreeMap::new(),
            connected: BTreeSet::new(),
            other_end: BTreeMap::new(),
            queues: BTreeMap::new(),
            gossip: VecDeque::new(),
        };
        (0..count).for_each(|_| _ = world.add_peer());
        world
    }

    pub(crate) fn add_peer(&mut self) -> usize {
        let key = DeviceKey::generate(&mut self.rng);
        let seed = self.rng.next_u64();
        let peer = self.boot(key, MemoryStore::new(), seed);
        self.peers.push(peer);
        self.peers.len() - 1
    }

    fn boot(&mut self, key: DeviceKey, store: MemoryStore, seed: u64) -> Peer {
        let config = Config {
            device: key.clone(),
            device_name: format!("device {}", key.id().short()),
            rng: ChaCha20Rng::seed_from_u64(seed),
        };
        let mut recorder = Recorder::new(&Opening::new(&config, Numbers::default()));
        let mut journal = recorder.take_bytes();
        recorder.image(&store, &mut |bytes| journal.extend_from_slice(bytes)).unwrap();
        let engine = Engine::open(config, &store).unwrap();
        Peer {
            journal,
            recorder,
            story: None,
            store,
            engine,
            key,
            seed,
            skew_ms: 0,
            notices: vec![],
            spaces: BTreeMap::new(),
            admitted: BTreeSet::new(),
            replies: BTreeMap::new(),
            contexts: BTreeMap::new(),
            next_request: 1,
            next_link: 1,
        }
    }

    /// The process of a peer dies and starts again over its store; its streams are gone.
    pub(crate) fn restart(&mut self, at: usize) {
        if self.rng.next_u32().is_multiple_of(2) {
            self.tidy(at);
        }
        let store = self.peers[at].store.clone();
        self.restart_with(at, store);
    }

    /// A peer does what it does when it stops in order. Its engine is of no use afterwards.
    pub(crate) fn tidy(&mut self, at: usize) {
        let peer = &mut self.peers[at];
        let batch = peer.engine.tidy(&peer.store).unwrap();
        peer.store.commit(batch, Durability::Durable).unwrap();
    }

    /// Another engine takes the place of a peer's, and begins another journal; the one before is returned.
    pub(crate) fn replace_engine(&mut self, at: usize) -> Vec<u8> {
        let now_ms = self.clock(at);
        let peer = &mut self.peers[at];
        let mut effects = Effects::default();
        let next = peer.engine.retire(now_ms, &peer.store, &mut effects).unwrap();
        peer.recorder.note_ended();
        peer.journal.extend(peer.recorder.take_bytes());
        let mut recorder = Recorder::new(&Opening::new(&next.config, next.numbers));
        let mut journal = recorder.take_bytes();
        recorder.image(&peer.store, &mut |bytes| journal.extend_from_slice(bytes)).unwrap();
        peer.engine = Engine::open_after(next.numbers, next.config, &peer.store).unwrap();
        peer.recorder = recorder;
        let before = std::mem::replace(&mut peer.journal, journal);
        effects.outputs.into_iter().for_each(|output| self.carry_out(at, output));
        self.round(at, next.inputs);
        before
    }

    /// As [`Self::restart`], over another store: a backup.
    pub(crate) fn restart_with(&mut self, at: usize, store: MemoryStore) {
        let seed = self.rng.next_u64();
        self.restart_as(at, store, seed);
    }

    /// As [`Self::restart_with`], with this seed: that of an earlier session makes a liar of the peer, who uses the
    /// identities of that session again.
    pub(crate) fn restart_as(&mut self, at: usize, store: MemoryStore, seed: u64) {
        let others: Vec<usize> = self.neighbours(at);
        others.iter().for_each(|other| self.disconnect(at, *other));
        let (key, skew_ms) = (self.peers[at].key.clone(), self.peers[at].skew_ms);
        self.peers[at] = Peer { skew_ms, ..self.boot(key, store, seed) };
        self.round(at, vec![]);
        others.iter().for_each(|other| self.connect(at, *other));
    }

    pub(crate) fn id(&self, at: usize) -> DeviceId {
        self.peers[at].key.id()
    }

    fn peer_of(&self, device: DeviceId) -> usize {
        self.peers.iter().position(|peer| peer.key.id() == device).unwrap()
    }

    pub(crate) fn clock(&self, at: usize) -> u64 {
        self.now_ms.checked_add_signed(self.peers[at].skew_ms).unwrap()
    }

    fn neighbours(&self, at: usize) -> Vec<usize> {
        let others = self.connected.iter().filter(|(a, _)| *a == at);
        others.map(|(_, b)| *b).collect()
    }

    pub(crate) fn connect(&mut self, a: usize, b: usize) {
        if self.connected.insert((a, b)) && self.connected.insert((b, a)) {
            for (at, other) in [(a, b), (b, a)] {
                let device = self.id(other);
                self.round(at, vec![Input::Connected { device }]);
            }
        }
    }

    /// Both sides notice at once; what was under way is lost.
    pub(crate) fn disconnect(&mut self, a: usize, b: usize) {
        if !self.connected.remove(&(a, b)) || !self.connected.remove(&(b, a)) {
            return;
        }
        let between =
            |one: &End, other: &End| (one.peer == a && other.peer == b) || (one.peer == b && other.peer == a);
        let cut: Vec<End> =
            self.other_end.iter().filter(|(one, other)| between(one, other)).map(|(one, _)| *one).collect();
        for end in &cut {
            self.other_end.remove(end);
            self.queues.remove(end);
        }
        for end in cut {
            let closed = Input::Closed { link: end.link, why: "the connection was cut".to_owned() };
            self.round(end.peer, vec![closed]);
        }
        for (at, other) in [(a, b), (b, a)] {
            let device = self.id(other);
            self.round(at, vec![Input::Disconnected { device }]);
        }
    }

    pub(crate) fn connect_all(&mut self) {
        for a in 0..self.peers.len() {
            (a + 1..self.peers.len()).for_each(|b| self.connect(a, b));
        }
    }

    pub(crate) fn disconnect_all(&mut self) {
        for a in 0..self.peers.len() {
            (a + 1..self.peers.len()).for_each(|b| self.disconnect(a, b));
        }
    }

    /// Rounds of the engine, one if the inputs fit: inputs, settle, commit; then the outputs are released.
    pub(crate) fn round(&mut self, at: usize, inputs: Vec<Input>) {
        let now_ms = self.clock(at);
        let mut inputs = inputs.into_iter().peekable();
        loop {
            let peer = &mut self.peers[at];
            let mut effects = Effects::default();
            while let Some(input) = inputs.next_if(|_| !peer.engine.is_full(&effects)) {
                let mut input = peer.recorder.note(now_ms, input);
                if let Some((story, _)) = &mut peer.story {
                    input = story.note(now_ms, input);
                }
                peer.engine.handle(now_ms, input, &peer.store, &mut effects).unwrap();
                peer.recorder.note_handled(&peer.engine);
            }
            peer.engine.settle(now_ms, &peer.store, &mut effects).unwrap();
            peer.recorder.note_settled(now_ms, (&peer.engine, &peer.store), &effects).unwrap();
            peer.journal.extend(peer.recorder.take_bytes());
            if let Some((story, bytes)) = &mut peer.story {
                let view = View::new(&peer.store, &effects.batch);
                story.note_settled(now_ms, (&peer.engine, &view), &effects).unwrap();
                bytes.extend(story.take_bytes());
            }
            self.largest_batch = self.largest_batch.max(effects.batch.bytes());
            peer.store.commit(std::mem::take(&mut effects.batch), Durability::Durable).unwrap();
            let outputs = std::mem::take(&mut effects.outputs);
            outputs.into_iter().for_each(|output| self.carry_out(at, output));
            if inputs.peek().is_none() {
                return;
            }
        }
    }

    fn carry_out(&mut self, at: usize, output: Output) {
        match output {
            Output::Reply { request, reply } => {
                assert!(
                    self.peers[at].replies.insert(request, reply).is_none(),
                    "two replies to one request"
                );
            }
            Output::Open { link, device, opening, context } => {
                self.open(at, link, (device, opening, context))
            }
            Output::Accept { link, context } => _ = self.peers[at].contexts.insert(link, context),
            Output::Send { link, message } => {
                self.send(End { peer: at, link }, Item::Message(message.encode()))
            }
            Output::Close { link, reason } => {
                let end = End { peer: at, link };
                self.send(end, Item::End(reason.to_string()));
                self.other_end.remove(&end);
                self.queues.remove(&end);
            }
            Output::Publish { topic, sealed } => {
                for other in self.neighbours(at) {
                    if !self.rng.random_bool(self.gossip_loss) {
                        self.gossip.push_back((at, other, topic, sealed.clone()));
                    }
                }
            }
            Output::Notice(notice) => {
                match &notice {
                    Notice::Space(info) => _ = self.peers[at].spaces.insert(info.no, Arc::clone(info)),
                    Notice::Committed(committed) => _ = self.peers[at].admitted.insert(committed.event.id),
                    _ => {}
                }
                self.peers[at].notices.push(notice);
            }
        }
    }

    /// Delivers everything and lets time pass until `duration_ms` is over.
    pub(crate) fn pass(&mut self, duration_ms: u64) {
        let end = self.now_ms + duration_ms;
        let mut steps = 0;
        while self.step(end) {
            steps += 1;
            assert!(steps < 1_000_000, "the peers never fall quiet");
        }
    }

    /// Delivers something, or lets time pass until the next peer wants a tick; `false` once it is `end`.
    fn step(&mut self, end: u64) -> bool {
        if self.deliver() {
            return true;
        }
        let wakeup = |at: usize| {
            let at_ms = self.peers[at].engine.next_wakeup_ms()?;
            Some(at_ms.saturating_add_signed(-self.peers[at].skew_ms))
        };
        let next = (0..self.peers.len()).filter_map(wakeup).min().unwrap_or(u64::MAX);
        if self.now_ms >= end {
            return false;
        }
        let before_ms = self.now_ms;
        self.now_ms = next.min(self.next_arrival_ms()).clamp(self.now_ms + 1, end);
        self.let_arrive(self.now_ms - before_ms);
        for at in 0..self.peers.len() {
            if self.peers[at].engine.next_wakeup_ms().is_some_and(|due| due <= self.clock(at)) {
                self.round(at, vec![Input::Tick]);
            }
        }
        true
    }

    /// Runs until all peers have the same events, and checks that they then agree on everything.
    pub(crate) fn converge(&mut self) {
        let everyone: Vec<usize> = (0..self.peers.len()).collect();
        self.converge_all(&everyone);
    }

    pub(crate) fn converge_all(&mut self, these: &[usize]) {
        let end = self.now_ms + 120_000;
        loop {
            let digests: BTreeSet<_> = these.iter().map(|at| self.status(*at).frontier_digest).collect();
            if digests.len() == 1 {
                break;
            }
            if self.now_ms >= end {
                for at in these {
                    let status = self.status(*at);
                    println!("{at} {}: {} events, {:?}", self.id(*at).short(), status.events, status.reasons);
                    status.peers.iter().for_each(|peer| println!("   {:?}", (peer.device, peer.session)));
                    println!("{:?}", status.heads);
                }
                panic!("not equal after two minutes");
            }
            self.pass(100);
        }
        self.pass(2_000);
        self.agree(these);
    }

    /// Checks that peers with the same events agree on everything else.
    pub(crate) fn agree(&mut self, these: &[usize]) {
        let (first, rest) = these.split_first().unwrap();
        let (contents, members, status) = (self.contents(*first), self.members(*first), self.status(*first));
        for at in rest {
            let other = self.status(*at);
            assert_eq!(other.frontier_digest, status.frontier_digest);
            assert_eq!((other.events, other.voids), (status.events, status.voids));
            assert_eq!(sorted(other.heads), sorted(status.heads.clone()));
            assert_eq!(other.forks, status.forks);
            assert_eq!(self.members(*at), members);
            assert_eq!(self.contents(*at), contents);
        }
    }
}

fn sorted(mut dots: Vec<Dot>) -> Vec<Dot> {
    dots.sort();
    dots
}

/// A world of `count` peers, all members of one space that the first founded, connected and equal.
pub(crate) fn family(seed: u64, count: usize) -> World {
    let mut world = World::new(seed, count);
    world.create(0);
    world.connect_all();
    let ticket = world.invite(0, Role::Writer, None);
    for at in 1..count {
        assert_eq!(world.join(at, &ticket).unwrap(), HOME);
    }
    world.converge();
    world
}

/// The first space of every peer.
pub(crate) const HOME: SpaceNo = SpaceNo(1);

/// A name, known to be one.
pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}
