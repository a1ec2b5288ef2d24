//! Events from elsewhere wait for a sign that the peer has them, as long as such a sign takes.

use crate::support::{Memory, Pair, device};
use reknit_sync::Source;
use reknit_sync::limits::{RELAY_DELAY_MS, RELAY_PATIENCE_MAX_MS};
use reknit_types::VerifiedEvent;

const ONE_WAY_MS: u64 = 100;

/// Runs until both are equal, over a link on which everything takes its time.
fn settle_far(pair: &mut Pair) {
    while !pair.equal() {
        let under_way = [0, 1].map(|at| pair.sides[at].inbox.len());
        let arrive = pair.now + ONE_WAY_MS;
        while pair.now < arrive {
            pair.pass_time(arrive);
        }
        for (at, count) in under_way.into_iter().enumerate() {
            (0..count).for_each(|_| _ = pair.deliver(at));
        }
    }
}

/// An event of each of these authors, one on top of the other.
fn written(authors: &[u8], memory: &mut Memory) -> Vec<VerifiedEvent> {
    let write = |author: &u8| {
        let now_ms = 1_000 + memory.events.len() as u64;
        let mut event = memory.write(*author, b"x", now_ms);
        event.sign(&device(*author));
        memory.admit(event.clone());
        event
    };
    authors.iter().map(write).collect()
}

/// Two peers far apart, of whom both had an event of the author from elsewhere.
fn in_a_mesh(author: u8, source: &mut Memory) -> Pair {
    let mut pair = Pair::new(Memory::default(), Memory::default());
    settle_far(&mut pair);
    let first = written(&[author], source);
    pair.admit(0, first.clone(), Source::Elsewhere);
    pair.admit(1, first, Source::Elsewhere);
    settle_far(&mut pair);
    pair
}

/// How long it takes until the first side sends events.
fn waits_ms(pair: &mut Pair) -> u64 {
    let (began, before) = (pair.now, pair.sides[0].session.status().bytes_out);
    while pair.sides[0].session.status().bytes_out == before {
        assert!(pair.now < began + 60_000, "nothing is sent");
        pair.pass_time(pair.now + 1_000);
    }
    pair.now - began
}

#[test]
fn a_peer_that_has_an_author_from_nobody_else_is_sent_its_events_soon() {
    let mut source = Memory::default();
    let mut pair = in_a_mesh(2, &mut source);
    pair.admit(0, written(&[3], &mut source), Source::Elsewhere);
    assert!(waits_ms(&mut pair) <= 2 * RELAY_DELAY_MS);
}

#[test]
fn a_peer_that_has_an_author_from_elsewhere_is_waited_for_as_long_as_its_sign_takes() {
    let mut source = Memory::default();
    let mut pair = in_a_mesh(2, &mut source);
    let before = pair.sides[0].session.status().bytes_out;
    let second = written(&[2], &mut source);
    pair.admit(0, second.clone(), Source::Elsewhere);
    pair.admit(1, second, Source::Elsewhere);
    settle_far(&mut pair);
    assert_eq!(pair.sides[0].session.status().bytes_out, before, "it was sent, and the peer had it");
}

#[test]
fn where_no_sign_comes_the_event_is_sent_and_the_next_ones_soon() {
    let mut source = Memory::default();
    let mut pair = in_a_mesh(2, &mut source);
    pair.admit(0, written(&[2], &mut source), Source::Elsewhere);
    let waited = waits_ms(&mut pair);
    assert!((2 * ONE_WAY_MS..=2 * RELAY_PATIENCE_MAX_MS).contains(&waited), "{waited} ms");
    settle_far(&mut pair);
    assert_eq!(pair.sides[1].memory.events.len(), 2);
    pair.admit(0, written(&[2], &mut source), Source::Elsewhere);
    assert!(waits_ms(&mut pair) <= 2 * RELAY_DELAY_MS);
}

#[test]
fn what_is_sent_soon_takes_its_causes_along() {
    let mut source = Memory::default();
    let mut pair = in_a_mesh(2, &mut source);
    pair.admit(0, written(&[2, 3, 2], &mut source), Source::Elsewhere);
    assert!(waits_ms(&mut pair) <= 2 * RELAY_DELAY_MS);
    settle_far(&mut pair);
    assert_eq!(pair.sides[1].memory.events.len(), 4);
}
