use super::*;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use reknit_types::{
    DeviceKey, Dot, Draft, Epoch, Kind, Payload, PayloadKey, PayloadKeys, SpaceId, Stamp, VerifiedEvent,
};

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
