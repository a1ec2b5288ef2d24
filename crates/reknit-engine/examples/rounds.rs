//! What the engine costs: transactions, text edits, cold syncs and heals, over memory stores, in CPU time.
//!
//! `cargo run --release -p reknit-engine --example rounds [writes|text|sync|heal]..`

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use reknit_access::{Role, Ticket};
use reknit_engine::store::{Durability, MemoryStore, Store};
use reknit_engine::{
    Config, Effects, Engine, Incoming, Input, LinkContext, LinkId, Output, Reply, RequestId, Run, SpaceNo,
};
use reknit_sync::{Message, Opening, frame};
use reknit_types::{DeviceId, DeviceKey, EntityId};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

const HOME: SpaceNo = SpaceNo(1);
const START_MS: u64 = 1_700_000_000_000;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let all = wanted.is_empty();
    let runs = |name: &str| all || wanted.iter().any(|word| word == name);
    if runs("writes") {
        writes(1, 20_000);
        writes(64, 100_000);
    }
    if runs("text") {
        text(260_000);
    }
    if runs("sync") {
        cold_sync();
    }
    if runs("heal") {
        heal(5_000);
    }
}

fn writes(a_round: usize, count: usize) {
    let mut peer = Peer::new(1);
    peer.create();
    let ids: Vec<EntityId> = (0..1000u16).map(entity).collect();
    let start = cpu();
    let mut done = 0;
    while done < count {
        let runs = (0..a_round).map(|n| {
            let (id, value) = (ids[(done + n) % ids.len()], (done + n) as i64);
            Box::new(move |tx: &mut reknit_engine::Tx<'_>| {
                tx.entity("things", id)?.set("value", value).map(|_| ())
            }) as Run
        });
        peer.transact(runs.collect());
        done += a_round;
    }
    let spent = cpu() - start;
    println!("register transactions, {a_round} a round: {:.0} a second", done as f64 / spent.as_secs_f64());
}

fn text(count: usize) {
    let mut peer = Peer::new(1);
    peer.create();
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    let id = entity(1);
    let start = cpu();
    let (mut done, mut at) = (0, 0);
    while done < count {
        let runs = (0..64).map(|n| {
            let len = done + n;
            // Mostly typing on, now and then somewhere else, as people do.
            at = if rng.random_bool(0.02) { rng.random_range(0..=len) } else { (at + 1).min(len) };
            let position = at;
            Box::new(move |tx: &mut reknit_engine::Tx<'_>| {
                tx.entity("notes", id)?.text("body")?.insert(position, "x").map(|_| ())
            }) as Run
        });
        peer.transact(runs.collect());
        done += 64;
    }
    let spent = cpu() - start;
    println!("text edits, 64 a round: {:.0} a second", done as f64 / spent.as_secs_f64());
}

fn cold_sync() {
    let mut a = Peer::new(1);
    a.create();
    let ticket = a.invite();
    let mut rng = ChaCha20Rng::seed_from_u64(7);
    for n in 0..10_000u32 {
        let text: String = (0..100).map(|_| char::from(rng.sample(Alphanumeric))).collect();
        let id = entity((n % 1000) as u16);
        let run: Run = Box::new(move |tx| tx.entity("things", id)?.set("value", text.as_str()).map(|_| ()));
        a.now_ms += 1;
        a.transact(vec![run]);
    }
    let mut least = (f64::MAX, f64::MAX, 0);
    let start = cpu();
    for seed in 2..9 {
        let mut b = Peer::new(seed);
        b.now_ms = a.now_ms;
        let pair = join(&mut a, &mut b, ticket.clone());
        a.disconnect(b.id);
        assert_eq!(a.events(), b.events(), "the two are not equal");
        let (sent, received) = (a.spent.as_secs_f64() * 1e3, b.spent.as_secs_f64() * 1e3);
        least = (least.0.min(sent), least.1.min(received), pair.bytes);
    }
    println!("cold sync: {:.1} ms of CPU on both sides together", (cpu() - start).as_secs_f64() * 1e3 / 7.0);
    let (sent, received, bytes) = least;
    println!(
        "cold sync of 10,000 events: {sent:.1} ms on the sender, {received:.1} ms on the receiver, {bytes} bytes"
    );
}

