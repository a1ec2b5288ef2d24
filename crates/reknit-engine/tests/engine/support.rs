//! Several peers in one process: engines over memory stores, ordered streams of encoded messages between them, gossip
//! that gets lost, and virtual time. Everything follows from one seed.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use reknit_access::{Role, Ticket};
use reknit_engine::read::{self, Entity, Page};
use reknit_engine::store::{Direction, Durability, MemoryStore, Reads, Store, Table};
use reknit_engine::{
    Config, Effects, Engine, EngineError, Incoming, Input, LinkContext, LinkId, MemberInfo, Notice, Output,
    Reply, RequestId, SpaceInfo, SpaceNo, SpaceStatus, Tx, TxError,
};
use reknit_sync::{Announce, Message, Opening, frame};
use reknit_types::{DeviceId, DeviceKey, Dot, EventId, Name, Tip, VerifiedEvent};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
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
        let engine = Engine::open(config, &store).unwrap();
        Peer {
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
        let store = self.peers[at].store.clone();
        self.restart_with(at, store);
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
                peer.engine.handle(now_ms, input, &peer.store, &mut effects).unwrap();
            }
            peer.engine.settle(now_ms, &peer.store, &mut effects).unwrap();
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

    fn open(
        &mut self,
        at: usize,
        link: LinkId,
        (device, opening, context): (DeviceId, Opening, LinkContext),
    ) {
        let other = self.peer_of(device);
        assert!(self.connected.contains(&(at, other)), "a stream to a peer that is not connected");
        let far = End { peer: other, link: LinkId(self.peers[other].next_link) };
        self.peers[other].next_link += 2;
        let near = End { peer: at, link };
        self.peers[at].contexts.insert(link, context);
        self.other_end.extend([(near, far), (far, near)]);
        self.queues.extend([(near, VecDeque::new()), (far, VecDeque::new())]);
        self.send(near, Item::Opening(opening.encode()));
    }

    fn send(&mut self, from: End, item: Item) {
        let item = match item {
            Item::Message(mut bytes) if self.garbles == Some(from.peer) => {
                if let Ok(Message::Events(_)) = Message::decode(&bytes) {
                    let at = self.rng.random_range(1..bytes.len());
                    bytes[at] ^= 1 << self.rng.random_range(0..8);
                }
                Item::Message(bytes)
            }
            item => item,
        };
        if let Some(to) = self.other_end.get(&from)
            && let Some(queue) = self.queues.get_mut(to)
        {
            queue.push_back(item);
        }
    }

    /// Sends raw bytes on the stream that `from` has open to `to`, as if its engine had.
    pub(crate) fn inject(&mut self, from: usize, to: usize, message: &Message) {
        let ends: Vec<End> =
            self.other_end.iter().filter(|(a, b)| a.peer == from && b.peer == to).map(|(a, _)| *a).collect();
        self.send(*ends.first().expect("a stream is open"), Item::Message(message.encode()));
    }

    /// Opens a stream that no engine asked for.
    pub(crate) fn knock(&mut self, from: usize, to: usize, opening: &Opening) {
        let near = End { peer: from, link: LinkId(u64::MAX) };
        let far = End { peer: to, link: LinkId(self.peers[to].next_link) };
        self.peers[to].next_link += 2;
        self.other_end.extend([(near, far), (far, near)]);
        self.queues.extend([(near, VecDeque::new()), (far, VecDeque::new())]);
        self.send(near, Item::Opening(opening.encode()));
    }

    /// What has come for the stream that [`Self::knock`] opened, as far as it is a message.
    pub(crate) fn knock_answers(&self, from: usize) -> Vec<Message> {
        let queue = self.queues.get(&End { peer: from, link: LinkId(u64::MAX) });
        let items = queue.into_iter().flatten();
        items
            .filter_map(|item| match item {
                Item::Message(bytes) => Some(Message::decode(bytes).unwrap()),
                _ => None,
            })
            .collect()
    }

    /// Delivers something to somebody; `false` if nothing is under way.
    fn deliver(&mut self) -> bool {
        let waiting: Vec<End> = self
            .queues
            .iter()
            .filter(|(end, queue)| !queue.is_empty() && end.link != LinkId(u64::MAX))
            .map(|(end, _)| *end)
            .collect();
        if !self.gossip.is_empty() && (waiting.is_empty() || self.rng.random_bool(0.3)) {
            self.deliver_gossip();
            return true;
        }
        if waiting.is_empty() {
            return false;
        }
        let end = waiting[self.rng.random_range(0..waiting.len())];
        let burst = self.rng.random_range(1..=8);
        let mut inputs = vec![];
        for _ in 0..burst {
            let Some(item) = self.queues.get_mut(&end).and_then(VecDeque::pop_front) else { break };
            let last = matches!(item, Item::Opening(_) | Item::End(_));
            inputs.extend(self.receive(end, item));
            if last {
                break;
            }
        }
        self.round(end.peer, inputs);
        true
    }

    fn receive(&mut self, end: End, item: Item) -> Option<Input> {
        match item {
            Item::Opening(bytes) => {
                let device = self.id(self.other_end[&end].peer);
                Some(Input::Opened { link: end.link, device, opening: Opening::decode(&bytes).unwrap() })
            }
            Item::Message(bytes) => {
                self.bytes += bytes.len() as u64;
                self.messages += 1;
                let context = self.peers[end.peer].contexts.get(&end.link)?;
                let incoming = prepare(&bytes, context);
                if let Incoming::Events { events, .. } = &incoming {
                    let admitted = &self.peers[end.peer].admitted;
                    self.resent +=
                        events.iter().filter(|event| admitted.contains(&event.id())).count() as u64;
                }
                Some(Input::Incoming { link: end.link, incoming })
            }
            Item::End(why) => {
                self.other_end.remove(&end);
                self.queues.remove(&end);
                Some(Input::Closed { link: end.link, why })
            }
        }
    }

    fn deliver_gossip(&mut self) {
        let Some((from, to, topic, sealed)) = self.gossip.pop_front() else { return };
        let from = self.id(from);
        let found = self.peers[to].spaces.values().find(|space| space.keys.topic() == topic).cloned();
        let Some(space) = found else { return };
        let announce = Announce::decode(&space.keys.open_announce(&sealed).unwrap()).unwrap();
        let events = announce.frame.as_ref().map_or(vec![], |frame| {
            frame::decode_verified(frame.as_bytes(), space.id, &*space.keys).unwrap()
        });
        self.round(to, vec![Input::Gossip { space: space.no, from, announce, events }]);
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
        self.now_ms = next.clamp(self.now_ms + 1, end);
        for at in 0..self.peers.len() {
            if self.peers[at].engine.next_wakeup_ms().is_some_and(|due| due <= self.clock(at)) {
                self.round(at, vec![Input::Tick]);
            }
        }
        true
    }

    /// Sends a request and runs until its reply is there.
    pub(crate) fn ask(
        &mut self,
        at: usize,
        input: impl FnOnce(RequestId) -> Input,
    ) -> Result<Reply, EngineError> {
        let request = self.begin(at, input);
        let end = self.now_ms + 60_000;
        while !self.peers[at].replies.contains_key(&request) {
            assert!(self.step(end), "no reply within a minute");
        }
        self.peers[at].replies.remove(&request).unwrap()
    }

    /// Sends a request.
    pub(crate) fn begin(&mut self, at: usize, input: impl FnOnce(RequestId) -> Input) -> RequestId {
        let request = RequestId(self.peers[at].next_request);
        self.peers[at].next_request += 1;
        self.round(at, vec![input(request)]);
        request
    }

    /// The reply to a request, if it is there.
    pub(crate) fn reply(&mut self, at: usize, request: RequestId) -> Option<Result<Reply, EngineError>> {
        self.peers[at].replies.remove(&request)
    }

    pub(crate) fn create(&mut self, at: usize) -> SpaceNo {
        match self.ask(at, |request| Input::Create { request, name: "home".to_owned() }) {
            Ok(Reply::Space(no)) => no,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn invite(&mut self, at: usize, role: Role, expires_ms: Option<u64>) -> Ticket {
        match self.ask(at, |request| Input::Invite { request, space: HOME, role, expires_ms }) {
            Ok(Reply::Ticket(ticket)) => *ticket,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn join(&mut self, at: usize, ticket: &Ticket) -> Result<SpaceNo, EngineError> {
        let ticket = Box::new(ticket.clone());
        match self.ask(at, |request| Input::Join { request, ticket })? {
            Reply::Space(no) => Ok(no),
            other => panic!("{other:?}"),
        }
    }

    /// Runs a transaction; the dot of its event, if it did anything.
    pub(crate) fn try_transact(
        &mut self,
        at: usize,
        run: impl FnOnce(&mut Tx<'_>) -> Result<(), TxError> + Send + 'static,
    ) -> Result<Option<Dot>, EngineError> {
        let run = Box::new(run);
        let reply = self.ask(at, |request| Input::Transact {
            request,
            space: HOME,
            run,
            durability: Durability::Durable,
        })?;
        match reply {
            Reply::Committed(dot) => Ok(dot),
            other => panic!("{other:?}"),
        }
    }

    /// Runs a transaction that does something.
    pub(crate) fn transact(
        &mut self,
        at: usize,
        run: impl FnOnce(&mut Tx<'_>) -> Result<(), TxError> + Send + 'static,
    ) -> Dot {
        self.try_transact(at, run).unwrap().expect("the transaction did something")
    }

    pub(crate) fn status(&mut self, at: usize) -> SpaceStatus {
        let request = self.begin(at, |request| Input::Inspect { request, space: HOME });
        match self.reply(at, request) {
            Some(Ok(Reply::Status(status))) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// Everything in the space: every entity of every collection, deleted ones too.
    pub(crate) fn contents(&self, at: usize) -> Vec<Entity> {
        let store = &self.peers[at].store;
        let page = Page { deleted: true, ..Page::ALL };
        let collections = read::collections(store, HOME).unwrap();
        collections.iter().flat_map(|name| read::entities(store, HOME, name, page).unwrap()).collect()
    }

    /// The last event of a peer, as it knows itself.
    pub(crate) fn tip(&self, at: usize) -> Tip {
        let events = self.events(at);
        let own = events.iter().filter(|event| event.header().author == self.id(at));
        own.map(VerifiedEvent::tip).max().expect("a member has joined")
    }

    /// What it takes at most to make two peers equal: 200 bytes an event that one of them lacks, its payload, and 2,000
    /// bytes in all.
    pub(crate) fn difference_bytes(&self, a: usize, b: usize) -> u64 {
        let lacking = |at: usize, other: usize| {
            let events = self.events(at);
            let lacks = |event: &&VerifiedEvent| !self.peers[other].admitted.contains(&event.id());
            events.iter().filter(lacks).map(|event| 200 + u64::from(event.header().payload_len)).sum::<u64>()
        };
        2_000 + lacking(a, b) + lacking(b, a)
    }

    fn events(&self, at: usize) -> Vec<VerifiedEvent> {
        let info = &self.peers[at].spaces[&HOME];
        read::newest_events(&self.peers[at].store, info, usize::MAX).unwrap()
    }

    /// Bytes of the largest record of a table.
    pub(crate) fn largest(&self, at: usize, table: Table) -> usize {
        let mut largest = 0;
        let mut visit = |_: &[u8], value: &[u8]| {
            largest = largest.max(value.len());
            ControlFlow::Continue(())
        };
        self.peers[at].store.scan_prefix(table, &[], Direction::Forward, &mut visit).unwrap();
        largest
    }

    /// How many records a table holds.
    pub(crate) fn count(&self, at: usize, table: Table) -> usize {
        let mut count = 0;
        let mut visit = |_: &[u8], _: &[u8]| {
            count += 1;
            ControlFlow::Continue(())
        };
        self.peers[at].store.scan_prefix(table, &[], Direction::Forward, &mut visit).unwrap();
        count
    }

    pub(crate) fn members(&self, at: usize) -> Vec<MemberInfo> {
        self.peers[at].spaces[&HOME].members.clone()
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

/// What a worker makes of the bytes of a message.
pub(crate) fn prepare(bytes: &[u8], context: &LinkContext) -> Incoming {
    match Message::decode(bytes) {
        Err(error) => Incoming::Malformed(error.to_string()),
        Ok(Message::Events(frame)) => {
            match frame::decode_verified(frame.as_bytes(), context.space, &*context.keys) {
                Ok(events) => Incoming::Events { frame, events },
                Err(error) => Incoming::Malformed(error.to_string()),
            }
        }
        Ok(message) => Incoming::Message(message),
    }
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
