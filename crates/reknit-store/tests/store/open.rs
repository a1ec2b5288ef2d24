//! What is opened, what is refused, and what a refusal says.

use std::{fs, path::Path};

use redb::{Database, TableDefinition};
use reknit_engine::store::{Batch, Durability, Reads, Store, StoreError, Table};
use reknit_store::{FORMAT, OpenError, Options, RedbStore};

#[test]
fn a_new_store_and_its_folders_belong_to_their_owner_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a/b/store.redb");
    open(&path);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&folder.path().join("a/b")), 0o700);
        assert_eq!(mode(&folder.path().join("a")), 0o700);
    }
}

#[test]
fn a_second_opening_is_refused_and_told_why() {
    let (_folder, path) = with_one_commit();
    let store = open(&path);
    for refusal in [
        RedbStore::open(&path, Options::default()).map(drop),
        RedbStore::read_only(&path, Options::default()).map(drop),
    ] {
        let refusal = refusal.expect_err("the file is in use");
        assert!(matches!(&refusal, OpenError::AlreadyOpen { path: named } if *named == path), "{refusal:?}");
        assert!(refusal.to_string().contains("in use by another process"), "{refusal}");
    }
    drop(store);
    open(&path);
}

#[test]
fn a_newer_file_is_refused_and_named_with_both_versions() {
    let (_folder, path) = with_one_commit();
    set_format(&path, FORMAT + 1);
    for refusal in [
        RedbStore::read_only(&path, Options::default()).map(drop),
        RedbStore::open(&path, Options::default()).map(drop),
    ] {
        let refusal = refusal.expect_err("the file is newer");
        let OpenError::NewerFormat { found, supported, .. } = &refusal else { panic!("{refusal:?}") };
        assert_eq!((*found, *supported), (FORMAT + 1, FORMAT));
        let words = refusal.to_string();
        assert!(words.contains("format 2") && words.contains("format 1") && words.contains("update Reknit"));
    }
    set_format(&path, FORMAT);
    assert_eq!(open(&path).get(Table::Rows, b"key").expect("a read").as_deref(), Some(&b"value"[..]));
}

#[test]
fn a_file_that_is_not_ours_is_refused_and_not_changed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = folder.path().join("notes.txt");
    fs::write(&text, "not a database\n".repeat(500)).expect("it is written");
    let zeros = folder.path().join("zeros-then-words");
    fs::write(&zeros, [vec![0; 5_000], b"words".to_vec()].concat()).expect("it is written");
    let foreign = folder.path().join("foreign.redb");
    let database = Database::create(&foreign).expect("a redb file");
    let transaction = database.begin_write().expect("a transaction");
    transaction.open_table(TableDefinition::<u64, u64>::new("log")).expect("a table");
    transaction.commit().expect("a commit");
    drop(database);
    let unversioned = folder.path().join("version-0.redb");
    open(&unversioned);
    set_format(&unversioned, 0);

    for path in [text, zeros] {
        let before = fs::read(&path).expect("it is there");
        assert_not_a_store(&path);
        assert_eq!(fs::read(&path).expect("it is there"), before);
    }
    assert_not_a_store(&foreign);
    assert_not_a_store(&unversioned);
}

#[test]
fn a_file_cut_off_while_it_was_made_is_begun_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, content) in
        [("empty", vec![]), ("zeros", vec![0; 1_000_000]), ("header", header_without_magic())]
    {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("it is written");
        open(&path).commit(one_commit(), Durability::Durable).expect("a commit");
        assert!(open(&path).contains(Table::Rows, b"key").expect("a read"), "{name}");
    }
}

#[test]
fn readers_share_a_closed_store_and_write_nothing() {
    let (_folder, path) = with_one_commit();
    let before = fs::read(&path).expect("it is there");
    let first = RedbStore::read_only(&path, Options::default()).expect("a reader");
    let second = RedbStore::read_only(&path, Options::default()).expect("a reader");
    for reader in [&first, &second] {
        assert_eq!(reader.get(Table::Rows, b"key").expect("a read").as_deref(), Some(&b"value"[..]));
        assert_eq!(reader.stats().expect("stats").file_bytes, before.len() as u64);
    }
    let refusal = RedbStore::open(&path, Options::default());
    assert!(matches!(refusal, Err(OpenError::AlreadyOpen { .. })), "{refusal:?}");
    drop((first, second));
    assert_eq!(fs::read(&path).expect("it is there"), before);
}

