//! What a full disk, a broken one and a power loss leave behind.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reknit_engine::store::{Batch, Durability, Reads, Store, StoreError, Table};
use reknit_sim::disk::{Crash, Fault, FileName, Image, SimulatedDisk};
use reknit_store::{OpenError, RedbStore};

#[test]
fn a_disk_that_fills_at_any_write_stops_the_store_and_costs_no_acknowledged_commit() {
    fails_at_every_operation(Fault::Full, |error| matches!(error, StoreError::DiskFull(_)));
}

#[test]
fn a_disk_that_breaks_at_any_write_stops_the_store_and_costs_no_acknowledged_commit() {
    fails_at_every_operation(Fault::Broken, |error| matches!(error, StoreError::Io(_)));
}

#[test]
fn a_failed_sync_stops_the_store_and_costs_no_acknowledged_commit() {
    fails_at_every_operation(Fault::SyncFails, |error| matches!(error, StoreError::Io(_)));
}

#[test]
fn what_a_failed_sync_of_a_compaction_left_behind_is_not_believed_after_a_reopening() {
    let mut failures = 0;
    for seed in 0..FAILED_SYNCS {
        let disk = SimulatedDisk::new(seed);
        let mut store = disk.open().expect("the store opens");
        for number in 1..=COMMITS {
            store.commit(batch(number), Durability::Durable).expect("the disk works");
        }
        disk.fail(Fault::SyncFails, seed % 30);
        failures += u64::from(store.compact().is_err());
        drop(store);
        // Opened from the page cache, and then from the platter.
        assert_eq!(whole_commits(&disk.open().expect("the store opens")), COMMITS, "seed {seed}");
        disk.crash(Crash::Power);
        assert_eq!(whole_commits(&disk.open().expect("the store opens")), COMMITS, "seed {seed}");
    }
    assert!(failures > FAILED_SYNCS / 10, "{failures}");
}

#[test]
fn a_power_loss_costs_no_durable_commit_and_never_a_part_of_one() {
    for seed in 0..POWER_LOSSES {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let disk = SimulatedDisk::new(seed);
        let (mut durable, mut made) = (0, 0);
        for _ in 0..4 {
            let mut store = disk.open().unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
            let found = whole_commits(&store);
            assert!((durable..=made).contains(&found), "seed {seed}: {durable}..={made}, found {found}");
            made = found;
            for _ in 0..chance.random_range(0..12) {
                let durability = if chance.random_bool(0.5) { Durability::Durable } else { Durability::Fast };
                made += 1;
                store.commit(batch(made), durability).expect("the disk works");
                if durability == Durability::Durable {
                    durable = made;
                }
            }
            if chance.random_bool(0.3) {
                store.flush().expect("the disk works");
                durable = made;
            }
            if chance.random_bool(0.3) {
                // The commit that the power loss interrupts.
                disk.fail(Fault::Broken, chance.random_range(0..20));
                made += 1;
                if store.commit(batch(made), Durability::Durable).is_ok() {
                    durable = made;
                }
            }
            disk.crash(Crash::Power);
            disk.mend();
        }
    }
}

#[test]
fn a_power_loss_while_the_file_is_made_leaves_one_that_opens() {
    for seed in 0..POWER_LOSSES {
        let disk = SimulatedDisk::new(seed);
        disk.fail(Fault::Broken, seed % 24);
        let made = disk.open().is_ok();
        disk.crash(Crash::Power);
        disk.mend();
        let mut store = disk.open().unwrap_or_else(|error| panic!("seed {seed}, made: {made}: {error:?}"));
        store.commit(batch(1), Durability::Durable).expect("the disk works");
        assert_eq!(whole_commits(&store), 1);
    }
}

#[test]
fn a_close_makes_fast_commits_durable() {
    let disk = SimulatedDisk::new(0);
    let mut store = disk.open().expect("the store opens");
    store.commit(batch(1), Durability::Fast).expect("a commit");
    drop(store);
    disk.crash(Crash::Power);
    assert_eq!(whole_commits(&disk.open().expect("the store opens")), 1);
}

#[test]
fn fast_commits_are_made_durable_before_they_pile_up() {
    let disk = SimulatedDisk::new(0);
    let mut store = disk.open().expect("the store opens");
    let mut large = batch(1);
    large.put(Table::Snapshots, b"large", vec![7; reknit_engine::store::VALUE_BYTES_MAX]);
    store.commit(large, Durability::Fast).expect("a commit");
    disk.crash(Crash::Power);
    drop(store);
    assert_eq!(whole_commits(&disk.open().expect("the store opens")), 1);
}