/// Two peers that wrote `count` events each while apart, with a third that hears of both by turns.
fn heal(count: u32) {
    let (mut a, mut b) = (Peer::new(1), Peer::new(2));
    a.create();
    let ticket = a.invite();
    join(&mut a, &mut b, ticket.clone());
    a.disconnect(b.id);
    b.disconnect(a.id);
    for n in 0..count {
        for peer in [&mut a, &mut b] {
            let id = entity((n % 100) as u16);
            peer.now_ms += 1;
            peer.transact(vec![Box::new(move |tx| {
                tx.entity("things", id)?.set("value", i64::from(n)).map(|_| ())
            })]);
        }
    }
    let pair = Pair::connect(&mut a, &mut b);
    assert_eq!(a.events(), b.events(), "the two are not equal");
    println!(
        "heal of 2 x {count} events: {:.1} and {:.1} ms, {} bytes",
        a.spent.as_secs_f64() * 1e3,
        b.spent.as_secs_f64() * 1e3,
        pair.bytes
    );
    // Now every event builds on the other's last, as when both type at once.
    let mut pair = pair;
    let start = cpu();
    for n in 0..count {
        for at in 0..2 {
            let id = entity((n % 100) as u16);
            let peer = if at == 0 { &mut a } else { &mut b };
            peer.now_ms += 10;
            peer.transact(vec![Box::new(move |tx| {
                tx.entity("things", id)?.set("value", i64::from(n)).map(|_| ())
            })]);
            pair.run(&mut a, &mut b);
        }
    }
    let each = (cpu() - start).as_secs_f64() * 1e6 / f64::from(2 * count);
    println!("live exchange of 2 x {count} events: {each:.1} us an event on both sides together");
    let mut c = Peer::new(3);
    c.now_ms = a.now_ms;
    join(&mut a, &mut c, ticket);
    println!(
        "cold sync of {} interleaved events: {:.1} ms on the sender, {:.1} ms on the receiver",
        4 * count,
        a.spent.as_secs_f64() * 1e3,
        c.spent.as_secs_f64() * 1e3,
    );
}

/// Lets `b` join the space of `a`; counts what that costs each.
fn join(a: &mut Peer, b: &mut Peer, ticket: Ticket) -> Pair {
    b.round(vec![Input::Join { request: RequestId(1), ticket: Box::new(ticket) }]);
    (a.spent, b.spent) = (Duration::ZERO, Duration::ZERO);
    Pair::connect(a, b)
}

fn entity(n: u16) -> EntityId {
    let mut bytes = [9; 16];
    bytes[14..].copy_from_slice(&n.to_be_bytes());
    EntityId::from_bytes(bytes)
}

/// One peer, and the CPU time it took.
struct Peer {
    engine: Engine,
    store: MemoryStore,
    id: DeviceId,
    now_ms: u64,
    spent: Duration,
    outputs: VecDeque<Output>,
    contexts: BTreeMap<LinkId, LinkContext>,
    requests: u64,
}

impl Peer {
    fn new(seed: u8) -> Self {
        let device = DeviceKey::from_seed(&[seed; 32]);
        let id = device.id();
        let rng = ChaCha20Rng::seed_from_u64(u64::from(seed));
        let store = MemoryStore::new();
        let config = Config { device, device_name: "bench".to_owned(), rng };
        let engine = Engine::open(config, &store).expect("an empty store opens");
        Self {
            engine,
            store,
            id,
            now_ms: START_MS,
            spent: Duration::ZERO,
            outputs: VecDeque::new(),
            contexts: BTreeMap::new(),
            requests: 10,
        }
    }

    fn round(&mut self, inputs: Vec<Input>) {
        let start = clock();
        let mut effects = Effects::default();
        for input in inputs {
            self.engine.handle(self.now_ms, input, &self.store, &mut effects).expect("the store holds");
        }
        self.engine.settle(self.now_ms, &self.store, &mut effects).expect("the store holds");
        self.store.commit(effects.batch, Durability::Durable).expect("memory does not fail");
        self.spent += clock() - start;
        for output in effects.outputs {
            match output {
                Output::Accept { link, context } => _ = self.contexts.insert(link, context),
                output => self.outputs.push_back(output),
            }
        }
    }

    fn transact(&mut self, runs: Vec<Run>) {
        let inputs = runs.into_iter().map(|run| {
            self.requests += 1;
            let request = RequestId(self.requests);
            Input::Transact { request, space: HOME, run, durability: Durability::Fast }
        });
        let inputs = inputs.collect();
        self.round(inputs);
        self.outputs
            .retain(|output| !matches!(output, Output::Reply { reply: Ok(_), .. } | Output::Notice(_)));
    }

