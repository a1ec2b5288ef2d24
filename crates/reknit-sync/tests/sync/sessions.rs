//! Laws of sessions, over random histories with forks and random knowledge on both sides.

use crate::support::{CROWD_MAX, Memory, Pair, crowd, device, first_of, keys, space};
use proptest::prelude::*;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use reknit_sync::limits::{CREDIT_WINDOW_BYTES, FRAME_BYTES_MAX, QUIET_MS, TIPS_MAX};
use reknit_sync::{Against, Delta, Message, Source, Waiting, frame};
use reknit_types::{Dot, Draft, Epoch, EventId, Kind, Payload, Stamp, Tip, VerifiedEvent};
use std::collections::BTreeSet;

/// What one event of a random history does: who writes it, after which of the author's events (counted back; others
/// than the last fork the chain), and after which other events (counted back).
#[derive(Debug, Clone)]
struct Step {
    author: u8,
    back: usize,
    parents: Vec<usize>,
    payload: Vec<u8>,
}

fn steps(forks: u32) -> impl Strategy<Value = Vec<Step>> {
    let back = prop_oneof![100 - forks => Just(0usize), forks => 0usize..8];
    let parents = prop_oneof![3 => Just(vec![]), 2 => proptest::collection::vec(0usize..20, 1..3)];
    let payload = proptest::collection::vec(any::<u8>(), 0..120);
    let step = (2u8..6, back, parents, payload).prop_map(|(author, back, parents, payload)| Step {
        author,
        back,
        parents,
        payload,
    });
    proptest::collection::vec(step, 1..60)
}

fn world(steps: &[Step]) -> Vec<VerifiedEvent> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut memory = Memory::default();
    for step in steps {
        let key = device(step.author);
        let own = memory.events.iter().filter(|event| event.header().author == key.id());
        let own: Vec<Dot> = own.map(VerifiedEvent::dot).collect();
        let prev = own.iter().rev().nth(step.back).copied();
        let mut parents: Vec<Dot> = prev.into_iter().collect();
        let others = step.parents.iter().filter_map(|back| memory.events.iter().rev().nth(*back));
        parents.extend(others.map(VerifiedEvent::dot));
        parents.sort_by_key(|dot| dot.id);
        parents.dedup();
        let after = memory.events.iter().map(|event| event.header().stamp).max();
        let draft = Draft {
            kind: Kind::Data,
            parents,
            stamp: Stamp::next(memory.events.len() as u64 * 3, after, &mut rng),
            epoch: Epoch::FIRST,
            payload: Payload::Open(step.payload.clone()),
        };
        let before = prev.map(|dot| dot.tip());
        let mut event =
            VerifiedEvent::seal(space(), &key, before, draft, crate::support::payload_key(&keys())).unwrap();
        event.sign(&key);
        memory.admit(event);
    }
    memory.events
}

/// Some of the events, with all their causes.
fn part(world: &[VerifiedEvent], chosen: &[prop::sample::Index]) -> Memory {
    let mut wanted: BTreeSet<EventId> = chosen.iter().map(|at| world[at.index(world.len())].id()).collect();
    for event in world.iter().rev() {
        if wanted.contains(&event.id()) {
            wanted.extend(event.header().parents.iter().chain(&event.header().prev));
        }
    }
    let mut memory = Memory::default();
    for event in world.iter().filter(|event| wanted.contains(&event.id())) {
        memory.admit(event.clone());
    }
    memory
}

fn chosen() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    proptest::collection::vec(any::<prop::sample::Index>(), 0..8)
}

fn ids(memory: &Memory) -> BTreeSet<EventId> {
    memory.events.iter().map(VerifiedEvent::id).collect()
}

/// What it would cost to send `from`'s events that `to` lacks, and nothing else.
fn difference_bytes(from: &Memory, to: &Memory) -> usize {
    let lacking: Vec<_> = from.events.iter().filter(|event| !to.has(&event.id())).cloned().collect();
    if lacking.is_empty() { 0 } else { frame::encode(&lacking).unwrap().as_bytes().len() }
}

