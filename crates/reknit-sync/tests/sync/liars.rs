//! Whatever a peer says, a session ends with a reason or goes on; it never panics and never grows without bound.

use crate::support::{Memory, device, keys, session, space};
use proptest::prelude::*;
use reknit_sync::limits::{
    ANSWER_TIMEOUT_MS, CREDIT_TIMEOUT_MS, CREDIT_WINDOW_BYTES, DELIVERY_TIMEOUT_MS, FRAME_BYTES_MAX,
    HAVE_TIPS_MAX, UNEQUAL_TIMEOUT_MS, WANTS_MAX,
};
use reknit_sync::{
    Against, Announce, CloseReason, Delta, Frame, Frontier, Hello, History, HistoryError, Locate, Message,
    Missing, Opening, Output, Phase, Probe, Receipt, Role, Segment, Session, Sketch, Source, Symbol, Want,
    frame,
};
use reknit_types::{DeviceId, Dot, EventId, Signature, Tip};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(crate) const NOW: u64 = 1_000_000;

pub(crate) fn memory(events: u64) -> Memory {
    let mut memory = Memory::default();
    for at in 0..events {
        let mut event = memory.write(2, b"x", NOW + at);
        event.sign(&device(2));
        memory.admit(event);
    }
    memory
}

pub(crate) fn hello(memory: &Memory) -> Message {
    let (digest, events) = (memory.frontier.digest(), memory.event_count());
    Message::Hello(Hello { version: 1, digest, events, now_ms: NOW, base: None })
}

fn frontier(memory: &Memory, against: Against) -> Message {
    Message::Frontier { against, delta: memory.frontier.delta(&Frontier::default()) }
}

/// A session in this role, started, after these messages; and the reason it closed for, if it did.
pub(crate) struct Talk<H> {
    pub(crate) session: Session,
    history: H,
    pub(crate) out: Vec<Output>,
}

impl<H: History> Talk<H> {
    pub(crate) fn new(role: Role, history: H) -> Self {
        let session = Session::new(space(), Arc::new(device(0)), device(1).id(), role);
        let mut talk = Self { session, history, out: Vec::new() };
        talk.session.start(NOW, &talk.history, &mut talk.out);
        talk
    }

    pub(crate) fn say(self, message: Message) -> Self {
        self.say_after(0, message)
    }

    pub(crate) fn say_after(mut self, ms: u64, message: Message) -> Self {
        self.session.on_message(NOW + ms, message, &self.history, &mut self.out);
        self
    }

    pub(crate) fn arrive_after(mut self, ms: u64, bytes: u64) -> Self {
        self.session.on_arriving(NOW + ms, bytes, &mut self.out);
        self
    }

    pub(crate) fn wait(mut self, ms: u64) -> Self {
        self.session.on_tick(NOW + ms, &self.history, &mut self.out);
        self
    }

    /// Whether it has not ended a minute later.
    pub(crate) fn waits_on(&mut self, ms: u64) -> bool {
        self.session.on_tick(NOW + ms + CREDIT_TIMEOUT_MS - 200, &self.history, &mut self.out);
        self.closed().is_none()
    }

    pub(crate) fn closed(&self) -> Option<CloseReason> {
        match self.session.status().phase {
            Phase::Closed(reason) => {
                assert_eq!(self.out.last(), Some(&Output::Close(reason)));
                Some(reason)
            }
            _ => None,
        }
    }
}

/// An initiator that is equal to its peer.
fn equal() -> Talk<Memory> {
    let memory = memory(3);
    let hello = hello(&memory);
    Talk::new(Role::Initiator, memory).say(hello)
}

/// A responder with three events whose peer has none.
pub(crate) fn ahead() -> Talk<Memory> {
    let nothing = Memory::default();
    let delta = Delta { gone: vec![0], new: vec![] };
    Talk::new(Role::Responder, memory(3))
        .say(hello(&nothing))
        .say(Message::Frontier { against: Against::Yours, delta })
}

/// An initiator whose peer says that it has events of an unknown author.
pub(crate) fn behind() -> Talk<Memory> {
    let theirs = memory(5);
    Talk::new(Role::Initiator, Memory::default())
        .say(hello(&theirs))
        .say(frontier(&theirs, Against::Nothing))
        .say(Message::Unknown(vec![]))
}

/// A history that cannot be read.
struct Broken(Memory);

