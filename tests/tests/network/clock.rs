//! A peer that lives in the future.

use serde_json::Value;

use super::together;
use crate::lab::Lab;
use crate::peer::{PATIENCE, until, until_equal};

const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;

#[test]
fn events_from_a_clock_a_year_ahead_are_held_and_harm_nobody() {
    let Some(lab) = Lab::open() else { return };
    let hosts = lab.hosts();
    let [ada, bob, mut cyd] = together(&hosts);
    cyd.down();
    cyd.up_with(&[], &[("REKNIT_CLOCK_OFFSET_MS", &YEAR_MS.to_string())]);
    until("all are connected", PATIENCE, || [&ada, &bob, &cyd].iter().all(|peer| peer.connections() == 2));

    let early = cyd.create_entity("notes", &["title=From next year"]);
    until("the others hold it", PATIENCE, || [&ada, &bob].iter().all(|peer| peer.space()["held"] == 1));
    let device = cyd.run(&["status"])["device"].clone();
    for peer in [&ada, &bob] {
        let reasons = peer.run(&["why"]);
        assert_eq!(reason(&reasons, "held-by-clock")["events"], 1, "{reasons}");
        assert_eq!(reason(&reasons, "clock-skew")["device"], device, "{reasons}");
        assert!(peer.try_run(&["get", "notes", &early]).is_err(), "what is held is not shown");
    }
    let reasons = cyd.run(&["why"]);
    assert_ne!(
        reason(&reasons, "clock-skew"),
        Value::Null,
        "the device whose clock is off is told so: {reasons}"
    );

    // The rest goes on, and hears from each other, and the one ahead hears from them.
    let one = ada.create_entity("notes", &["title=One"]);
    let two = bob.create_entity("notes", &["title=Two"]);
    until_equal(&[&ada, &bob], PATIENCE);
    until("the one ahead has what the others wrote", PATIENCE, || {
        [&one, &two].iter().all(|id| cyd.try_run(&["get", "notes", id]).is_ok())
    });
    assert_eq!(ada.field("notes", &two, "title"), "Two");

    // With its clock set right the mesh is still whole.
    cyd.down();
    cyd.up();
    let three = ada.create_entity("notes", &["title=Three"]);
    until("it still hears from the others", PATIENCE, || cyd.try_run(&["get", "notes", &three]).is_ok());
}

/// The first reason with a code; null if there is none.
fn reason(reasons: &Value, code: &str) -> Value {
    let all = reasons.as_array().expect("reasons are a list");
    all.iter().find(|reason| reason["code"] == code).cloned().unwrap_or_default()
}
