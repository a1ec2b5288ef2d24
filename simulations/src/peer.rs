//! One simulated peer: what survives a restart of it, and what does not.

use crate::clock::DeviceClock;
use crate::disk::{Crash, Image, SimulatedDisk};
use crate::network::{Arrival, PeerNo, StreamNo};
use rand::Rng;
use rand_chacha::ChaCha20Rng;
use reknit_engine::store::{MemoryStore, Reads, Store};
use reknit_engine::{
    Commits, Config, Effects, Engine, EngineError, Input, LinkContext, LinkId, Output, Reply, RequestId,
    SpaceInfo, SpaceNo, SpaceStatus,
};
use reknit_store::RedbStore;
use reknit_types::{DeviceId, DeviceKey};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// A device and the peer that runs on it.
pub(crate) struct Peer {
    pub(crate) key: DeviceKey,
    pub(crate) id: DeviceId,
    pub(crate) clock: DeviceClock,
    pub(crate) disk: Disk,
    pub(crate) state: State,
    /// How often it was started.
    pub(crate) sessions: u64,
    pub(crate) next_request: u64,
    /// It is gone for good: nobody waits for it.
    pub(crate) left: bool,
    /// Its disk fails next because the power does.
    pub(crate) loses_power: bool,
    /// Its disk as it was when it was last backed up.
    pub(crate) backup: Option<Image>,
}

/// What a peer keeps its data on.
pub(crate) enum Disk {
    /// Memory that a crash does not touch.
    Memory(MemoryStore),
    /// A simulated disk, and the store on it while it is open.
    Redb(SimulatedDisk, Option<Box<RedbStore>>),
}

/// Whether a peer runs.
pub(crate) enum State {
    Running(Box<Running>),
    /// Its process was killed, or ended by itself: why.
    Down(String),
}

/// What a running peer holds in memory.
pub(crate) struct Running {
    pub(crate) engine: Engine,
    commits: Commits,
    pub(crate) inbox: VecDeque<Input>,
    pub(crate) busy_until: Duration,
    pub(crate) round_planned: bool,
    pub(crate) tick_planned: Option<Duration>,
    /// It does nothing until it is woken, like a phone in a pocket.
    pub(crate) asleep: bool,
    pub(crate) links: BTreeMap<LinkId, (StreamNo, usize)>,
    pub(crate) contexts: BTreeMap<LinkId, LinkContext>,
    /// What came on streams that the engine has not accepted yet.
    pub(crate) unread: BTreeMap<LinkId, Vec<Arrival>>,
    pub(crate) spaces: BTreeMap<SpaceNo, Arc<SpaceInfo>>,
    pub(crate) topics: BTreeMap<[u8; 32], SpaceNo>,
    pub(crate) replies: BTreeMap<RequestId, Result<Reply, EngineError>>,
    pub(crate) seen_gossip: BTreeSet<u64>,
    next_link: u64,
}

/// What a round released, and what it was.
pub(crate) struct Round {
    pub(crate) outputs: Vec<Output>,
    pub(crate) inputs: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) durable: bool,
    /// The round failed: what was released before is true all the same.
    pub(crate) failed: Option<EngineError>,
}

impl Disk {
    /// What is on it, as the peer sees it; `None` while the store is not open.
    pub(crate) fn reads(&self) -> Option<&dyn Reads> {
        match self {
            Self::Memory(store) => Some(store),
            Self::Redb(_, store) => store.as_deref().map(|store| store as &dyn Reads),
        }
    }

    fn store(&mut self) -> Option<&mut dyn Store> {
        match self {
            Self::Memory(store) => Some(store),
            Self::Redb(_, store) => store.as_deref_mut().map(|store| store as &mut dyn Store),
        }
    }

    fn open(&mut self) -> Result<(), String> {
        match self {
            Self::Memory(_) => {}
            Self::Redb(disk, store) => {
                *store = Some(Box::new(disk.open().map_err(|error| error.to_string())?));
            }
        }
        Ok(())
    }

    /// The process that has it open ends without closing anything.
    pub(crate) fn crash(&mut self, how: Crash) {
        if let Self::Redb(disk, store) = self {
            disk.crash(how);
            *store = None;
        }
    }

    pub(crate) fn simulated(&self) -> Option<&SimulatedDisk> {
        match self {
            Self::Memory(_) => None,
            Self::Redb(disk, _) => Some(disk),
        }
    }
}

impl Peer {
    pub(crate) fn new(key: DeviceKey, disk: Disk) -> Self {
        let clock = DeviceClock::default();
        Self {
            id: key.id(),
            key,
            clock,
            disk,
            state: State::Down("not started".to_owned()),
            sessions: 0,
            next_request: 1,
            left: false,
            loses_power: false,
            backup: None,
        }
    }

    /// Starts over what is on the disk.
    ///
    /// # Errors
    /// Why it does not start, in words.
    pub(crate) fn start(&mut self, rng: ChaCha20Rng) -> Result<(), String> {
        self.sessions += 1;
        let device_name = format!("device {}", self.key.id().short());
        let config = Config { device: self.key.clone(), device_name, rng };
        self.disk.open()?;
        let reads = self.disk.reads().ok_or("the store is closed")?;
        let engine = Engine::open(config, reads).map_err(|error| error.to_string())?;
        self.state = State::Running(Box::new(Running {
            engine,
            commits: Commits::default(),
            inbox: VecDeque::new(),
            busy_until: Duration::ZERO,
            round_planned: false,
            tick_planned: None,
            asleep: false,
            links: BTreeMap::new(),
            contexts: BTreeMap::new(),
            unread: BTreeMap::new(),
            spaces: BTreeMap::new(),
            topics: BTreeMap::new(),
            replies: BTreeMap::new(),
            seen_gossip: BTreeSet::new(),
            next_link: 1,
        }));
        Ok(())
    }

