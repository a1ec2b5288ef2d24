//! What comes bit by bit counts, down to a least rate.

use crate::liars::{Talk, ahead, behind, hello, memory, starving};
use crate::support::{Memory, Pair, crowd};
use reknit_sync::limits::{
    ANSWER_TIMEOUT_MS, CONFIRM_MS, CREDIT_TIMEOUT_MS, DELIVERY_TIMEOUT_MS, PROGRESS_BYTES, SIGNS_MAX,
    UNEQUAL_TIMEOUT_MS,
};
use reknit_sync::{CloseReason, Message, Output, Role};

/// A session that waits, for how long, and the reason that it then ends for.
type Wait = (fn() -> Talk<Memory>, u64, CloseReason);

/// An initiator that waits for a frontier.
fn comparing() -> Talk<Memory> {
    Talk::new(Role::Initiator, memory(0)).say(hello(&memory(3)))
}

/// A responder that waits for a frontier.
fn told() -> Talk<Memory> {
    Talk::new(Role::Responder, memory(3)).say(hello(&memory(1)))
}

#[test]
fn a_session_waits_on_while_bytes_arrive_and_no_longer() {
    let waits: [Wait; 3] = [
        (comparing, ANSWER_TIMEOUT_MS, CloseReason::SilentFrontier),
        (told, ANSWER_TIMEOUT_MS, CloseReason::SilentFrontier),
        (behind, DELIVERY_TIMEOUT_MS, CloseReason::BrokenPromise),
    ];
    for (waiting, timeout_ms, reason) in waits {
        let mut talk = waiting();
        let mut now_ms = 0;
        for _ in 0..600 {
            now_ms += timeout_ms - 1;
            talk = talk.arrive_after(now_ms, PROGRESS_BYTES).wait(now_ms);
            assert_eq!(talk.closed(), None);
        }
        assert_eq!(talk.wait(now_ms + timeout_ms).closed(), Some(reason));
    }
}

#[test]
fn who_trickles_is_given_up_in_any_stage() {
    let first = Talk::new(Role::Initiator, memory(0)).arrive_after(1, 10 * PROGRESS_BYTES);
    assert_eq!(first.wait(ANSWER_TIMEOUT_MS).closed(), Some(CloseReason::SilentHello));
    for (talk, timeout_ms) in
        [(comparing(), ANSWER_TIMEOUT_MS), (told(), ANSWER_TIMEOUT_MS), (behind(), DELIVERY_TIMEOUT_MS)]
    {
        let trickled =
            (1..PROGRESS_BYTES).fold(talk, |talk, at| talk.arrive_after(at * timeout_ms / PROGRESS_BYTES, 1));
        assert!(trickled.wait(timeout_ms).closed().is_some());
    }
}

#[test]
fn the_sender_hears_of_what_arrives_now_and_then() {
    for mut talk in [comparing(), told(), behind()] {
        talk.out.clear();
        let steps = 100;
        for step in 1..=steps {
            talk = talk.arrive_after(step * CONFIRM_MS / 10, PROGRESS_BYTES);
        }
        let told = talk.out.iter().filter(|output| **output == Output::Send(Message::Credit(0))).count();
        assert_eq!(told as u64, steps / 10);
        assert_eq!(told, talk.out.len());
    }
}

#[test]
fn who_hears_that_its_bytes_arrive_waits_on_for_as_many_as_can_be_under_way() {
    let signs: [fn(Talk<_>, u64) -> Talk<_>; 2] = [
        |talk, now_ms| talk.say_after(now_ms, Message::Credit(0)),
        |talk, now_ms| talk.arrive_after(now_ms, PROGRESS_BYTES),
    ];
    for sign in signs {
        let (mut talk, mut now_ms, mut excused) = (starving(), 0, 0);
        while talk.waits_on(now_ms) {
            now_ms += CREDIT_TIMEOUT_MS - 100;
            talk = sign(talk, now_ms);
            excused += 1;
        }
        assert!((SIGNS_MAX..SIGNS_MAX + 3).contains(&excused), "{excused}");
        assert_eq!(talk.closed(), Some(CloseReason::NoCredit));
    }
}

#[test]
fn who_has_sent_all_waits_on_while_it_arrives() {
    let late = UNEQUAL_TIMEOUT_MS - 1;
    let talk = ahead().say_after(late, Message::Credit(0)).wait(2 * late);
    assert_eq!(talk.closed(), None);
    assert_eq!(talk.wait(late + UNEQUAL_TIMEOUT_MS).closed(), Some(CloseReason::Unequal));
}

#[test]
fn there_is_no_credit_before_events() {
    assert_eq!(told().say(Message::Credit(0)).closed(), None);
    assert_eq!(comparing().say(Message::Credit(0)).closed(), None);
    assert_eq!(told().say(Message::Credit(1)).closed(), Some(CloseReason::OutOfTurn));
    let first = Talk::new(Role::Initiator, memory(0)).say(Message::Credit(0));
    assert_eq!(first.closed(), Some(CloseReason::OutOfTurn));
}

#[test]
fn a_large_frontier_is_told_over_a_slow_link() {
    let mut full = Memory::default();
    crowd(500).iter().for_each(|event| assert!(full.admit(event.clone())));
    for (a, b) in [(Memory::default(), full.clone()), (full, Memory::default())] {
        let seconds = Pair::new(a, b).settle_slowly(1_000);
        assert!((60..200).contains(&seconds), "{seconds} s");
    }
}
