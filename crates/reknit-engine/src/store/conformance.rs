//! What every [`Store`] must do, as plain functions that panic where one does not.
//!
//! A store's own tests implement [`Subject`] for it, call [`every_rule`], and feed [`agrees_with_the_model`] steps
//! that a property test has drawn.

use std::{
    collections::BTreeMap,
    ops::{Bound, ControlFlow},
};

use super::{
    Batch, Change, Direction, Durability, EVERY_KEY, KEY_BYTES_MAX, KeyRange, Reads, Store, StoreError,
    Table, View, is_inverted,
};

/// Makes the stores that the suite tests.
pub trait Subject {
    /// A new, empty store.
    fn fresh(&mut self) -> Box<dyn Store>;

    /// Ends the store as a process that exits cleanly does, and opens it again. A store that keeps nothing beyond its own life
    /// gives itself back.
    fn reopen(&mut self, store: Box<dyn Store>) -> Box<dyn Store>;
}

/// One step of a random history.
#[derive(Clone, Debug)]
pub enum Step {
    /// Write to the batch that is being put together.
    Put(Table, Vec<u8>, Vec<u8>),
    /// Delete in the batch that is being put together.
    Delete(Table, Vec<u8>),
    /// Compare a scan of the store, and of the batch over it, with the model.
    Scan(Table, Bound<Vec<u8>>, Bound<Vec<u8>>),
    /// Commit the batch.
    Commit(Durability),
    /// Take a snapshot, to be compared at the end with what the model was now.
    Snapshot,
    /// Make earlier fast commits durable.
    Flush,
    /// Drop the batch, close the store and open it again.
    Reopen,
}

/// Runs every rule that needs no random history.
pub fn every_rule(subject: &mut dyn Subject) {
    an_empty_store_has_nothing(subject);
    a_commit_shows_at_once_and_survives_reopening(subject);
    tables_do_not_share_keys(subject);
    a_snapshot_stays_as_it_was(subject);
    scans_keep_order_bounds_and_stop(subject);
    a_prefix_is_scanned_exactly(subject);
    a_view_lays_the_batch_over_the_store(subject);
    a_refused_batch_leaves_nothing_and_stops_the_store(subject);
}

/// Takes the steps on a store and on plain ordered maps, and compares all that can be read of the two.
pub fn agrees_with_the_model(subject: &mut dyn Subject, steps: &[Step]) {
    let mut run = Run::new(subject);
    for step in steps {
        run.take(subject, step);
    }
    for (snapshot, then) in &run.snapshots {
        then.assert_equals(snapshot.as_ref());
    }
}

fn an_empty_store_has_nothing(subject: &mut dyn Subject) {
    let store = subject.fresh();
    for table in Table::ALL {
        assert_eq!(get(&*store, table, b""), None);
        assert_eq!(scan(&*store, table, EVERY_KEY, Direction::Forward), []);
        assert_eq!(scan(&*store, table, EVERY_KEY, Direction::Backward), []);
    }
}

fn a_commit_shows_at_once_and_survives_reopening(subject: &mut dyn Subject) {
    for durability in [Durability::Durable, Durability::Fast] {
        let mut store = subject.fresh();
        commit(
            &mut *store,
            durability,
            &[(Table::Log, b"", b"empty key"), (Table::Rows, b"empty value", b"")],
        );
        commit(&mut *store, durability, &[(Table::Log, b"", b"replaced")]);
        for reopened in [false, true] {
            if reopened {
                store = subject.reopen(store);
            }
            assert_eq!(get(&*store, Table::Log, b"").as_deref(), Some(&b"replaced"[..]), "{durability:?}");
            assert_eq!(
                get(&*store, Table::Rows, b"empty value").as_deref(),
                Some(&b""[..]),
                "{durability:?}"
            );
        }
        let mut batch = Batch::new();
        batch.delete(Table::Log, b"");
        batch.delete(Table::Log, b"never was");
        store.commit(batch, durability).expect("a delete commits");
        store.flush().expect("a flush succeeds");
        store = subject.reopen(store);
        assert_eq!(get(&*store, Table::Log, b""), None, "{durability:?}");
    }
}

