//! Making a failing scenario smaller: as few peers, faults, people and edits, and as little time, as still break the rule.
//!
//! A greedy search in the manner of delta debugging (Zeller and Hildebrandt 2002): parts are left out, the largest first,
//! and what still fails is kept, until nothing that is tried can be left out. Running a candidate is up to the caller, and
//! so is how long to go on.

mod smaller;

use crate::scenario::Scenario;
use smaller::{Chunks, NUMBERS, SWITCHES};

/// A scenario that was made smaller.
#[derive(Debug, Clone, PartialEq)]
pub struct Shrunk {
    /// The smallest that was found.
    pub scenario: Scenario,
    /// How many candidates were run.
    pub tried: u64,
    /// How many of them still failed, each smaller than the one before.
    pub kept: u64,
    /// Whether everything was tried: false if the caller ran out of patience.
    pub complete: bool,
}

/// Makes a scenario smaller that breaks a rule under a seed. `still_fails` runs a candidate under that seed and says whether
/// it breaks the same rule; none to stop.
pub fn shrink(scenario: &Scenario, seed: u64, still_fails: impl FnMut(&Scenario) -> Option<bool>) -> Shrunk {
    let mut search = Search {
        still_fails,
        shrunk: Shrunk { scenario: scenario.clone(), tried: 0, kept: 0, complete: true },
    };
    loop {
        let before = search.shrunk.kept;
        search.round();
        // What remains of repeated and of chance faults is written out once, so that each can be left out by itself.
        if search.shrunk.kept == before && !search.offer(|scenario| smaller::write_out(scenario, seed)) {
            return search.shrunk;
        }
    }
}

struct Search<F> {
    still_fails: F,
    shrunk: Shrunk,
}

impl<F: FnMut(&Scenario) -> Option<bool>> Search<F> {
    /// Tries everything once.
    fn round(&mut self) {
        self.each_number();
        self.peers();
        self.chunks(&smaller::PEOPLE);
        self.chunks(&smaller::ENEMIES);
        self.chunks(&smaller::PLANNED);
        self.chunks(&smaller::REPEATED);
        self.actions();
        for switch in SWITCHES {
            self.offer(switch);
        }
        self.places();
        self.works();
    }

    /// Runs the scenario with a change; keeps it if it still fails.
    fn offer(&mut self, change: impl FnOnce(&mut Scenario)) -> bool {
        let mut candidate = self.shrunk.scenario.clone();
        change(&mut candidate);
        if !self.shrunk.complete || candidate == self.shrunk.scenario || !candidate.faults().is_empty() {
            return false;
        }
        let Some(fails) = (self.still_fails)(&candidate) else {
            self.shrunk.complete = false;
            return false;
        };
        self.shrunk.tried += 1;
        if fails {
            self.shrunk.kept += 1;
            self.shrunk.scenario = candidate;
        }
        fails
    }

    /// Numbers: each to its least at once, or halved as long as that goes.
    fn each_number(&mut self) {
        for number in NUMBERS {
            let items = (number.count)(&self.shrunk.scenario);
            for item in 0..items {
                let set = |scenario: &mut Scenario, to: f64| (number.set)(scenario, item, to);
                if self.offer(|scenario| set(scenario, number.least)) {
                    continue;
                }
                loop {
                    let half = (number.get)(&self.shrunk.scenario, item) / 2.0;
                    if half <= number.least || !self.offer(|scenario| set(scenario, half)) {
                        break;
                    }
                }
            }
        }
    }

    /// Peers: the second half of them, then each.
    fn peers(&mut self) {
        loop {
            let peers = self.shrunk.scenario.peers;
            let half = peers / 2;
            let without = |scenario: &mut Scenario| {
                (peers - half..peers).rev().for_each(|peer| smaller::remove_peer(scenario, peer));
            };
            if half == 0 || !self.offer(without) {
                break;
            }
        }
        for peer in (0..self.shrunk.scenario.peers).rev() {
            if self.shrunk.scenario.peers > 1 {
                self.offer(|scenario| smaller::remove_peer(scenario, peer));
            }
        }
    }

    /// A list: all of it, then halves, quarters and so on, down to each item.
    fn chunks(&mut self, list: &Chunks) {
        let mut size = (list.len)(&self.shrunk.scenario);
        while size > 0 {
            let mut start = 0;
            while start < (list.len)(&self.shrunk.scenario) {
                let end = (start + size).min((list.len)(&self.shrunk.scenario));
                if !self.offer(|scenario| (list.remove)(scenario, start..end)) {
                    start = end;
                }
            }
            size /= 2;
        }
    }

    /// Single actions among those of one time or turn.
    fn actions(&mut self) {
        for (list, action) in smaller::all_actions(&self.shrunk.scenario).into_iter().rev() {
            self.offer(|scenario| smaller::remove_action(scenario, list, action));
        }
    }

    /// Where people work: at fewer peers.
    fn places(&mut self) {
        for person in 0..self.shrunk.scenario.people.len() {
            let everybody: Vec<usize> = (0..self.shrunk.scenario.peers).collect();
            for peer in everybody.iter().rev() {
                self.offer(|scenario| {
                    let at = &mut scenario.people[person].at;
                    if at.is_empty() {
                        at.clone_from(&everybody);
                    }
                    if at.len() > 1 {
                        at.retain(|one| one != peer);
                    }
                    if at.len() == everybody.len() {
                        at.clear();
                    }
                });
            }
        }
    }

    /// What people do: one kind of work instead of all.
    fn works(&mut self) {
        for person in 0..self.shrunk.scenario.people.len() {
            for work in smaller::simpler_works(self.shrunk.scenario.people[person].work) {
                if self.offer(|scenario| scenario.people[person].work = *work) {
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
