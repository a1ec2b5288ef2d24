//! What can be done to a simulated world.

use crate::enemy::EnemyKind;
use crate::link::Link;
use crate::network::{Nat, PeerNo};
use crate::outcome::MarkKind;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A change in the world: mostly a fault, or its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Peers reach each other only inside a group. Who is in no group reaches nobody; who is in several is a bridge.
    Partition(Vec<Vec<PeerNo>>),
    /// Packets of the first no longer reach the second; the way back stays open.
    Cut(PeerNo, PeerNo),
    /// Ends [`Action::Cut`].
    Mend(PeerNo, PeerNo),
    /// Ends every partition and cut.
    Heal,
    /// All links are like this from now on.
    Links(Link),
    /// The link between two peers is like this from now on, both ways.
    Link(PeerNo, PeerNo, Link),
    /// Announces are lost with this probability, besides what links lose.
    GossipLoss(f64),
    /// A router stands in front of a peer. Connections that are there stay.
    Nat(PeerNo, Nat),
    /// So many relays stand in the open.
    Relays(usize),
    /// The process of a peer is killed; it stays down.
    Kill(PeerNo),
    /// A peer that is down starts.
    Start(PeerNo),
    /// A new device joins.
    Join,
    /// A peer is gone for good.
    Leave(PeerNo),
    /// The power of a device fails: what its disk was not made to keep may be lost. It starts again a little later.
    Power(PeerNo),
    /// The same after so many operations of its disk, in the middle of whatever is going on.
    PowerAfter(PeerNo, u64),
    /// A disk has no more room.
    DiskFull(PeerNo),
    /// A sync of a disk fails, after so many operations.
    SyncFails(PeerNo, u64),
    /// A disk answers nothing, after so many operations.
    DiskBreaks(PeerNo, u64),
    /// A disk is as it should be again.
    MendDisk(PeerNo),
    /// One bit of what is on a disk changes.
    FlipBit(PeerNo),
    /// A copy of a disk is put aside.
    Backup(PeerNo),
    /// A disk is put back to its last backup, and the device starts from that.
    Restore(PeerNo),
    /// The disk of a device is copied to another: two devices have one key from then on.
    Copy(PeerNo),
    /// A peer does nothing until it is woken, like a phone in a pocket.
    Sleep(PeerNo),
    /// Ends [`Action::Sleep`].
    Wake(PeerNo),
    /// A member attacks from now on.
    TurnHostile(PeerNo, EnemyKind),
    /// A clock moves by so many milliseconds at once.
    Jump(PeerNo, i64),
    /// A clock gains so many microseconds a second from now on.
    Drift(PeerNo, i32),
}

/// Peers reach each other only inside these groups.
pub fn partition<const N: usize>(groups: [&[PeerNo]; N]) -> Action {
    Action::Partition(groups.iter().map(|group| group.to_vec()).collect())
}

/// Ends every partition and cut.
pub fn heal() -> Action {
    Action::Heal
}

impl Action {
    /// Whom it is about; nobody in particular if empty.
    pub fn peers(&self) -> Vec<PeerNo> {
        if matches!(self, Self::Partition(_)) {
            return vec![];
        }
        self.clone().named_mut().into_iter().map(|peer| *peer).collect()
    }

    /// What it means for a picture of the run.
    pub fn kind(&self) -> MarkKind {
        match self {
            Self::Partition(groups) => MarkKind::Partition(groups.clone()),
            Self::Cut(..) => MarkKind::Cut,
            Self::Mend(..) => MarkKind::Mend,
            Self::Heal => MarkKind::Heal,
            Self::Kill(_) | Self::Power(_) | Self::Leave(_) => MarkKind::Crash,
            Self::Start(_) => MarkKind::Start,
            Self::Sleep(_) => MarkKind::Sleep,
            Self::Wake(_) => MarkKind::Wake,
            Self::Jump(..) | Self::Drift(..) => MarkKind::Clock,
            Self::PowerAfter(..)
            | Self::DiskFull(_)
            | Self::SyncFails(..)
            | Self::DiskBreaks(..)
            | Self::MendDisk(_)
            | Self::FlipBit(_)
            | Self::Backup(_)
            | Self::Restore(_)
            | Self::Copy(_) => MarkKind::Disk,
            Self::Links(_)
            | Self::Link(..)
            | Self::GossipLoss(_)
            | Self::Nat(..)
            | Self::Relays(_)
            | Self::Join
            | Self::TurnHostile(..) => MarkKind::Other,
        }
    }