impl History for Broken {
    fn frontier(&self) -> &Frontier {
        self.0.frontier()
    }
    fn event_count(&self) -> u64 {
        self.0.event_count()
    }
    fn ids_at(&self, _: &DeviceId, _: u64) -> Result<Vec<EventId>, HistoryError> {
        Err(HistoryError("disk gone".into()))
    }
    fn ancestor(&self, _: &DeviceId, _: &Tip, _: u64) -> Result<Option<EventId>, HistoryError> {
        Err(HistoryError("disk gone".into()))
    }
    fn last_shared(&self) -> Option<[u8; 32]> {
        None
    }
    fn past_frontier(&self, _: &[u8; 32]) -> Option<Frontier> {
        None
    }
    fn next_frame(&self, _: &mut Missing, _: usize) -> Result<Option<Frame>, HistoryError> {
        Err(HistoryError("disk gone".into()))
    }
}

fn over_credit() -> Option<CloseReason> {
    let mut talk = equal();
    let bytes = CREDIT_WINDOW_BYTES as usize + FRAME_BYTES_MAX + 1;
    talk.session.on_events(NOW, (&[], bytes), &talk.history, &mut talk.out);
    talk.closed()
}

/// A sender whose frames are not taken in.
pub(crate) fn starving() -> Talk<Hoard> {
    let memory = memory(8);
    let mut talk = Talk::new(Role::Responder, Hoard(memory));
    talk = talk.say(hello(&Memory::default()));
    let delta = Delta { gone: vec![0], new: vec![] };
    talk = talk.say(Message::Frontier { against: Against::Yours, delta });
    for _ in 0..8 {
        talk = talk.wait(1);
    }
    talk
}

/// A history whose frames are never compressed small: each is as large as a megabyte of noise.
pub(crate) struct Hoard(Memory);

impl History for Hoard {
    fn frontier(&self) -> &Frontier {
        self.0.frontier()
    }
    fn event_count(&self) -> u64 {
        self.0.event_count()
    }
    fn ids_at(&self, author: &DeviceId, seq: u64) -> Result<Vec<EventId>, HistoryError> {
        self.0.ids_at(author, seq)
    }
    fn ancestor(&self, author: &DeviceId, tip: &Tip, seq: u64) -> Result<Option<EventId>, HistoryError> {
        self.0.ancestor(author, tip, seq)
    }
    fn last_shared(&self) -> Option<[u8; 32]> {
        None
    }
    fn past_frontier(&self, _: &[u8; 32]) -> Option<Frontier> {
        None
    }
    fn next_frame(&self, missing: &mut Missing, _: usize) -> Result<Option<Frame>, HistoryError> {
        assert!(!missing.is_empty());
        Ok(Some(Frame::from_bytes(vec![0; 1_000_000])))
    }
}

#[test]
fn every_reason_to_close_is_reached() {
    let version = Hello { version: 2, digest: [0; 32], events: 0, now_ms: 0, base: None };
    let forged = Receipt { digest: [0; 32], signature: Signature::from_bytes([0; 64]) };
    let probe = Probe { seq: 1, id: [0; 16] };
    let unfit = Delta { gone: vec![1], new: vec![] };
    let mut reached = vec![
        Talk::new(Role::Responder, memory(3))
            .say(hello(&memory(1)))
            .say(Message::Frontier { against: Against::Yours, delta: unfit })
            .closed(),
        equal().say(Message::Close(CloseReason::Leaving)).closed(),
        Talk::new(Role::Responder, memory(0)).say(Message::Hello(version)).closed(),
        equal().say(hello(&memory(3))).closed(),
        equal().say(Message::Receipt(forged)).closed(),
        ahead().say(Message::Locate(Locate { tip: 9, probes: vec![probe] })).closed(),
        equal().say(Message::Events(Frame::from_bytes(vec![]))).closed(),
        over_credit(),
        starving().wait(CREDIT_TIMEOUT_MS + 1).closed(),
        Talk::new(Role::Initiator, memory(0)).wait(ANSWER_TIMEOUT_MS).closed(),
        Talk::new(Role::Initiator, memory(0)).say(hello(&memory(3))).wait(ANSWER_TIMEOUT_MS).closed(),
        behind().wait(DELIVERY_TIMEOUT_MS).closed(),
        ahead().wait(UNEQUAL_TIMEOUT_MS).closed(),
        Talk::new(Role::Initiator, Broken(memory(3)))
            .say(hello(&memory(5)))
            .say(frontier(&memory(2), Against::Nothing))
            .closed(),
    ];
    for reason in [
        CloseReason::Superseded,
        CloseReason::NotMember,
        CloseReason::Malformed,
        CloseReason::BadFrame,
        CloseReason::NoRoom,
    ] {
        let mut talk = equal();
        talk.session.close(reason, &mut talk.out);
        assert!(talk.out.contains(&Output::Send(Message::Close(reason))));
        reached.push(talk.closed());
    }
    let reached: BTreeSet<_> = reached.into_iter().map(Option::unwrap).collect();
    let all: BTreeSet<_> = CloseReason::ALL.iter().copied().collect();
    assert_eq!(reached, all);
}

