use super::*;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use reknit_types::{
    DeviceKey, Dot, Draft, Epoch, EventId, Kind, Payload, PayloadKey, PayloadKeys, SpaceId, Stamp, Tip,
    VerifiedEvent, Writer,
};
use std::collections::BTreeMap;

struct Keys(PayloadKey);

impl PayloadKeys for Keys {
    fn payload_key(&self, _: Kind, _: Epoch) -> Option<&PayloadKey> {
        Some(&self.0)
    }
}

fn keys() -> Keys {
    Keys(PayloadKey::new([9; 32]))
}

fn device(at: u8) -> DeviceKey {
    DeviceKey::from_seed(&[at + 1; 32])
}

fn space() -> SpaceId {
    SpaceId::found(device(0).id(), &[0; 32])
}

/// What one event of a random history does: who writes it, after which of the author's events (counted back; others
/// than the last fork the chain), with which further parents (counted back), when, and what.
#[derive(Debug, Clone)]
struct Step {
    author: u8,
    back: usize,
    parents: Vec<usize>,
    ms: u64,
    control: bool,
    epoch: u8,
    payload: Vec<u8>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let back = prop_oneof![9 => Just(0usize), 1 => 0usize..3];
    let parents = prop_oneof![4 => Just(vec![]), 2 => proptest::collection::vec(0usize..12, 0..4)];
    let payload = proptest::collection::vec(any::<u8>(), 0..60);
    let step = (0u8..4, back, parents, 0u64..4, any::<bool>(), 0u8..2, payload).prop_map(
        |(author, back, parents, ms, control, epoch, payload)| Step {
            author,
            back,
            parents,
            ms,
            control,
            epoch,
            payload,
        },
    );
    proptest::collection::vec(step, 1..40)
}

fn history(steps: &[Step]) -> Vec<VerifiedEvent> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut events: Vec<VerifiedEvent> = Vec::new();
    for step in steps {
        let key = device(step.author);
        let own: Vec<_> = events.iter().filter(|event| event.header().author == key.id()).collect();
        let prev = own.iter().rev().nth(step.back).map(|event| event.dot());
        let mut parents: Vec<Dot> = prev.into_iter().collect();
        parents
            .extend(step.parents.iter().filter_map(|back| events.iter().rev().nth(*back)).map(|e| e.dot()));
        parents.sort_by_key(|dot| dot.id);
        parents.dedup();
        let after = events.iter().map(|event| event.header().stamp).max();
        let draft = Draft {
            kind: if step.control { Kind::Control } else { Kind::Data },
            parents,
            stamp: Stamp::next(events.len() as u64 / 5 * 3 + step.ms, after, &mut rng),
            epoch: Epoch([step.epoch; 8]),
            payload: Payload::Open(step.payload.clone()),
        };
        let prev = prev.map(|dot| dot.tip());
        let mut event = VerifiedEvent::seal(space(), &key, prev, draft, &keys().0).unwrap();
        event.sign(&key);
        if events.iter().all(|known| known.id() != event.id()) {
            events.push(event);
        }
    }
    events
}

fn shape(events: &[VerifiedEvent]) -> Vec<(Dot, Vec<Dot>, Payload)> {
    events.iter().map(|event| (event.dot(), event.parents().to_vec(), event.payload().clone())).collect()
}

proptest! {
    #[test]
    fn a_frame_gives_its_events_back(steps in steps(), from: prop::sample::Index) {
        let events = history(&steps);
        let events = &events[from.index(events.len())..];
        let frame = encode(events).unwrap();
        let decoded = decode_verified(frame.as_bytes(), space(), &keys()).unwrap();
        prop_assert_eq!(shape(&decoded), shape(events));
        let again = encode(&decoded).unwrap();
        prop_assert_eq!(again, frame);
    }
}

