//! What holds whatever a member lies, forges or forks, and a stranger guesses.

use reknit_sim::outcome::Outcome;
use reknit_sim::people::{Person, Work};
use reknit_sim::{Action, Enemy, EnemyKind, Link, Scenario, Sim, Time, enemy, run};
use std::collections::BTreeMap;
use std::ops::Range;

/// Honest people at work, and these enemies.
fn beset(peers: usize, enemies: Vec<Enemy>) -> Scenario {
    let (at, work, per_second, burst, entities, bytes) = (vec![], Work::Mixed, 2.0, 1, 3, 16);
    let mixed = Person { at, work, per_second, burst, entities, bytes, from: 0.0, until: None };
    let (name, about) = ("beset".to_owned(), "Enemies among people.".to_owned());
    let (link, people) = (Link::new(10.0, 0.0), vec![mixed]);
    let (degree, disks, budget) = (None, Default::default(), Default::default());
    let (at, repeat, chaos) = (vec![], vec![], None);
    Scenario {
        name,
        about,
        peers,
        degree,
        disks,
        link,
        seconds: 6.0,
        trace: None,
        people,
        at,
        repeat,
        enemies,
        chaos,
        budget,
    }
}

/// One that attacks while people work, and is like any other peer afterwards.
fn enemy_of(kind: EnemyKind, at: usize) -> Enemy {
    Enemy { at: vec![at], per_second: 15.0, lies: 0.2, until: Some(5.5), ..Enemy::new(kind) }
}

#[derive(Default)]
struct Tally {
    attacks: BTreeMap<String, u64>,
    answers: BTreeMap<String, u64>,
}

impl Tally {
    #[track_caller]
    fn holds_attacks(&self, expected: &[&str]) {
        let missed: Vec<_> = expected.iter().filter(|what| !self.attacks.contains_key(**what)).collect();
        assert!(missed.is_empty(), "never attacked: {missed:?} in {:?}", self.attacks);
    }

    #[track_caller]
    fn holds_answers(&self, expected: &[&str]) {
        let missed: Vec<_> = expected.iter().filter(|what| !self.answers.contains_key(**what)).collect();
        assert!(missed.is_empty(), "never answered: {missed:?} in {:?}", self.answers);
    }
}

/// Runs seeds, in all of which everything holds; what was done and answered in them.
#[track_caller]
fn attacked(scenario: &Scenario, seeds: Range<u64>) -> Tally {
    let mut tally = Tally::default();
    for seed in seeds {
        let Outcome { failure, attacks, answers, .. } = run(scenario, seed);
        if let Some(failure) = failure {
            let story = failure.story.join("\n");
            panic!("seed {seed}: {} at {:.3} s: {:.4000}\n{story}", failure.rule, failure.at_s, failure.what);
        }
        attacks.into_iter().for_each(|(what, times)| *tally.attacks.entry(what).or_default() += times);
        answers.into_iter().for_each(|(why, times)| *tally.answers.entry(why).or_default() += times);
    }
    tally
}

#[test]
fn a_member_may_lie_in_every_field_of_every_message() {
    let tally = attacked(&beset(4, vec![enemy_of(EnemyKind::Liar, 3)]), 0..24);
    tally.holds_attacks(&enemy::fields().into_iter().collect::<Vec<_>>());
    tally.holds_answers(&[
        "closed: BadFrame",
        "closed: BadFrontier",
        "closed: BadLocate",
        "closed: ForgedReceipt",
        "closed: OutOfTurn",
        "closed: Version",
    ]);
}

/// Peers compare by sketches once there are many.
#[test]
fn one_of_many_members_may_lie() {
    attacked(&beset(10, vec![enemy_of(EnemyKind::Liar, 9)]), 0..4)
        .holds_attacks(&["sketch.symbols", "want.tips"]);
}

#[test]
fn honest_peers_become_equal_while_a_liar_goes_on() {
    attacked(&beset(4, vec![Enemy { until: None, ..enemy_of(EnemyKind::Liar, 3) }]), 100..110);
}

#[test]
fn a_member_may_say_any_bytes() {
    attacked(&beset(4, vec![enemy_of(EnemyKind::Vandal, 3)]), 0..24)
        .holds_attacks(&["bytes", "opening bytes"]);
}

#[test]
fn a_member_may_say_very_much() {
    let flooder = Enemy { per_second: 3.0, ..enemy_of(EnemyKind::Flooder, 3) };
    let tally = attacked(&beset(4, vec![flooder]), 0..8);
    tally.holds_attacks(&["openings", "announces", "junk", "messages", "echo"]);
    tally.holds_answers(&["closed: Superseded"]);
}

#[test]
fn a_member_may_sign_what_no_engine_would_write() {
    let tally = attacked(&beset(4, vec![enemy_of(EnemyKind::Forger, 3)]), 0..20);
    tally.holds_attacks(&["two branches", "event.author", "event.stamp", "op.delta", "event.content"]);
    tally.holds_answers(&[
        "held",
        "refused: Access ChainStart",
        "refused: Access NotMember",
        "refused: Control",
        "refused: Erased",
        "refused: Place",
        "refused: Rootless",
        "refused: Stamp",
    ]);
}

#[test]
fn a_device_may_run_twice_under_one_key() {
    let tally = attacked(&beset(5, vec![enemy_of(EnemyKind::Forker, 4)]), 0..5);
    tally.holds_attacks(&["places changed", "a branch"]);
    tally.holds_answers(&["refused: Forks"]);
}

#[test]
fn a_stranger_may_guess_and_repeat() {
    // Members announce only what sessions do not bring to all.
    let strangers = Enemy { count: 2, until: None, ..enemy_of(EnemyKind::Stranger, 0) };
    let tally = attacked(&Scenario { degree: Some(2), ..beset(5, vec![strangers]) }, 0..16);
    tally.holds_attacks(&["guessed opening", "replayed opening", "replayed announce"]);
}

#[test]
fn enemies_of_every_kind_at_once_change_no_story_of_one_seed() {
    let kinds = [EnemyKind::Liar, EnemyKind::Forger, EnemyKind::Forker, EnemyKind::Flooder];
    let mut enemies: Vec<Enemy> = kinds.into_iter().zip(3..).map(|(kind, at)| enemy_of(kind, at)).collect();
    enemies[3].per_second = 1.0;
    enemies.push(enemy_of(EnemyKind::Stranger, 0));
    let scenario = beset(7, enemies);
    let outcomes = [run(&scenario, 1), run(&scenario, 1)];
    assert_eq!(outcomes[0].failure, None);
    assert_eq!(outcomes[0].digest, outcomes[1].digest);
}

#[test]
fn a_member_turns_hostile_at_a_time() {
    let ran = Sim::new(3).peers(3).at(1.s(), Action::TurnHostile(2, EnemyKind::Liar)).run(|world| {
        world.pass(5.s())?;
        Ok(())
    });
    assert!(!ran.assert_converged().world.attacks().is_empty());
}
