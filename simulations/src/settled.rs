//! What must hold once the network is whole again: everybody gets equal, in time, and knows it.

use crate::minimum;
use crate::network::PeerNo;
use crate::oracle;
use crate::world::{Traffic, Violation, World};
use reknit_engine::SpaceStatus;
use reknit_types::{DeviceId, Dot};
use std::collections::BTreeSet;
use std::time::Duration;

/// What peers may need to become equal.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Virtual time until all have the same events. In a file: seconds.
    #[serde(with = "seconds")]
    pub time: Duration,
    /// Bytes of messages until then; none if they do not matter.
    pub bytes: Option<u64>,
    /// How many times as many bytes of messages as nobody could do without, besides [`Budget::bytes`]; none if that does
    /// not matter.
    pub over_minimum: Option<f64>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { time: Duration::from_secs(120), bytes: None, over_minimum: None }
    }
}

impl Budget {
    fn bytes_max(&self, minimum: Option<u64>) -> Option<u64> {
        match (self.over_minimum, minimum) {
            (Some(times), Some(minimum)) => Some((times * minimum as f64) as u64 + self.bytes.unwrap_or(0)),
            _ => self.bytes,
        }
    }
}

/// How peers became equal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settled {
    /// How long it took.
    pub time: Duration,
    /// What it took.
    pub traffic: Traffic,
    /// Bytes of what peers lacked at first, compressed; none if unknown.
    pub minimum_bytes: Option<u64>,
}

/// Waits until all honest peers that run are equal, and checks that they agree on everything.
pub(crate) fn settle(world: &mut World, budget: &Budget) -> Result<Settled, Violation> {
    let (began, before) = (world.now(), world.traffic());
    // Whoever was started this moment has not opened its space yet, and would pass for one that lacks everything.
    world.pass_until(Duration::ZERO, |world| have_opened(world))?;
    let minimum_bytes = minimum::bytes(world, &honest(world));
    let mut next = world.now();
    let equal = world.pass_until(budget.time, |world| {
        if world.now() < next {
            return false;
        }
        next = world.now() + LOOK_EVERY;
        are_equal(world)
    })?;
    let settled = Settled { time: world.now() - began, traffic: world.traffic() - before, minimum_bytes };
    if !equal {
        let what = differences(world);
        return Err(broken(world, "converges", what));
    }
    if let Some(most) = budget.bytes_max(minimum_bytes).filter(|most| settled.traffic.bytes > *most) {
        let what = format!("{} bytes, {most} were allowed", settled.traffic.bytes);
        return Err(broken(world, "within-bytes", what));
    }
    if world.is_beset() {
        // Who attacks writes on: there is no quiet in which all could sign for what they have.
        world.pass(BESET_WAIT)?;
    } else {
        wait_for_receipts(world)?;
    }
    if !equal_again(world, budget)? {
        let what = differences(world);
        return Err(broken(world, "converges", what));
    }
    agree(world)?;
    Ok(settled)
}

fn wait_for_receipts(world: &mut World) -> Result<(), Violation> {
    let mut next = world.now();
    world.pass_until(RECEIPTS_WAIT, |world| {
        if world.now() < next {
            return false;
        }
        next = world.now() + LOOK_FOR_RECEIPTS_EVERY;
        receipts(world).is_ok()
    })?;
    receipts(world)
}

/// What an enemy brought in, or what was held of it, may have come meanwhile and not be everywhere yet.
fn equal_again(world: &mut World, budget: &Budget) -> Result<bool, Violation> {
    let most = if world.checks.knows_hostility() { budget.time } else { Duration::ZERO };
    let mut next = world.now();
    world.pass_until(most, |world| {
        if world.now() < next {
            return false;
        }
        next = world.now() + LOOK_EVERY;
        are_equal(world)
    })
}

fn broken(world: &World, rule: &'static str, what: String) -> Violation {
    Violation { at: world.now(), rule, what }
}

/// Those who are to be equal.
fn honest(world: &World) -> Vec<PeerNo> {
    let all = 0..world.peers();
    all.filter(|peer| !world.checks.is_hostile(*peer) && !world.has_left(*peer)).collect()
}

fn have_opened(world: &World) -> bool {
    honest(world).into_iter().all(|peer| world.glance(peer).is_none() || world.space(peer).is_some())
}

fn are_equal(world: &World) -> bool {
    let peers = honest(world);
    let digests: Option<BTreeSet<[u8; 32]>> =
        peers.iter().map(|peer| world.glance(*peer).map(|glance| glance.frontier_digest)).collect();
    digests.is_some_and(|digests| digests.len() <= 1)
}

fn differences(world: &mut World) -> String {
    let mut lines = vec!["the peers are not equal:".to_owned()];
    for peer in honest(world) {
        match world.look(peer) {
            Ok(status) => {
                lines.push(format!(
                    "  {peer}: {} events, frontier {}, heads {:?}",
                    status.events,
                    data(&status.frontier_digest),
                    status.heads
                ));
                lines.extend(
                    status.reasons.iter().map(|reason| format!("     why: {} {}", reason.code, reason.text)),
                );
            }
            Err(error) => lines.push(format!("  {peer}: {error}")),
        }
    }
    lines.join("\n")
}

