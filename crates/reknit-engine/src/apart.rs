//! Rows too large for one record: their cells lie apart, a record each, so that an edit writes what it changes and no
//! row outgrows the store, whatever members put into an entity.
//!
//! The records are in `Snapshots`, where texts and documents have theirs. For these a cell is how far they are folded.

use crate::error::EngineError;
use crate::layout::{CellKey, RowKey, cell_record_key, parse_cell_record_key};
use crate::row::{Cell, Row};
use crate::store::{Batch, Direction, Reads, Table};
use std::ops::ControlFlow;

impl Row {
    /// Puts the row into the batch. One that has grown too large for one record is taken apart for good; of its cells it
    /// then keeps none at hand.
    pub(crate) fn put(&mut self, key: &RowKey, batch: &mut Batch) {
        let mut record = self.encode();
        if record.len() > ROW_BYTES_MAX && !self.apart {
            self.apart = true;
            record = self.encode();
        }
        batch.put(Table::Rows, key.bytes(), record);
        if self.apart {
            for ((field, kind), cell) in std::mem::take(&mut self.cells) {
                batch.put(Table::Snapshots, cell_record_key(key, &field, kind), cell.encode());
            }
        }
    }

    /// Fetches the cells of a row that is taken apart.
    pub(crate) fn gather(&mut self, reads: &dyn Reads, key: &RowKey) -> Result<(), EngineError> {
        if !self.apart {
            return Ok(());
        }
        let mut damaged = None;
        let prefix = key.bytes();
        reads.scan_prefix(Table::Snapshots, &prefix, Direction::Forward, &mut |record_key, record| {
            let Some((field, kind)) = parse_cell_record_key(&record_key[prefix.len()..]) else {
                return ControlFlow::Continue(());
            };
            match Cell::decode(kind, record) {
                Ok(cell) => _ = self.cells.insert((field, kind), cell),
                Err(error) => damaged = Some(error),
            }
            if damaged.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        damaged.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// A cell of a row that is taken apart.
pub(crate) fn load_cell(reads: &dyn Reads, key: &CellKey) -> Result<Option<Cell>, EngineError> {
    let mut cell = None;
    let record_key = cell_record_key(&key.row, &key.field, key.kind);
    reads.with(Table::Snapshots, &record_key, &mut |record| cell = Some(Cell::decode(key.kind, record)))?;
    Ok(cell.transpose()?)
}

/// Bytes of a row in one record. An event may touch tens of thousands of rows, which are all written with it.
pub(crate) const ROW_BYTES_MAX: usize = 2 * 1024;
