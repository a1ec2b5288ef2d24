use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn keys(byte: u8) -> SpaceKeys {
    SpaceKeys::from_secret(SpaceSecret::from_bytes([byte; 32]))
}

proptest! {
    #[test]
    fn stored_keys_round_trip(secret: [u8; 32], later in proptest::collection::btree_map(any::<[u8; 8]>(), any::<[u8; 32]>(), 0..4)) {
        let mut keys = SpaceKeys::from_secret(SpaceSecret::from_bytes(secret));
        for (epoch, key) in later.into_iter().filter(|(epoch, _)| *epoch != [0; 8]) {
            keys.epochs.insert(Epoch(epoch), PayloadKey::new(key));
        }
        let bytes = keys.encode();
        let again = SpaceKeys::decode(&bytes).unwrap();
        prop_assert_eq!(again.encode(), bytes);
        prop_assert_eq!(again.newest().0, keys.newest().0);
        prop_assert_eq!(again.newest().1.secret(), keys.newest().1.secret());
        prop_assert_eq!(again.control().secret(), keys.control().secret());
    }

    #[test]
    fn any_bytes_decode_or_are_refused(mut bytes in proptest::collection::vec(any::<u8>(), 30..120), count in 0u8..3) {
        bytes.splice(0..2, [VERSION, HOLDER_MEMBER]);
        bytes.insert(34.min(bytes.len()), count);
        if let Ok(keys) = SpaceKeys::decode(&bytes) {
            prop_assert_eq!(&*keys.encode(), &bytes);
        }
    }

    #[test]
    fn an_announce_opens_for_holders_only(plain in proptest::collection::vec(any::<u8>(), 0..100), at: prop::sample::Index) {
        let mut sealed = keys(1).seal_announce(&plain);
        prop_assert_eq!(keys(1).open_announce(&sealed).unwrap(), plain);
        prop_assert!(keys(2).open_announce(&sealed).is_err());
        prop_assert!(keys(1).control().open(ANNOUNCE_CORE, &sealed).is_err());
        let at = at.index(sealed.len());
        sealed[at] ^= 1;
        prop_assert!(keys(1).open_announce(&sealed).is_err());
    }
}

#[test]
fn every_name_and_key_of_every_space_is_another() {
    let (ann, ben) = (DeviceId::from_bytes([1; 32]), DeviceId::from_bytes([2; 32]));
    let mut seen = BTreeSet::new();
    for keys in [keys(1), keys(2)] {
        let names = [keys.topic(), keys.rendezvous(), keys.session_tag(ann, ben), keys.session_tag(ben, ann)];
        let secrets = [*keys.secret.as_bytes(), *keys.control().secret(), *keys.newest().1.secret()];
        seen.extend(names.into_iter().chain(secrets).chain([*keys.announces.secret()]));
    }
    assert_eq!(seen.len(), 16);
}

#[test]
fn blinded_names_stay_as_they_are() {
    let (ann, ben) = (DeviceId::from_bytes([1; 32]), DeviceId::from_bytes([2; 32]));
    let hex = |bytes: [u8; 32]| data_encoding::HEXLOWER.encode(&bytes);
    assert_eq!(hex(keys(1).topic()), "f34fb3a45515b26bab4e480e4a0f44e5ff01d6d9c4cdf803b01bd901f35a87cf");
    assert_eq!(hex(keys(1).rendezvous()), "d7c95268abc162ace202cef5c857c8c8edad70807de8d32e5d74f16ff17f4063");
    assert_eq!(
        hex(keys(1).session_tag(ann, ben)),
        "ff1ab495ded42bc5638201739c4d4d5a7d93a5e0cfc8354c4ff7ddac483bac03"
    );
    assert_eq!(
        hex(*keys(1).control().secret()),
        "3c3383ace9477d5f701740536f18af2194b4b4a4813cf4d791e5c983617a2d23"
    );
    assert_eq!(
        hex(*keys(1).newest().1.secret()),
        "7ea81369fb9c8eba50789e3f6273a39b71a0a83771ce6bbd4480029852cb513c"
    );
}

#[test]
fn control_payloads_have_one_key_and_data_payloads_one_an_epoch() {
    let keys = keys(1);
    let later = Epoch([0, 0, 0, 0, 0, 0, 0, 1]);
    assert!(keys.payload_key(Kind::Control, later).is_some());
    assert!(keys.payload_key(Kind::Data, Epoch::FIRST).is_some());
    assert!(keys.payload_key(Kind::Data, later).is_none());
}

#[test]
fn an_epoch_stored_twice_or_out_of_order_is_refused() {
    for epochs in [[[1; 8], [1; 8]], [[2; 8], [1; 8]], [[0; 8], [1; 8]]] {
        let mut writer = Writer::new();
        writer.u8(VERSION).u8(HOLDER_MEMBER).raw(&[1; 32]).varint(2);
        epochs.iter().for_each(|epoch| _ = writer.raw(epoch).raw(&[0; 32]));
        let refused = SpaceKeys::decode(writer.as_slice()).unwrap_err();
        assert_eq!(refused, DecodeError::Invalid("order of epochs"));
    }
}

#[test]
fn debug_output_keeps_the_secrets() {
    assert_eq!(format!("{:?} {:?}", keys(1), keys(1).secret()), "SpaceKeys(1 epochs) SpaceSecret(..)");
}
