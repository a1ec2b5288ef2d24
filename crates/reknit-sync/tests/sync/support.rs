//! Two peers in memory: their histories, a lossless pipe between them, and time that passes when nothing else happens.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use reknit_sync::frame;
use reknit_sync::{
    CloseReason, Frame, Frontier, History, HistoryError, Message, Missing, Output, Role, Session, Source,
    Waiting,
};
use reknit_types::{
    DeviceId, DeviceKey, Dot, Draft, Epoch, EventId, Kind, Payload, PayloadKey, PayloadKeys, SpaceId, Stamp,
    Tip, VerifiedEvent,
};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock};

pub(crate) struct Keys(PayloadKey);

impl PayloadKeys for Keys {
    fn payload_key(&self, _: Kind, _: Epoch) -> Option<&PayloadKey> {
        Some(&self.0)
    }
}

pub(crate) fn keys() -> Keys {
    Keys(PayloadKey::new([9; 32]))
}

pub(crate) fn payload_key(keys: &Keys) -> &PayloadKey {
    &keys.0
}

pub(crate) fn device(at: u8) -> DeviceKey {
    DeviceKey::from_seed(&[at + 1; 32])
}

/// Signed events, each the first of an author of its own.
pub(crate) fn crowd(authors: usize) -> &'static [VerifiedEvent] {
    static CROWD: LazyLock<Vec<VerifiedEvent>> =
        LazyLock::new(|| (0..CROWD_MAX).map(|at| first_of(at, b"hello")).collect());
    &CROWD[..authors]
}

/// Authors in a crowd.
pub(crate) const CROWD_MAX: u16 = 1000;

/// The first event of an author of the crowd.
pub(crate) fn first_of(at: u16, payload: &[u8]) -> VerifiedEvent {
    let mut seed = [200; 32];
    seed[..2].copy_from_slice(&at.to_le_bytes());
    let key = DeviceKey::from_seed(&seed);
    let draft = Draft {
        kind: Kind::Data,
        parents: vec![],
        stamp: Stamp::next(u64::from(at), None, &mut ChaCha20Rng::seed_from_u64(u64::from(at))),
        epoch: Epoch::FIRST,
        payload: Payload::Open(payload.to_vec()),
    };
    let mut event = VerifiedEvent::seal(space(), &key, None, draft, &keys().0).unwrap();
    event.sign(&key);
    event
}

pub(crate) fn space() -> SpaceId {
    SpaceId::found(device(0).id(), &[0; 32])
}

/// A history in memory, events in causal order.
#[derive(Default, Clone)]
pub(crate) struct Memory {
    pub(crate) events: Vec<VerifiedEvent>,
    places: BTreeMap<EventId, usize>,
    by_seq: BTreeMap<(DeviceId, u64), Vec<EventId>>,
    pub(crate) frontier: Frontier,
    pub(crate) shared: Option<Frontier>,
}

impl Memory {
    pub(crate) fn has(&self, id: &EventId) -> bool {
        self.places.contains_key(id)
    }

    /// Adds an event whose causes are here; whether it was new.
    pub(crate) fn admit(&mut self, event: VerifiedEvent) -> bool {
        if self.has(&event.id()) {
            return false;
        }
        let causes = event.header().parents.iter().chain(&event.header().prev);
        causes.for_each(|cause| assert!(self.has(cause), "an event came before its causes"));
        self.places.insert(event.id(), self.events.len());
        self.by_seq.entry((event.header().author, event.header().seq)).or_default().push(event.id());
        self.frontier.insert(&event.dot(), event.header().prev.as_ref());
        self.events.push(event);
        true
    }

    /// Writes an event of `author` on top of what is here. Not signed.
    pub(crate) fn write(&mut self, author: u8, payload: &[u8], now_ms: u64) -> VerifiedEvent {
        let key = device(author);
        let prev = self.frontier.tips(&key.id()).last().copied();
        let mut heads: Vec<Dot> = self.events.last().map(VerifiedEvent::dot).into_iter().collect();
        heads.extend(prev.map(|tip| Dot { author: key.id(), seq: tip.seq, id: tip.id }));
        heads.sort_by_key(|dot| dot.id);
        heads.dedup();
        let after = self.events.iter().map(|event| event.header().stamp).max();
        let draft = Draft {
            kind: Kind::Data,
            parents: heads,
            stamp: Stamp::next(now_ms, after, &mut ChaCha20Rng::seed_from_u64(now_ms)),
            epoch: Epoch::FIRST,
            payload: Payload::Open(payload.to_vec()),
        };
        VerifiedEvent::seal(space(), &key, prev, draft, &keys().0).unwrap()
    }
}

