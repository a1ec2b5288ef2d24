//! The redb store keeps every rule of the port, on a file and on a simulated disk.

use std::ops::Bound;

use proptest::prelude::*;
use reknit_engine::store::{
    Durability, Store, Table,
    conformance::{Step, Subject, agrees_with_the_model, every_rule},
};
use reknit_sim::disk::SimulatedDisk;
use reknit_store::{Options, RedbStore};
use tempfile::TempDir;

/// Stores on files of a folder that goes away with it.
struct OnFiles {
    folder: TempDir,
    made: u32,
    options: Options,
}

/// Stores on simulated disks, the current one kept for reopening.
struct OnSimulatedDisks(SimulatedDisk);

impl OnFiles {
    fn new(options: Options) -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), made: 0, options }
    }

    fn open(&self) -> Box<dyn Store> {
        let path = self.folder.path().join(format!("{}.redb", self.made));
        Box::new(RedbStore::open(path, self.options).expect("the store opens"))
    }
}

impl Subject for OnFiles {
    fn fresh(&mut self) -> Box<dyn Store> {
        self.made += 1;
        self.open()
    }

    fn reopen(&mut self, store: Box<dyn Store>) -> Box<dyn Store> {
        drop(store);
        self.open()
    }
}

impl OnSimulatedDisks {
    fn open(&self) -> Box<dyn Store> {
        Box::new(self.0.open().expect("the store opens"))
    }
}

impl Subject for OnSimulatedDisks {
    fn fresh(&mut self) -> Box<dyn Store> {
        self.0 = SimulatedDisk::new(0);
        self.open()
    }

    fn reopen(&mut self, store: Box<dyn Store>) -> Box<dyn Store> {
        drop(store);
        self.open()
    }
}

#[test]
fn the_redb_store_keeps_every_rule_on_a_file() {
    every_rule(&mut OnFiles::new(Options::default()));
}

#[test]
fn the_redb_store_keeps_every_rule_on_a_simulated_disk() {
    every_rule(&mut OnSimulatedDisks(SimulatedDisk::new(0)));
}

#[test]
fn the_redb_store_keeps_every_rule_with_no_cache_at_all() {
    every_rule(&mut OnFiles::new(Options { cache_bytes: 0 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_redb_store_agrees_with_the_model(steps in proptest::collection::vec(step(), 0..60)) {
        agrees_with_the_model(&mut OnSimulatedDisks(SimulatedDisk::new(0)), &steps);
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (table(), key(), value()).prop_map(|(table, key, value)| Step::Put(table, key, value)),
        3 => (table(), key()).prop_map(|(table, key)| Step::Delete(table, key)),
        3 => (table(), bound(), bound()).prop_map(|(table, start, end)| Step::Scan(table, start, end)),
        2 => prop_oneof![Just(Durability::Durable), Just(Durability::Fast)].prop_map(Step::Commit),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ]
}

/// The one with a tree of its own, and three that are neighbours in the shared one.
fn table() -> impl Strategy<Value = Table> {
    prop_oneof![Just(Table::Log), Just(Table::Meta), Just(Table::Spaces), Just(Table::Known)]
}

/// Few and short, so that steps meet at the same keys.
fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![Just(0), Just(b'a'), Just(0xff)], 0..4)
}

/// Some longer than a page.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![8 => proptest::collection::vec(any::<u8>(), 0..40), 1 => Just(vec![7; 9_000])]
}

fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![
        3 => key().prop_map(Bound::Included),
        3 => key().prop_map(Bound::Excluded),
        1 => Just(Bound::Unbounded),
    ]
}