fn tables_do_not_share_keys(subject: &mut dyn Subject) {
    let mut store = subject.fresh();
    for table in Table::ALL {
        commit(&mut *store, Durability::Fast, &[(table, b"same key", &[table.number()])]);
        commit(&mut *store, Durability::Fast, &[(table, &[], b""), (table, &[0xff; KEY_BYTES_MAX], b"")]);
    }
    for table in Table::ALL {
        assert_eq!(get(&*store, table, b"same key"), Some(vec![table.number()]));
        assert_eq!(keys(&*store, table, EVERY_KEY, Direction::Forward).len(), 3, "{table:?}");
        assert_eq!(keys(&*store, table, EVERY_KEY, Direction::Backward).len(), 3, "{table:?}");
    }
}

fn a_snapshot_stays_as_it_was(subject: &mut dyn Subject) {
    let mut store = subject.fresh();
    commit(&mut *store, Durability::Durable, &[(Table::Rows, b"a", b"1"), (Table::Rows, b"b", b"1")]);
    let before = store.snapshot().expect("a snapshot");
    let mut batch = Batch::new();
    batch.put(Table::Rows, b"a", b"2");
    batch.delete(Table::Rows, b"b");
    batch.put(Table::Rows, b"c", b"2");
    store.commit(batch, Durability::Durable).expect("a commit beside a snapshot");
    let entries = [(b"a".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"1".to_vec())];
    assert_eq!(scan(&*before, Table::Rows, EVERY_KEY, Direction::Forward), entries);
    assert_eq!(keys(&*store, Table::Rows, EVERY_KEY, Direction::Forward), [b"a", b"c"]);
    drop(store);
    match before.get(Table::Rows, b"a") {
        Ok(value) => assert_eq!(value.as_deref(), Some(&b"1"[..])),
        Err(closed) => assert!(matches!(closed, StoreError::Closed), "{closed:?}"),
    }
}