impl History for Memory {
    fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    fn event_count(&self) -> u64 {
        self.events.len() as u64
    }

    fn ids_at(&self, author: &DeviceId, seq: u64) -> Result<Vec<EventId>, HistoryError> {
        Ok(self.by_seq.get(&(*author, seq)).cloned().unwrap_or_default())
    }

    fn ancestor(&self, author: &DeviceId, tip: &Tip, seq: u64) -> Result<Option<EventId>, HistoryError> {
        let mut at = Some(tip.id);
        while let Some(id) = at {
            let place = self.places.get(&id).ok_or_else(|| HistoryError("unknown tip".into()))?;
            let header = self.events[*place].header();
            assert_eq!(header.author, *author);
            if header.seq == seq {
                return Ok(Some(id));
            }
            at = header.prev;
        }
        Ok(None)
    }

    fn last_shared(&self) -> Option<[u8; 32]> {
        self.shared.as_ref().map(Frontier::digest)
    }

    fn past_frontier(&self, digest: &[u8; 32]) -> Option<Frontier> {
        self.shared.clone().filter(|shared| shared.digest() == *digest)
    }

    fn next_frame(&self, missing: &mut Missing, bytes_max: usize) -> Result<Option<Frame>, HistoryError> {
        let mut wanted: Vec<(VerifiedEvent, Tip)> = Vec::new();
        for event in &self.events {
            for range in missing.ranges(&event.header().author) {
                let seq = event.header().seq;
                let inside = range.after < seq && seq <= range.up_to.seq;
                if inside && self.ancestor(&event.header().author, &range.up_to, seq)? == Some(event.id()) {
                    wanted.push((event.clone(), range.up_to));
                }
            }
        }
        let events: Vec<_> = wanted.iter().map(|(event, _)| event.clone()).collect();
        let taken = frame::prefix(&events, bytes_max);
        if taken == 0 {
            return Ok(None);
        }
        for (event, up_to) in &wanted[..taken] {
            missing.mark_sent(&event.header().author, up_to, event.header().seq);
        }
        Ok(Some(frame::encode(&events[..taken]).map_err(|error| HistoryError(error.to_string()))?))
    }
}

/// One side: history, session, and what happened to it.
pub(crate) struct Side {
    pub(crate) memory: Memory,
    pub(crate) session: Session,
    pub(crate) inbox: VecDeque<Vec<u8>>,
    pub(crate) bytes_in: usize,
    pub(crate) resent: usize,
    pub(crate) closed: Option<CloseReason>,
    pub(crate) converged: usize,
    out: Vec<Output>,
}

/// Two sides and the time.
pub(crate) struct Pair {
    pub(crate) sides: [Side; 2],
    pub(crate) now: u64,
    pub(crate) delivered: usize,
}

impl Pair {
    pub(crate) fn new(a: Memory, b: Memory) -> Self {
        let side = |memory, at: u8| Side {
            memory,
            session: session(at),
            inbox: VecDeque::new(),
            bytes_in: 0,
            resent: 0,
            closed: None,
            converged: 0,
            out: Vec::new(),
        };
        let mut pair = Self { sides: [side(a, 0), side(b, 1)], now: 1_000_000, delivered: 0 };
        pair.start();
        pair
    }

    /// Both streams are cut, and what was under way is lost; new sessions begin.
    pub(crate) fn reconnect(&mut self) {
        for (at, side) in self.sides.iter_mut().enumerate() {
            side.session = session(at as u8);
            side.inbox.clear();
            side.closed = None;
        }
        self.start();
    }

    fn start(&mut self) {
        for at in [1, 0] {
            let Side { memory, session, out, .. } = &mut self.sides[at];
            session.start(self.now, memory, out);
            self.carry_out(at);
        }
    }

    /// Sends what a side wants sent, and notes the rest.
    fn carry_out(&mut self, at: usize) {
        for output in std::mem::take(&mut self.sides[at].out) {
            let side = &mut self.sides[at];
            assert!(side.closed.is_none(), "a closed session went on");
            match output {
                Output::Send(message) => {
                    let bytes = message.encode();
                    self.sides[1 - at].inbox.push_back(bytes);
                }
                Output::Converged(receipt) => {
                    assert_eq!(receipt.digest, side.memory.frontier.digest());
                    side.memory.shared = Some(side.memory.frontier.clone());
                    side.converged += 1;
                }
                Output::Close(reason) => side.closed = Some(reason),
            }
        }
    }

