use std::{
    collections::BTreeSet,
    io::ErrorKind,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
};

use proptest::prelude::*;
use reknit_engine::store::{Batch, Direction, Durability, EVERY_KEY, Reads, Store, StoreError, Table};

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Write(usize, usize, u8),
    Length(usize),
    Sync,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4 * PAGE_BYTES, 1..2 * PAGE_BYTES, 1u8..).prop_map(|(at, len, byte)| Step::Write(at, len, byte)),
        2 => (0..6 * PAGE_BYTES).prop_map(Step::Length),
        1 => Just(Step::Sync),
    ]
}

/// A file as plain bytes, at each time since its last sync.
struct Model(Vec<Vec<u8>>);

impl Model {
    fn step(&mut self, step: &Step) {
        let mut bytes = self.0.last().expect("there is always one").clone();
        match *step {
            Step::Write(at, length, byte) => {
                bytes.resize(bytes.len().max(at + length), 0);
                bytes[at..at + length].fill(byte);
            }
            Step::Length(length) => bytes.resize(length, 0),
            Step::Sync => self.0.clear(),
        }
        self.0.push(bytes);
    }

    /// Whether a power loss can have left `found`.
    fn allows(&self, found: &[u8]) -> bool {
        let sector = |bytes: &[u8], index: usize| {
            let mut sector = bytes.to_vec();
            sector.resize(found.len(), 0);
            sector.chunks(SECTOR_BYTES).nth(index).map(<[u8]>::to_vec)
        };
        self.0.iter().any(|bytes| bytes.len() == found.len())
            && found.chunks(SECTOR_BYTES).enumerate().all(|(index, found)| {
                self.0.iter().any(|bytes| sector(bytes, index).is_some_and(|sector| sector == found))
            })
    }
}

fn take(handle: &Handle, step: &Step) {
    match *step {
        Step::Write(at, length, byte) => handle.write(at as u64, &vec![byte; length]),
        Step::Length(length) => handle.set_len(length as u64),
        Step::Sync => handle.sync_data(),
    }
    .expect("the disk works");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_power_loss_leaves_what_was_synced_and_any_sectors_of_what_was_not(
        seed: u64,
        rounds in proptest::collection::vec(proptest::collection::vec(step(), 0..12), 1..4),
    ) {
        let disk = SimulatedDisk::new(seed);
        let mut model = Model(vec![Vec::new()]);
        for steps in rounds {
            let [handle, _journal] = disk.handles().expect("nobody has it");
            for step in steps {
                take(&handle, &step);
                model.step(&step);
                prop_assert_eq!(&content(&handle), model.0.last().expect("there is always one"));
                prop_assert_eq!(&disk.image().bytes(FileName::Store), &model.0[0]);
            }
            disk.crash(Crash::Power);
            let found = disk.image().bytes(FileName::Store);
            prop_assert!(model.allows(&found), "{} bytes", found.len());
            model = Model(vec![found]);
        }
    }

    #[test]
    fn the_end_of_a_process_loses_nothing_that_it_wrote(
        seed: u64,
        steps in proptest::collection::vec(step(), 0..12),
    ) {
        let disk = SimulatedDisk::new(seed);
        let [handle, _journal] = disk.handles().expect("nobody has it");
        steps.iter().for_each(|step| take(&handle, step));
        let before = content(&handle);
        disk.crash(Crash::Process);
        handle.read(0, &mut []).expect_err("its process has ended");
        handle.set_len(0).expect_err("its process has ended");
        let [handle, _journal] = disk.handles().expect("its process has ended");
        prop_assert_eq!(content(&handle), before);
    }

    #[test]
    fn an_image_stays_as_it_was(seed: u64, steps in proptest::collection::vec(step(), 1..12)) {
        let disk = SimulatedDisk::new(seed);
        let [handle, _journal] = disk.handles().expect("nobody has it");
        take(&handle, &Step::Write(0, 3 * PAGE_BYTES, 7));
        take(&handle, &Step::Sync);
        let image = disk.image();
        let before = image.bytes(FileName::Store);
        steps.iter().for_each(|step| take(&handle, step));
        disk.flip_bit();
        prop_assert_eq!(&image.bytes(FileName::Store), &before);
        disk.restore(&image);
        handle.len().expect_err("another device's content is there");
        let [handle, _journal] = disk.handles().expect("its process has ended");
        prop_assert_eq!(&content(&handle), &before);
        disk.crash(Crash::Power);
        prop_assert_eq!(&SimulatedDisk::from_image(0, &disk.image()).image().bytes(FileName::Store), &before);
    }

    #[test]
    fn a_full_disk_takes_what_needs_no_room_and_refuses_the_rest(
        before in proptest::collection::vec(step(), 0..6),
        at in 0..4 * PAGE_BYTES,
        length in 1..2 * PAGE_BYTES,
    ) {
        let disk = SimulatedDisk::new(0);
        let [handle, journal] = disk.handles().expect("nobody has it");
        before.iter().for_each(|step| take(&handle, step));
        let old = content(&handle);
        disk.fail(Fault::Full, 0);
        let outcome = handle.write(at as u64, &vec![9; length]);
        let now = content(&handle);
        prop_assert_eq!(now.len(), old.len());
        if let Err(error) = &outcome {
            prop_assert_eq!(error.kind(), ErrorKind::StorageFull);
        } else {
            prop_assert!(now[at..at + length].iter().all(|byte| *byte == 9));
        }
        for (index, (now, old)) in now.iter().zip(&old).enumerate() {
            prop_assert!(now == old || (at..at + length).contains(&index));
        }
        prop_assert!(outcome.is_err() || at + length <= old.len());
        prop_assert!(journal.set_len(1).is_err());
        prop_assert!(handle.set_len(old.len() as u64 / 2).is_ok() && handle.sync_data().is_ok());
        disk.mend();
        prop_assert!(journal.set_len(1).is_ok());
    }
}