    fn create(&mut self) {
        self.round(vec![Input::Create { request: RequestId(1), name: "bench".to_owned() }]);
        self.outputs.clear();
    }

    fn invite(&mut self) -> Ticket {
        let request = RequestId(2);
        self.round(vec![Input::Invite { request, space: HOME, role: Role::Writer, expires_ms: None }]);
        let mut tickets = self.outputs.drain(..).filter_map(|output| match output {
            Output::Reply { reply: Ok(Reply::Ticket(ticket)), .. } => Some(*ticket),
            _ => None,
        });
        tickets.next_back().expect("a founder may invite")
    }

    fn disconnect(&mut self, other: DeviceId) {
        self.round(vec![Input::Disconnected { device: other }]);
        self.outputs.clear();
        self.contexts.clear();
    }

    fn events(&mut self) -> u64 {
        self.round(vec![Input::Inspect { request: RequestId(3), space: HOME }]);
        let mut statuses = self.outputs.drain(..).filter_map(|output| match output {
            Output::Reply { reply: Ok(Reply::Status(status)), .. } => Some(status.events),
            _ => None,
        });
        statuses.next_back().expect("the space is here")
    }

    fn receive(&mut self, link: LinkId, bytes: &[u8]) {
        let start = clock();
        let context = &self.contexts[&link];
        let incoming = match Message::decode(bytes).expect("peers of one version") {
            Message::Events(frame) => {
                let events = frame::decode_verified(frame.as_bytes(), context.space, &*context.keys);
                Incoming::Events { frame, events: events.expect("a genuine frame") }
            }
            message => Incoming::Message(message),
        };
        self.spent += clock() - start;
        self.round(vec![Input::Incoming { link, incoming }]);
    }
}

/// The one stream between two peers.
struct Pair {
    links: [Option<LinkId>; 2],
    bytes: usize,
}

impl Pair {
    fn connect(a: &mut Peer, b: &mut Peer) -> Self {
        (a.spent, b.spent) = (Duration::ZERO, Duration::ZERO);
        let mut pair = Self { links: [None; 2], bytes: 0 };
        a.round(vec![Input::Connected { device: b.id }]);
        b.round(vec![Input::Connected { device: a.id }]);
        pair.run(a, b);
        for _ in 0..40 {
            for peer in [&mut *a, &mut *b] {
                peer.now_ms += 50;
                peer.round(vec![Input::Tick]);
            }
            pair.run(a, b);
        }
        pair
    }

    fn run(&mut self, a: &mut Peer, b: &mut Peer) {
        while !a.outputs.is_empty() || !b.outputs.is_empty() {
            self.carry_out(0, a, b);
            self.carry_out(1, b, a);
        }
    }

    fn carry_out(&mut self, at: usize, from: &mut Peer, to: &mut Peer) {
        while let Some(output) = from.outputs.pop_front() {
            match output {
                Output::Open { link, opening, context, .. } => {
                    let far = LinkId(self.links[at].map_or(1, |last| last.0 * 2 + 1));
                    self.links[at] = Some(link);
                    self.links[1 - at] = Some(far);
                    from.contexts.insert(link, context);
                    let opening = Opening::decode(&opening.encode()).expect("peers of one version");
                    to.round(vec![Input::Opened { link: far, device: from.id, opening }]);
                }
                Output::Send { link, message } if self.links[at] == Some(link) => {
                    let start = clock();
                    let bytes = message.encode();
                    from.spent += clock() - start;
                    self.bytes += bytes.len();
                    let far = self.links[1 - at].expect("both ends of a stream are known");
                    to.receive(far, &bytes);
                }
                Output::Close { link, reason } => panic!("stream {link:?} was closed: {reason}"),
                _ => {}
            }
        }
    }
}

struct Alphanumeric;

impl rand::distr::Distribution<u8> for Alphanumeric {
    fn sample<R: rand::Rng + ?Sized>(&self, rng: &mut R) -> u8 {
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        letters[rng.random_range(0..letters.len())]
    }
}

/// CPU time of this thread, where the system tells it; else time. Exact to some milliseconds: for long stretches.
fn cpu() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = told.and_then(|text| text.split(' ').next()?.parse().ok()).map(Duration::from_nanos);
    spent.unwrap_or_else(clock)
}

/// Time, for short stretches: the least of several is what counts.
fn clock() -> Duration {
    thread_local!(static START: Instant = Instant::now());
    START.with(Instant::elapsed)
}
