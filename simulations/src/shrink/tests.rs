use super::*;
use crate::people::{Person, Work};
use crate::scenario::{Chaos, Planned, Repeated};
use crate::{Action, Budget, Disks, Link, partition};

fn person(at: Vec<usize>, work: Work) -> Person {
    Person { at, work, per_second: 8.0, burst: 4, entities: 10, bytes: 64, from: 0.0, until: None }
}

fn large() -> Scenario {
    let planned = |time, actions| Planned { time, actions };
    Scenario {
        name: "large".to_owned(),
        about: "Much more than is needed.".to_owned(),
        peers: 12,
        degree: Some(4),
        disks: Disks::Redb,
        link: Link::new(30.0, 0.2),
        seconds: 60.0,
        trace: None,
        people: vec![person(vec![], Work::Mixed), person(vec![3, 7], Work::Typing)],
        at: vec![
            planned(5.0, vec![partition([&[0, 1, 2, 3], &[4, 5, 6, 7, 8, 9, 10, 11]])]),
            planned(9.0, vec![Action::Kill(7), Action::Sleep(2), Action::Jump(5, 1_000)]),
            planned(20.0, vec![Action::Heal, Action::Start(7)]),
        ],
        repeat: vec![Repeated {
            from: 1.0,
            until: 50.0,
            every: 5.0,
            turns: vec![vec![Action::Kill(1)], vec![Action::Start(1)]],
        }],
        enemies: vec![],
        chaos: Some(Chaos { every: 3.0, lasts: 1.0, kills: true, ..Chaos::default() }),
        budget: Budget::default(),
    }
}

/// As if the bug were: somebody is killed while somebody else sleeps.
fn kills_and_sleeps(scenario: &Scenario) -> bool {
    let actions: Vec<&Action> = scenario.at.iter().flat_map(|planned| &planned.actions).collect();
    actions.iter().any(|action| matches!(action, Action::Kill(_)))
        && actions.iter().any(|action| matches!(action, Action::Sleep(_)))
}

#[test]
fn what_is_not_needed_is_left_out() {
    let shrunk = shrink(&large(), 1, |scenario| Some(kills_and_sleeps(scenario)));
    let small = &shrunk.scenario;
    assert!(shrunk.complete && kills_and_sleeps(small));
    assert_eq!(small.at.len(), 1, "{small:?}");
    assert_eq!(small.at[0].actions, [Action::Kill(1), Action::Sleep(0)]);
    assert_eq!((small.peers, small.people.len(), small.repeat.len(), small.chaos), (2, 0, 0, None));
    assert!(small.seconds < 20.0 && small.disks == Disks::Memory && small.link == Link::default());
    assert!(small.faults().is_empty());
}

#[test]
fn people_are_reduced_to_the_one_at_the_one_place_who_is_needed() {
    let shrunk = shrink(&large(), 1, |scenario| {
        Some(scenario.people.iter().any(|person| {
            let there = person.at.is_empty() || person.at.contains(&(scenario.peers - 1));
            there && person.per_second * scenario.seconds >= 1.0
        }))
    });
    let person = &shrunk.scenario.people[0];
    assert_eq!(
        (shrunk.scenario.peers, shrunk.scenario.people.len(), person.burst, person.entities),
        (1, 1, 1, 1)
    );
    assert_ne!(person.work, Work::Mixed);
    assert!(person.per_second * shrunk.scenario.seconds < 4.0, "{:?}", shrunk.scenario);
}

#[test]
fn nothing_is_tried_once_the_caller_says_stop() {
    let mut asked = 0;
    let shrunk = shrink(&large(), 1, |_| {
        asked += 1;
        (asked <= 3).then_some(false)
    });
    assert_eq!((asked, shrunk.tried, shrunk.complete), (4, 3, false));
    assert_eq!(shrunk.scenario, large());
}

#[test]
fn a_peer_that_goes_takes_along_what_is_about_it() {
    let mut scenario = large();
    smaller::remove_peer(&mut scenario, 7);
    assert_eq!(scenario.people[1].at, [3]);
    assert_eq!(scenario.at[0].actions, [partition([&[0, 1, 2, 3], &[4, 5, 6, 7, 8, 9, 10]])]);
    assert_eq!(scenario.at[1].actions, [Action::Sleep(2), Action::Jump(5, 1_000)]);
    assert_eq!(scenario.at[2].actions, [Action::Heal]);
    assert!(scenario.faults().is_empty());
}

#[test]
fn faults_that_are_drawn_or_repeated_are_written_out_and_left_out_one_by_one() {
    let mut scenario = large();
    scenario.at.clear();
    let shrunk = shrink(&scenario, 1, |scenario| {
        let actions = crate::run::actions(scenario, 1);
        let started = actions.iter().filter(|(_, action)| matches!(action, Action::Start(_))).count();
        let killed = actions.iter().filter(|(_, action)| matches!(action, Action::Kill(_))).count();
        Some(killed >= 3 && started >= 1)
    });
    let actions: Vec<&Action> = shrunk.scenario.at.iter().flat_map(|planned| &planned.actions).collect();
    assert_eq!(actions.len(), 4, "{:?}", shrunk.scenario);
    assert_eq!((shrunk.scenario.repeat.len(), shrunk.scenario.chaos), (0, None));
}

#[test]
fn what_is_written_out_is_exactly_the_same() {
    let mut scenario = large();
    (scenario.peers, scenario.seconds, scenario.disks) = (4, 5.0, Disks::Memory);
    scenario.at = vec![Planned { time: 2.0, actions: vec![partition([&[0, 1], &[2, 3]])] }];
    scenario.people = vec![Person { per_second: 0.5, burst: 1, ..person(vec![], Work::Registers) }];
    scenario.link = Link::default();
    let mut written = scenario.clone();
    smaller::write_out(&mut written, 3);
    assert!(written != scenario && written.chaos.is_none());
    assert_eq!(crate::run(&written, 3).digest, crate::run(&scenario, 3).digest);
}