#[test]
fn over_many_power_losses_everything_happens() {
    let mut seen = BTreeSet::new();
    for seed in 0..100 {
        let disk = SimulatedDisk::new(seed);
        let [store, journal] = disk.handles().expect("nobody has it");
        for step in [Step::Write(0, PAGE_BYTES, 1), Step::Sync, Step::Write(0, PAGE_BYTES, 2)] {
            take(&store, &step);
        }
        take(&journal, &Step::Write(0, PAGE_BYTES, 3));
        take(&store, &Step::Write(0, PAGE_BYTES, 4));
        disk.crash(Crash::Power);
        let kept: BTreeSet<_> = disk.image().bytes(FileName::Store).into_iter().collect();
        let is_reordered = kept.contains(&4) && disk.image().bytes(FileName::Journal).is_empty();
        seen.insert((kept.into_iter().collect::<Vec<_>>(), is_reordered));
    }
    for kept in [&[1][..], &[2], &[4], &[1, 2], &[1, 4], &[1, 2, 4]] {
        assert!(seen.iter().any(|(other, _)| other == kept), "{kept:?}: {seen:?}");
    }
    assert!(seen.iter().any(|(_, is_reordered)| *is_reordered), "{seen:?}");
}

#[test]
fn bytes_from_before_a_cut_are_not_behind_it() {
    for seed in 0..200 {
        let disk = SimulatedDisk::new(seed);
        let [handle, _journal] = disk.handles().expect("nobody has it");
        take(&handle, &Step::Write(0, 4 * PAGE_BYTES, 1));
        take(&handle, &Step::Sync);
        for step in [Step::Length(700), Step::Length(3 * PAGE_BYTES), Step::Write(PAGE_BYTES, 600, 2)] {
            take(&handle, &step);
        }
        disk.crash(Crash::Power);
        let found = disk.image().bytes(FileName::Store);
        // A sector in which the cut lies is written like any other.
        let behind = found.get(2 * SECTOR_BYTES..).unwrap_or_default();
        let is_old = behind.iter().all(|byte| *byte == 1);
        assert!(is_old || !behind.contains(&1), "seed {seed}");
        assert!(found.len() < 4 * PAGE_BYTES || is_old, "seed {seed}");
    }
}

#[test]
fn what_a_failed_sync_left_behind_no_later_sync_writes() {
    let (mut lost, mut kept, mut hidden) = (0, 0, 0);
    for seed in 0..100 {
        let disk = SimulatedDisk::new(seed);
        let [handle, journal] = disk.handles().expect("nobody has it");
        take(&handle, &Step::Write(0, PAGE_BYTES, 1));
        take(&handle, &Step::Sync);
        take(&handle, &Step::Write(0, PAGE_BYTES, 2));
        disk.fail(Fault::SyncFails, 0);
        handle.write(PAGE_BYTES as u64, &[3]).expect("only syncs fail");
        handle.sync_data().expect_err("it fails once");
        handle.sync_data().expect("and only once");
        journal.sync_data().expect("and only once");
        let shown = content(&handle);
        disk.crash(Crash::Power);
        let found = disk.image().bytes(FileName::Store);
        assert!(
            found[..PAGE_BYTES].chunks(SECTOR_BYTES).all(|sector| {
                sector.iter().all(|byte| *byte == 1) || sector.iter().all(|byte| *byte == 2)
            })
        );
        lost += u32::from(found[..PAGE_BYTES].contains(&1));
        kept += u32::from(found[..PAGE_BYTES].contains(&2));
        hidden += u32::from(shown != found);
        let [handle, _journal] = disk.handles().expect("nobody has it");
        take(&handle, &Step::Write(0, PAGE_BYTES, 4));
        take(&handle, &Step::Sync);
        disk.crash(Crash::Power);
        assert!(disk.image().bytes(FileName::Store)[..PAGE_BYTES].iter().all(|byte| *byte == 4));
    }
    assert!(lost > 20 && kept > 20 && hidden > 10, "{lost} {kept} {hidden}");
}

