//! The ways in which a scenario can be smaller.

use crate::action::Action;
use crate::link::Link;
use crate::people::Work;
use crate::run;
use crate::scenario::{Chaos, Planned, Scenario};
use crate::world::Disks;
use std::ops::Range;
use std::time::Duration;

/// A list of which parts can be left out.
pub(super) struct Chunks {
    pub(super) len: fn(&Scenario) -> usize,
    pub(super) remove: fn(&mut Scenario, Range<usize>),
}

pub(super) const PEOPLE: Chunks = Chunks {
    len: |scenario| scenario.people.len(),
    remove: |scenario, part| _ = scenario.people.drain(part),
};
pub(super) const ENEMIES: Chunks = Chunks {
    len: |scenario| scenario.enemies.len(),
    remove: |scenario, part| _ = scenario.enemies.drain(part),
};
pub(super) const PLANNED: Chunks =
    Chunks { len: |scenario| scenario.at.len(), remove: |scenario, part| _ = scenario.at.drain(part) };
pub(super) const REPEATED: Chunks = Chunks {
    len: |scenario| scenario.repeat.len(),
    remove: |scenario, part| _ = scenario.repeat.drain(part),
};

/// A number, of the scenario or of each item of one of its lists, that can be smaller.
pub(super) struct Number {
    /// How many such numbers there are.
    pub(super) count: fn(&Scenario) -> usize,
    pub(super) get: fn(&Scenario, usize) -> f64,
    pub(super) set: fn(&mut Scenario, usize, f64),
    /// Nothing below this is tried.
    pub(super) least: f64,
}

/// The numbers that matter most come first.
pub(super) const NUMBERS: &[Number] = &[
    Number {
        count: |_| 1,
        get: |scenario, _| scenario.seconds,
        set: |scenario, _, to| shorten(scenario, to),
        least: 0.1,
    },
    Number {
        count: |scenario| scenario.people.len(),
        get: |scenario, person| scenario.people[person].per_second,
        set: |scenario, person, to| scenario.people[person].per_second = to,
        least: 0.01,
    },
    Number {
        count: |scenario| scenario.people.len(),
        get: |scenario, person| f64::from(scenario.people[person].burst),
        set: |scenario, person, to| scenario.people[person].burst = to.ceil() as u32,
        least: 1.0,
    },
    Number {
        count: |scenario| scenario.people.len(),
        get: |scenario, person| scenario.people[person].entities as f64,
        set: |scenario, person, to| scenario.people[person].entities = to.ceil() as u64,
        least: 1.0,
    },
    Number {
        count: |scenario| scenario.people.len(),
        get: |scenario, person| scenario.people[person].bytes as f64,
        set: |scenario, person, to| scenario.people[person].bytes = to.ceil() as usize,
        least: 1.0,
    },
    Number {
        count: |scenario| scenario.enemies.len(),
        get: |scenario, enemy| scenario.enemies[enemy].per_second,
        set: |scenario, enemy, to| scenario.enemies[enemy].per_second = to,
        least: 0.01,
    },
    Number {
        count: |scenario| scenario.repeat.len(),
        get: |scenario, one| scenario.repeat[one].until - scenario.repeat[one].from,
        set: |scenario, one, to| scenario.repeat[one].until = scenario.repeat[one].from + to,
        least: 0.0,
    },
];

/// Parts that can be left out as a whole.
pub(super) const SWITCHES: &[fn(&mut Scenario)] = &[
    |scenario| scenario.chaos = None,
    |scenario| scenario.disks = Disks::Memory,
    |scenario| scenario.degree = None,
    |scenario| scenario.link = Link::default(),
    |scenario| scenario.link.loss = 0.0,
    |scenario| scenario.link.bandwidth = None,
    |scenario| scenario.link.duplication = 0.0,
    |scenario| scenario.link.reordering = 0.0,
    |scenario| in_chaos(scenario, |chaos| chaos.partitions = false),
    |scenario| in_chaos(scenario, |chaos| chaos.one_way = false),
    |scenario| in_chaos(scenario, |chaos| chaos.bad_links = false),
    |scenario| in_chaos(scenario, |chaos| chaos.gossip_loss = false),
    |scenario| in_chaos(scenario, |chaos| chaos.kills = false),
    |scenario| in_chaos(scenario, |chaos| chaos.power = false),
    |scenario| in_chaos(scenario, |chaos| chaos.disks = false),
    |scenario| in_chaos(scenario, |chaos| chaos.sleep = false),
    |scenario| in_chaos(scenario, |chaos| chaos.clocks = false),
    |scenario| in_chaos(scenario, |chaos| chaos.restores = false),
];