fn scans_keep_order_bounds_and_stop(subject: &mut dyn Subject) {
    let mut store = subject.fresh();
    let all: [&[u8]; 6] = [b"", b"\0", b"a", b"a\0", b"b", b"\xff\xff"];
    for key in all.iter().rev() {
        commit(&mut *store, Durability::Fast, &[(Table::Deltas, key, b"")]);
    }
    let bounds = || {
        let each = all.iter().flat_map(|key| [Bound::Included(*key), Bound::Excluded(*key)]);
        each.chain([Bound::Unbounded])
    };
    for range in bounds().flat_map(|start| bounds().map(move |end| (start, end))) {
        let mut expected: Vec<_> = all.iter().copied().filter(|key| holds(range, key)).collect();
        assert_eq!(keys(&*store, Table::Deltas, range, Direction::Forward), expected, "{range:?}");
        let first = store.first(Table::Deltas, range, Direction::Forward).expect("a scan");
        assert_eq!(first.map(|(key, _)| key).as_deref(), expected.first().copied());
        expected.reverse();
        assert_eq!(keys(&*store, Table::Deltas, range, Direction::Backward), expected, "{range:?}");
    }
    let mut seen = 0;
    let stop_at_two = &mut |_: &[u8], _: &[u8]| {
        seen += 1;
        if seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    store.scan(Table::Deltas, EVERY_KEY, Direction::Forward, stop_at_two).expect("a scan");
    assert_eq!(seen, 2, "a scan ends where its visitor breaks");
}

fn a_prefix_is_scanned_exactly(subject: &mut dyn Subject) {
    let mut store = subject.fresh();
    let all: [&[u8]; 6] = [b"a", b"a\xfe", b"a\xff", b"a\xff\xff\xff", b"b", b"\xff\xff\x01"];
    for key in all {
        commit(&mut *store, Durability::Fast, &[(Table::Held, key, b"")]);
    }
    for prefix in [&b""[..], b"a", b"a\xff", b"a\xff\xff", b"\xff", b"\xff\xff", b"c"] {
        for direction in [Direction::Forward, Direction::Backward] {
            let mut found = Vec::new();
            let visit = &mut |key: &[u8], _: &[u8]| {
                found.push(key.to_vec());
                ControlFlow::Continue(())
            };
            store.scan_prefix(Table::Held, prefix, direction, visit).expect("a scan");
            found.sort();
            let expected: Vec<_> = all.iter().copied().filter(|key| key.starts_with(prefix)).collect();
            assert_eq!(found, expected, "prefix {prefix:?}");
        }
    }
}

fn a_view_lays_the_batch_over_the_store(subject: &mut dyn Subject) {
    let mut store = subject.fresh();
    for key in [b"b", b"d", b"f"] {
        commit(&mut *store, Durability::Fast, &[(Table::Rows, key, b"old")]);
    }
    let mut batch = Batch::new();
    for key in [b"a", b"b", b"c", b"g"] {
        batch.put(Table::Rows, key, b"new");
    }
    batch.delete(Table::Rows, b"d");
    batch.delete(Table::Rows, b"e");
    let view = View::new(&*store, &batch);
    let shown = scan(&view, Table::Rows, EVERY_KEY, Direction::Forward);
    let expected = [(b"a", b"new"), (b"b", b"new"), (b"c", b"new"), (b"f", b"old"), (b"g", b"new")];
    assert_eq!(shown, expected.map(|(key, value)| (key.to_vec(), value.to_vec())));
    let last = view.first(Table::Rows, EVERY_KEY, Direction::Backward).expect("a scan");
    assert_eq!(last.expect("there is one").0, b"g");
    let until_f = (Bound::Unbounded, Bound::Excluded(&b"f"[..]));
    assert_eq!(keys(&view, Table::Rows, until_f, Direction::Backward), [b"c", b"b", b"a"]);
    assert_eq!(get(&view, Table::Rows, b"d"), None);
    assert_eq!(get(&view, Table::Rows, b"f").as_deref(), Some(&b"old"[..]));
}

fn a_refused_batch_leaves_nothing_and_stops_the_store(subject: &mut dyn Subject) {
    let mut store = subject.fresh();
    let mut batch = Batch::new();
    batch.put(Table::Log, b"fits", b"1");
    batch.put(Table::Rows, vec![0; KEY_BYTES_MAX + 1], b"does not");
    let refusal = store.commit(batch, Durability::Durable);
    assert!(matches!(refusal, Err(StoreError::TooLarge { .. })), "{refusal:?}");
    assert_eq!(get(&*store, Table::Log, b"fits"), None);
    let mut batch = Batch::new();
    batch.put(Table::Log, b"later", b"1");
    let stopped = store.commit(batch.clone(), Durability::Durable);
    assert!(matches!(stopped, Err(StoreError::Stopped)), "{stopped:?}");
    assert!(matches!(store.flush(), Err(StoreError::Stopped)));
    assert_eq!(get(&*store, Table::Log, b"later"), None);
}

/// A random history under way: the store, and the same in plain maps.
struct Run {
    store: Box<dyn Store>,
    committed: Model,
    batch: Batch,
    snapshots: Vec<(Box<dyn Reads + Send + Sync>, Model)>,
}

#[derive(Clone, Default)]
struct Model(BTreeMap<Table, BTreeMap<Vec<u8>, Vec<u8>>>);

impl Run {
    fn new(subject: &mut dyn Subject) -> Self {
        Self {
            store: subject.fresh(),
            committed: Model::default(),
            batch: Batch::new(),
            snapshots: Vec::new(),
        }
    }

    fn take(&mut self, subject: &mut dyn Subject, step: &Step) {
        match step {
            Step::Put(table, key, value) => self.batch.put(*table, key.as_slice(), value.as_slice()),
            Step::Delete(table, key) => self.batch.delete(*table, key.as_slice()),
            Step::Scan(table, start, end) => {
                self.compare(*table, (start.as_ref().map(Vec::as_slice), end.as_ref().map(Vec::as_slice)));
            }
            Step::Commit(durability) => {
                self.committed.apply(&self.batch);
                self.store.commit(std::mem::take(&mut self.batch), *durability).expect("a commit succeeds");
                self.committed.assert_equals(&*self.store);
            }
            Step::Snapshot => {
                let snapshot = self.store.snapshot().expect("a snapshot");
                self.snapshots.push((snapshot, self.committed.clone()));
            }
            Step::Flush => self.store.flush().expect("a flush succeeds"),
            Step::Reopen => self.reopen(subject),
        }
    }

    /// Snapshots need not outlive their store, so they are compared first.
    fn reopen(&mut self, subject: &mut dyn Subject) {
        for (snapshot, then) in self.snapshots.drain(..) {
            then.assert_equals(snapshot.as_ref());
        }
        self.batch = Batch::new();
        let store = std::mem::replace(&mut self.store, Box::new(super::MemoryStore::new()));
        self.store = subject.reopen(store);
        self.committed.assert_equals(&*self.store);
    }

    fn compare(&self, table: Table, range: KeyRange<'_>) {
        let mut overlaid = self.committed.clone();
        overlaid.apply(&self.batch);
        let view = View::new(&*self.store, &self.batch);
        for (model, reads) in [(&self.committed, &*self.store as &dyn Reads), (&overlaid, &view)] {
            let mut expected = model.range(table, range);
            assert_eq!(scan(reads, table, range, Direction::Forward), expected, "{range:?}");
            expected.reverse();
            assert_eq!(scan(reads, table, range, Direction::Backward), expected, "{range:?}");
            let first = reads.first(table, range, Direction::Backward).expect("a scan");
            assert_eq!(first.as_ref(), expected.first());
            for key in [range.0, range.1] {
                if let Bound::Included(key) | Bound::Excluded(key) = key {
                    assert_eq!(get(reads, table, key), model.get(table, key));
                }
            }
        }
    }
}

impl Model {
    fn apply(&mut self, batch: &Batch) {
        for (table, key, change) in batch.iter() {
            let entries = self.0.entry(table).or_default();
            match change {
                Change::Put(value) => entries.insert(key.to_vec(), value.clone()),
                Change::Delete => entries.remove(key),
            };
        }
    }

    fn get(&self, table: Table, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(&table)?.get(key).cloned()
    }

    fn range(&self, table: Table, range: KeyRange<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let entries = self.0.get(&table).into_iter().flatten().filter(|(key, _)| holds(range, key));
        entries.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    fn assert_equals(&self, reads: &dyn Reads) {
        for table in Table::ALL {
            let expected = self.range(table, EVERY_KEY);
            assert_eq!(scan(reads, table, EVERY_KEY, Direction::Forward), expected, "{table:?}");
            for (key, value) in expected {
                assert_eq!(get(reads, table, &key), Some(value), "{table:?}");
            }
        }
    }
}

/// Whether `key` is in `range`, worked out from the meaning of bounds alone.
fn holds(range: KeyRange<'_>, key: &[u8]) -> bool {
    let after_start = match range.0 {
        Bound::Included(start) => key >= start,
        Bound::Excluded(start) => key > start,
        Bound::Unbounded => true,
    };
    let before_end = match range.1 {
        Bound::Included(end) => key <= end,
        Bound::Excluded(end) => key < end,
        Bound::Unbounded => true,
    };
    let held = after_start && before_end;
    assert!(!(held && is_inverted(range)), "{range:?} holds {key:?} and so is not inverted");
    held
}

fn commit(store: &mut dyn Store, durability: Durability, puts: &[(Table, &[u8], &[u8])]) {
    let mut batch = Batch::new();
    for (table, key, value) in puts {
        batch.put(*table, *key, *value);
    }
    store.commit(batch, durability).expect("a commit succeeds");
}

fn get(reads: &dyn Reads, table: Table, key: &[u8]) -> Option<Vec<u8>> {
    let value = reads.get(table, key).expect("a read succeeds");
    assert_eq!(reads.contains(table, key).expect("a read succeeds"), value.is_some());
    value
}

fn keys(reads: &dyn Reads, table: Table, range: KeyRange<'_>, direction: Direction) -> Vec<Vec<u8>> {
    scan(reads, table, range, direction).into_iter().map(|(key, _)| key).collect()
}

fn scan(
    reads: &dyn Reads,
    table: Table,
    range: KeyRange<'_>,
    direction: Direction,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut entries = Vec::new();
    let collect = &mut |key: &[u8], value: &[u8]| {
        entries.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    reads.scan(table, range, direction, collect).expect("a scan succeeds");
    entries
}
