//! Somebody who knows where a member is and what its space is called, and was never invited.

use super::pair;
use crate::lab::Lab;
use crate::peer::{PATIENCE, Peer, until_equal};
use reknit_access::{InviteSecret, SpaceSecret, Ticket};
use serde_json::Value;

#[test]
fn a_stranger_is_served_nothing() {
    let Some(lab) = Lab::open() else { return };
    let ([_, _], [ada, bob]) = pair(&lab);
    ada.create_entity("notes", &["title=Private"]);
    until_equal(&[&ada, &bob], PATIENCE);
    let (frontier, sent) = (ada.frontier(), bytes_sent(&ada));
    let real: Ticket = ada.invite().parse().expect("a ticket");
    let frontier_with_invite = ada.frontier();
    assert_ne!(frontier, frontier_with_invite, "an invite is an event");

    let mut eve = Peer::on(&lab.host(), "eve");
    eve.up();
    let guessed = Ticket { secret: SpaceSecret::from_bytes([6; 32]), ..uninvited(&real) };
    for ticket in [guessed, uninvited(&real)] {
        let failed =
            eve.try_run(&["join", &ticket.to_string(), "--timeout", "3s"]).expect_err("nobody lets it in");
        assert!(!failed.message.contains("panicked"), "{failed:?}");
        let spaces = eve.run(&["space", "list"]);
        for space in spaces.as_array().expect("a list") {
            assert_eq!((&space["events"], &space["role"]), (&0.into(), &Value::Null), "{space}");
        }
    }

    assert_eq!(ada.frontier(), frontier_with_invite, "the stranger left nothing behind");
    assert_eq!(ada.space()["members"].as_array().map(Vec::len), Some(2));
    let served = bytes_sent(&ada) - sent;
    assert!(served < SERVED_MAX, "{served} bytes went out while the stranger knocked");
    // And the members go on as before.
    ada.create_entity("notes", &["title=Still here"]);
    until_equal(&[&ada, &bob], PATIENCE);
}

/// The ticket as somebody would make it up who has everything but the secret of an invite.
fn uninvited(real: &Ticket) -> Ticket {
    Ticket { invite_secret: InviteSecret::from_seed([6; 16]), ..real.clone() }
}

fn bytes_sent(peer: &Peer) -> u64 {
    peer.run(&["status"])["network"]["bytes_sent"].as_u64().expect("bytes are counted")
}

/// Handshakes, refusals, pings and the members' own talk: far less than any history.
const SERVED_MAX: u64 = 64 * 1024;