fn in_chaos(scenario: &mut Scenario, change: impl FnOnce(&mut Chaos)) {
    if let Some(chaos) = &mut scenario.chaos {
        change(chaos);
    }
}

/// What comes after the new end does not happen.
fn shorten(scenario: &mut Scenario, seconds: f64) {
    let seconds = seconds.min(scenario.seconds);
    scenario.seconds = seconds;
    scenario.at.retain(|planned| planned.time <= seconds);
    scenario.repeat.retain(|repeated| repeated.from <= seconds);
    for repeated in &mut scenario.repeat {
        repeated.until = repeated.until.min(seconds);
    }
    scenario.people.retain(|person| person.from < seconds);
    for person in &mut scenario.people {
        person.until = person.until.filter(|until| *until < seconds);
    }
    scenario.enemies.retain(|enemy| enemy.from < seconds);
}

/// Takes a peer out, and everything that is about it. Those behind it move up.
pub(super) fn remove_peer(scenario: &mut Scenario, gone: usize) {
    scenario.peers -= 1;
    scenario.people.retain_mut(|person| {
        let everywhere = person.at.is_empty();
        person.at.retain(|peer| *peer != gone);
        person.at.iter_mut().for_each(|peer| *peer -= usize::from(*peer > gone));
        everywhere || !person.at.is_empty()
    });
    scenario.enemies.retain_mut(|enemy| {
        let besides = enemy.at.is_empty();
        enemy.at.retain(|peer| *peer != gone);
        enemy.at.iter_mut().for_each(|peer| *peer -= usize::from(*peer > gone));
        besides || !enemy.at.is_empty()
    });
    each_list(scenario, |actions| {
        *actions = actions.iter().filter_map(|action| action.without(gone)).collect();
    });
    scenario.at.retain(|planned| !planned.actions.is_empty());
    scenario.repeat.retain(|repeated| repeated.turns.iter().any(|turn| !turn.is_empty()));
}

/// Replaces faults that are drawn or repeated by what they come to under a seed: exactly the same happens.
pub(super) fn write_out(scenario: &mut Scenario, seed: u64) {
    let actions = run::actions(scenario, seed);
    if actions.len() > WRITTEN_OUT_MAX || scenario.chaos.is_none() && scenario.repeat.is_empty() {
        return;
    }
    let planned =
        |(time, action): (Duration, Action)| Planned { time: time.as_secs_f64(), actions: vec![action] };
    scenario.at = actions.into_iter().map(planned).collect();
    scenario.repeat.clear();
    scenario.chaos = None;
}

/// Every action as the number of its list and its place there, in lists of more than one: a list as a whole is left out
/// elsewhere.
pub(super) fn all_actions(scenario: &Scenario) -> Vec<(usize, usize)> {
    let planned = scenario.at.iter().map(|planned| (planned.actions.len(), 2));
    let turns = scenario.repeat.iter().flat_map(|repeated| &repeated.turns);
    let lists = planned.chain(turns.map(|turn| (turn.len(), 1))).enumerate();
    lists
        .filter(|(_, (len, least))| len >= least)
        .flat_map(|(list, (len, _))| (0..len).map(move |action| (list, action)))
        .collect()
}

/// Takes out one of [`all_actions`]. A turn stays, even if it does nothing any more: it takes its time.
pub(super) fn remove_action(scenario: &mut Scenario, list: usize, action: usize) {
    let mut number = 0;
    each_list(scenario, |actions| {
        if number == list && action < actions.len() {
            actions.remove(action);
        }
        number += 1;
    });
}

fn each_list(scenario: &mut Scenario, mut change: impl FnMut(&mut Vec<Action>)) {
    for planned in &mut scenario.at {
        change(&mut planned.actions);
    }
    for turn in scenario.repeat.iter_mut().flat_map(|repeated| &mut repeated.turns) {
        change(turn);
    }
}

/// Kinds of work that one kind may turn out to need only, the simplest first.
pub(super) fn simpler_works(work: Work) -> &'static [Work] {
    match work {
        Work::Mixed => &[
            Work::Registers,
            Work::Counters,
            Work::Lifecycle,
            Work::Sequence,
            Work::Transfers,
            Work::Texts,
            Work::Documents,
        ],
        Work::Typing => &[Work::Registers, Work::Texts],
        Work::Registers
        | Work::Counters
        | Work::Texts
        | Work::Documents
        | Work::Lifecycle
        | Work::Transfers
        | Work::Sequence => &[],
    }
}

/// Leaving out one of so many takes as many runs.
const WRITTEN_OUT_MAX: usize = 1_000;
