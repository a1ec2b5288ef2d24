//! Two and three peers, apart and together again.

use std::time::Duration;

use super::together;
use crate::lab::{Host, Lab};
use crate::peer::{PATIENCE, Peer, until, until_equal};

/// From the return of the link to the same events everywhere.
const HEAL_MAX: Duration = Duration::from_secs(5);

#[test]
fn a_partition_that_nobody_sees_heals_within_five_seconds() {
    let Some(lab) = Lab::open() else { return };
    let hosts: [Host; 5] = lab.hosts();
    let peers = together(&hosts);
    edit_apart_and_heal(
        &peers,
        || lab.set_apart(&[&hosts[0], &hosts[1]]),
        || lab.reunite(&[&hosts[0], &hosts[1]]),
    );
}

#[test]
fn peers_whose_cables_were_pulled_heal_within_five_seconds() {
    let Some(lab) = Lab::open() else { return };
    let hosts: [Host; 5] = lab.hosts();
    let peers = together(&hosts);
    let two = [&hosts[0], &hosts[1]];
    // The two still reach each other, by a switch of their own; their cards saw the cable come and go.
    let replug = |to: &dyn Fn()| {
        two.into_iter().for_each(Host::unplug);
        to();
        two.into_iter().for_each(Host::plug);
    };
    let cut = || replug(&|| lab.set_apart(&two));
    let heal = || replug(&|| lab.reunite(&two));
    edit_apart_and_heal(&peers, cut, heal);
}

/// Cuts two peers off the other three, edits the same fields on both sides, and heals.
fn edit_apart_and_heal(peers: &[Peer; 5], cut: impl FnOnce(), heal: impl FnOnce()) {
    let [ada, bob, cyd, dan, eve] = peers;
    let id = ada
        .create_entity("songs", &["title=Blue", "plays+=1", "body@=one two three", "meta/label:=\"Oslo\""]);
    until_equal(&[ada, bob, cyd, dan, eve], PATIENCE);

    cut();
    until("both sides know that they are apart", PATIENCE, || {
        ada.connections() == 1
            && bob.connections() == 1
            && [cyd, dan, eve].iter().all(|peer| peer.connections() == 2)
    });
    ada.run(&["put", "songs", &id, "title=Red", "plays+=10", "body@=ONE two three", "meta/left:=1"]);
    bob.run(&["put", "songs", &id, "plays+=100"]);
    cyd.run(&["put", "songs", &id, "title=Green", "plays+=1000", "body@=one two THREE", "meta/right:=2"]);
    eve.run(&["rm", "songs", &eve.create_entity("songs", &["title=Gone"])]);
    until_equal(&[ada, bob], PATIENCE);
    until_equal(&[cyd, dan, eve], PATIENCE);
    assert_ne!(ada.frontier(), cyd.frontier(), "the cut let something through");

    heal();
    let took = until_equal(&[ada, bob, cyd, dan, eve], PATIENCE);
    eprintln!("healed in {took:?}");
    for peer in peers {
        assert_eq!(peer.field("songs", &id, "title"), "Green", "the later write wins");
        assert_eq!(peer.field("songs", &id, "plays"), 1111);
        assert_eq!(peer.field("songs", &id, "body"), "ONE two THREE");
        assert_eq!(
            peer.field("songs", &id, "meta"),
            serde_json::json!({"label": "Oslo", "left": 1, "right": 2})
        );
        assert_eq!(peer.run(&["ls", "songs"]).as_array().map(Vec::len), Some(1));
    }
    assert!(took <= HEAL_MAX, "healing took {took:?}");
}
