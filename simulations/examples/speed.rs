//! How fast simulations run: `cargo run --release -p reknit-sim --example speed`.
//!
//! Five peers that edit, on memory and on simulated disks: events delivered to a peer per second of real time. A mesh of a
//! thousand peers in which one edit reaches all: seconds of real time, set-up included.

use reknit_sim::people::{Person, Work};
use reknit_sim::{Budget, Disks, Link, Scenario, Sim, Time, run};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let which = std::env::args().nth(1).unwrap_or_default();
    if which != "mesh" {
        edits("memory store", Disks::Memory);
        edits("simulated redb", Disks::Redb);
    }
    if which != "edits" {
        mesh(std::env::args().nth(2).map_or(Ok(1_000), |peers| peers.parse())?)?;
    }
    Ok(())
}

fn edits(name: &str, disks: Disks) {
    let person = Person {
        at: vec![],
        work: Work::Registers,
        per_second: 20.0,
        burst: 10,
        entities: 100,
        bytes: 16,
        from: 0.0,
        until: None,
    };
    let scenario = Scenario {
        name: "speed".to_owned(),
        about: String::new(),
        peers: 5,
        degree: None,
        disks,
        link: Link::new(10.0, 0.0),
        seconds: 20.0,
        trace: None,
        people: vec![person],
        at: vec![],
        repeat: vec![],
        enemies: vec![],
        chaos: None,
        budget: Budget::default(),
    };
    let began = Instant::now();
    let outcome = run(&scenario, 1);
    let took = began.elapsed().as_secs_f64();
    assert!(outcome.failure.is_none(), "{:?}", outcome.failure);
    let delivered = outcome.traffic.delivered;
    println!(
        "5 peers, {name}: {delivered} events delivered in {took:.2} s, {:.0}/s; {:.0} steps/s",
        delivered as f64 / took,
        outcome.steps as f64 / took
    );
}

fn mesh(peers: usize) -> Result<(), Box<dyn std::error::Error>> {
    let began = Instant::now();
    let mut set_up = 0.0;
    let ran = Sim::new(1).peers(peers).degree(6).link(Link::new(20.0, 0.0)).run(|world| {
        set_up = began.elapsed().as_secs_f64();
        world.transact(0, |tx| tx.create("notes")?.set("title", "to all").map(drop))?;
        world.pass(1.s())?;
        Ok(())
    });
    let ran = ran.assert_converged();
    let took = began.elapsed().as_secs_f64();
    println!(
        "{peers} peers: one edit at all of them after {took:.1} s, {set_up:.1} s of which to join; {:?}",
        ran.traffic()
    );
    Ok(())
}
