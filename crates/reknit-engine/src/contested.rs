//! Contested texts and documents: a liar put two edits at one place of one identity, so their value is what all their
//! deltas make in canonical order (see `reknit_crdt::rebuild`).
//!
//! The first time a field is found to be contested, all its deltas are gathered from the log, once, and from then on they
//! stay in `Deltas`; a mark takes the place of the snapshot.

use crate::cells::{Live, decode_delta, encode_delta};
use crate::error::EngineError;
use crate::layout::{CellKey, RowKey, delta_place, void_key};
use crate::log::{LogReader, opened};
use crate::space::SpaceState;
use crate::store::{Direction, Reads, Table};
use reknit_crdt::{Edit, Origin, Place};
use reknit_types::{Op, Transaction, VerifiedEvent};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Stands in `Snapshots` for a contested field. No saved state is as short.
pub(crate) const CONTESTED: &[u8] = &[0];

/// As [`CONTESTED`], for a field that has too many deltas to gather: they are read from the log every time.
pub(crate) const IN_LOG: &[u8] = &[1];

/// Deltas by their place: index of the event, number of the operation.
type Records = BTreeMap<(u64, u32), Vec<u8>>;

/// What deltas in the log are shown to: field, place, record.
type Show<'a> = dyn FnMut(&CellKey, (u64, u32), Vec<u8>) + 'a;

/// The deltas of the field that are in `Deltas`.
pub(crate) fn kept(reads: &dyn Reads, key: &CellKey) -> Result<Records, EngineError> {
    let mut records = Records::new();
    let mut whole = true;
    reads.scan_prefix(Table::Deltas, &key.bytes(), Direction::Forward, &mut |key, record| {
        match delta_place(key) {
            Some(place) => _ = records.insert(place, record.to_vec()),
            None => whole = false,
        }
        ControlFlow::Continue(())
    })?;
    if whole { Ok(records) } else { Err(EngineError::Damaged("a delta's key".to_owned())) }
}

/// The field that these, which are all its deltas, make.
pub(crate) fn rebuild(key: &CellKey, records: &Records) -> Result<Live, EngineError> {
    let mut edits = Vec::with_capacity(records.len());
    for record in records.values() {
        let (origin, delta) = decode_delta(record)?;
        edits.push(Edit { origin, delta });
    }
    let place = Place { entity: key.row.entity, field: &key.field };
    Live::load(key.kind, Some(&reknit_crdt::rebuild(key.kind, &place, &edits).save()))
}

/// The field made of all its deltas, found by reading the whole log: until the engine has put them in place, and for
/// good if they are too many.
pub(crate) fn rebuild_from_log(reads: &dyn Reads, key: &CellKey) -> Result<Live, EngineError> {
    let (id, keys) = SpaceState::identity(reads, key.row.space)?;
    let reader = LogReader { reads, space: key.row.space, id, keys: &keys, live: None };
    // What was committed in this round is in the table, and not in the log yet.
    let mut records = kept(reads, key)?;
    gather(&reader, &BTreeSet::from([key.clone()]), &mut |_, place, record| {
        records.insert(place, record);
    })?;
    rebuild(key, &records)
}

/// Shows every delta of these fields in the log, but for those that were found to be void by themselves.
pub(crate) fn gather(
    reader: &LogReader<'_>,
    keys: &BTreeSet<CellKey>,
    show: &mut Show<'_>,
) -> Result<(), EngineError> {
    let mut failed = None;
    reader.each(&mut |index, event| {
        let transaction = opened(event).map(Transaction::decode);
        if let Some(Ok(transaction)) = transaction {
            each_delta(reader, event, &transaction, &mut |key, number, delta| {
                if !keys.contains(key) {
                    return;
                }
                match reader.reads.get(Table::Evidence, &void_key(reader.space, index, number)) {
                    Ok(None) => show(key, (index, number), delta),
                    Ok(Some(_)) => {}
                    Err(error) => failed = Some(error),
                }
            });
        }
    })?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

fn each_delta(
    reader: &LogReader<'_>,
    event: &VerifiedEvent,
    transaction: &Transaction,
    show: &mut dyn FnMut(&CellKey, u32, Vec<u8>),
) {
    let header = event.header();
    let origin = Origin { author: header.author, stamp: header.stamp, event: event.id() };
    let mut number = 0;
    for edit in &transaction.edits {
        let row = RowKey { space: reader.space, collection: edit.collection.clone(), entity: edit.entity };
        for op in &edit.ops {
            if let Op::Edit { field, kind, delta } = op {
                let key = CellKey { row: row.clone(), field: field.clone(), kind: *kind };
                show(&key, number, encode_delta(&origin, delta));
            }
            number += 1;
        }
    }
}
