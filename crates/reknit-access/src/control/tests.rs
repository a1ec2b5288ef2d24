use super::*;
use data_encoding::HEXLOWER;
use proptest::prelude::*;

fn roles() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Relay), Just(Role::Reader), Just(Role::Writer), Just(Role::Admin)]
}

fn actions() -> impl Strategy<Value = Action> {
    let label = "[a-zé]{1,20}";
    prop_oneof![
        (any::<[u8; 32]>(), label, label).prop_map(|(nonce, name, device_name)| Action::Found {
            nonce,
            name,
            device_name
        }),
        (any::<[u8; 32]>(), roles(), any::<Option<u64>>()).prop_map(|(key, role, expires_ms)| {
            Action::Invite { key: InviteId::from_bytes(key), role, expires_ms }
        }),
        (any::<[u8; 32]>(), any::<[u8; 32]>(), label).prop_map(|(invite, half, device_name)| Action::Join {
            invite: EventId::from_bytes(invite),
            proof: Signature::from_bytes([half, half].concat().try_into().unwrap()),
            device_name
        }),
    ]
}

fn controls() -> impl Strategy<Value = Control> {
    (proptest::collection::btree_set(any::<[u8; 32]>(), 0..4), actions()).prop_map(|(parents, action)| {
        Control { parents: parents.into_iter().map(EventId::from_bytes).collect(), action }
    })
}

proptest! {
    #[test]
    fn control_events_round_trip(control in controls()) {
        prop_assert_eq!(Control::decode(&control.encode()).unwrap(), control);
    }

    #[test]
    fn a_flipped_bit_never_decodes_to_the_same_control_event(
        control in controls(), at: prop::sample::Index, bit in 0u8..8,
    ) {
        let mut bytes = control.encode();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert_ne!(Control::decode(&bytes), Ok(control));
    }

    #[test]
    fn what_decodes_is_its_only_encoding(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), tag in 0u8..5) {
        bytes.splice(0..0, [VERSION, 0, tag]);
        if let Ok(control) = Control::decode(&bytes) {
            prop_assert_eq!(control.encode(), bytes);
        }
    }
}

#[test]
fn the_bytes_of_each_action_stay_as_they_are() {
    let parents = vec![EventId::from_bytes([0xaa; 32])];
    let found = Action::Found { nonce: [0x11; 32], name: "garden".into(), device_name: "laptop".into() };
    let invite = Action::Invite {
        key: InviteId::from_bytes([0x22; 32]),
        role: Role::Writer,
        expires_ms: Some(1_700_000_000_000),
    };
    let join = Action::Join {
        invite: EventId::from_bytes([0x33; 32]),
        proof: Signature::from_bytes([0x44; 64]),
        device_name: "phone".into(),
    };
    let hex = |parents: &[EventId], action| {
        HEXLOWER.encode(&Control { parents: parents.to_vec(), action }.encode())
    };
    let (eleven, aa) = ("11".repeat(32), "aa".repeat(32));
    assert_eq!(hex(&[], found), format!("010001{eleven}0667617264656e066c6170746f70"));
    assert_eq!(hex(&parents, invite), format!("0101{aa}02{}020180d095ffbc31", "22".repeat(32)));
    assert_eq!(hex(&parents, join), format!("0101{aa}03{}{}0570686f6e65", "33".repeat(32), "44".repeat(64)));
}

#[test]
fn an_action_of_a_later_version_asks_for_an_update() {
    let refused = Control::decode(&[1, 0, 4]).unwrap_err();
    assert!(matches!(refused, DecodeError::Version { found: 4, .. }), "{refused}");
}

#[test]
fn names_that_could_deceive_a_terminal_are_refused() {
    for name in ["", " x", "a\u{1b}[2J", &"x".repeat(LABEL_BYTES_MAX + 1)] {
        let action = Action::Found { nonce: [0; 32], name: name.into(), device_name: "d".into() };
        let control = Control { parents: vec![], action };
        assert!(control.check_shape().is_err() && Control::decode(&control.encode()).is_err(), "{name:?}");
    }
}

#[test]
fn parents_out_of_order_are_refused() {
    let (one, two) = (EventId::from_bytes([1; 32]), EventId::from_bytes([2; 32]));
    let action = Action::Invite { key: InviteId::from_bytes([0; 32]), role: Role::Reader, expires_ms: None };
    for parents in [vec![two, one], vec![one, one]] {
        let control = Control { parents, action: action.clone() };
        assert_eq!(Control::decode(&control.encode()), Err(DecodeError::Invalid("list of control parents")));
    }
}