#[test]
fn a_limit_bounds_both_files_together() {
    let disk = SimulatedDisk::new(0);
    let [store, journal] = disk.handles().expect("nobody has it");
    disk.limit(Some(10_000));
    store.set_len(6_000).expect("there is room");
    journal.write(0, &[1; 4_000]).expect("there is room");
    let error = journal.write(3_999, &[1; 2]).expect_err("that is one byte too many");
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    store.set_len(5_999).expect("it makes room");
    journal.write(3_999, &[1; 2]).expect("there is room");
    assert!(disk.counters().store_bytes == 5_999 && disk.counters().journal_bytes == 4_001);
}

#[test]
fn a_flip_changes_one_bit_that_was_synced() {
    let disk = SimulatedDisk::new(0);
    assert_eq!(disk.flip_bit(), None);
    let [store, journal] = disk.handles().expect("nobody has it");
    store.write(8_000, &[1; 500]).expect("the disk works");
    assert_eq!(disk.flip_bit(), None, "nothing was synced");
    store.sync_data().expect("the disk works");
    journal.write(0, &[1; 100]).expect("the disk works");
    journal.sync_data().expect("the disk works");
    store.write(8_000, &[2; 500]).expect("the disk works");
    let mut files = BTreeSet::new();
    for _ in 0..20 {
        let before = disk.image();
        let flip = disk.flip_bit().expect("there is a page");
        files.insert(flip.file);
        for file in [FileName::Store, FileName::Journal] {
            let (before, after) = (before.bytes(file), disk.image().bytes(file));
            let changed: Vec<_> =
                before.iter().zip(&after).enumerate().filter(|(_, (a, b))| a != b).collect();
            match changed[..] {
                [] => assert_ne!(file, flip.file),
                [(byte, (from, to))] => {
                    assert_eq!((file, byte as u64, from ^ to), (flip.file, flip.byte, 1 << flip.bit));
                }
                _ => panic!("{} bytes changed", changed.len()),
            }
        }
    }
    assert_eq!(files.len(), 2);
    assert_eq!(content(&store)[8_000..8_500], [2; 500], "what is not synced is not on the platter");
}

#[test]
fn a_disk_has_one_opening_at_a_time() {
    let disk = SimulatedDisk::new(0);
    let first = disk.open().expect("the store opens");
    assert!(matches!(disk.open(), Err(OpenError::AlreadyOpen { .. })));
    drop(first);
    let second = disk.open().expect("the store opens");
    disk.crash(Crash::Process);
    let mut third = disk.open().expect("the store opens");
    drop(second);
    assert!(matches!(disk.open(), Err(OpenError::AlreadyOpen { .. })));
    third.commit(batch(1), Durability::Durable).expect("the disk works");
}

#[test]
fn the_same_seed_gives_the_same_accidents() {
    let run = |seed| {
        let disk = SimulatedDisk::new(seed);
        let mut trace = Vec::new();
        for number in 1..20 {
            disk.mend();
            let Ok(mut store) = disk.open() else { continue };
            let fault = [Fault::SyncFails, Fault::Broken, Fault::Full][number as usize % 3];
            disk.fail(fault, number % 5);
            let outcome = store.commit(batch(number), Durability::Durable).map_err(|error| error.to_string());
            disk.crash(if number % 4 == 0 { Crash::Process } else { Crash::Power });
            drop(store);
            let image = disk.image();
            trace.push((
                outcome,
                image.bytes(FileName::Store),
                image.bytes(FileName::Journal),
                disk.counters(),
            ));
        }
        (trace, disk.flip_bit())
    };
    assert!(run(1) == run(1));
    assert!(run(1) != run(2));
}

