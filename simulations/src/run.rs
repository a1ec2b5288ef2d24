//! Running a scenario under a seed.

use crate::action::Action;
use crate::chance::Chance;
use crate::chaos;
use crate::outcome::{Failure, Outcome};
use crate::recorded::{self, Recording};
use crate::scenario::{Scenario, seconds};
use crate::sim::{Ran, Sim};
use crate::world::{AskError, Violation, World};
use std::time::Duration;

/// Runs a scenario under a seed. What goes wrong is part of the outcome.
pub fn run(scenario: &Scenario, seed: u64) -> Outcome {
    let mut sim = Sim::new(seed)
        .peers(scenario.peers)
        .link(scenario.link)
        .disks(scenario.disks)
        .budget(scenario.budget);
    if let Some(degree) = scenario.degree {
        sim = sim.degree(degree);
    }
    for (time, action) in actions(scenario, seed) {
        sim = sim.at(time, action);
    }
    let ran = sim.run(|world| {
        world.employ(&scenario.people, seconds(scenario.seconds));
        world.beset(&scenario.enemies);
        world.pass(seconds(scenario.seconds)).map_err(AskError::from)
    });
    judge(scenario, seed, ran, |_| Ok(()))
}

/// Has a recorded session typed again over the network and the disks of a scenario, in place of its people and faults:
/// every transaction is made on exactly the history that its author had seen. In the end the text at every peer must be
/// the recorded one.
pub fn run_recorded(scenario: &Scenario, seed: u64, recording: &Recording) -> Outcome {
    let sim = Sim::new(seed)
        .peers(recording.peers())
        .link(scenario.link)
        .disks(scenario.disks)
        .budget(scenario.budget);
    let ran = sim.run(|world| recorded::play(world, recording));
    judge(scenario, seed, ran, |world| recorded::as_recorded(world, recording))
}

fn judge(
    scenario: &Scenario,
    seed: u64,
    mut ran: Ran,
    ended_well: impl FnOnce(&World) -> Result<(), Violation>,
) -> Outcome {
    let settled = ran.converge().and_then(|settled| {
        ended_well(&ran.world)?;
        still_writes(&mut ran.world)?;
        Ok(settled)
    });
    // The last moment shows how it ended.
    ran.world.sample();
    outcome(scenario, seed, &ran, settled)
}

/// However it came to be, a space that is equal everywhere can be written to.
fn still_writes(world: &mut World) -> Result<(), Violation> {
    let Some(peer) = world.someone_honest() else { return Ok(()) };
    let written = world.transact(peer, |tx| tx.create("afterwards")?.set("written", true).map(drop));
    written.map(drop).map_err(|error| match error {
        AskError::Violation(violation) => violation,
        error => Violation { at: world.now(), rule: "writes-go-on", what: format!("{peer}: {error}") },
    })
}

/// Everything that a scenario plans under a seed, in order.
pub(crate) fn actions(scenario: &Scenario, seed: u64) -> Vec<(Duration, Action)> {
    let mut actions = vec![];
    if let Some(chaos) = &scenario.chaos {
        let planned = chaos::plan(scenario, chaos, &mut Chance::new(seed).stream("chaos", 0));
        actions.extend(planned.into_iter().map(|(time, action)| (seconds(time), action)));
    }
    for planned in &scenario.at {
        actions.extend(planned.actions.iter().map(|action| (seconds(planned.time), action.clone())));
    }
    for repeated in scenario.repeat.iter().filter(|repeated| repeated.every > 0.0) {
        let mut time = repeated.from;
        for turn in repeated.turns.iter().cycle() {
            if time > repeated.until {
                break;
            }
            actions.extend(turn.iter().map(|action| (seconds(time), action.clone())));
            time += repeated.every;
        }
    }
    actions.sort_by_key(|(time, _)| *time);
    actions
}

fn outcome(
    scenario: &Scenario,
    seed: u64,
    ran: &Ran,
    settled: Result<crate::settled::Settled, Violation>,
) -> Outcome {
    let world = &ran.world;
    let failure = settled.as_ref().err().map(|violation| failure(world, violation));
    let settled = settled.ok();
    Outcome {
        scenario: scenario.name.clone(),
        seed,
        peers: world.peers(),
        failure,
        heal_s: settled.map(|settled| settled.time.as_secs_f64()),
        heal: settled.map(|settled| settled.traffic).unwrap_or_default(),
        minimum_bytes: settled.and_then(|settled| settled.minimum_bytes),
        virtual_s: world.now().as_secs_f64(),
        traffic: world.traffic(),
        steps: world.trace().steps(),
        digest: world.trace().digest().iter().map(|byte| format!("{byte:02x}")).collect(),
        timeline: world.timeline().clone(),
        attacks: world.attacks().iter().map(|(what, times)| ((*what).to_owned(), *times)).collect(),
        answers: world.answers().clone(),
    }
}

fn failure(world: &World, violation: &Violation) -> Failure {
    Failure {
        rule: violation.rule.to_owned(),
        at_s: violation.at.as_secs_f64(),
        what: violation.what.clone(),
        story: world.trace().last().map(str::to_owned).collect(),
        events: world.newest_seen(EVENTS_SHOWN),
        reproduce: None,
    }
}

const EVENTS_SHOWN: usize = 60;