#[test]
fn a_journal_that_is_damaged_before_its_end_is_an_error_and_one_that_is_cut_short_is_not() {
    let disk = SimulatedDisk::new(0);
    let mut store = disk.open().expect("the store opens");
    for number in 1..=COMMITS {
        store.commit(batch(number), Durability::Durable).expect("the disk works");
    }
    let image = disk.image();
    let (content, journal) = (image.bytes(FileName::Store), image.bytes(FileName::Journal));
    drop(store);
    let first_record = 100;
    for (place, expected) in
        [(first_record, None), (journal.iter().rposition(|byte| *byte != 0).unwrap_or(0), Some(COMMITS - 1))]
    {
        let mut damaged = journal.clone();
        damaged[place] ^= 1;
        match SimulatedDisk::from_image(0, &Image::of_bytes(&content, &damaged)).open() {
            Ok(store) => assert_eq!(Some(whole_commits(&store)), expected),
            Err(OpenError::Store { source: StoreError::Corrupt { what }, .. }) => {
                assert!(expected.is_none() && what.contains("journal"), "{what}");
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn a_journal_of_another_base_is_not_applied() {
    let disk = SimulatedDisk::new(0);
    let mut store = disk.open().expect("the store opens");
    store.commit(batch(1), Durability::Durable).expect("the disk works");
    let old_journal = disk.image().bytes(FileName::Journal);
    drop(store);
    let store = disk.open().expect("the store opens");
    assert_eq!(disk.counters().journal_bytes, 0, "a close leaves it empty");
    drop(store);
    let mixed = Image::of_bytes(&disk.image().bytes(FileName::Store), &old_journal);
    let mixed = SimulatedDisk::from_image(0, &mixed);
    let mut newer = mixed.open().expect("it opens");
    newer.commit(batch(2), Durability::Durable).expect("the disk works");
    drop(newer);
    assert_eq!(whole_commits(&mixed.open().expect("it opens")), 2);
}

#[test]
fn a_store_that_stopped_makes_nothing_durable_behind_its_journal() {
    let disk = SimulatedDisk::new(0);
    let mut store = disk.open().expect("the store opens");
    let put = |value: &[u8]| {
        let mut batch = Batch::new();
        batch.put(Table::Meta, b"key", value);
        batch
    };
    store.commit(put(b"in the journal"), Durability::Durable).expect("the disk works");
    // Too much for the journal, so it is in the database alone.
    let mut large = put(b"later");
    large.put(Table::Snapshots, b"large", vec![7; 1_000_000]);
    store.commit(large, Durability::Fast).expect("a commit");
    let mut too_large = Batch::new();
    too_large.put(Table::Rows, b"key", vec![0; reknit_engine::store::VALUE_BYTES_MAX + 1]);
    store.commit(too_large, Durability::Fast).expect_err("it is too large");
    drop(store);
    let store = disk.open().expect("the store opens");
    assert_eq!(store.get(Table::Meta, b"key").expect("a read").as_deref(), Some(&b"in the journal"[..]));
    assert!(!store.contains(Table::Snapshots, b"large").expect("a read"));
}

#[test]
fn damaged_bytes_are_an_error_or_harmless_and_never_a_panic() {
    let disk = SimulatedDisk::new(0);
    let mut store = disk.open().expect("the store opens");
    for number in 1..=40 {
        store.commit(batch(number), Durability::Durable).expect("the disk works");
    }
    let contents = || [FileName::Store, FileName::Journal].map(|file| disk.image().bytes(file));
    let killed = contents();
    drop(store);
    let closed = contents();
    for seed in 0..DAMAGES {
        let mut chance = ChaCha8Rng::seed_from_u64(seed);
        let [mut content, mut journal] =
            if chance.random_bool(0.5) { closed.clone() } else { killed.clone() };
        // Most of a small file is empty: aim half of the damage at its header and first pages.
        let reach = if chance.random_bool(0.5) { content.len() } else { 64 * 1024 };
        for _ in 0..chance.random_range(1..8) {
            let place = chance.random_range(0..reach);
            content[place] = chance.random();
        }
        if chance.random_bool(0.1) {
            content.truncate(chance.random_range(0..reach));
        }
        if chance.random_bool(0.5) && !journal.is_empty() {
            let place = chance.random_range(0..journal.len());
            journal[place] = chance.random();
        }
        use_damaged(&SimulatedDisk::from_image(seed, &Image::of_bytes(&content, &journal)));
    }
}

fn use_damaged(disk: &SimulatedDisk) {
    let Ok(mut store) = disk.open() else { return };
    for table in Table::ALL {
        let range = reknit_engine::store::EVERY_KEY;
        let direction = reknit_engine::store::Direction::Forward;
        let _ = store.scan(table, range, direction, &mut |_, _| std::ops::ControlFlow::Continue(()));
    }
    let _ = store.commit(batch(41), Durability::Durable);
}

/// Fails at the first operation, at the second, and so on, until a run meets no fault.
fn fails_at_every_operation(fault: Fault, expected: fn(&StoreError) -> bool) {
    let sound = SimulatedDisk::new(0);
    commit_until_failure(&mut sound.open().expect("the store opens"), expected);
    let mut failures = 0;
    for operations in 0..=sound.counters().operations {
        let disk = SimulatedDisk::new(operations);
        let mut store = disk.open().expect("the store opens");
        disk.fail(fault, operations);
        let acknowledged = commit_until_failure(&mut store, expected);
        failures += u64::from(acknowledged < COMMITS);
        drop(store);
        disk.mend();
        let reopened = disk.open().unwrap_or_else(|error| panic!("after {operations} operations: {error:?}"));
        let found = whole_commits(&reopened);
        let allowed = acknowledged..=(acknowledged + 1).min(COMMITS);
        assert!(allowed.contains(&found), "after {operations} operations: {allowed:?}, found {found}");
    }
    assert!(failures > 0);
}

fn commit_until_failure(store: &mut RedbStore, expected: fn(&StoreError) -> bool) -> u64 {
    for number in 1..=COMMITS {
        if let Err(error) = store.commit(batch(number), Durability::Durable) {
            assert!(expected(&error), "{error:?}");
            let later = store.commit(batch(number + 1), Durability::Durable);
            assert!(matches!(later, Err(StoreError::Stopped)), "{later:?}");
            return number - 1;
        }
    }
    COMMITS
}

/// One commit over five tables, large enough to grow the file now and then.
fn batch(number: u64) -> Batch {
    let mut batch = Batch::new();
    batch.put(Table::Log, number.to_be_bytes(), vec![number.to_le_bytes()[0]; 20_000]);
    for table in COUNTED {
        batch.put(table, number.to_be_bytes(), number.to_le_bytes());
    }
    batch.put(Table::Meta, b"last", number.to_be_bytes());
    batch
}

/// How many commits the store has, all of them whole and none left out.
fn whole_commits(store: &RedbStore) -> u64 {
    let last = store.get(Table::Meta, b"last").expect("a read").unwrap_or_default();
    let last = last.try_into().map_or(0, u64::from_be_bytes);
    for number in 1..=last {
        let log = store.get(Table::Log, &number.to_be_bytes()).expect("a read");
        assert_eq!(log, Some(vec![number.to_le_bytes()[0]; 20_000]), "commit {number} of {last}");
        for table in COUNTED {
            let value = store.get(table, &number.to_be_bytes()).expect("a read");
            assert_eq!(value, Some(number.to_le_bytes().to_vec()), "commit {number} of {last}");
        }
    }
    for table in COUNTED.into_iter().chain([Table::Log]) {
        let next = store.get(table, &(last + 1).to_be_bytes()).expect("a read");
        assert_eq!(next, None, "a part of commit {}", last + 1);
    }
    last
}

#[test]
fn a_disk_too_full_for_a_new_file_says_so() {
    let disk = SimulatedDisk::new(0);
    disk.fail(Fault::Full, 0);
    let refusal = disk.open();
    assert!(matches!(&refusal, Err(OpenError::Store { source: StoreError::DiskFull(_), .. })), "{refusal:?}");
}

const COUNTED: [Table; 3] = [Table::Authors, Table::Runs, Table::Rows];
const COMMITS: u64 = 8;
const POWER_LOSSES: u64 = 60;
const DAMAGES: u64 = 250;
const FAILED_SYNCS: u64 = 60;
