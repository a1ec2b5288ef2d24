use super::input::{Handled, encode};
use super::records::{Next, Records, Seal};
use super::*;
use crate::effects::{Input, LinkId, RequestId};
use crate::engine::{Config, Engine};
use crate::layout::SpaceNo;
use crate::store::{Durability, MemoryStore};
use proptest::collection::vec;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use reknit_access::Role;
use reknit_sync::{Announce, Frame, Message, Opening as Word};
use reknit_types::{DeviceId, DeviceKey, EntityEdit, EntityId, Name, Op, Reader, Transaction, Writer};

mod golden;

fn engine() -> Engine {
    let config = Config {
        device: DeviceKey::from_seed(&[1; 32]),
        device_name: "laptop".to_owned(),
        rng: ChaCha20Rng::seed_from_u64(1),
    };
    Engine::open(config, &MemoryStore::new()).unwrap()
}

fn durability(durable: bool) -> Durability {
    if durable { Durability::Durable } else { Durability::Fast }
}

fn transaction(entities: Vec<(u8, Vec<u8>)>) -> Transaction {
    let edit = |(entity, delta)| {
        let collection = Name::new("things").unwrap();
        let field = Name::new("body").unwrap();
        let ops = vec![Op::Create, Op::Edit { field, kind: reknit_types::CrdtKind::Register, delta }];
        EntityEdit { collection, entity: EntityId::from_bytes([entity; 16]), ops }
    };
    Transaction { edits: entities.into_iter().map(edit).collect() }
}

fn device(seed: u8) -> DeviceId {
    DeviceKey::from_seed(&[seed; 32]).id()
}

fn asked() -> impl Strategy<Value = Noted> {
    let request = || any::<u64>().prop_map(RequestId);
    let ask = || (request(), any::<u32>().prop_map(SpaceNo));
    let durable = || any::<bool>().prop_map(durability);
    let role = prop_oneof![Just(Role::Relay), Just(Role::Reader), Just(Role::Writer), Just(Role::Admin)];
    let edits = vec((any::<u8>(), vec(any::<u8>(), 0..40)), 0..4).prop_map(transaction);
    prop_oneof![
        (request(), ".{0,40}").prop_map(|(request, name)| Noted::Create(request, name)),
        request().prop_map(Noted::Forget),
        ask().prop_map(|(request, space)| Noted::Leave(request, space)),
        (ask(), role, any::<Option<u64>>())
            .prop_map(|((request, space), role, expires_ms)| Noted::Invite(request, space, role, expires_ms)),
        (ask(), durable())
            .prop_map(|((request, space), durability)| Noted::Transact(request, space, durability)),
        (ask(), durable(), edits).prop_map(|((request, space), how, edits)| Noted::Commit(
            request,
            space,
            how,
            Some(edits)
        )),
        ask().prop_map(|(request, space)| Noted::Inspect(request, space)),
    ]
}

fn came() -> impl Strategy<Value = Noted> {
    let link = || any::<u64>().prop_map(LinkId);
    let peer = || (0u8..4).prop_map(device);
    let word = (any::<u64>(), any::<[u8; 32]>(), proptest::option::of(vec(any::<u8>(), 0..40)));
    let word = word.prop_map(|(version, tag, admission)| Word { version, tag, admission });
    let announce = any::<[u8; 32]>().prop_map(|digest| Announce::new(vec![], digest, None));
    prop_oneof![
        peer().prop_map(Noted::Connected),
        peer().prop_map(Noted::Disconnected),
        (link(), peer(), word).prop_map(|(link, device, word)| Noted::Opened(link, device, word)),
        (link(), any::<u64>()).prop_map(|(link, bytes)| Noted::Message(link, Message::Credit(bytes))),
        (link(), vec(any::<u8>(), 0..80))
            .prop_map(|(link, bytes)| Noted::Events(link, Frame::from_bytes(bytes))),
        (link(), ".{0,40}").prop_map(|(link, why)| Noted::Malformed(link, why)),
        (link(), any::<u64>()).prop_map(|(link, bytes)| Noted::Arriving(link, bytes)),
        (link(), ".{0,40}").prop_map(|(link, why)| Noted::Closed(link, why)),
        (any::<u32>(), peer(), announce).prop_map(|(space, from, announce)| Noted::Gossip(
            SpaceNo(space),
            from,
            announce,
            false
        )),
        Just(Noted::Tick),
    ]
}

