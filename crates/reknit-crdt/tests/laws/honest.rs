//! What holds among devices that follow the rules.

use crate::world::{Delivery, Script, World, deliveries, scripts};
use proptest::prelude::*;
use reknit_crdt::{Crdt, FieldValue, Identity, Origin, Place, Text, empty, load, rebuild};
use reknit_types::{CrdtKind, EntityId, EventId, Name, Stamp};

/// Any order, duplication, batches, saving and loading in between: the same value.
fn converges(kind: CrdtKind, script: &Script, delivery: &Delivery) -> Result<(), TestCaseError> {
    let mut world = World::run(kind, script);
    let values = world.final_values();
    prop_assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "devices differ: {values:?}");

    let place = world.place();
    let causal = matches!(kind, CrdtKind::Text | CrdtKind::Document);
    let edits = delivery.arrange(&world.events, causal);
    let (state, odd) = delivery.deliver(kind, &place, &edits);
    prop_assert!(!odd && !state.is_contested(), "an honest delta was not merged");
    prop_assert_eq!(&state.value(), &values[0]);
    prop_assert_eq!(rebuild(kind, &place, &edits).value(), state.value());

    // Even effects before causes end well, for who can wait.
    let jumbled = delivery.arrange(&world.events, false);
    let (state, _) = delivery.deliver(kind, &place, &jumbled);
    prop_assert_eq!(&state.value(), &values[0]);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn registers_converge(script in scripts(40), delivery in deliveries()) {
        converges(CrdtKind::Register, &script, &delivery)?;
    }

    #[test]
    fn counters_converge(script in scripts(40), delivery in deliveries()) {
        converges(CrdtKind::Counter, &script, &delivery)?;
    }

    #[test]
    fn texts_converge(script in scripts(40), delivery in deliveries()) {
        converges(CrdtKind::Text, &script, &delivery)?;
    }

    #[test]
    fn documents_converge(script in scripts(30), delivery in deliveries()) {
        converges(CrdtKind::Document, &script, &delivery)?;
    }

    /// Two people type at the same place at once: neither's words are torn apart.
    #[test]
    fn what_is_typed_at_one_place_at_once_stays_together(
        one in "[a-m]{1,8}", two in "[n-z]{1,8}", typed_singly: bool,
    ) {
        let name = Name::new("body").unwrap();
        let place = Place { entity: EntityId::from_bytes([1; 16]), field: &name };
        let mut texts = [1u8, 2].map(|who| (who, Text::new()));
        let mut deltas = Vec::new();
        for ((who, text), typed) in texts.iter_mut().zip([&one, &two]) {
            let author = crate::world::author(usize::from(*who));
            text.open(&place, &Identity { author, nonce: 1 });
            let pieces = if typed_singly { typed.split_inclusive(|_: char| true).collect() } else { vec![typed.as_str()] };
            for piece in pieces {
                text.splice(text.len(), 0, piece).unwrap();
                let event = EventId::from_bytes([*who; 32]);
                let origin = Origin { author, stamp: Stamp::from_u128(1), event };
                deltas.push((origin, text.take_delta().unwrap()));
            }
        }
        for (_, text) in &mut texts {
            for (origin, delta) in &deltas {
                text.apply(&place, origin, delta).unwrap();
            }
        }
        let [(_, first), (_, second)] = texts;
        prop_assert_eq!(first.to_string(), second.to_string());
        let whole = [one.clone() + &two, two + &one];
        prop_assert!(whole.contains(&first.to_string()), "{first}");
    }
}

#[test]
fn empty_is_not_null_and_survives_saving() {
    let values = CrdtKind::ALL.map(|kind| {
        let state = empty(kind);
        assert_eq!(state.kind(), kind);
        let loaded = load(kind, &state.save()).unwrap();
        assert_eq!(loaded.value(), state.value());
        state.value()
    });
    let empty_document = FieldValue::Document(serde_json::json!({}));
    let expected =
        [FieldValue::Register(None), FieldValue::Counter(0), FieldValue::Text(String::new()), empty_document];
    assert_eq!(values, expected);
}