/// Ids of parents are signed, and the places of those inside the frame follow from it. Where one outside lies is the
/// sender's word until the event is admitted.
fn parents_differ_only_outside(decoded: &[VerifiedEvent], events: &[VerifiedEvent]) -> bool {
    let inside: BTreeMap<_, _> = events.iter().map(|event| (event.id(), event.dot())).collect();
    decoded.iter().zip(events).all(|(decoded, event)| {
        let before = event.header().prev;
        let same = |(found, sent): (&Dot, &Dot)| {
            let fixed = inside.contains_key(&sent.id) || before == Some(sent.id);
            found.id == sent.id && (!fixed || found == sent)
        };
        decoded.parents().len() == event.parents().len()
            && decoded.parents().iter().zip(event.parents()).all(same)
            && decoded.payload() == event.payload()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_flipped_bit_is_refused_or_changes_nothing(steps in steps(), at: prop::sample::Index, bit in 0u8..8) {
        let events = history(&steps);
        let mut bytes = encode(&events).unwrap().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(decoded) = decode_verified(&bytes, space(), &keys()) {
            let places = |events: &[VerifiedEvent]| events.iter().map(VerifiedEvent::dot).collect::<Vec<_>>();
            prop_assert_eq!(places(&decoded), places(&events));
            prop_assert!(parents_differ_only_outside(&decoded, &events));
        }
    }

    #[test]
    fn a_frame_cut_short_is_refused(steps in steps(), at: prop::sample::Index) {
        let bytes = encode(&history(&steps)).unwrap().into_bytes();
        prop_assert!(decode_verified(&bytes[..at.index(bytes.len())], space(), &keys()).is_err());
    }

    #[test]
    fn a_segment_gives_its_events_and_signatures_back_without_checking_them(
        steps in steps(), at: prop::sample::Index,
    ) {
        let events = history(&steps);
        let frame = encode(&events).unwrap();
        let bytes = crate::Segment::new(&events, frame.clone()).encode();
        let segment = crate::Segment::decode(&bytes).unwrap();
        prop_assert_eq!(segment.frame(), &frame);
        let loaded = segment.events(space(), &keys()).unwrap();
        prop_assert_eq!(shape(&loaded), shape(&events));
        prop_assert_eq!(encode(&loaded).unwrap(), frame);
        let mut damaged = bytes.clone();
        let at = 1 + at.index(32 * segment_lanes(&events));
        damaged[at] ^= 1;
        let damaged = crate::Segment::decode(&damaged).unwrap();
        prop_assert!(damaged.events(space(), &keys()).is_err());
    }

    #[test]
    fn a_prefix_ends_every_lane_signed_and_is_the_longest_that_fits(
        steps in steps(), signed in proptest::collection::vec(any::<bool>(), 40), bytes_max in 0usize..3000,
    ) {
        let events = without_signatures(&history(&steps), &signed);
        let whole: Vec<usize> = (1..=events.len()).filter(|end| encode(&events[..*end]).is_ok()).collect();
        prop_assert_eq!(prefix(&events, usize::MAX), whole.last().copied().unwrap_or(0));
        prop_assert_eq!(prefix(&events, 0), whole.first().copied().unwrap_or(0));
        let taken = prefix(&events, bytes_max);
        prop_assert!(taken == 0 || whole.contains(&taken));
        prop_assert!(taken <= prefix(&events, bytes_max + 1000));
    }
}

fn segment_lanes(events: &[VerifiedEvent]) -> usize {
    last_ids(events).len()
}

/// The same events, of which only some carry their signature.
fn without_signatures(events: &[VerifiedEvent], signed: &[bool]) -> Vec<VerifiedEvent> {
    let rebuilt = events.iter().map(|event| {
        let header = event.header();
        let key = (0..4).map(device).find(|key| key.id() == header.author).unwrap();
        let prev = header.prev.map(|id| Tip { seq: header.seq - 1, id });
        let draft = Draft {
            kind: header.kind,
            parents: event.parents().to_vec(),
            stamp: header.stamp,
            epoch: header.epoch,
            payload: event.payload().clone(),
        };
        (VerifiedEvent::seal(space(), &key, prev, draft, &keys().0).unwrap(), key)
    });
    rebuilt
        .zip(signed.iter().chain(std::iter::repeat(&true)))
        .map(|((mut event, key), signed)| {
            if *signed {
                event.sign(&key);
            }
            event
        })
        .collect()
}

fn one_author(count: usize, payload: &[u8]) -> Vec<VerifiedEvent> {
    let step = Step {
        author: 0,
        back: 0,
        parents: vec![],
        ms: 1,
        control: false,
        epoch: 0,
        payload: payload.to_vec(),
    };
    history(&vec![step; count])
}

/// A store without keys, as a relay has.
struct NoKeys;

impl PayloadKeys for NoKeys {
    fn payload_key(&self, _: Kind, _: Epoch) -> Option<&PayloadKey> {
        None
    }
}

#[test]
fn erased_and_sealed_payloads_travel_and_keep_their_ids() {
    let events = one_author(2, b"secret");
    let header = events[0].header();
    let erased = Payload::Erased { len: header.payload_len, hash: header.payload_hash };
    let draft = Draft {
        kind: header.kind,
        parents: vec![],
        stamp: header.stamp,
        epoch: header.epoch,
        payload: erased.clone(),
    };
    let key = device(0);
    let mut first = VerifiedEvent::seal(space(), &key, None, draft, &keys().0).unwrap();
    assert_eq!(first.id(), events[0].id());
    first.sign(&key);
    let frame = encode(&[first, events[1].clone()]).unwrap();
    let decoded = decode_verified(frame.as_bytes(), space(), &keys()).unwrap();
    assert_eq!(decoded[0].payload(), &erased);
    assert_eq!(decoded[1].id(), events[1].id());
    let missing = decode_verified(frame.as_bytes(), space(), &NoKeys).unwrap_err();
    assert!(matches!(missing, FrameError::Event(EventError::MissingKey(_))));
}

#[test]
fn a_lane_that_ends_unsigned_is_refused_by_name() {
    let events = without_signatures(&one_author(3, b"x"), &[true, true, false]);
    let refused = encode(&events).unwrap_err();
    assert_eq!(refused, FrameError::Unsigned { author: device(0).id(), seq: 3 });
    assert_eq!(prefix(&events, 1 << 20), 2);
}

#[test]
fn events_out_of_order_are_refused() {
    let mut events = one_author(2, b"x");
    events.swap(0, 1);
    let other = history(&[
        Step { author: 0, back: 0, parents: vec![], ms: 1, control: false, epoch: 0, payload: vec![] },
        Step { author: 1, back: 0, parents: vec![0], ms: 1, control: false, epoch: 0, payload: vec![] },
        Step { author: 2, back: 0, parents: vec![0, 1], ms: 1, control: false, epoch: 0, payload: vec![] },
    ]);
    let swapped = [other[2].clone(), other[0].clone(), other[1].clone()];
    assert!(matches!(encode(&swapped), Err(FrameError::Order { .. })));
}

#[test]
fn a_body_that_claims_more_than_a_frame_holds_is_refused_before_it_is_unpacked() {
    let bomb = zstd::bulk::compress(&vec![0; FRAME_BODY_BYTES_MAX + 1], 1).unwrap();
    assert!(bomb.len() < 1000);
    let refused = pack::decompress(&bomb, FRAME_BODY_BYTES_MAX as u64 + 1).unwrap_err();
    assert_eq!(refused, FrameError::TooLarge);
    assert_eq!(pack::decompress(&bomb, 100).unwrap_err(), FrameError::Compression);
}

#[test]
fn what_was_compressed_before_leaves_no_trace_in_a_frame() {
    let events = one_author(200, b"the same words in every event, as people write them");
    let others = one_author(300, b"other words, some of which are the same");
    let first = encode(&events).unwrap();
    for _ in 0..20 {
        assert_eq!(encode(&others).unwrap(), encode(&others).unwrap());
        assert_eq!(encode(&events).unwrap(), first);
    }
    let alone = std::thread::spawn(move || encode(&events).unwrap()).join().unwrap();
    assert_eq!(alone, first);
}

#[test]
fn what_repeats_is_compressed() {
    let events = one_author(200, b"the same words in every event, as people write them");
    let frame = encode(&events).unwrap();
    assert_eq!(frame.as_bytes()[0], FORM_ZSTD);
    assert!(frame.as_bytes().len() < 200 * 10, "{} bytes", frame.as_bytes().len());
}

#[test]
fn more_events_than_a_frame_holds_are_refused() {
    let events = vec![one_author(1, b"x").remove(0); FRAME_EVENTS_MAX + 1];
    assert_eq!(encode(&events), Err(FrameError::TooLarge));
    assert_eq!(encode(&[]), Err(FrameError::Empty));
}

/// The raw frame of these events with lanes as they are given here: a lane an event, each the whole of its chain in the
/// frame or, with the same place twice, part of it. For frames that no encoder would make.
fn by_hand(events: &[VerifiedEvent], lanes: &[usize]) -> Vec<u8> {
    let mut ends: BTreeMap<usize, (&VerifiedEvent, &VerifiedEvent)> = BTreeMap::new();
    for (event, lane) in events.iter().zip(lanes) {
        ends.entry(*lane).and_modify(|(_, last)| *last = event).or_insert((event, event));
    }
    let mut frame = Writer::new();
    frame.u8(FORM_RAW).varint(ends.len() as u64);
    for (first, last) in ends.values() {
        let header = first.header();
        frame.raw(header.author.as_bytes()).varint(header.seq - 1);
        header.prev.iter().for_each(|prev| _ = frame.raw(prev.as_bytes()));
        frame.raw(last.signature().unwrap().as_bytes());
    }
    frame.varint(0).varint(events.len() as u64);
    let (mut runs, mut stamps, mut lengths, mut flags) =
        (Writer::new(), Writer::new(), Writer::new(), vec![]);
    for (event, lane) in events.iter().zip(lanes) {
        let Payload::Open(payload) = event.payload() else { panic!("an open payload") };
        runs.varint(*lane as u64).varint(1);
        stamps.raw(&event.header().stamp.to_u128().to_le_bytes());
        lengths.varint(payload.len() as u64);
        let parents = if event.parents().is_empty() { PARENTS_NONE } else { PARENTS_OWN };
        flags.push((parents << PARENTS_SHIFT) | (STAMP_FULL << STAMP_SHIFT));
    }
    for column in [&runs, &stamps, &lengths, &Writer::new()] {
        frame.bytes(column.as_slice());
    }
    frame.raw(&flags);
    for event in events {
        let Payload::Open(payload) = event.payload() else { panic!("an open payload") };
        frame.raw(payload);
    }
    frame.into_bytes()
}

fn decoded(bytes: &[u8]) -> Result<Vec<VerifiedEvent>, FrameError> {
    decode_verified(bytes, space(), &keys())
}

#[test]
fn a_raw_frame_is_bounded_as_a_compressed_one_is() {
    let events = one_author(3, &vec![7; 1 << 20]);
    let bytes = by_hand(&events[..1], &[0]);
    assert_eq!(shape(&decoded(&bytes).unwrap()), shape(&events[..1]));
    assert_eq!(decoded(&by_hand(&events, &[0, 0, 0])).unwrap_err(), FrameError::TooLarge);
}

/// What is in a frame may be stored in another one, without what was known already.
#[test]
fn whatever_decodes_encodes_in_any_selection() {
    for excess in [0, 1, 40] {
        let largest = FRAME_BODY_BYTES_MAX / 2 - 140 + excess;
        let mut events = one_author(2, &vec![7; largest.min(1 << 20)]);
        events.extend(history(&[step(1, &[7; 60])]));
        let lanes = [0, 0, 1];
        if let Ok(all) = decoded(&by_hand(&events, &lanes)) {
            assert!((0..3).all(|from| encode(&all[from..]).is_ok()), "{excess}");
        }
    }
    for outside in [FRAME_EXTERNALS_MAX - 4096, FRAME_EXTERNALS_MAX - 4095] {
        let events = with_externals(outside);
        match encode(&events) {
            Ok(frame) => {
                assert_eq!(decoded(frame.as_bytes()).unwrap().len(), FRAME_EVENTS_MAX);
                assert!(encode(&events[1..]).is_ok());
                assert_eq!(outside, FRAME_EXTERNALS_MAX - 4096);
            }
            Err(error) => assert_eq!(error, FrameError::TooLarge),
        }
    }
}

fn step(author: u8, payload: &[u8]) -> Step {
    let payload = payload.to_vec();
    Step { author, back: 0, parents: vec![], ms: 1, control: false, epoch: 0, payload }
}

/// As many events as a frame holds, the first by another author, with so many parents outside.
fn with_externals(outside: usize) -> Vec<VerifiedEvent> {
    let mut events = one_author(1, b"first");
    let key = device(1);
    let (mut prev, mut left) = (None, outside);
    while events.len() < FRAME_EVENTS_MAX {
        let at = events.len() as u64;
        let external = |nth: usize| Dot {
            author: device(2).id(),
            seq: at * 32 + nth as u64,
            id: EventId::from_bytes(*blake3::hash(&(at * 32 + nth as u64).to_le_bytes()).as_bytes()),
        };
        let count = left.min(5);
        left -= count;
        let mut parents: Vec<Dot> = (0..count).map(external).collect();
        parents.push(events[0].dot());
        parents.sort_by_key(|dot| dot.id);
        let draft = Draft {
            kind: Kind::Data,
            parents,
            stamp: Stamp::from_parts(at + 10, 0).unwrap(),
            epoch: Epoch::FIRST,
            payload: Payload::Open(vec![]),
        };
        let event = VerifiedEvent::seal(space(), &key, prev, draft, &keys().0).unwrap();
        prev = Some(event.tip());
        events.push(event);
    }
    assert_eq!(left, 0);
    events.last_mut().unwrap().sign(&key);
    events
}

/// The lanes of a stored frame follow from its events, so a frame that cuts them otherwise is refused.
#[test]
fn lanes_that_no_encoder_makes_are_refused() {
    let mut events = one_author(3, b"one");
    events.extend(history(&[step(1, b"other")]));
    assert_eq!(shape(&decoded(&by_hand(&events, &[0, 0, 0, 1])).unwrap()), shape(&events));
    for lanes in [[0, 0, 1, 2], [1, 1, 1, 0], [0, 1, 1, 2]] {
        let refused = decoded(&by_hand(&events, &lanes)).unwrap_err();
        assert!(matches!(refused, FrameError::Malformed(DecodeError::Invalid("lane"))), "{refused}");
    }
    // The second event again, in a lane of its own that begins where the first ends.
    let twice = [events[0].clone(), events[1].clone(), events[1].clone()];
    let refused = decoded(&by_hand(&twice, &[0, 0, 1])).unwrap_err();
    assert!(matches!(refused, FrameError::Malformed(DecodeError::Invalid("event that comes twice"))));
}

/// Whose chain goes on elsewhere than it says is not put into one lane with it.
#[test]
fn a_chain_that_leaps_is_a_lane_of_its_own() {
    let key = device(0);
    let mut first = one_author(1, b"x").remove(0);
    first.sign(&key);
    let draft = Draft {
        kind: Kind::Data,
        parents: vec![first.dot()],
        stamp: Stamp::from_parts(1_000, 0).unwrap(),
        epoch: Epoch::FIRST,
        payload: Payload::Open(vec![]),
    };
    let leap = Some(Tip { seq: 999, id: first.id() });
    let mut second = VerifiedEvent::seal(space(), &key, leap, draft, &keys().0).unwrap();
    second.sign(&key);
    let events = [first, second];
    let frame = encode(&events).unwrap();
    let decoded = decoded(frame.as_bytes()).unwrap();
    assert_eq!(decoded[1].dot(), Dot { seq: 1_000, ..events[1].dot() });
}
