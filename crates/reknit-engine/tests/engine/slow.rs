//! A slow link is not a silent peer, and a silent peer is not a slow link.

use crate::support::{World, family};
use rand::Rng;
use reknit_engine::{Notice, Why};
use reknit_sync::CloseReason;
use reknit_types::Value;

/// Two members who are apart, and so equal; what is announced does not reach the other.
fn apart(seed: u64) -> World {
    let mut world = family(seed, 2);
    world.gossip_loss = 1.0;
    world.disconnect(0, 1);
    world
}

/// Writes an entity that no compression makes smaller.
fn write_noise(world: &mut World, at: usize, bytes: usize) {
    let mut noise = vec![0; bytes];
    world.rng.fill_bytes(&mut noise);
    world.transact(at, |tx| tx.create("noise")?.set("body", Value::Bytes(noise)).map(|_| ()));
}

/// Connects over a link of this speed, and runs until both are equal; how many seconds that took.
fn connect_slowly(world: &mut World, bytes_a_second: u64, seconds_max: u64) -> u64 {
    world.bytes_a_minute = Some(bytes_a_second * 60);
    world.peers.iter_mut().for_each(|peer| peer.notices.clear());
    world.connect(0, 1);
    for second in 0..seconds_max {
        if world.status(0).frontier_digest == world.status(1).frontier_digest {
            return second;
        }
        world.pass(1_000);
        assert_eq!(ended(world, 0), None);
        assert_eq!(ended(world, 1), None);
    }
    panic!("not equal after {seconds_max} s: {:?}", world.status(1).peers);
}

/// Why a session of this peer ended, if one did.
fn ended(world: &World, at: usize) -> Option<Why> {
    world.peers[at].notices.iter().find_map(|notice| match notice {
        Notice::Unlinked { why, .. } => Some(why.clone()),
        _ => None,
    })
}

#[test]
fn a_large_event_arrives_over_a_link_that_takes_minutes_for_it() {
    let mut world = apart(1);
    write_noise(&mut world, 0, 1_000_000);
    let seconds = connect_slowly(&mut world, 4_000, 300);
    assert!((240..=270).contains(&seconds), "{seconds} s");
}

#[test]
fn a_long_history_arrives_over_a_slow_link_in_one_session() {
    let mut world = apart(2);
    (0..6).for_each(|_| write_noise(&mut world, 0, 850_000));
    let seconds = connect_slowly(&mut world, 10_000, 800);
    assert!((500..=540).contains(&seconds), "{seconds} s");
}

#[test]
fn many_small_events_arrive_over_a_slow_link() {
    let mut world = apart(4);
    for _ in 0..300 {
        write_noise(&mut world, 0, 1_000);
    }
    connect_slowly(&mut world, 1_500, 600);
}

#[test]
fn who_trickles_is_given_up() {
    let mut world = apart(5);
    write_noise(&mut world, 0, 1_000_000);
    world.bytes_a_minute = Some(10_000 * 60);
    world.connect(0, 1);
    world.peers[1].notices.clear();
    world.pass(20_000);
    assert_eq!(ended(&world, 1), None);
    world.bytes_a_minute = Some(3);
    world.pass(40_000);
    assert_eq!(ended(&world, 1), Some(Why::Closed(CloseReason::BrokenPromise)));
}
