//! Whether what a store holds is what the engine writes there.

use crate::cells::{Live, decode_delta};
use crate::contested::{CONTESTED, IN_LOG};
use crate::error::EngineError;
use crate::layout::{
    EVIDENCE_FORK, EVIDENCE_VOID, is_saved_apart, parse_row_key, split_cell_key, split_row_key,
};
use crate::log::parse_run;
use crate::receipt::StoredReceipt;
use crate::row::{Cell, Row};
use crate::space::{check_space_record, check_tips};
use crate::store::{Direction, Reads, Table};
use reknit_sync::Segment;
use std::ops::ControlFlow;

/// Checks every record of a store by itself, and says how many there are. It reads the whole store, and neither verifies
/// events nor compares records with one another.
///
/// # Errors
/// [`EngineError::Damaged`] for the first record that the engine did not write so, [`EngineError::Store`].
pub fn check_store(reads: &dyn Reads) -> Result<u64, EngineError> {
    let mut records = 0;
    for table in Table::ALL {
        let mut damaged = None;
        reads.scan_prefix(table, &[], Direction::Forward, &mut |key, value| {
            records += 1;
            damaged = check_record(table, key, value).err();
            if damaged.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        if let Some(error) = damaged {
            return Err(error);
        }
    }
    Ok(records)
}

/// Whether a record is one that the engine may have written: its key and its value each read as what the table holds. Those
/// of [`Table::Meta`] and [`Table::Known`] are not the engine's, and always are.
///
/// # Errors
/// [`EngineError::Damaged`].
pub fn check_record(table: Table, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
    let checked = match table {
        Table::Meta | Table::Known => Ok(true),
        Table::Spaces => match key {
            [_, _, _, _, kind] => check_space_record(*kind, value).map(|()| true),
            _ => Ok(false),
        },
        Table::Log => Segment::decode(value).map(|_| key.len() == 12).map_err(EngineError::from),
        Table::Authors => Ok(key.len() == 8 && value.len() == 32),
        Table::Runs => parse_run(key, value).map(|_| key.len() == 24).map_err(EngineError::from),
        Table::Frontier => check_tips(value).map(|()| key.len() == 8),
        Table::Rows => Row::decode(value).map(|_| parse_row_key(key).is_some()).map_err(EngineError::from),
        Table::Snapshots => check_snapshot(key, value),
        Table::Deltas => check_delta(key, value),
        Table::Held => Ok(check_held(key, value)),
        Table::Evidence => Ok(check_evidence(key, value)),
        Table::Receipts => StoredReceipt::decode(value).map(|_| key.len() == 36).map_err(EngineError::from),
    };
    let damaged = |what: &str| EngineError::Damaged(format!("a record of the table {table:?}: {what}"));
    match checked {
        Ok(true) => Ok(()),
        Ok(false) => Err(damaged("nothing wrote it so")),
        Err(error) => Err(damaged(&error.to_string())),
    }
}

/// A saved text or document, or a cell that lies apart from its row.
fn check_snapshot(key: &[u8], value: &[u8]) -> Result<bool, EngineError> {
    let Some((_, rest)) = split_row_key(key) else { return Ok(false) };
    let Some((_, kind, rest)) = split_cell_key(rest) else { return Ok(false) };
    match (is_saved_apart(kind), rest) {
        (true, []) if value == CONTESTED || value == IN_LOG => Ok(true),
        (true, []) => Live::load(kind, Some(value)).map(|_| true),
        (true, [0]) | (false, []) => Ok(Cell::decode(kind, value).map(|_| true)?),
        _ => Ok(false),
    }
}

fn check_delta(key: &[u8], value: &[u8]) -> Result<bool, EngineError> {
    let Some((_, rest)) = split_row_key(key) else { return Ok(false) };
    let Some((_, kind, place)) = split_cell_key(rest) else { return Ok(false) };
    decode_delta(value)?;
    Ok(is_saved_apart(kind) && place.len() == 12)
}

/// What is held is named by its hash.
fn check_held(key: &[u8], value: &[u8]) -> bool {
    key.len() == 44 && key.ends_with(blake3::hash(value).as_bytes())
}

/// The ids of a fork, or why an operation is void.
fn check_evidence(key: &[u8], value: &[u8]) -> bool {
    match (key.get(4), key.len()) {
        (Some(&EVIDENCE_FORK), 45) => !value.is_empty() && value.len().is_multiple_of(32),
        (Some(&EVIDENCE_VOID), 17) => str::from_utf8(value).is_ok(),
        _ => false,
    }
}
