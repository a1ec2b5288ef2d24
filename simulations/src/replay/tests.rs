use super::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use reknit_engine::journal::{Opening, Recorder};
use reknit_engine::store::{Durability, MemoryStore, Store};
use reknit_engine::{Config, Effects, Engine, Input, Numbers, RequestId};
use reknit_types::DeviceKey;

/// The journal of a peer that founds a space and then waits for another.
fn journal(redacted: bool) -> Vec<u8> {
    let (device, mut store) = (DeviceKey::from_seed(&[1; 32]), MemoryStore::new());
    let rng = ChaCha20Rng::seed_from_u64(1);
    let config = Config { device: device.clone(), device_name: "laptop".to_owned(), rng };
    let mut recorder = match redacted {
        true => Recorder::redacted(device.id(), [5; 32]),
        false => Recorder::new(&Opening::new(&config, Numbers::default())),
    };
    let mut journal = recorder.take_bytes();
    recorder.image(&store, &mut |bytes| journal.extend_from_slice(bytes)).unwrap();
    let mut engine = Engine::open(config, &store).unwrap();
    let peer = DeviceKey::from_seed(&[2; 32]).id();
    let create = Input::Create { request: RequestId(1), name: "home".to_owned() };
    let inputs =
        [create, Input::Connected { device: peer }, Input::Tick, Input::Disconnected { device: peer }];
    for (now_ms, input) in (1_000..).step_by(2_000).zip(inputs) {
        let mut effects = Effects::default();
        let input = recorder.note(now_ms, input);
        engine.handle(now_ms, input, &store, &mut effects).unwrap();
        recorder.note_handled(&engine);
        engine.settle(now_ms, &store, &mut effects).unwrap();
        store.commit(std::mem::take(&mut effects.batch), Durability::Durable).unwrap();
        recorder.note_settled(now_ms, (&engine, &store), &effects).unwrap();
    }
    journal.extend(recorder.take_bytes());
    journal
}

#[test]
fn a_difference_is_found_and_said() {
    // The batch was taken out before it was noted, so that no replay comes to the same.
    let replayed = replay_bytes(&journal(false)).unwrap();
    assert!(!replayed.is_equal());
    let said = report(&replayed);
    assert!(said.contains("then it differs: round 0: a batch of 0 changes"), "{said}");
}

#[test]
fn damage_is_told_apart_from_an_end() {
    let mut journal = journal(true);
    assert!(!replay_bytes(&journal).unwrap().is_damaged());
    assert!(!replay_bytes(&journal[..journal.len() - 3]).unwrap().is_damaged());
    let last = journal.len() - 3;
    journal[last] ^= 1;
    assert!(replay_bytes(&journal).unwrap().is_damaged());
}

#[test]
fn a_redacted_journal_is_read_as_the_story_that_it_tells() {
    let said = report(&replay_bytes(&journal(true)).unwrap());
    assert!(said.contains("why: alone (0 events), since 6.0 s ago"), "{said}");
    assert!(said.contains(": connected\n") && said.contains(": disconnected\n"), "{said}");
    assert!(!said.contains("home") && !said.contains("laptop"), "{said}");
}

#[test]
fn what_is_no_journal_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "no journal").unwrap();
    let refused = replay(&file).unwrap_err().to_string();
    assert!(refused.contains("notes.txt") && refused.contains("not a journal"), "{refused}");
    assert!(matches!(replay(&folder.path().join("nothing")), Err(ReplayError::Read { .. })));
}