fn data(digest: &[u8; 32]) -> String {
    digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// Peers with the same events agree on everything else.
fn agree(world: &mut World) -> Result<(), Violation> {
    let peers = honest(world);
    let Some((first, rest)) = peers.split_first() else { return Ok(()) };
    members_only(world, &peers)?;
    let expected = View::of(world, *first)?;
    as_expected(world, *first)?;
    for peer in rest {
        let found = View::of(world, *peer)?;
        for (what, one, other) in
            expected.facts().into_iter().zip(found.facts()).map(|(a, b)| (a.0, a.1, b.1))
        {
            if one != other {
                let what = format!("{what} of {first} and {peer} differ: {one} and {other}");
                return Err(broken(world, "agrees", what));
            }
        }
    }
    Ok(())
}

/// What a peer shows is what its events mean, computed anew from nothing but the definition.
fn as_expected(world: &mut World, peer: PeerNo) -> Result<(), Violation> {
    let status = look(world, peer)?;
    let events = world.events(peer).map_err(|error| broken(world, "readable", error.to_string()))?;
    let expected = oracle::expected(&events).map_err(|error| broken(world, "oracle", error.to_string()))?;
    let differences = match (world.reads(peer), world.space(peer)) {
        (Ok(reads), Some(space)) => {
            oracle::differences(&expected, &oracle::Found { reads, space, status: &status })
        }
        _ => vec![format!("{peer} has no space")],
    };
    if differences.is_empty() {
        return Ok(());
    }
    Err(broken(world, "oracle", format!("{peer} is not as its events say:\n{}", differences.join("\n"))))
}

/// What equal peers have is by members. One stands for all, unless somebody lied to them.
fn members_only(world: &mut World, peers: &[PeerNo]) -> Result<(), Violation> {
    let count = if world.checks.knows_hostility() { peers.len() } else { 1 };
    peers.iter().take(count).for_each(|peer| world.checks.members_only(*peer, &world.peers[*peer]));
    world.checks.verdict(world.now())
}

/// Whoever is connected knows that the other is equal, and nobody has a reason not to be.
fn receipts(world: &mut World) -> Result<(), Violation> {
    let peers = honest(world);
    let devices: BTreeSet<DeviceId> = peers.iter().map(|peer| world.device(*peer)).collect();
    for peer in &peers {
        let status = look(world, *peer)?;
        let own = world.device(*peer);
        let listed: BTreeSet<DeviceId> = status.peers.iter().map(|known| known.device).chain([own]).collect();
        if let Some(device) = devices.iter().find(|device| !listed.contains(device)) {
            let what = format!("{peer} does not list {}", device.short());
            return Err(broken(world, "lists-members", what));
        }
        let open =
            status.peers.iter().filter(|known| known.session.is_some() && devices.contains(&known.device));
        if let Some(known) = open.into_iter().find(|known| !known.converged) {
            let what = format!(
                "{peer} has a session with {} and no receipt of it: {:?}, {:?}",
                known.device.short(),
                known.session,
                status.reasons
            );
            return Err(broken(world, "receipts", what));
        }
    }
    Ok(())
}

fn look(world: &mut World, peer: PeerNo) -> Result<SpaceStatus, Violation> {
    let looked = world.look(peer);
    looked.map_err(|error| broken(world, "answers", format!("{peer}: {error}")))
}

/// What equal peers agree on, as text.
struct View {
    status: SpaceStatus,
    contents: String,
    members: String,
}

impl View {
    fn of(world: &mut World, peer: PeerNo) -> Result<Self, Violation> {
        let status = look(world, peer)?;
        let contents = world.contents(peer);
        let contents = contents.map_err(|error| broken(world, "readable", format!("{peer}: {error}")))?;
        let members = format!("{:?}", world.members(peer));
        Ok(Self { status, contents: format!("{contents:?}"), members })
    }

    fn facts(&self) -> [(&'static str, String); 6] {
        let mut heads: Vec<Dot> = self.status.heads.clone();
        heads.sort();
        [
            ("the numbers of events", self.status.events.to_string()),
            ("heads", format!("{heads:?}")),
            ("voids", self.status.voids.to_string()),
            ("forks", format!("{:?}", self.status.forks)),
            ("members", self.members.clone()),
            ("contents", self.contents.clone()),
        ]
    }
}

/// How often to look whether peers are equal.
const LOOK_EVERY: Duration = Duration::from_millis(10);
const BESET_WAIT: Duration = Duration::from_secs(5);
/// Receipts follow a moment of quiet, once connections that died unnoticed are found dead, and what was queued while links
/// were slow has come.
const RECEIPTS_WAIT: Duration = Duration::from_secs(120);
const LOOK_FOR_RECEIPTS_EVERY: Duration = Duration::from_millis(500);

/// A duration as a number of seconds.
mod seconds {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::time::Duration;

    pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        time.as_secs_f64().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
