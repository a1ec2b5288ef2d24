//! Who can reach whom, over what, and how connections come and go.
//!
//! Devices that want to be connected dial each other as production peers do: at once when they start, wake up or lose a
//! connection, then again and again after a growing random wait, which stays short for whoever was connected lately. A
//! dial that meets nothing is probed for a while, so a link that comes back in that time is found.

mod reach;

pub use reach::Nat;
pub(crate) use reach::{Reach, Route};

use crate::link::{Link, Sender};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// A device, by its place in the simulation.
pub type PeerNo = usize;

/// A connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnNo(pub(crate) u64);

/// A stream of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamNo(pub(crate) u64);

/// Two devices that are connected.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) ends: [PeerNo; 2],
    /// Over a relay, by its place among the relays.
    pub(crate) relay: Option<usize>,
    /// From the first end to the second, and back.
    pub(crate) senders: [Sender; 2],
    /// What is under way while the path is cut: it is sent again when that is mended in time.
    pub(crate) held: [VecDeque<Arrival>; 2],
    /// Since when the path is cut in either direction.
    pub(crate) cut_since: Option<Duration>,
    /// A device that no longer runs: its end of the connection is gone, which the other does not know yet.
    pub(crate) gone: Option<PeerNo>,
}

/// Something on its way through a stream.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    pub(crate) stream: StreamNo,
    /// Which end it goes to.
    pub(crate) to: usize,
    pub(crate) item: Item,
}

/// What comes through a stream.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Opening(Vec<u8>),
    Message(Vec<u8>),
    /// So many bytes of the message that comes next: what the reader of a slow stream tells its engine.
    Part(u64),
    End(String),
}

/// A stream between two engines.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) conn: ConnNo,
    /// The names that the two engines know it under: that of the first end of the connection first.
    pub(crate) links: [Option<reknit_engine::LinkId>; 2],
    /// Nothing overtakes within a stream.
    pub(crate) last_arrival: [Duration; 2],
    /// Bytes of frames that each side has sent and was given no credit for yet.
    pub(crate) owed: [u64; 2],
}

/// One device's attempts to reach another.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dialling {
    /// Attempts that failed since the two were last connected.
    pub(crate) failures: u32,
    /// When they last lost each other.
    pub(crate) parted: Option<Duration>,
    /// Distinguishes the attempt under way from those that were overtaken.
    pub(crate) attempt: u64,
}

/// Everything between the devices.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) reach: Reach,
    default_link: Link,
    links: BTreeMap<(PeerNo, PeerNo), Link>,
    pub(crate) conns: BTreeMap<ConnNo, Conn>,
    pub(crate) of_peer: Vec<BTreeMap<PeerNo, BTreeSet<ConnNo>>>,
    pub(crate) streams: BTreeMap<StreamNo, Stream>,
    /// Who wants to be connected with whom.
    pub(crate) wanted: Vec<BTreeSet<PeerNo>>,
    pub(crate) dialling: BTreeMap<(PeerNo, PeerNo), Dialling>,
    /// The probability that a gossiped message is lost, besides what the link loses.
    pub(crate) gossip_loss: f64,
    last_conn: u64,
    last_stream: u64,
}

impl Network {
    pub(crate) fn new(default_link: Link) -> Self {
        Self {
            reach: Reach::default(),
            default_link,
            links: BTreeMap::new(),
            conns: BTreeMap::new(),
            of_peer: vec![],
            streams: BTreeMap::new(),
            wanted: vec![],
            dialling: BTreeMap::new(),
            gossip_loss: 0.0,
            last_conn: 0,
            last_stream: 0,
        }
    }

    pub(crate) fn add_peer(&mut self) {
        self.of_peer.push(BTreeMap::new());
        self.wanted.push(BTreeSet::new());
        self.reach.add_peer();
    }

    /// Both dial each other from now on.
    pub(crate) fn want(&mut self, a: PeerNo, b: PeerNo) {
        self.wanted[a].insert(b);
        self.wanted[b].insert(a);
    }

    pub(crate) fn set_link(&mut self, from: PeerNo, to: PeerNo, link: Link) {
        self.links.insert((from, to), link);
    }

    pub(crate) fn set_all_links(&mut self, link: Link) {
        self.links.clear();
        self.default_link = link;
    }

    pub(crate) fn link(&self, from: PeerNo, to: PeerNo) -> &Link {
        self.links.get(&(from, to)).unwrap_or(&self.default_link)
    }

    /// One direction of a connection: over a relay everything goes twice as far, and may be lost twice.
    pub(crate) fn path(&self, from: PeerNo, to: PeerNo, relay: Option<usize>) -> (Link, Duration) {
        let (there, back) = (*self.link(from, to), *self.link(to, from));
        let round_trip = there.latency.median() + back.latency.median();
        if relay.is_none() {
            return (there, round_trip);
        }
        let loss = 1.0 - (1.0 - there.loss) * (1.0 - there.loss);
        let latency = crate::link::Latency::Fixed(there.latency.median().as_secs_f64() * 2_000.0);
        (Link { loss, latency, ..there }, round_trip * 2)
    }

    /// The connection that new streams of the two go over: the newest.
    pub(crate) fn newest_conn(&self, a: PeerNo, b: PeerNo) -> Option<ConnNo> {
        self.of_peer.get(a)?.get(&b)?.last().copied()
    }

    pub(crate) fn connected(&self, a: PeerNo) -> impl Iterator<Item = PeerNo> + '_ {
        self.of_peer.get(a).into_iter().flat_map(|conns| conns.keys().copied())
    }

    pub(crate) fn add_conn(&mut self, a: PeerNo, b: PeerNo, relay: Option<usize>) -> ConnNo {
        self.last_conn += 1;
        let no = ConnNo(self.last_conn);
        let (senders, held) = ([Sender::default(), Sender::default()], [VecDeque::new(), VecDeque::new()]);
        self.conns.insert(no, Conn { ends: [a, b], relay, senders, held, cut_since: None, gone: None });
        self.of_peer[a].entry(b).or_default().insert(no);
        self.of_peer[b].entry(a).or_default().insert(no);
        no
    }

    /// Forgets the end that `peer` has of a connection; whether the two have no other.
    pub(crate) fn detach(&mut self, no: ConnNo, peer: PeerNo, other: PeerNo) -> bool {
        let Some(conns) = self.of_peer[peer].get_mut(&other) else { return false };
        let had = conns.remove(&no);
        if conns.is_empty() {
            self.of_peer[peer].remove(&other);
            return had;
        }
        false
    }

    pub(crate) fn add_stream(&mut self, conn: ConnNo) -> StreamNo {
        self.last_stream += 1;
        let no = StreamNo(self.last_stream);
        let last_arrival = [Duration::ZERO; 2];
        self.streams.insert(no, Stream { conn, links: [None, None], last_arrival, owed: [0; 2] });
        no
    }

    pub(crate) fn streams_of(&self, conn: ConnNo) -> Vec<StreamNo> {
        self.streams.iter().filter(|(_, stream)| stream.conn == conn).map(|(no, _)| *no).collect()
    }
}

impl Conn {
    /// The place of an end among the two.
    pub(crate) fn side(&self, peer: PeerNo) -> usize {
        usize::from(self.ends[0] != peer)
    }
}
