//! Faults drawn by chance, each undone after a while.

use crate::action::Action;
use crate::chance::exponential;
use crate::link::{Latency, Link};
use crate::network::PeerNo;
use crate::scenario::{Chaos, Scenario};
use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Partition,
    OneWay,
    BadLinks,
    GossipLoss,
    Kill,
    Power,
    Disk,
    Sleep,
    Clock,
    Restore,
}

/// The faults of one seed: when, and what. They begin and end within the time of the scenario.
pub(crate) fn plan(scenario: &Scenario, chaos: &Chaos, rng: &mut ChaCha8Rng) -> Vec<(f64, Action)> {
    let mut kinds = kinds(chaos);
    if chaos.swarm {
        kinds.retain(|_| rng.random_bool(0.5));
    }
    let mut planned = vec![];
    let mut clocks = BTreeMap::new();
    let mut time = 0.0;
    while !kinds.is_empty() && chaos.every > 0.0 {
        time += chaos.every * exponential(rng);
        if time >= scenario.seconds {
            break;
        }
        let end = (time + chaos.lasts * exponential(rng)).min(scenario.seconds);
        let Some(kind) = kinds.choose(rng) else { break };
        let fault = kind.draw(scenario, (time, end), rng);
        // Two faults of one clock would add up to a lead for which events are held longer than anybody waits.
        let of_clock = *kind == Kind::Clock;
        let peer = fault.first().and_then(|(_, action)| action.peers().first().copied());
        if let Some(peer) = peer.filter(|_| of_clock)
            && clocks.insert(peer, end).is_some_and(|before| before >= time)
        {
            continue;
        }
        planned.extend(fault);
    }
    planned.sort_by(|a, b| a.0.total_cmp(&b.0));
    planned
}

fn kinds(chaos: &Chaos) -> Vec<Kind> {
    let all = [
        (Kind::Partition, chaos.partitions),
        (Kind::OneWay, chaos.one_way),
        (Kind::BadLinks, chaos.bad_links),
        (Kind::GossipLoss, chaos.gossip_loss),
        (Kind::Kill, chaos.kills),
        (Kind::Power, chaos.power),
        (Kind::Disk, chaos.disks),
        (Kind::Sleep, chaos.sleep),
        (Kind::Clock, chaos.clocks),
        (Kind::Restore, chaos.restores),
    ];
    all.into_iter().filter(|(_, wanted)| *wanted).map(|(kind, _)| kind).collect()
}

impl Kind {
    /// A fault of this kind, and its end.
    fn draw(self, scenario: &Scenario, (from, to): (f64, f64), rng: &mut ChaCha8Rng) -> Vec<(f64, Action)> {
        let peer = rng.random_range(0..scenario.peers);
        let other = (peer + 1 + rng.random_range(0..scenario.peers.max(2) - 1)) % scenario.peers;
        let both = |fault, end| vec![(from, fault), (to, end)];
        match self {
            Self::Partition => both(Action::Partition(shape(scenario.peers, rng)), Action::Heal),
            Self::OneWay => both(Action::Cut(peer, other), Action::Mend(peer, other)),
            Self::BadLinks => both(Action::Links(bad_link(rng)), Action::Links(scenario.link)),
            Self::GossipLoss => {
                both(Action::GossipLoss(rng.random_range(0.2..=1.0)), Action::GossipLoss(0.0))
            }
            Self::Kill => both(Action::Kill(peer), Action::Start(peer)),
            Self::Power if rng.random_bool(0.3) => vec![(from, Action::Power(peer))],
            Self::Power => vec![(from, Action::PowerAfter(peer, rng.random_range(0..60)))],
            Self::Disk => both(disk_fault(peer, rng), Action::MendDisk(peer)),
            Self::Sleep => both(Action::Sleep(peer), Action::Wake(peer)),
            Self::Clock => clock_fault(peer, (from, to), rng),
            Self::Restore => both(Action::Backup(peer), Action::Restore(peer)),
        }
    }
}

/// A partition: two parts, three, one peer alone, a ring, a star, two parts with a bridge.
fn shape(peers: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<PeerNo>> {
    let mut order: Vec<PeerNo> = (0..peers).collect();
    order.shuffle(rng);
    let cut = rng.random_range(1..peers.max(2));
    let (one, two) = order.split_at(cut.min(peers));
    match rng.random_range(0..6) {
        0 => order.chunks(peers.div_ceil(3).max(1)).map(<[_]>::to_vec).collect(),
        1 => vec![order[..1].to_vec(), order[1..].to_vec()],
        2 => (0..peers).map(|at| vec![order[at], order[(at + 1) % peers]]).collect(),
        3 => order[1..].iter().map(|point| vec![order[0], *point]).collect(),
        4 => {
            let bridge = one.first().copied();
            vec![one.to_vec(), two.iter().copied().chain(bridge).collect()]
        }
        _ => vec![one.to_vec(), two.to_vec()],
    }
}

fn bad_link(rng: &mut ChaCha8Rng) -> Link {
    Link {
        latency: Latency::LogNormal(rng.random_range(20.0..400.0), rng.random_range(0.1..0.8)),
        bandwidth: rng.random_bool(0.3).then(|| rng.random_range(5_000..500_000)),
        loss: rng.random_range(0.0..0.4),
        duplication: rng.random_range(0.0..0.3),
        reordering: rng.random_range(0.0..0.5),
    }
}

fn disk_fault(peer: PeerNo, rng: &mut ChaCha8Rng) -> Action {
    match rng.random_range(0..3) {
        0 => Action::DiskFull(peer),
        1 => Action::SyncFails(peer, rng.random_range(0..40)),
        _ => Action::DiskBreaks(peer, rng.random_range(0..40)),
    }
}

/// Eight minutes at most ahead: beyond ten, events wait for everybody's clock to get there, which is as it should be but
/// leaves nobody equal.
fn clock_fault(peer: PeerNo, (from, to): (f64, f64), rng: &mut ChaCha8Rng) -> Vec<(f64, Action)> {
    if rng.random_bool(0.3) {
        let ppm = rng.random_range(-50_000..=50_000);
        return vec![(from, Action::Drift(peer, ppm)), (to, Action::Drift(peer, 0))];
    }
    let by_ms = match rng.random_range(0..4) {
        0 => rng.random_range(-2_000..2_000),
        1 => rng.random_range(0..8 * 60_000),
        2 => -rng.random_range(0..3_600_000),
        _ => -YEAR_MS,
    };
    vec![(from, Action::Jump(peer, by_ms)), (to, Action::Jump(peer, -by_ms))]
}

const YEAR_MS: i64 = 365 * 24 * 3_600_000;