    /// Every peer that is named.
    pub(crate) fn named_mut(&mut self) -> Vec<&mut PeerNo> {
        match self {
            Self::Partition(groups) => groups.iter_mut().flatten().collect(),
            Self::Cut(a, b) | Self::Mend(a, b) | Self::Link(a, b, _) => vec![a, b],
            Self::Nat(peer, _)
            | Self::Kill(peer)
            | Self::Start(peer)
            | Self::Leave(peer)
            | Self::Power(peer)
            | Self::PowerAfter(peer, _)
            | Self::DiskFull(peer)
            | Self::SyncFails(peer, _)
            | Self::DiskBreaks(peer, _)
            | Self::MendDisk(peer)
            | Self::FlipBit(peer)
            | Self::Backup(peer)
            | Self::Restore(peer)
            | Self::Copy(peer)
            | Self::Sleep(peer)
            | Self::Wake(peer)
            | Self::TurnHostile(peer, _)
            | Self::Jump(peer, _)
            | Self::Drift(peer, _) => vec![peer],
            Self::Heal | Self::Links(_) | Self::GossipLoss(_) | Self::Relays(_) | Self::Join => vec![],
        }
    }

    /// Whether there is one more peer afterwards.
    pub(crate) fn adds_peer(&self) -> bool {
        matches!(self, Self::Join | Self::Copy(_) | Self::TurnHostile(_, EnemyKind::Forker))
    }

    /// Whether it is about a disk, so that it does nothing to a peer that keeps its data in memory.
    pub(crate) fn is_about_disk(&self) -> bool {
        matches!(
            self,
            Self::Power(_)
                | Self::PowerAfter(..)
                | Self::DiskFull(_)
                | Self::SyncFails(..)
                | Self::DiskBreaks(..)
                | Self::MendDisk(_)
                | Self::FlipBit(_)
                | Self::Backup(_)
                | Self::Restore(_)
                | Self::Copy(_)
        )
    }

    /// The same in a world without one of the peers, in which those behind it move up; none if it is about that peer.
    pub(crate) fn without(&self, gone: PeerNo) -> Option<Self> {
        let mut action = self.clone();
        if let Self::Partition(groups) = &mut action {
            groups.iter_mut().for_each(|group| group.retain(|peer| *peer != gone));
            groups.retain(|group| !group.is_empty());
        }
        for peer in action.named_mut() {
            if *peer == gone {
                return None;
            }
            *peer -= usize::from(*peer > gone);
        }
        Some(action)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partition(groups) => write!(f, "partition {groups:?}"),
            Self::Cut(from, to) => write!(f, "cut {from} -> {to}"),
            Self::Mend(from, to) => write!(f, "mend {from} -> {to}"),
            Self::Heal => f.write_str("heal"),
            Self::Links(link) => write!(f, "all links {link:?}"),
            Self::Link(a, b, link) => write!(f, "link {a} - {b} {link:?}"),
            Self::GossipLoss(loss) => write!(f, "gossip loss {loss}"),
            Self::Nat(peer, nat) => write!(f, "{peer} behind a router: {nat:?}"),
            Self::Relays(relays) => write!(f, "{relays} relays"),
            Self::Kill(peer) => write!(f, "kill {peer}"),
            Self::Start(peer) => write!(f, "start {peer}"),
            Self::Join => f.write_str("a device joins"),
            Self::Leave(peer) => write!(f, "{peer} leaves for good"),
            Self::Power(peer) => write!(f, "the power of {peer} fails"),
            Self::PowerAfter(peer, operations) => {
                write!(f, "the power of {peer} fails after {operations} operations of its disk")
            }
            Self::DiskFull(peer) => write!(f, "the disk of {peer} is full"),
            Self::SyncFails(peer, operations) => {
                write!(f, "a sync of {peer} fails after {operations} operations")
            }
            Self::DiskBreaks(peer, operations) => {
                write!(f, "the disk of {peer} breaks after {operations} operations")
            }
            Self::MendDisk(peer) => write!(f, "the disk of {peer} is mended"),
            Self::FlipBit(peer) => write!(f, "a bit flips on the disk of {peer}"),
            Self::Backup(peer) => write!(f, "{peer} is backed up"),
            Self::Restore(peer) => write!(f, "{peer} is restored"),
            Self::Copy(peer) => write!(f, "{peer} is copied"),
            Self::Sleep(peer) => write!(f, "{peer} sleeps"),
            Self::Wake(peer) => write!(f, "{peer} wakes"),
            Self::TurnHostile(peer, kind) => write!(f, "{peer} turns hostile: {kind}"),
            Self::Jump(peer, by_ms) => write!(f, "the clock of {peer} jumps {by_ms} ms"),
            Self::Drift(peer, ppm) => write!(f, "the clock of {peer} drifts {ppm} ppm"),
        }
    }
}
