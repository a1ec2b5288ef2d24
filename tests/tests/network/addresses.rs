//! Peers that move.

use super::pair;
use crate::lab::Lab;
use crate::peer::{PATIENCE, until, until_equal};

#[test]
fn a_peer_whose_address_changes_is_found_again() {
    let Some(lab) = Lab::open() else { return };
    let ([mut left, _right], [ada, bob]) = pair(&lab);
    left.move_to("10.77.0.99");
    let id = ada.create_entity("notes", &["title=From a new address"]);
    let other = bob.create_entity("notes", &["title=To a new address"]);
    let took = until_equal(&[&ada, &bob], PATIENCE);
    eprintln!("found again in {took:?}");
    assert_eq!(bob.field("notes", &id, "title"), "From a new address");
    assert_eq!(ada.field("notes", &other, "title"), "To a new address");
    let addresses = ada.run(&["status"])["network"]["addresses"].to_string();
    assert!(addresses.contains("10.77.0.99") && !addresses.contains("10.77.0.1/"), "{addresses}");
}

#[test]
fn a_peer_that_moves_where_no_multicast_reaches_calls_the_others() {
    let Some(lab) = Lab::open() else { return };
    let ([mut left, right], [mut ada, bob]) = pair(&lab);
    left.lose_multicast();
    right.lose_multicast();
    ada.down();
    left.move_to("10.77.0.99");
    ada.up();
    until("they are connected", PATIENCE, || ada.connections() == 1 && bob.connections() == 1);
    ada.create_entity("notes", &["title=Moved"]);
    until_equal(&[&ada, &bob], PATIENCE);
}
