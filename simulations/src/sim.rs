//! Building a simulation, running it, and judging it.

use crate::action::Action;
use crate::link::Link;
use crate::network::PeerNo;
use crate::settled::{Budget, Settled, settle};
use crate::world::{AskError, Disks, Invariant, Traffic, Violation, World};
use rand::RngExt;
use rand::seq::IndexedRandom;
use reknit_access::{Role, Ticket};
use std::rc::Rc;
use std::time::Duration;

/// A simulation, to be set up and run.
///
/// Peers found and join one space over a whole network first. The times of [`Sim::at`] count from when all of them have.
#[derive(Debug, Clone)]
pub struct Sim {
    seed: u64,
    peers: usize,
    link: Link,
    disks: Disks,
    degree: Option<usize>,
    plan: Vec<(Duration, Action)>,
    budget: Budget,
    kept_lines: usize,
    invariants: Vec<Invariant>,
}

/// Readable durations: `10.s()`, `250.ms()`.
pub trait Time {
    /// So many seconds.
    fn s(self) -> Duration;
    /// So many milliseconds.
    fn ms(self) -> Duration;
    /// So many minutes.
    fn min(self) -> Duration;
}

impl Time for u64 {
    fn s(self) -> Duration {
        Duration::from_secs(self)
    }

    fn ms(self) -> Duration {
        Duration::from_millis(self)
    }

    fn min(self) -> Duration {
        Duration::from_secs(60 * self)
    }
}

impl Sim {
    /// A simulation of three peers on a good network, in which everything follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let (link, disks, budget) = (Link::default(), Disks::default(), Budget::default());
        Self {
            seed,
            peers: 3,
            link,
            disks,
            degree: None,
            plan: vec![],
            budget,
            kept_lines: 40,
            invariants: vec![],
        }
    }

    /// How many peers there are.
    #[must_use]
    pub fn peers(self, peers: usize) -> Self {
        Self { peers, ..self }
    }

    /// What lies between any two of them.
    #[must_use]
    pub fn link(self, link: Link) -> Self {
        Self { link, ..self }
    }

    /// What they keep their data on.
    #[must_use]
    pub fn disks(self, disks: Disks) -> Self {
        Self { disks, ..self }
    }

    /// Each peer stays connected with at least so many others, drawn at random, instead of with all.
    #[must_use]
    pub fn degree(self, degree: usize) -> Self {
        Self { degree: Some(degree), ..self }
    }

    /// Does this at that time.
    #[must_use]
    pub fn at(mut self, time: Duration, action: Action) -> Self {
        self.plan.push((time, action));
        self
    }

    /// What peers may need to become equal once the network is whole.
    #[must_use]
    pub fn budget(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// What must hold at a peer whenever something was committed there, by the app's own rules: an error says what does not.
    #[must_use]
    pub fn always(
        mut self,
        rule: &'static str,
        holds: impl Fn(&World, PeerNo) -> Result<(), String> + 'static,
    ) -> Self {
        self.invariants.push(Invariant { rule, holds: Rc::new(holds) });
        self
    }

    /// How many lines of the story to keep for a failure.
    #[must_use]
    pub fn kept_lines(self, kept_lines: usize) -> Self {
        Self { kept_lines, ..self }
    }

    /// Runs it: `script` does what people and apps do, while what was planned happens at its time.
    pub fn run(self, script: impl FnOnce(&mut World) -> Result<(), AskError>) -> Ran {
        let mut world = World::new(self.seed, self.link, self.disks, self.kept_lines);
        let outcome = self.set_up(&mut world).and_then(|()| {
            let start = world.now();
            world.invariants.clone_from(&self.invariants);
            for (time, action) in &self.plan {
                world.plan(start + *time, action.clone());
            }
            script(&mut world)?;
            let last = self.plan.iter().map(|(time, _)| start + *time).max().unwrap_or(start);
            world.pass(last.saturating_sub(world.now()))?;
            Ok(())
        });
        Ran { world, outcome, budget: self.budget, seed: self.seed }
    }

    fn set_up(&self, world: &mut World) -> Result<(), AskError> {
        let founder = world.add_peer();
        world.create(founder)?;
        let ticket = world.invite(founder, Role::Writer)?;
        world.ticket = Some(ticket.clone());
        if self.disks == Disks::Memory && self.peers >= LARGE {
            world.join_as_copies(self.peers, &ticket)?;
            (1..self.peers).for_each(|peer| self.introduce(world, peer));
        } else {
            self.join_all(world, &ticket)?;
        }
        settle(world, &Budget { time: SET_UP_MAX, ..Budget::default() }).map(drop).map_err(AskError::from)
    }

    fn join_all(&self, world: &mut World, ticket: &Ticket) -> Result<(), AskError> {
        let mut joins = vec![];
        for peer in 1..self.peers {
            world.add_peer();
            self.introduce(world, peer);
            let request = world.begin_join(peer, ticket).ok_or(AskError::NotRunning { peer })?;
            joins.push((peer, request));
        }
        joins.into_iter().try_for_each(|(peer, request)| world.joined(peer, request))
    }

    /// Connects a new peer with some of those that are there.
    fn introduce(&self, world: &mut World, peer: PeerNo) {
        let mut rng = world.chance.stream("topology", peer as u64);
        let earlier: Vec<PeerNo> = (0..peer).collect();
        let count = self.degree.map_or(peer, |degree| degree.div_ceil(2).min(peer));
        let mut others: Vec<PeerNo> = earlier.sample(&mut rng, count).copied().collect();
        if others.is_empty() {
            others.push(rng.random_range(0..peer));
        }
        others.into_iter().for_each(|other| world.introduce(other, peer));
    }
}

/// A simulation that has run.
pub struct Ran {
    /// The world as it is in the end.
    pub world: World,
    /// What went wrong, if anything did.
    pub outcome: Result<(), AskError>,
    budget: Budget,
    seed: u64,
}

impl Ran {
    /// Heals whatever is still broken, and waits until all peers are equal, in every respect.
    ///
    /// # Errors
    /// The rule that was broken, or does not hold in the end.
    pub fn converge(&mut self) -> Result<Settled, Violation> {
        match &self.outcome {
            Err(AskError::Violation(violation)) => return Err(violation.clone()),
            Err(other) => {
                let (at, rule, what) = (self.world.now(), "script", other.to_string());
                return Err(Violation { at, rule, what });
            }
            Ok(()) => {}
        }
        self.world.restore_order();
        settle(&mut self.world, &self.budget)
    }

    /// As [`Ran::converge`], for a test: says how to see a failure again.
    ///
    /// # Panics
    /// If a rule was broken, or the peers do not become equal within the budget.
    #[track_caller]
    pub fn assert_converged(mut self) -> Ran {
        if let Err(violation) = self.converge() {
            let story: Vec<&str> = self.world.trace().last().collect();
            panic!("seed {}: {violation}\nthe last that happened:\n{}", self.seed, story.join("\n"));
        }
        self
    }

    /// What was carried.
    pub fn traffic(&self) -> Traffic {
        self.world.traffic()
    }
}

const SET_UP_MAX: Duration = Duration::from_secs(600);
/// As many peers in memory start from copies of one store, in which all have joined: that each fetched the joins of all
/// others would take a million signatures for a thousand peers.
const LARGE: usize = 64;