fn differing_tips(a: &Memory, b: &Memory) -> usize {
    let tips = |memory: &Memory| -> BTreeSet<(_, Tip)> {
        memory.frontier.iter().flat_map(|(author, tips)| tips.iter().map(|tip| (*author, *tip))).collect()
    };
    tips(a).symmetric_difference(&tips(b)).count()
}

/// Two hellos and two receipts: what a session of equals costs.
const EQUAL_BYTES: usize = 400;
/// What any session may cost beside the difference: those, and either the first symbols of a sketch or a frontier that
/// is too short for one. It does not grow with the number of authors.
const SESSION_BYTES: usize = 960;

/// The most that may travel between two.
fn budget(a: &Memory, b: &Memory) -> usize {
    let difference = difference_bytes(a, b) + difference_bytes(b, a);
    difference * 13 / 10 + 200 * differing_tips(a, b) + SESSION_BYTES
}

/// Adds events that depend on nothing, except those left out.
fn add(memory: &mut Memory, events: &[VerifiedEvent], left_out: &[prop::sample::Index]) {
    let left_out: BTreeSet<usize> = left_out.iter().map(|at| at.index(events.len().max(1))).collect();
    for (_, event) in events.iter().enumerate().filter(|(at, _)| !left_out.contains(at)) {
        memory.admit(event.clone());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn two_peers_end_equal_and_nothing_they_had_is_resent(
        steps in steps(12), a in chosen(), b in chosen(),
        crowded in prop_oneof![Just(0), 0usize..300], a_lacks in chosen(), b_lacks in chosen(),
    ) {
        let world = world(&steps);
        let (mut a, mut b) = (part(&world, &a), part(&world, &b));
        add(&mut a, crowd(crowded), &a_lacks);
        add(&mut b, crowd(crowded), &b_lacks);
        let union: BTreeSet<_> = ids(&a).union(&ids(&b)).copied().collect();
        let budget = budget(&a, &b);
        let mut pair = Pair::new(a, b);
        pair.settle();
        prop_assert_eq!(ids(&pair.sides[0].memory), union.clone());
        prop_assert_eq!(ids(&pair.sides[1].memory), union);
        prop_assert_eq!(pair.sides[0].resent + pair.sides[1].resent, 0);
        prop_assert!(pair.bytes() <= budget, "{} of {budget} bytes", pair.bytes());
    }

    #[test]
    fn a_cut_session_resumes_where_the_data_is(
        steps in steps(12), a in chosen(), b in chosen(),
        cuts in proptest::collection::vec(1usize..8, 0..4),
    ) {
        let world = world(&steps);
        let (a, b) = (part(&world, &a), part(&world, &b));
        let union: BTreeSet<_> = ids(&a).union(&ids(&b)).copied().collect();
        let mut pair = Pair::new(a, b);
        for cut in cuts {
            for turn in 0..cut {
                pair.deliver(turn % 2);
            }
            pair.reconnect();
        }
        pair.settle();
        prop_assert_eq!(ids(&pair.sides[0].memory), union.clone());
        prop_assert_eq!(ids(&pair.sides[1].memory), union);
        prop_assert_eq!(pair.sides[0].resent + pair.sides[1].resent, 0);
    }

    #[test]
    fn live_edits_on_both_sides_and_from_elsewhere_converge(
        steps in steps(6), a in chosen(), b in chosen(),
        acts in proptest::collection::vec((0usize..2, 0u8..5, any::<prop::sample::Index>()), 0..40),
    ) {
        let world = world(&steps);
        let mut pair = Pair::new(part(&world, &a), part(&world, &b));
        for (at, act, which) in acts {
            match act {
                0 => write(&mut pair, at),
                1 => learn(&mut pair, at, &world, which),
                2 => pair.pass_time(pair.now + 20),
                _ => { pair.deliver(at); }
            }
        }
        pair.settle();
        prop_assert_eq!(ids(&pair.sides[0].memory), ids(&pair.sides[1].memory));
        prop_assert_eq!(pair.sides[0].memory.shared.as_ref(), Some(&pair.sides[1].memory.frontier));
    }
}

/// A chain that forks into branches, each followed by an event of another author who has seen no other branch.
fn forked(branches: usize) -> Vec<Vec<VerifiedEvent>> {
    let mut trunk = Memory::default();
    for at in 0..3 {
        let mut event = trunk.write(2, b"trunk", 1000 + at);
        event.sign(&device(2));
        trunk.admit(event);
    }
    let branch = |at: usize| {
        let mut memory = trunk.clone();
        for author in [2, 2, 3 + (at % 3) as u8] {
            let mut event = memory.write(author, &[at as u8], 2000 + at as u64);
            event.sign(&device(author));
            memory.admit(event);
        }
        memory.events
    };
    (0..branches).map(branch).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn two_peers_who_saw_different_branches_of_one_author_end_equal(
        branches in prop_oneof![Just(17), Just(40), 41..=TIPS_MAX],
        order in any::<u64>(), shared in 0usize..10,
    ) {
        let mut branches = forked(branches);
        branches.shuffle(&mut ChaCha20Rng::seed_from_u64(order));
        let shared = shared.min(branches.len());
        let middle = shared + (branches.len() - shared) / 2;
        let side = |own: &[Vec<VerifiedEvent>]| {
            let mut memory = Memory::default();
            for event in own.iter().chain(&branches[..shared]).flatten() {
                memory.admit(event.clone());
            }
            memory
        };
        let (a, b) = (side(&branches[shared..middle]), side(&branches[middle..]));
        let budget = budget(&a, &b);
        let mut pair = Pair::new(a, b);
        pair.settle();
        prop_assert_eq!(pair.sides[0].memory.events.len(), 3 + 3 * branches.len());
        prop_assert_eq!(pair.sides[0].resent + pair.sides[1].resent, 0);
        prop_assert!(pair.bytes() <= budget, "{} of {budget} bytes", pair.bytes());
    }
}

/// A side writes a batch of two, of which only the last is signed.
fn write(pair: &mut Pair, at: usize) {
    let mut memory = pair.sides[at].memory.clone();
    let first = memory.write(at as u8, b"first", pair.now);
    memory.admit(first.clone());
    let mut second = memory.write(at as u8, b"second", pair.now);
    second.sign(&device(at as u8));
    pair.admit(at, vec![first, second], Source::Local);
}

/// A side learns an event and its causes from somebody else.
fn learn(pair: &mut Pair, at: usize, world: &[VerifiedEvent], which: prop::sample::Index) {
    let events = part(world, &[which]).events;
    pair.admit(at, events, Source::Elsewhere);
}

#[test]
fn equal_peers_need_one_round_trip_and_less_than_a_kilobyte() {
    let mut memory = Memory::default();
    for at in 0..100 {
        let mut event = memory.write(at % 5 + 2, b"x", 1000 + u64::from(at));
        event.sign(&device(at % 5 + 2));
        memory.admit(event);
    }
    let mut pair = Pair::new(memory.clone(), memory);
    pair.settle();
    assert!(pair.bytes() < EQUAL_BYTES, "{} bytes", pair.bytes());
    assert_eq!(pair.delivered, 4, "hello there; hello and receipt back; receipt there");
}

#[test]
fn a_sign_that_the_peer_has_the_older_events_does_not_keep_the_newer_from_it() {
    let mut source = Memory::default();
    for at in 0..5 {
        let mut event = source.write(2, b"x", 1000 + at);
        event.sign(&device(2));
        source.admit(event);
    }
    let mut pair = Pair::new(Memory::default(), Memory::default());
    pair.settle();
    let events = source.events;
    pair.admit(0, events[..1].to_vec(), Source::Elsewhere);
    pair.admit(0, events[1..].to_vec(), Source::Elsewhere);
    pair.admit(1, events[..1].to_vec(), Source::Elsewhere);
    pair.settle();
    assert_eq!(pair.sides[1].memory.events.len(), 5);
    assert_eq!(pair.sides[1].resent, 0);
}

#[test]
fn in_a_mesh_events_from_elsewhere_are_not_pushed_twice() {
    let mut pair = Pair::new(Memory::default(), Memory::default());
    pair.settle();
    let mut event = Memory::default().write(2, b"x", 1000);
    event.sign(&device(2));
    pair.admit(0, vec![event.clone()], Source::Elsewhere);
    pair.admit(1, vec![event], Source::Elsewhere);
    pair.settle();
    assert_eq!(pair.sides[0].session.status().bytes_out + pair.sides[1].session.status().bytes_out, 0);
}

#[test]
fn a_local_edit_is_pushed_at_once_and_receipts_follow_when_it_is_quiet() {
    let mut pair = Pair::new(Memory::default(), Memory::default());
    pair.settle();
    let before = pair.now;
    write(&mut pair, 0);
    assert!(pair.deliver(1));
    assert_eq!(pair.sides[1].memory.events.len(), 2);
    assert_eq!(pair.now, before);
    pair.settle();
    assert_eq!(pair.now, before + QUIET_MS);
}

#[test]
fn a_second_session_names_only_what_changed_since_the_last_receipt() {
    let mut memory = Memory::default();
    for at in 0..200 {
        let mut event = memory.write(at + 2, b"x", 1000 + u64::from(at));
        event.sign(&device(at + 2));
        memory.admit(event);
    }
    let mut pair = Pair::new(memory.clone(), memory);
    pair.settle();
    for at in 0..2 {
        let mut memory = pair.sides[at].memory.clone();
        let mut event = memory.write(at as u8, b"apart", pair.now);
        event.sign(&device(at as u8));
        memory.admit(event);
        pair.sides[at].memory = memory;
    }
    let before = pair.bytes();
    pair.reconnect();
    pair.settle();
    assert!(pair.bytes() - before < 1_500, "{} bytes", pair.bytes() - before);
}

/// Half round trips before the first event is under way: in each, both sides hear what was under way before.
fn hops_before_events(pair: &mut Pair) -> usize {
    for hops in 1.. {
        let under_way = [0, 1].map(|at: usize| pair.sides[at].inbox.len());
        for (at, count) in under_way.into_iter().enumerate() {
            (0..count).for_each(|_| _ = pair.deliver(at));
        }
        let is_events = |bytes: &Vec<u8>| matches!(Message::decode(bytes), Ok(Message::Events(_)));
        if pair.sides.iter().any(|side| side.inbox.iter().any(is_events)) {
            return hops;
        }
    }
    unreachable!("a session without events goes on for ever");
}

#[test]
fn two_strangers_who_share_200_authors_pay_for_the_two_that_differ() {
    let both = crowd(198);
    let mut sides = [Memory::default(), Memory::default()];
    for (at, memory) in sides.iter_mut().enumerate() {
        add(memory, both, &[]);
        memory.admit(first_of(CROWD_MAX + at as u16, b"only here"));
    }
    let [a, b] = sides;
    let budget = budget(&a, &b);
    let mut pair = Pair::new(a, b);
    assert_eq!(
        hops_before_events(&mut pair),
        4,
        "hello; hello and sketch; want; tips; and then tips and events"
    );
    pair.settle();
    assert!(pair.bytes() <= budget && pair.bytes() < 1_700, "{} of {budget} bytes", pair.bytes());
    assert_eq!(pair.sides[0].resent + pair.sides[1].resent, 0);
}

#[test]
fn a_sketch_that_misleads_costs_the_whole_frontier_and_nothing_else() {
    let (mut a, mut b) = (Memory::default(), Memory::default());
    add(&mut a, crowd(100), &[]);
    add(&mut b, crowd(103), &[]);
    let mut pair = Pair::new(a, b);
    let mut misled = false;
    while !pair.equal() {
        if let Some(bytes) = pair.sides[0].inbox.front_mut()
            && let Ok(Message::Frontier { against: Against::Sketch, .. }) = Message::decode(bytes)
        {
            *bytes = Message::Frontier { against: Against::Sketch, delta: Delta::default() }.encode();
            misled = true;
        }
        if !(pair.deliver(0) | pair.deliver(1)) {
            pair.pass_time(pair.now + 10_000);
        }
        assert_eq!(pair.sides[0].closed, None);
    }
    assert!(misled, "no sketch was made");
    assert_eq!(pair.sides[0].memory.events.len(), 103);
    assert_eq!(pair.sides[0].resent + pair.sides[1].resent, 0);
}

#[test]
fn one_author_is_named_at_once() {
    let (mut a, b) = (Memory::default(), Memory::default());
    a.admit(first_of(0, b"only here"));
    let budget = budget(&a, &b);
    let mut pair = Pair::new(a, b);
    assert_eq!(hops_before_events(&mut pair), 2, "hello; hello and tips; and then tips and events");
    pair.settle();
    assert!(pair.bytes() <= budget && pair.bytes() < 600, "{} of {budget} bytes", pair.bytes());
}

#[test]
fn how_far_one_is_behind_on_a_long_chain_is_not_searched_for() {
    let mut long = Memory::default();
    for nth in 0..2_000u64 {
        let author = 2 + (nth % 2) as u8;
        let mut event = long.write(author, b"one of many", nth);
        event.sign(&device(author));
        long.admit(event);
    }
    let short = || {
        let mut short = Memory::default();
        add(&mut short, &long.events[..1_990], &[]);
        short
    };
    let copy = || {
        let mut copy = Memory::default();
        add(&mut copy, &long.events, &[]);
        copy
    };
    for (a, b) in [(copy(), short()), (short(), copy())] {
        let budget = budget(&a, &b);
        let mut pair = Pair::new(a, b);
        pair.settle();
        assert!(pair.equal());
        assert!(pair.bytes() <= budget, "{} of {budget} bytes", pair.bytes());
        assert!(pair.delivered <= 10, "{} messages", pair.delivered);
    }
}

#[test]
fn what_both_learnt_from_others_since_the_last_receipt_is_not_named_again() {
    let mut memory = Memory::default();
    memory.admit(first_of(CROWD_MAX + 1, b"long ago"));
    let mut pair = Pair::new(memory.clone(), memory);
    pair.settle();
    for side in &mut pair.sides {
        add(&mut side.memory, crowd(200), &[]);
    }
    pair.sides[0].memory.admit(first_of(CROWD_MAX, b"only here"));
    let budget = budget(&pair.sides[0].memory, &pair.sides[1].memory);
    let before = pair.bytes();
    pair.reconnect();
    pair.settle();
    let bytes = pair.bytes() - before;
    assert!(bytes <= budget, "{bytes} of {budget} bytes");
}

#[test]
fn however_much_differs_the_bytes_stay_within_the_difference() {
    for (shared, ours, theirs) in [(400, 0, 400), (400, 400, 0), (900, 50, 50), (0, 200, 300), (30, 9, 9)] {
        let all = crowd(shared + ours + theirs);
        let (mut a, mut b) = (Memory::default(), Memory::default());
        add(&mut a, &all[..shared + ours], &[]);
        add(&mut b, &all[..shared], &[]);
        add(&mut b, &all[shared + ours..], &[]);
        let budget = budget(&a, &b);
        let mut pair = Pair::new(a, b);
        let hops = hops_before_events(&mut pair);
        pair.settle();
        assert!(hops <= 8, "{hops} half round trips");
        assert!(pair.bytes() <= budget, "{} of {budget} bytes for {shared} {ours} {theirs}", pair.bytes());
    }
}

#[test]
fn a_long_history_flows_under_credit() {
    let mut memory = Memory::default();
    for at in 0..8 {
        let mut payload = vec![0; 900_000];
        ChaCha20Rng::seed_from_u64(at).fill_bytes(&mut payload);
        let mut event = memory.write(2, &payload, 1000 + at);
        event.sign(&device(2));
        memory.admit(event);
    }
    let mut pair = Pair::new(memory, Memory::default());
    let mut starved = false;
    while !pair.equal() {
        if !(pair.deliver(0) | pair.deliver(1)) {
            pair.pass_time(pair.now + 10_000);
        }
        starved |= pair.sides[0].session.status().waiting == Waiting::AwaitingCredit;
        let under_way: usize = pair.sides[1].inbox.iter().map(Vec::len).sum();
        assert!(under_way as u64 <= CREDIT_WINDOW_BYTES + FRAME_BYTES_MAX as u64);
    }
    assert!(starved, "less than the window would not show that it binds");
    assert_eq!(pair.sides[1].memory.events.len(), 8);
}
