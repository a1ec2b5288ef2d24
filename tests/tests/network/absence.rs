//! Peers that were killed, or away for long.

use std::time::Duration;

use super::{pair, together};
use crate::lab::{Lab, skip};
use crate::peer::{PATIENCE, until, until_equal};

#[test]
fn a_peer_killed_in_the_middle_of_a_sync_ends_with_all_of_it() {
    let Some(lab) = Lab::open() else { return };
    let (hosts, [ada, mut bob]) = pair(&lab);
    bob.down();
    let before = ada.events();
    // A slow cable makes a middle to be killed in: these are some megabytes that do not compress.
    ada.import_noise("notes", 400, 20_000);
    if !hosts[0].slow_down_to("16mbit") {
        return skip("this kernel cannot slow a link down (the tbf queue is missing)");
    }
    let all = ada.events();
    let mut killed_at = before;
    for _ in 0..3 {
        bob.up();
        until("the sync is under way", PATIENCE, || bob.events() > killed_at);
        let seen = bob.events();
        assert!(seen < all, "the sync was over before the kill: {seen} of {all}");
        bob.kill();
        killed_at = seen;
    }
    hosts[0].full_speed();
    bob.up();
    assert!(bob.events() >= before, "what was admitted before the kill is there");
    until_equal(&[&ada, &bob], PATIENCE);
    assert_eq!(bob.run(&["ls", "notes", "-n", "1000"]), ada.run(&["ls", "notes", "-n", "1000"]));
}

#[test]
fn a_peer_that_was_away_during_ten_thousand_events_catches_up() {
    let Some(lab) = Lab::open() else { return };
    let (_hosts, [ada, mut bob]) = pair(&lab);
    bob.down();
    let before = ada.events();
    ada.import_events("notes", 10_000);
    assert_eq!(ada.events(), before + 10_000, "one event for each line");
    bob.up();
    let took = until_equal(&[&ada, &bob], CATCH_UP_MAX);
    eprintln!("caught up with 10,000 events in {took:?}");
    assert_eq!(bob.run(&["ls"])["notes"], 10_000);
}

#[test]
fn a_peer_catches_up_through_one_that_was_not_there_at_the_time() {
    let Some(lab) = Lab::open() else { return };
    let hosts = lab.hosts();
    let [mut ada, mut bob, mut cyd] = together(&hosts);
    cyd.down();
    let id = ada.create_entity("notes", &["title=Passed on"]);
    until_equal(&[&ada, &bob], PATIENCE);
    ada.down();
    bob.down();
    bob.up();
    cyd.up();
    until_equal(&[&bob, &cyd], PATIENCE);
    assert_eq!(cyd.field("notes", &id, "title"), "Passed on");
}

/// Unoptimised, on two busy cores.
const CATCH_UP_MAX: Duration = Duration::from_secs(60);
