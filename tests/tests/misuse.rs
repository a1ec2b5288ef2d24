//! What users, disks and strangers do to a peer, and what it says then.

mod disk;
mod flood;

use crate::peer::{PATIENCE, Peer, until};

#[test]
fn the_second_peer_on_a_store_says_so() {
    let mut ada = Peer::here("ada");
    ada.up();
    let failed = ada.try_run(&["up"]).expect_err("a second peer cannot hold the store");
    assert_eq!(failed.code, Some(4), "{failed:?}");
    assert!(failed.message.contains("peer") && !failed.message.contains("panicked"), "{failed:?}");
    assert!(ada.is_up(), "the first goes on");
    ada.down();
}

#[test]
fn a_peer_that_was_killed_leaves_nothing_that_stops_the_next() {
    let mut ada = Peer::here("ada");
    ada.up();
    ada.run(&["space", "new", "garden"]);
    ada.kill();
    assert!(ada.home().join("peer.sock").exists(), "a killed peer cannot tidy up its socket");
    let id = ada.create_entity("notes", &["title=Without a running peer"]);
    ada.up();
    assert_eq!(ada.field("notes", &id, "title"), "Without a running peer");
    ada.down();
}

#[test]
fn what_a_killed_peer_has_sent_is_on_its_disk_however_fast_it_was_told_to_commit() {
    let (mut ada, mut bob) = (Peer::here("ada"), Peer::here("bob"));
    ada.run(&["space", "new", "garden"]);
    ada.up_with(&["--durability", "fast"], &[]);
    bob.up();
    let ticket = ada.invite();
    bob.run(&["join", &ticket]);
    let id = ada.create_entity("notes", &["title=Sent"]);
    until("bob has it", PATIENCE, || bob.try_run(&["get", "notes", &id]).is_ok());
    ada.kill();
    // Alone, so that nobody gives it back.
    assert_eq!(ada.field("notes", &id, "title"), "Sent");
    bob.down();
}

#[test]
fn wrong_arguments_are_named_and_change_nothing() {
    let ada = Peer::here("ada");
    ada.run(&["space", "new", "garden"]);
    let id = ada.create_entity("notes", &["title=One", "plays+=1"]);
    let before = ada.frontier();
    let wrong: &[(&[&str], i32, &str)] = &[
        (&["frobnicate"], 2, "frobnicate"),
        (&["put", "notes", "new"], 2, "assignment"),
        (&["put", "notes", "new", "=x"], 2, ""),
        (&["put", " spaced ", "new", "a=b"], 2, "name"),
        (&["put", "notes", &id, "plays=text"], 2, "counter"),
        (&["put", "notes", &id, "title:={not json"], 2, ""),
        (&["get", "notes", "zzzz"], 3, "zzzz"),
        (&["get", "notes", &id, "colour"], 3, "colour"),
        (&["--space", "nowhere", "ls"], 3, "nowhere"),
        (&["join", "not a ticket"], 2, "ticket"),
        (&["join", "reknit1aaaa"], 2, "ticket"),
        (&["invite", "--expires", "yesterday"], 2, "yesterday"),
        (&["sync", "--timeout", "soon"], 2, "soon"),
    ];
    for (words, code, names) in wrong {
        let failed = ada.try_run(words).expect_err("it cannot be done");
        assert_eq!(failed.code, Some(*code), "{words:?}: {failed:?}");
        assert!(failed.message.contains(names), "{words:?}: {failed:?}");
        assert!(!failed.message.contains("panicked"), "{words:?}: {failed:?}");
    }
    assert_eq!(ada.frontier(), before);
}

#[test]
fn a_reader_cannot_write() {
    let (mut ada, mut bob) = (Peer::here("ada"), Peer::here("bob"));
    ada.run(&["space", "new", "garden"]);
    ada.up();
    bob.up();
    let ticket = ada.run(&["invite", "--role", "reader"])["ticket"].as_str().expect("a ticket").to_owned();
    bob.run(&["join", &ticket]);
    let failed = bob.try_run(&["put", "notes", "new", "title=Mine"]).expect_err("a reader reads");
    assert_eq!(failed.code, Some(6), "{failed:?}");
    let id = ada.create_entity("notes", &["title=Ours"]);
    until("the reader reads it", PATIENCE, || bob.try_run(&["get", "notes", &id]).is_ok());
}