    pub(crate) fn running(&self) -> Option<&Running> {
        match &self.state {
            State::Running(running) => Some(running),
            State::Down(_) => None,
        }
    }

    pub(crate) fn running_mut(&mut self) -> Option<&mut Running> {
        match &mut self.state {
            State::Running(running) => Some(running),
            State::Down(_) => None,
        }
    }

    /// Whether it runs and is awake.
    pub(crate) fn acts(&self) -> bool {
        self.running().is_some_and(|running| !running.asleep)
    }

    /// One round of the engine over what is in the inbox, as the runtime has it: handle, settle, commit, and only then
    /// release.
    pub(crate) fn round(&mut self, now: Duration) -> Option<Round> {
        let State::Running(running) = &mut self.state else { return None };
        let now_ms = self.clock.now_ms(now);
        let mut effects = Effects::default();
        let mut round = Round { outputs: vec![], inputs: 0, batch_bytes: 0, durable: false, failed: None };
        let handled = running.handle(now_ms, self.disk.reads()?, &mut effects, &mut round.inputs);
        round.batch_bytes = effects.batch.bytes();
        round.durable = effects.durable;
        let outputs = &mut round.outputs;
        let store = self.disk.store()?;
        let done = handled
            .and_then(|()| running.commits.commit(now, effects, store, &mut |output| outputs.push(output)))
            .and_then(|()| match running.commits.due().filter(|due| *due <= now) {
                Some(_) => running.commits.flush(store),
                None => Ok(()),
            });
        round.failed = done.err();
        Some(round)
    }

    /// How a space stands, asked outside any round: nothing is changed by it.
    pub(crate) fn look(&mut self, now_ms: u64, space: SpaceNo) -> Option<Result<SpaceStatus, EngineError>> {
        let State::Running(running) = &mut self.state else { return None };
        Some(inspect(&mut running.engine, self.disk.reads()?, now_ms, space))
    }

    /// As [`Peer::look`], at an engine that is built from the disk.
    pub(crate) fn look_rebuilt(
        &self,
        now_ms: u64,
        space: SpaceNo,
        rng: ChaCha20Rng,
    ) -> Option<Result<SpaceStatus, EngineError>> {
        self.running()?;
        let config = Config { device: self.key.clone(), device_name: String::new(), rng };
        let reads = self.disk.reads()?;
        Some(Engine::open(config, reads).and_then(|mut engine| inspect(&mut engine, reads, now_ms, space)))
    }

    /// When it wants to be called again although nothing comes.
    pub(crate) fn wakes_at(&self, now: Duration) -> Option<Duration> {
        let running = self.running()?;
        let engine = running.engine.next_wakeup_ms().map(|ms| self.clock.when(now, ms));
        engine.into_iter().chain(running.commits.due()).min()
    }
}

fn inspect(
    engine: &mut Engine,
    reads: &dyn Reads,
    now_ms: u64,
    space: SpaceNo,
) -> Result<SpaceStatus, EngineError> {
    let mut effects = Effects::default();
    engine.handle(now_ms, Input::Inspect { request: RequestId(0), space }, reads, &mut effects)?;
    match effects.outputs.pop() {
        Some(Output::Reply { reply: Ok(Reply::Status(status)), .. }) => Ok(*status),
        Some(Output::Reply { reply: Err(error), .. }) => Err(error),
        _ => Err(EngineError::Damaged("no answer to a question about a space".to_owned())),
    }
}

impl Running {
    fn handle(
        &mut self,
        now_ms: u64,
        reads: &dyn Reads,
        effects: &mut Effects,
        handled: &mut usize,
    ) -> Result<(), EngineError> {
        while *handled < INPUTS_A_ROUND && !self.engine.is_full(effects) {
            let Some(input) = self.inbox.pop_front() else { break };
            self.engine.handle(now_ms, input, reads, effects)?;
            *handled += 1;
        }
        self.engine.settle(now_ms, reads, effects)
    }

    /// The name for a stream that a peer opened.
    pub(crate) fn draw_link(&mut self) -> LinkId {
        self.next_link += 2;
        LinkId(self.next_link)
    }

    pub(crate) fn note_space(&mut self, info: Arc<SpaceInfo>) {
        self.topics.insert(info.keys.topic(), info.no);
        self.spaces.insert(info.no, info);
    }

    /// Whether a gossiped message is new here.
    pub(crate) fn sees_gossip(&mut self, number: u64) -> bool {
        if self.seen_gossip.len() >= GOSSIP_SEEN_MAX {
            self.seen_gossip.pop_first();
        }
        self.seen_gossip.insert(number)
    }
}

/// The generator of one session of a peer.
pub(crate) fn session_rng(chance: &crate::chance::Chance, peer: PeerNo, session: u64) -> ChaCha20Rng {
    use rand::SeedableRng;
    let mut seed = chance.stream("session", (peer as u64) << 32 | session);
    let mut bytes = [0; 32];
    seed.fill_bytes(&mut bytes);
    ChaCha20Rng::from_seed(bytes)
}

/// As many as the runtime drains at once.
const INPUTS_A_ROUND: usize = 256;
const GOSSIP_SEEN_MAX: usize = 4_096;
