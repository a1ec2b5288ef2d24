//! The simulator, as an app author uses it.

use reknit_crdt::FieldValue;
use reknit_sim::people::{Person, Work};
use reknit_sim::scenario::Planned;
use reknit_sim::{Action, Budget, Disks, Link, Scenario, Sim, Time, heal, partition, run};
use reknit_types::{EntityId, Name, Value};

#[test]
fn a_partition_heals() {
    let id = EntityId::from_bytes([7; 16]);
    let ran = Sim::new(1)
        .peers(5)
        .link(Link::new(20.0, 0.01))
        .at(10.s(), partition([&[0, 1], &[2, 3, 4]]))
        .at(60.s(), heal())
        .run(|world| {
            for round in 0..20u64 {
                for peer in 0..5 {
                    world.transact(peer, move |tx| {
                        tx.entity("notes", id)?.add("count", 1)?.set("last", round as i64)?;
                        Ok(())
                    })?;
                }
                world.pass(1.s())?;
            }
            Ok(())
        })
        .assert_converged();
    for peer in 0..5 {
        let notes = ran.world.entities(peer, &Name::new("notes").unwrap()).unwrap();
        assert_eq!(notes[0].fields[&Name::new("count").unwrap()], FieldValue::Counter(100));
    }
}

#[test]
fn one_seed_gives_one_story_and_another_seed_another() {
    let digest = |seed| {
        let ran = Sim::new(seed)
            .peers(4)
            .link(Link::new(30.0, 0.1))
            .at(2.s(), partition([&[0], &[1, 2, 3]]))
            .run(|world| {
                for peer in [0, 1, 2, 3, 0, 2] {
                    world.transact(peer, move |tx| tx.create("notes")?.set("by", peer as i64).map(drop))?;
                    world.pass(1.s())?;
                }
                Ok(())
            });
        ran.assert_converged().world.trace().digest()
    };
    assert_eq!(digest(5), digest(5));
    assert_ne!(digest(5), digest(6));
}

#[test]
fn a_link_that_takes_minutes_for_an_event_carries_it() {
    let mut noise = [7u64; 100_000];
    (1..noise.len()).for_each(|at| noise[at] = noise[at - 1].wrapping_mul(6_364_136_223_846_793_005) + 1);
    let noise: Vec<u8> = noise.iter().map(|word| (word >> 33) as u8).collect();
    Sim::new(2)
        .peers(2)
        .link(Link { bandwidth: Some(700), ..Link::new(20.0, 0.0) })
        .at(1.s(), partition([&[0], &[1]]))
        .at(20.s(), heal())
        .run(|world| {
            world.pass(10.s())?;
            world.transact(0, |tx| tx.create("noise")?.set("body", Value::Bytes(noise)).map(drop))?;
            world.pass(400.s())?;
            assert_eq!(world.entities(1, &Name::new("noise").unwrap()).unwrap().len(), 1);
            Ok(())
        })
        .assert_converged();
}

fn scenario() -> Scenario {
    let link = Link { duplication: 0.1, reordering: 0.1, ..Link::new(30.0, 0.05) };
    let mixed = Person {
        at: vec![],
        work: Work::Mixed,
        per_second: 4.0,
        burst: 1,
        entities: 5,
        bytes: 16,
        from: 0.0,
        until: None,
    };
    let partition = Planned { time: 5.0, actions: vec![partition([&[0, 1], &[2, 3, 4]])] };
    Scenario {
        name: "mixed".to_owned(),
        about: "Everything that people do, over a partition.".to_owned(),
        peers: 5,
        degree: None,
        disks: Disks::Memory,
        link,
        seconds: 20.0,
        trace: None,
        people: vec![mixed],
        at: vec![partition],
        repeat: vec![],
        enemies: vec![],
        chaos: None,
        budget: Budget::default(),
    }
}

#[test]
fn what_peers_lack_is_known_although_all_of_them_just_started() {
    let kills = Planned { time: 20.0, actions: (0..5).map(Action::Kill).collect() };
    let at = scenario().at.into_iter().chain([kills]).collect();
    let outcome = run(&Scenario { at, ..scenario() }, 0);
    assert_eq!(outcome.failure.map(|failure| failure.what), None);
    let least = outcome.minimum_bytes.expect("five small histories can be read");
    assert!((1..=outcome.heal.bytes + outcome.heal.announce_bytes).contains(&least), "{least}");
}

#[test]
fn people_who_do_everything_see_their_promises_kept() {
    for seed in 0..5 {
        let outcome = run(&scenario(), seed);
        let failure = outcome
            .failure
            .map(|failure| format!("{}: {:.2000}\n{}", failure.rule, failure.what, failure.story.join("\n")));
        assert_eq!(failure, None, "seed {seed}");
    }
}
