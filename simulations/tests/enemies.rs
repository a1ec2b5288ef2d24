//! What holds whatever a member lies, forges or forks, and a stranger guesses.

use reknit_sim::people::{Person, Work};
use reknit_sim::{Budget, Disks, Enemy, EnemyKind, Link, Scenario, enemy, run};
use std::collections::BTreeMap;

/// Honest people at work, and these enemies.
fn beset(peers: usize, enemies: Vec<Enemy>) -> Scenario {
    let mixed = Person {
        at: vec![],
        work: Work::Mixed,
        per_second: 2.0,
        burst: 1,
        entities: 3,
        bytes: 16,
        from: 0.0,
        until: None,
    };
    Scenario {
        name: "beset".to_owned(),
        about: "Enemies among people.".to_owned(),
        peers,
        degree: None,
        disks: Disks::Memory,
        link: Link::new(10.0, 0.0),
        seconds: 8.0,
        people: vec![mixed],
        at: vec![],
        repeat: vec![],
        enemies,
        chaos: None,
        budget: Budget::default(),
    }
}

fn enemy_of(kind: EnemyKind, at: usize) -> Enemy {
    Enemy { at: vec![at], per_second: 10.0, lies: 0.2, ..Enemy::new(kind) }
}

/// Runs seeds; the attacks of all.
#[track_caller]
fn attacked(scenario: &Scenario, seeds: std::ops::Range<u64>) -> BTreeMap<String, u64> {
    let mut attacks = BTreeMap::new();
    for seed in seeds {
        let outcome = run(scenario, seed);
        if let Some(failure) = outcome.failure {
            let story = failure.story.join("\n");
            panic!("seed {seed}: {} at {:.3} s: {:.4000}\n{story}", failure.rule, failure.at_s, failure.what);
        }
        for (what, times) in outcome.attacks {
            *attacks.entry(what).or_default() += times;
        }
    }
    attacks
}

#[test]
fn a_member_may_lie_in_every_field_of_every_message() {
    let liar = Enemy { until: Some(7.0), ..enemy_of(EnemyKind::Liar, 3) };
    let mut attacks = attacked(&beset(4, vec![liar]), 0..12);
    for (what, times) in attacked(&beset(4, vec![enemy_of(EnemyKind::Liar, 3)]), 100..112) {
        *attacks.entry(what).or_default() += times;
    }
    let missed: Vec<_> = enemy::fields().into_iter().filter(|field| !attacks.contains_key(*field)).collect();
    assert!(missed.is_empty(), "never lied about: {missed:?}");
}

#[test]
fn a_member_may_say_any_bytes() {
    let attacks = attacked(&beset(4, vec![enemy_of(EnemyKind::Vandal, 3)]), 0..10);
    assert!(attacks["bytes"] > 100 && attacks["opening bytes"] > 10, "{attacks:?}");
}

#[test]
fn a_member_may_say_very_much() {
    let flooder = Enemy { per_second: 2.0, ..enemy_of(EnemyKind::Flooder, 3) };
    let attacks = attacked(&beset(4, vec![flooder]), 0..6);
    for what in ["openings", "announces", "junk", "messages", "echo"] {
        assert!(attacks.contains_key(what), "{attacks:?}");
    }
}

#[test]
fn a_member_may_sign_what_no_engine_would_write() {
    let attacks = attacked(&beset(4, vec![enemy_of(EnemyKind::Forger, 3)]), 0..20);
    for what in
        ["two branches", "event.author", "event.stamp", "event.parents.id", "op.delta", "event.content"]
    {
        assert!(attacks.contains_key(what), "{attacks:?}");
    }
}

#[test]
fn a_device_may_run_twice_under_one_key() {
    let attacks = attacked(&beset(5, vec![enemy_of(EnemyKind::Forker, 4)]), 0..10);
    assert!(attacks["places changed"] > 10, "{attacks:?}");
}

#[test]
fn a_stranger_may_guess_and_repeat() {
    // Members announce only what sessions do not bring to all.
    let strangers = Enemy { count: 2, ..enemy_of(EnemyKind::Stranger, 0) };
    let scenario = Scenario { degree: Some(2), ..beset(5, vec![strangers]) };
    let attacks = attacked(&scenario, 0..10);
    for what in ["guessed opening", "replayed opening", "replayed announce"] {
        assert!(attacks[what] > 10, "{attacks:?}");
    }
}
