use std::ops::Bound;

use proptest::prelude::*;

use super::{
    Durability, MemoryStore, Store, Table,
    conformance::{Step, Subject, agrees_with_the_model, every_rule},
    prefix_end,
};

struct InMemory;

impl Subject for InMemory {
    fn fresh(&mut self) -> Box<dyn Store> {
        Box::new(MemoryStore::new())
    }

    fn reopen(&mut self, store: Box<dyn Store>) -> Box<dyn Store> {
        store
    }
}

#[test]
fn the_memory_store_keeps_every_rule() {
    every_rule(&mut InMemory);
}

#[test]
fn a_prefix_of_greatest_bytes_has_no_end() {
    assert_eq!(prefix_end(b""), None);
    assert_eq!(prefix_end(b"\xff\xff"), None);
    assert_eq!(prefix_end(b"a\xff"), Some(b"b".to_vec()));
}

#[test]
fn table_numbers_never_change() {
    let numbers = Table::ALL.map(Table::number);
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    assert_eq!((Table::Meta.number(), Table::Log.number(), Table::Known.number()), (0, 2, 12));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_memory_store_agrees_with_the_model(steps in proptest::collection::vec(step(), 0..60)) {
        agrees_with_the_model(&mut InMemory, &steps);
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (table(), key(), key()).prop_map(|(table, key, value)| Step::Put(table, key, value)),
        3 => (table(), key()).prop_map(|(table, key)| Step::Delete(table, key)),
        3 => (table(), bound(), bound()).prop_map(|(table, start, end)| Step::Scan(table, start, end)),
        2 => prop_oneof![Just(Durability::Durable), Just(Durability::Fast)].prop_map(Step::Commit),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ]
}

fn table() -> impl Strategy<Value = Table> {
    prop_oneof![Just(Table::Meta), Just(Table::Log), Just(Table::Known)]
}

/// Few and short, so that steps meet at the same keys.
fn key() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![Just(0), Just(b'a'), Just(0xff)], 0..4)
}

fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![
        3 => key().prop_map(Bound::Included),
        3 => key().prop_map(Bound::Excluded),
        1 => Just(Bound::Unbounded),
    ]
}