fn bytes_of(input: &Input) -> Vec<u8> {
    let mut writer = Writer::new();
    encode(input, &mut writer);
    writer.into_bytes()
}

proptest! {
    #[test]
    fn every_input_reads_back_as_it_was(input in prop_oneof![asked(), came()]) {
        let bytes = bytes_of(&input.into_input(&engine(), None));
        let mut reader = Reader::new(&bytes);
        let noted = Noted::decode(&mut reader).unwrap();
        reader.finish().unwrap();
        prop_assert_eq!(bytes_of(&noted.into_input(&engine(), None)), bytes);
    }

    #[test]
    fn an_input_that_is_cut_short_is_refused(input in prop_oneof![asked(), came()], cut in 0.0f64..1.0) {
        let bytes = bytes_of(&input.into_input(&engine(), None));
        let mut reader = Reader::new(&bytes[..(bytes.len() as f64 * cut) as usize]);
        prop_assert!(Noted::decode(&mut reader).is_err());
    }

    #[test]
    fn no_bytes_make_a_journal_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = Noted::decode(&mut Reader::new(&bytes));
        let _ = Outcome::decode(&mut Reader::new(&bytes));
        let _ = Handled::decode(&mut Reader::new(&bytes));
        let _ = Opening::decode(&mut Reader::new(&bytes));
        let _ = Journal::decode(&[MAGIC, &[VERSION], &bytes].concat());
    }

    #[test]
    fn records_read_back_up_to_where_they_are_torn(bodies in vec(vec(any::<u8>(), 0..40), 0..8), cut in 0.0f64..=1.0) {
        let (mut seal, mut bytes) = (Seal::default(), vec![]);
        prop_assert!(bodies.iter().all(|body| seal.append(body, &mut bytes)));
        let len = (bytes.len() as f64 * cut) as usize;
        let mut records = Records::new(&bytes[..len], 0);
        let mut found = vec![];
        let end = loop {
            match records.take() {
                Next::Record(body) => found.push(body.to_vec()),
                end => break end,
            }
        };
        prop_assert!(bodies.starts_with(&found));
        prop_assert_eq!(end == Next::End, records.at() == len);
        prop_assert_ne!(end, Next::Damaged);
        prop_assert!(len < bytes.len() || found == bodies);
    }
}

#[test]
fn a_transaction_that_no_event_holds_is_noted_as_that() {
    let whole = transaction(vec![(1, vec![0; reknit_types::limits::PAYLOAD_BYTES_MAX])]);
    let (request, space) = (RequestId(1), SpaceNo(1));
    let input = Input::Commit { request, space, transaction: whole, durability: Durability::Fast };
    let noted = Noted::decode(&mut Reader::new(&bytes_of(&input))).unwrap();
    assert!(matches!(noted, Noted::Commit(_, _, Durability::Fast, None)));
    let Input::Commit { transaction, .. } = noted.into_input(&engine(), None) else { panic!("a commit") };
    assert!(!crate::tx::fits(&transaction));
}

#[test]
fn what_is_no_journal_or_a_newer_one_is_told_apart() {
    assert!(matches!(Journal::decode(b"something else"), Err(JournalError::NotAJournal)));
    let newer = [MAGIC, &[VERSION + 1]].concat();
    assert!(matches!(Journal::decode(&newer), Err(JournalError::Newer { found: 2, known: 1 })));
    let torn = [MAGIC, &[VERSION, 7, 0]].concat();
    assert!(matches!(Journal::decode(&torn), Err(JournalError::NoImage { .. })));
}