#[test]
fn a_reader_finds_no_store_and_makes_none() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("missing.redb");
    let refusal = RedbStore::read_only(&path, Options::default());
    assert!(matches!(refusal, Err(OpenError::Missing { .. })), "{refusal:?}");
    assert!(!path.exists());
}

#[test]
fn a_store_that_was_killed_is_read_only_after_it_recovered() {
    let (folder, path) = with_one_commit();
    let store = open(&path);
    let killed = folder.path().join("killed.redb");
    fs::copy(&path, &killed).expect("it is copied");
    drop(store);
    let refusal = RedbStore::read_only(&killed, Options::default());
    assert!(matches!(refusal, Err(OpenError::NeedsRecovery { .. })), "{refusal:?}");
    open(&killed);
    RedbStore::read_only(&killed, Options::default()).expect("it has recovered");
}

#[test]
fn a_folder_that_may_not_be_written_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    fs::write(&file, "a file, where a folder should be").expect("it is written");
    let path = file.join("store.redb");
    let refusal = RedbStore::open(&path, Options::default()).expect_err("there is no such folder");
    assert!(matches!(&refusal, OpenError::Store { source: StoreError::Io(_), .. }), "{refusal:?}");
    assert!(refusal.to_string().contains("store.redb"), "{refusal}");
}

#[test]
fn compacting_gives_room_back_and_keeps_every_value() {
    let (_folder, path) = with_one_commit();
    let mut store = open(&path);
    for round in 0..40_u8 {
        let mut batch = Batch::new();
        batch.put(Table::Snapshots, [round], vec![round; 100_000]);
        store.commit(batch, Durability::Fast).expect("a commit");
    }
    let mut batch = Batch::new();
    for round in 0..39_u8 {
        batch.delete(Table::Snapshots, [round]);
    }
    store.commit(batch, Durability::Durable).expect("a commit");
    let before = store.stats().expect("stats");
    assert!((100_000..200_000).contains(&before.live_bytes), "{before:?}");

    let snapshot = store.snapshot().expect("a snapshot");
    assert!(matches!(store.compact(), Err(StoreError::Busy { .. })));
    drop(snapshot);
    assert!(store.compact().expect("it compacts"));
    let after = store.stats().expect("stats");
    assert!(after.file_bytes < before.file_bytes / 2, "{before:?}, {after:?}");
    assert_eq!(after.file_bytes, fs::metadata(&path).expect("it is there").len());
    assert_eq!(after.live_bytes, before.live_bytes);
    let left = store.get(Table::Snapshots, &[39]).expect("a read");
    assert_eq!(left, Some(vec![39; 100_000]));
}

#[test]
fn closing_a_store_ends_its_snapshots_and_frees_its_file() {
    let (_folder, path) = with_one_commit();
    let store = open(&path);
    let snapshot = store.snapshot().expect("a snapshot");
    assert!(snapshot.contains(Table::Rows, b"key").expect("a read"));
    drop(store);
    open(&path);
    let read = snapshot.get(Table::Rows, b"no such key, so no page of it is at hand");
    assert!(matches!(read, Ok(None) | Err(StoreError::Closed)), "{read:?}");
}

fn open(path: &Path) -> RedbStore {
    RedbStore::open(path, Options::default()).expect("the store opens")
}

fn one_commit() -> Batch {
    let mut batch = Batch::new();
    batch.put(Table::Rows, b"key", b"value");
    batch
}

fn with_one_commit() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("store.redb");
    open(&path).commit(one_commit(), Durability::Durable).expect("a commit");
    (folder, path)
}

fn set_format(path: &Path, version: u32) {
    let database = Database::open(path).expect("a redb file");
    let transaction = database.begin_write().expect("a transaction");
    let about = TableDefinition::<&str, u32>::new("reknit");
    transaction.open_table(about).expect("the table").insert("format", version).expect("an insert");
    transaction.commit().expect("a commit");
}

fn assert_not_a_store(path: &Path) {
    for refusal in [
        RedbStore::open(path, Options::default()).map(drop),
        RedbStore::read_only(path, Options::default()).map(drop),
    ] {
        assert!(matches!(refusal, Err(OpenError::NotAStore { .. })), "{path:?}: {refusal:?}");
    }
}

/// A new redb file as it is just before its magic number is written.
fn header_without_magic() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("new.redb");
    drop(Database::create(&path).expect("a redb file"));
    let mut content = fs::read(&path).expect("it is there");
    content[..9].fill(0);
    content[512..].fill(0);
    content
}
