//! Devices that attack: members who lie, flood, forge and fork, and strangers who guess.
//!
//! A production engine runs on a hostile device as on any other, so that it gets as deep into a conversation as there
//! is; what it says is changed on the way out. What no engine would say is put on its streams besides. Lies are told
//! field by field, see `enemy/lie.rs`.

pub(crate) mod forging;
mod frames;
pub(crate) mod known;
pub(crate) mod lie;
pub(crate) mod messages;

use crate::network::PeerNo;
use known::Known;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reknit_sync::{Announce, Frame, Message, Opening};
use reknit_types::{Dot, VerifiedEvent};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::time::Duration;

/// Devices that attack alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enemy {
    /// What they do.
    pub kind: EnemyKind,
    /// Which peers turn hostile. Strangers are none of them: they come besides, as many as `count` says.
    #[serde(default)]
    pub at: Vec<PeerNo>,
    /// How many strangers there are.
    #[serde(default = "one")]
    pub count: usize,
    /// How often each of them attacks by itself, on average.
    #[serde(default = "five")]
    pub per_second: f64,
    /// The probability that a message which its engine sends is changed on the way out.
    #[serde(default = "tenth")]
    pub lies: f64,
    /// When they begin.
    #[serde(default)]
    pub from: f64,
    /// When they stop attacking; never if none, not even while the others are to become equal.
    #[serde(default)]
    pub until: Option<f64>,
    /// Their devices are gone once they stop; else they go on like honest ones.
    #[serde(default)]
    pub leaves: bool,
}

/// A way to attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnemyKind {
    /// A member that lies in one field of a message at a time, of those it sends and those it makes up.
    Liar,
    /// A member whose bytes are damaged: flipped, cut, inserted.
    Vandal,
    /// A member that says very much: messages, announces and openings in bursts.
    Flooder,
    /// A member that signs with its own key what no engine would write, and branches of its own chain for different peers.
    Forger,
    /// A member whose device runs twice under one key, each half of the time with other peers.
    Forker,
    /// No member: it guesses names, and repeats what it overheard.
    Stranger,
}

impl Enemy {
    /// Enemies of this kind, from the start on and without end.
    pub fn new(kind: EnemyKind) -> Self {
        let (at, count, from, until, leaves) = (vec![], one(), 0.0, None, false);
        Self { kind, at, count, per_second: five(), lies: tenth(), from, until, leaves }
    }
}

impl fmt::Display for EnemyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Liar => "liar",
            Self::Vandal => "vandal",
            Self::Flooder => "flooder",
            Self::Forger => "forger",
            Self::Forker => "forker",
            Self::Stranger => "stranger",
        })
    }
}

/// The enemies of a world, and what they did.
#[derive(Debug, Default)]
pub(crate) struct Enemies {
    pub(crate) hostile: BTreeMap<PeerNo, Hostile>,
    /// Attacks so far, by what was attacked.
    pub(crate) told: BTreeMap<&'static str, u64>,
    /// What honest peers did about it, by why.
    pub(crate) answers: BTreeMap<String, u64>,
    /// What strangers could have overheard, or been given by a member.
    pub(crate) overheard: Overheard,
}

/// Words that anybody may repeat.
#[derive(Debug, Default)]
pub(crate) struct Overheard {
    pub(crate) openings: VecDeque<Vec<u8>>,
    pub(crate) announces: VecDeque<([u8; 32], Vec<u8>)>,
}

/// A hostile device.
#[derive(Debug)]
pub(crate) struct Hostile {
    pub(crate) enemy: Enemy,
    /// It attacks until then.
    pub(crate) until: Option<Duration>,
    pub(crate) active: bool,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) known: Known,
    /// The last event that it forged in order: forgeries go on from it as well.
    pub(crate) forged: Option<VerifiedEvent>,
    /// The other device with the same key.
    pub(crate) twin: Option<PeerNo>,
    pub(crate) turns: u64,
    /// How often a forger still branches its chain.
    pub(crate) forks_left: u32,
}

impl Hostile {
    pub(crate) fn new(enemy: Enemy, until: Option<Duration>, mut rng: ChaCha8Rng) -> Self {
        let (active, known, forged, twin, turns) = (true, Known::default(), None, None, 0);
        let forks_left = rng.random_range(0..FORKS_MAX);
        Self { enemy, until, active, rng, known, forged, twin, turns, forks_left }
    }

    /// The heads of the space, as it knows them.
    pub(crate) fn heads(&self) -> Vec<Dot> {
        let followed: BTreeSet<_> = self
            .known
            .events
            .iter()
            .flat_map(|event| event.header().parents.iter().copied().chain(event.header().prev))
            .collect();
        self.known.dots().filter(|dot| !followed.contains(&dot.id)).collect()
    }
}

impl Overheard {
    pub(crate) fn hear_opening(&mut self, bytes: &[u8]) {
        if self.openings.len() >= OVERHEARD_MAX {
            self.openings.pop_front();
        }
        self.openings.push_back(bytes.to_vec());
    }

    pub(crate) fn hear_announce(&mut self, topic: [u8; 32], sealed: &[u8]) {
        if self.announces.len() >= OVERHEARD_MAX {
            self.announces.pop_front();
        }
        self.announces.push_back((topic, sealed.to_vec()));
    }
}

/// Everything in messages that enemies lie about, by name.
pub fn fields() -> BTreeSet<&'static str> {
    let (mut rng, mut known) = (ChaCha8Rng::seed_from_u64(0), Known::default());
    known.hear_frame(Frame::from_bytes(vec![0x10]));
    let mut fields = BTreeSet::new();
    // Some fields show in one variant only.
    for _ in 0..64 {
        for mut message in messages::make_up_all(&mut rng, &known) {
            fields.extend(lie::list(&mut message, &mut rng, &known));
        }
    }
    let mut opening = Opening { version: 1, tag: [0; 32], admission: Some(vec![0]) };
    fields.extend(lie::list(&mut opening, &mut rng, &known));
    let dot = messages::make_up_all(&mut rng, &known).iter().find_map(|message| match message {
        Message::Have(dots) => dots.first().copied(),
        _ => None,
    });
    let frame = known.frames.back().cloned();
    let mut announce = Announce { heads: dot.into_iter().collect(), frontier_digest: [0; 32], frame };
    fields.extend(lie::list(&mut announce, &mut rng, &known));
    fields
}

fn one() -> usize {
    1
}

fn five() -> f64 {
    5.0
}

fn tenth() -> f64 {
    0.1
}

const OVERHEARD_MAX: usize = 64;
const FORKS_MAX: u32 = 12;