#[test]
fn who_never_comes_to_the_end_of_a_sketch_is_given_up() {
    let one = Symbol { sum: 1, check: 0 };
    let sketch = |tips| Message::Sketch(Sketch { nonce: [0; 16], tips, symbols: vec![one] });
    let mut talk = Talk::new(Role::Initiator, memory(3)).say(hello(&memory(5)));
    for _ in 0..WANTS_MAX {
        talk = talk.say(sketch(100));
        assert!(matches!(talk.out.last(), Some(Output::Send(Message::Want(_)))));
    }
    assert_eq!(talk.say(sketch(100)).closed(), Some(CloseReason::BadFrontier));
}

#[test]
fn who_asks_about_a_sketch_without_end_is_given_up() {
    for wants in
        [vec![Want::Symbols(0)], vec![Want::Symbols(u64::MAX)], vec![Want::All; WANTS_MAX as usize + 1]]
    {
        let mut talk = Talk::new(Role::Responder, memory(3)).say(hello(&memory(1)));
        for want in wants {
            assert_eq!(talk.closed(), None);
            talk = talk.say(Message::Want(want));
        }
        assert_eq!(talk.closed(), Some(CloseReason::BadFrontier));
    }
}

#[test]
fn reasons_read_back_from_their_bytes_and_each_says_why() {
    for reason in CloseReason::ALL {
        assert_eq!(CloseReason::from_byte(reason.to_byte()), *reason);
        assert!(reason.to_string().contains(' '), "{reason}");
    }
    assert_eq!(CloseReason::from_byte(200), CloseReason::Other(200));
}

#[test]
fn a_closed_session_says_nothing_more() {
    let mut talk = equal().say(Message::Close(CloseReason::Leaving));
    let said = talk.out.len();
    talk = talk.say(hello(&memory(3))).wait(1_000_000);
    talk.session.close(CloseReason::BadFrame, &mut talk.out);
    assert_eq!(talk.out.len(), said);
    assert_eq!(talk.session.next_wakeup(), None);
}

fn tips() -> impl Strategy<Value = Vec<Tip>> {
    let tip = (prop_oneof![1u64..6, any::<u64>()], any::<u8>())
        .prop_map(|(seq, id)| Tip { seq: seq.max(1), id: EventId::from_bytes([id; 32]) });
    proptest::collection::btree_set(tip, 0..4).prop_map(|tips| tips.into_iter().collect())
}

fn dots() -> impl Strategy<Value = Vec<Dot>> {
    let dot = (0u8..4, any::<u64>(), 0u8..4).prop_map(|(author, seq, id)| Dot {
        author: device(author).id(),
        seq,
        id: EventId::from_bytes([id; 32]),
    });
    proptest::collection::vec(dot, 0..6)
}