    /// Delivers the next message to a side; whether there was one.
    pub(crate) fn deliver(&mut self, at: usize) -> bool {
        let side = &mut self.sides[at];
        let Some(bytes) = side.inbox.pop_front() else { return false };
        side.bytes_in += bytes.len();
        self.delivered += 1;
        match Message::decode(&bytes).unwrap() {
            Message::Events(frame) => self.receive(at, &frame),
            message => side.session.on_message(self.now, message, &side.memory, &mut side.out),
        }
        self.carry_out(at);
        true
    }

    fn receive(&mut self, at: usize, frame: &Frame) {
        let events = frame::decode_verified(frame.as_bytes(), space(), &keys()).unwrap();
        let dots: Vec<Dot> = events.iter().map(VerifiedEvent::dot).collect();
        let Side { memory, session, out, resent, .. } = &mut self.sides[at];
        session.on_events(self.now, (&dots, frame.as_bytes().len()), memory, out);
        let mut new = Vec::new();
        for event in events {
            let dot = event.dot();
            if memory.admit(event) {
                new.push(dot);
            } else {
                *resent += 1;
            }
        }
        session.on_admitted(self.now, (&new, Source::FromPeer), memory, out);
    }

    /// Lets a side admit events that did not come through the session.
    pub(crate) fn admit(&mut self, at: usize, events: Vec<VerifiedEvent>, source: Source) {
        let Side { memory, session, out, .. } = &mut self.sides[at];
        let mut new = Vec::new();
        for event in events {
            let dot = event.dot();
            if memory.admit(event) {
                new.push(dot);
            }
        }
        session.on_admitted(self.now, (&new, source), memory, out);
        self.carry_out(at);
    }

    /// Lets time pass until a session wants to be woken, at most until `end`.
    pub(crate) fn pass_time(&mut self, end: u64) {
        let wakeups = self.sides.iter().filter_map(|side| side.session.next_wakeup());
        self.now = wakeups.min().unwrap_or(end).clamp(self.now, end);
        for at in 0..2 {
            let Side { memory, session, out, .. } = &mut self.sides[at];
            session.on_tick(self.now, memory, out);
            self.carry_out(at);
        }
    }

    pub(crate) fn equal(&self) -> bool {
        self.sides.iter().all(|side| side.session.status().waiting == Waiting::Equal && side.inbox.is_empty())
    }

    /// Runs until both sides know that they are equal.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100_000 {
            if self.equal() {
                return;
            }
            let moved = self.deliver(0) | self.deliver(1);
            if !moved {
                self.pass_time(self.now + 10_000);
            }
            for side in &self.sides {
                assert_eq!(side.closed, None, "a session closed");
            }
        }
        panic!("not equal: {:?}", [0, 1].map(|at: usize| self.sides[at].session.status()));
    }

    /// As [`Self::settle`], over a link that carries so many bytes a second in each direction; how many seconds it took.
    pub(crate) fn settle_slowly(&mut self, bytes_a_second: usize) -> u64 {
        let (start, mut came) = (self.now, [0; 2]);
        while !self.equal() {
            assert!(self.now < start + 3_600_000, "not equal within an hour");
            self.pass_time(self.now + LOOK_MS);
            for (at, came) in came.iter_mut().enumerate() {
                let Side { session, out, inbox, .. } = &mut self.sides[at];
                let Some(bytes) = inbox.front().map(Vec::len) else {
                    *came = 0;
                    continue;
                };
                session.on_arriving(self.now, (bytes_a_second / 5) as u64, out);
                *came += bytes_a_second / 5;
                if *came >= bytes {
                    *came -= bytes;
                    self.deliver(at);
                }
                self.carry_out(at);
                assert_eq!(self.sides[at].closed, None, "a session closed");
            }
        }
        (self.now - start) / 1_000
    }

    pub(crate) fn bytes(&self) -> usize {
        self.sides.iter().map(|side| side.bytes_in).sum()
    }
}

const LOOK_MS: u64 = 200;

pub(crate) fn session(at: u8) -> Session {
    let role = if at == 0 { Role::Initiator } else { Role::Responder };
    Session::new(space(), Arc::new(device(at)), device(1 - at).id(), role)
}
