//! Real records, a real journal's changes, and stores to which something happened.

use reknit_engine::store::Table;
use reknit_sync::Frontier;

use super::decoders::store::{entries, written};
use super::{Seed, seed};

pub(super) fn seeds() -> Vec<Seed> {
    let mut seeds = vec![
        seed("record", "receipt", record(Table::Receipts, &[1; 36], &receipt())),
        seed("record", "held", record(Table::Held, &held_key(b"a frame"), b"a frame")),
        seed("record", "fork", record(Table::Evidence, &[&[0, 0, 0, 1, 1], &[7; 40][..]].concat(), &[8; 64])),
        seed(
            "record",
            "void",
            record(Table::Evidence, &[&[0, 0, 0, 1, 2], &[0; 12][..]].concat(), b"too long"),
        ),
        seed("damaged_store", "whole", []),
        seed("journal", "nothing", [0]),
        seed("journal", "zeros", [0xff; 64]),
    ];
    let mut changes = vec![0];
    for table in Table::ALL {
        let names = NAMES.get(usize::from(table.number())).into_iter().copied().flatten();
        for ((nth, (key, value)), name) in (0..).zip(entries(written(), table)).zip(names) {
            seeds.push(seed("record", name, record(table, &key, &value)));
            seeds.push(seed("damaged_store", name, [table.number(), nth, SAME, 1, 0]));
            changes.extend(change(table, &key, &value));
        }
    }
    changes.extend(deletion(Table::Known, b"nobody"));
    seeds.push(seed("journal", "changes", changes));
    seeds
}

/// The bytes of a record as its decoder takes them.
fn record(table: Table, key: &[u8], value: &[u8]) -> Vec<u8> {
    [&[table.number(), key.len() as u8], key, value].concat()
}

fn change(table: Table, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut change = vec![table.number()];
    change.extend_from_slice(&(key.len() as u16).to_le_bytes());
    change.extend_from_slice(&(value.len() as u32).to_le_bytes());
    change.extend_from_slice(key);
    change.extend_from_slice(value);
    change
}

fn deletion(table: Table, key: &[u8]) -> Vec<u8> {
    let mut change = change(table, key, &[]);
    change[3..7].fill(0xff);
    change
}

fn receipt() -> Vec<u8> {
    [&[1, 9][..], &[2; 32], &[3; 64], &Frontier::default().encode()].concat()
}

fn held_key(frame: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 1][..], &[0; 8], blake3::hash(frame).as_bytes()].concat()
}

/// For a record that is changed by nothing.
const SAME: u8 = 1;

/// What the first records of each table are called.
const NAMES: [&[&str]; 13] = [
    &[],
    &["state", "keys", "membership"],
    &["segment", "segment-2"],
    &["author"],
    &["run"],
    &["tips"],
    &["row-apart", "row", "row-deleted"],
    &["cell", "cell-2", "cell-3"],
    &["delta", "delta-2", "delta-3", "delta-4"],
    &[],
    &[],
    &[],
    &[],
];