fn messages() -> impl Strategy<Value = Message> {
    let ours = memory(3).frontier.digest();
    let digest = prop_oneof![Just(ours), Just([0; 32])];
    let against = prop_oneof![
        Just(Against::Nothing),
        Just(Against::Yours),
        Just(Against::Base([0; 32])),
        Just(Against::Sketch),
    ];
    let probes = proptest::collection::btree_map(any::<u64>(), any::<[u8; 16]>(), 0..4)
        .prop_map(|probes| probes.into_iter().rev().map(|(seq, id)| Probe { seq, id }).collect());
    let tips = proptest::collection::btree_map(0u8..4, tips(), 0..4);
    let gone = proptest::collection::btree_set(0u64..3, 0..2);
    let frontier = (against, gone, tips).prop_map(|(against, gone, tips)| {
        let mut frontier = Frontier::default();
        tips.into_iter().for_each(|(author, tips)| frontier.set(device(author).id(), tips));
        let delta = Delta { gone: gone.into_iter().collect(), ..frontier.delta(&Frontier::default()) };
        Message::Frontier { against, delta }
    });
    let symbol = (0u64..4, any::<u32>()).prop_map(|(sum, check)| Symbol { sum, check });
    let sketch = (any::<u64>(), proptest::collection::vec(symbol, 0..40))
        .prop_map(|(tips, symbols)| Message::Sketch(Sketch { nonce: [0; 16], tips, symbols }));
    let want = prop_oneof![
        Just(Want::All),
        any::<u64>().prop_map(Want::Symbols),
        (0u64..20_000).prop_map(Want::Symbols),
        proptest::collection::btree_set(any::<u64>(), 0..4)
            .prop_map(|tips| Want::Tips(tips.into_iter().collect())),
    ];
    prop_oneof![
        4 => (digest, any::<u64>()).prop_map(|(digest, now_ms)| Message::Hello(Hello {
            version: 1, digest, events: now_ms, now_ms, base: Some(digest),
        })),
        4 => frontier,
        2 => sketch,
        2 => want.prop_map(Message::Want),
        2 => proptest::collection::btree_set(0u64..4, 0..3)
            .prop_map(|tips| Message::Unknown(tips.into_iter().collect())),
        2 => (0u64..4, probes).prop_map(|(tip, probes)| Message::Locate(Locate { tip, probes })),
        2 => (0u64..4, 0u64..4).prop_map(|(tip, unknown)| Message::Located { tip, unknown }),
        1 => (0u64..4, any::<u64>(), any::<[u8; 16]>())
            .prop_map(|(tip, seq, id)| Message::Settled { tip, shared: Some(Probe { seq, id }) }),
        1 => dots().prop_map(|dots| Message::Have(BTreeSet::from_iter(dots).into_iter().collect())),
        1 => any::<u64>().prop_map(Message::Credit),
        1 => any::<u8>().prop_map(|code| Message::Close(CloseReason::from_byte(code))),
    ]
}

proptest! {
    #[test]
    fn no_conversation_makes_a_session_panic(
        at in 0u8..2,
        said in proptest::collection::vec((messages(), dots(), any::<u32>(), 0u64..u64::MAX / 8), 0..12),
    ) {
        let (mut session, memory) = (session(at), memory(3));
        let mut out = Vec::new();
        session.start(0, &memory, &mut out);
        for (message, dots, bytes, now) in said {
            session.on_message(now, message, &memory, &mut out);
            session.on_events(now, (&dots, bytes as usize), &memory, &mut out);
            session.on_admitted(now, (&[], Source::FromPeer), &memory, &mut out);
            session.on_tick(now, &memory, &mut out);
            let _ = (session.status(), session.next_wakeup());
        }
        let closes = out.iter().filter(|output| matches!(output, Output::Close(_))).count();
        prop_assert!(closes <= 1);
    }

    #[test]
    fn messages_read_back(message in messages()) {
        prop_assert_eq!(Message::decode(&message.encode()).unwrap(), message);
    }

    #[test]
    fn any_bytes_are_refused_or_are_the_only_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..120), tag in 0u8..16) {
        let mut bytes = bytes;
        bytes.insert(0, tag);
        if let Ok(message) = Message::decode(&bytes) {
            prop_assert_eq!(message.encode(), bytes.clone());
        }
        if let Ok(announce) = Announce::decode(&bytes) {
            prop_assert_eq!(announce.encode(), bytes.clone());
        }
        if let Ok(opening) = Opening::decode(&bytes) {
            prop_assert_eq!(opening.encode(), bytes.clone());
        }
        if let Ok(frontier) = Frontier::decode(&bytes) {
            prop_assert_eq!(frontier.encode(), bytes.clone());
        }
        if let Ok(segment) = Segment::decode(&bytes) {
            prop_assert_eq!(segment.encode(), bytes.clone());
            prop_assert!(segment.events(space(), &keys()).is_err());
        }
        bytes[0] = 0x10 | (tag & 1);
        prop_assert!(frame::decode_verified(&bytes, space(), &keys()).is_err());
    }
}

/// Each tip in a report may be looked up in the receiver's history.
#[test]
fn a_report_of_what_came_from_elsewhere_is_short_and_in_order() {
    let dot =
        |seq| Dot { author: DeviceId::from_bytes([1; 32]), seq, id: EventId::from_bytes([seq as u8; 32]) };
    let most: Vec<Dot> = (1..=HAVE_TIPS_MAX as u64).map(dot).collect();
    assert!(Message::decode(&Message::Have(most.clone()).encode()).is_ok());
    let more: Vec<Dot> = (0..=HAVE_TIPS_MAX as u64).map(dot).collect();
    for refused in [more, vec![dot(2), dot(1)], vec![dot(1), dot(1)]] {
        assert!(Message::decode(&Message::Have(refused).encode()).is_err());
    }
}