#[test]
fn no_accident_costs_a_store_a_durable_commit_or_leaves_a_part_of_one() {
    for seed in 0..ACCIDENTS {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let disk = SimulatedDisk::new(seed);
        let (mut durable, mut made) = (0, 0);
        for round in 0..4 {
            let mut store = disk.open().unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
            let found = whole_commits(&store);
            assert!(
                (durable..=made).contains(&found),
                "seed {seed}, {round}: {durable}..={made}, found {found}"
            );
            made = found;
            if chance.random_bool(0.8) {
                let fault = [Fault::SyncFails, Fault::Full, Fault::Broken][chance.random_range(0..3)];
                disk.fail(fault, chance.random_range(0..24));
            }
            for _ in 0..chance.random_range(0..16) {
                let durability = if chance.random_bool(0.5) { Durability::Durable } else { Durability::Fast };
                made += 1;
                match store.commit(batch(made), durability) {
                    Ok(()) if durability == Durability::Durable => durable = made,
                    Ok(()) => {}
                    Err(error) => {
                        assert!(matches!(error, StoreError::DiskFull(_) | StoreError::Io(_)), "{error:?}");
                        break;
                    }
                }
            }
            match chance.random_range(0..4) {
                0 => {
                    // What it tidies and closes, the fault may still meet.
                    let _ = if chance.random_bool(0.5) { store.compact().map(drop) } else { store.tidy() };
                    drop(store);
                }
                1 => disk.crash(Crash::Process),
                _ => disk.crash(Crash::Power),
            }
            disk.mend();
        }
    }
}

#[test]
fn a_store_that_does_not_fit_says_so_and_opens_once_there_is_room() {
    let disk = SimulatedDisk::new(0);
    let mut store = disk.open().expect("the store opens");
    disk.limit(Some(3_000_000));
    let mut acknowledged = 0;
    let refusal = loop {
        match store.commit(batch(acknowledged + 1), Durability::Durable) {
            Ok(()) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refusal, StoreError::DiskFull(_)), "{refusal:?}");
    drop(store);
    disk.mend();
    let found = whole_commits(&disk.open().expect("the store opens"));
    assert!((acknowledged..=acknowledged + 1).contains(&found), "{acknowledged}, found {found}");
}

#[test]
fn a_flipped_bit_is_an_error_or_goes_unnoticed_and_is_never_a_panic() {
    let disk = SimulatedDisk::new(0);
    let mut store = disk.open().expect("the store opens");
    (1..=40).for_each(|number| store.commit(batch(number), Durability::Durable).expect("the disk works"));
    let killed = disk.image();
    drop(store);
    let closed = disk.image();
    for seed in 0..FLIPS {
        let disk = SimulatedDisk::from_image(seed, if seed % 2 == 0 { &killed } else { &closed });
        let flip = disk.flip_bit();
        let outcome = catch_unwind(AssertUnwindSafe(|| read_all(&disk)));
        assert!(outcome.is_ok(), "seed {seed}: {flip:?}");
    }
}

/// Opens, reads everything and commits once.
fn read_all(disk: &SimulatedDisk) -> Result<(), String> {
    let mut store = disk.open().map_err(|error| format!("open: {error}"))?;
    for table in Table::ALL {
        let scan = store.scan(table, EVERY_KEY, Direction::Forward, &mut |_, _| ControlFlow::Continue(()));
        scan.map_err(|error| format!("scan: {error}"))?;
    }
    store.commit(batch(41), Durability::Durable).map_err(|error| format!("commit: {error}"))
}

fn content(handle: &Handle) -> Vec<u8> {
    let length = handle.len().expect("the disk works");
    let mut bytes = vec![0; usize::try_from(length).expect("it is small")];
    handle.read(0, &mut bytes).expect("the disk works");
    bytes
}

/// One commit over three tables, of a size of its own.
fn batch(number: u64) -> Batch {
    let mut batch = Batch::new();
    batch.put(Table::Log, number.to_be_bytes(), log_value(number));
    batch.put(Table::Rows, number.to_be_bytes(), number.to_le_bytes());
    batch.put(Table::Meta, b"last", number.to_be_bytes());
    batch
}

fn log_value(number: u64) -> Vec<u8> {
    let length = [300, 5_000, 40, 90_000, 1_000][number as usize % 5];
    vec![number.to_le_bytes()[0]; length]
}

/// How many commits the store has, all of them whole and none left out.
fn whole_commits(store: &RedbStore) -> u64 {
    let last = store.get(Table::Meta, b"last").expect("a read").unwrap_or_default();
    let last = last.try_into().map_or(0, u64::from_be_bytes);
    for number in 1..=last {
        let key = number.to_be_bytes();
        assert_eq!(
            store.get(Table::Log, &key).expect("a read"),
            Some(log_value(number)),
            "{number} of {last}"
        );
        let row = store.get(Table::Rows, &key).expect("a read");
        assert_eq!(row, Some(number.to_le_bytes().to_vec()), "{number} of {last}");
    }
    for table in [Table::Log, Table::Rows] {
        let next = store.get(table, &(last + 1).to_be_bytes()).expect("a read");
        assert_eq!(next, None, "a part of commit {}", last + 1);
    }
    last
}

const ACCIDENTS: u64 = 200;
const FLIPS: u64 = 100;
