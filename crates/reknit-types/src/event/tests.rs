use super::*;
use proptest::prelude::*;

struct Keys(PayloadKey);

impl PayloadKeys for Keys {
    fn payload_key(&self, _: Kind, _: Epoch) -> Option<&PayloadKey> {
        Some(&self.0)
    }
}

struct NoKeys;

impl PayloadKeys for NoKeys {
    fn payload_key(&self, _: Kind, _: Epoch) -> Option<&PayloadKey> {
        None
    }
}

fn device() -> DeviceKey {
    DeviceKey::from_seed(&[9; 32])
}

fn keys() -> Keys {
    Keys(PayloadKey::new([3; 32]))
}

fn space() -> SpaceId {
    SpaceId::found(device().id(), &[0; 32])
}

fn draft(payload: &[u8], parents: Vec<Dot>, at: u64) -> Draft {
    Draft {
        kind: Kind::Data,
        parents,
        stamp: Stamp::from_u128(u128::from(at)),
        epoch: Epoch::FIRST,
        payload: Payload::Open(payload.to_vec()),
    }
}

/// A chain of events by one author, the last one signed.
fn chain(payloads: &[Vec<u8>]) -> Vec<VerifiedEvent> {
    let mut events: Vec<VerifiedEvent> = vec![];
    for (at, payload) in payloads.iter().enumerate() {
        let last = events.last().map(VerifiedEvent::dot);
        let prev = last.map(|dot| dot.tip());
        let draft = draft(payload, last.into_iter().collect(), at as u64);
        events.push(VerifiedEvent::seal(space(), &device(), prev, draft, &keys().0).unwrap());
    }
    if let Some(last) = events.last_mut() {
        last.sign(&device());
    }
    events
}

/// The chain as a receiver rebuilds it.
fn received(events: &[VerifiedEvent], keys: &dyn PayloadKeys) -> Vec<(UnverifiedEvent, Option<Proof>)> {
    let mut prev = None;
    let mut rebuilt = vec![];
    for event in events {
        let header = event.header();
        let payload = match (event.payload(), keys.payload_key(header.kind, header.epoch)) {
            (Payload::Open(plain), None) => Payload::Sealed(keys_seal(header, plain)),
            (payload, _) => payload.clone(),
        };
        let draft = Draft {
            kind: header.kind,
            parents: event.parents().to_vec(),
            stamp: header.stamp,
            epoch: header.epoch,
            payload,
        };
        let event_again = UnverifiedEvent::rebuild(header.space, header.author, prev, draft, keys).unwrap();
        prev = Some(event_again.tip());
        rebuilt.push((event_again, event.signature().copied().map(Proof::Signature)));
    }
    rebuilt
}

fn keys_seal(header: &Header, plain: &[u8]) -> Vec<u8> {
    keys().0.seal(header.encode_core().as_slice(), plain)
}

fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..8)
}

proptest! {
    #[test]
    fn a_run_verifies_by_its_last_signature_alone(payloads in payloads()) {
        let events = chain(&payloads);
        prop_assert_eq!(verify(received(&events, &keys())).unwrap(), events);
    }

    #[test]
    fn a_peer_without_the_key_rebuilds_the_same_ids(payloads in payloads()) {
        let events = chain(&payloads);
        let relayed = verify(received(&events, &NoKeys)).unwrap();
        let ids = |events: &[VerifiedEvent]| events.iter().map(VerifiedEvent::id).collect::<Vec<_>>();
        prop_assert_eq!(ids(&relayed), ids(&events));
    }

    #[test]
    fn a_change_anywhere_in_a_run_is_refused(payloads in payloads(), at: prop::sample::Index) {
        let mut events = chain(&payloads);
        let at = at.index(events.len());
        let signature = events.last().and_then(VerifiedEvent::signature).copied();
        let mut forged = payloads.clone();
        forged[at].push(1);
        events = chain(&forged);
        let mut run = received(&events, &keys());
        run.last_mut().unwrap().1 = signature.map(Proof::Signature);
        prop_assert!(matches!(verify(run), Err(EventError::Unsigned { .. })), "a change at {} passed", at);
    }
}

#[test]
fn an_unsigned_end_is_refused() {
    let events = chain(&[vec![1], vec![2]]);
    let mut run = received(&events, &keys());
    run.pop();
    assert!(matches!(verify(run), Err(EventError::Unsigned { seq: 1, .. })));
}

#[test]
fn a_stored_event_is_taken_back_under_its_own_id_only() {
    let events = chain(&[vec![1], vec![2]]);
    let stored = |id| {
        let mut run = received(&events, &keys());
        run.last_mut().unwrap().1 = Some(Proof::Stored(id));
        verify(run)
    };
    assert!(stored(events[1].id()).is_ok());
    assert!(matches!(stored(events[0].id()), Err(EventError::Damaged { seq: 2, .. })));
}

#[test]
fn an_erased_payload_leaves_the_chain_verifiable() {
    let events = chain(&[vec![1], vec![2], vec![3]]);
    let mut run = received(&events, &keys());
    let header = events[1].header().clone();
    let erased = Draft {
        kind: header.kind,
        parents: events[1].parents().to_vec(),
        stamp: header.stamp,
        epoch: header.epoch,
        payload: Payload::Erased { len: header.payload_len, hash: header.payload_hash },
    };
    run[1].0 =
        UnverifiedEvent::rebuild(space(), device().id(), Some(events[0].tip()), erased, &NoKeys).unwrap();
    assert_eq!(verify(run).unwrap()[2].id(), events[2].id());
}

#[test]
fn an_oversized_payload_is_refused_before_it_is_sealed() {
    let draft = draft(&vec![0; PAYLOAD_BYTES_MAX + 1], vec![], 0);
    let refused = VerifiedEvent::seal(space(), &device(), None, draft, &keys().0).unwrap_err();
    assert_eq!(refused, EventError::PayloadTooLarge(PAYLOAD_BYTES_MAX + 1));
}

#[test]
fn the_id_of_a_known_event_never_changes() {
    let events = chain(&[b"first".to_vec(), b"second".to_vec()]);
    assert_eq!(events[1].header().id(), events[1].id());
    assert_eq!(events[1].id().to_string(), GOLDEN_ID);
}

const GOLDEN_ID: &str = "pi2cku2v7e4bmk3qhbuevqp35t6w4wsv3bpsagqwd7orplbff4ga";
