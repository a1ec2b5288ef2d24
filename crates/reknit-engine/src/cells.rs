//! Rows and open fields: what the engine keeps at hand of what the store holds.
//!
//! A text or document is a snapshot and the deltas that came since. Deltas are appended when events are admitted and
//! folded in bulk when the field is read or too many have gathered. A field that is open follows its deltas.

use crate::apart::{ROW_BYTES_MAX, load_cell};
use crate::contested::{self, CONTESTED, IN_LOG};
use crate::error::EngineError;
use crate::layout::{CellKey, RowKey, SpaceNo, delta_place};
use crate::log::LogReader;
use crate::lru::Lru;
use crate::row::{Cell, Folding, Row};
use crate::store::{Batch, Direction, Reads, Table, VALUE_BYTES_MAX, View};
use reknit_crdt::{Crdt, Document, Edit, Origin, Place, Text};
use reknit_types::{CrdtKind, DeviceId, EventId, Op, Reader, Stamp, Transaction, Writer};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

/// An open text or document.
#[derive(Debug)]
pub(crate) enum Live {
    Text(Box<Text>),
    Document(Box<Document>),
}

impl Live {
    pub(crate) fn load(kind: CrdtKind, saved: Option<&[u8]>) -> Result<Self, EngineError> {
        let damaged = |error: reknit_crdt::LoadError| EngineError::Damaged(error.to_string());
        Ok(match (kind, saved) {
            (CrdtKind::Document, None) => Self::Document(Box::default()),
            (CrdtKind::Document, Some(saved)) => {
                Self::Document(Box::new(Document::load(saved).map_err(damaged)?))
            }
            (_, None) => Self::Text(Box::default()),
            (_, Some(saved)) => Self::Text(Box::new(Text::load(saved).map_err(damaged)?)),
        })
    }

    pub(crate) fn crdt(&self) -> &dyn Crdt {
        match self {
            Self::Text(text) => &**text,
            Self::Document(document) => &**document,
        }
    }

    pub(crate) fn crdt_mut(&mut self) -> &mut dyn Crdt {
        match self {
            Self::Text(text) => &mut **text,
            Self::Document(document) => &mut **document,
        }
    }

    /// What this device did to the field since the last call, as one delta.
    pub(crate) fn take_delta(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => text.take_delta(),
            Self::Document(document) => document.take_delta(),
        }
    }
}

/// An open field and how far it has followed its deltas.
#[derive(Debug)]
pub(crate) struct OpenField {
    pub(crate) live: Live,
    /// The next delta it has not seen: index of the event, number of the operation.
    pub(crate) next: (u64, u32),
    /// Whether it is contested, and that is not noted in the store yet.
    pub(crate) unsettled: bool,
}

/// Where a transaction finds what it touches: the engine's cells, or a snapshot of the store.
pub(crate) trait CellSource {
    /// A copy of the row; an empty one for an entity never seen.
    fn row(&mut self, key: &RowKey) -> Result<Row, EngineError>;
    /// The field, for exclusive use. The source may hand out the one it keeps; it comes back only if the transaction
    /// commits.
    fn open(&mut self, key: &CellKey) -> Result<OpenField, EngineError>;
}

/// Cells as they are in one state of the store.
pub(crate) struct StoredCells<'a>(pub(crate) &'a dyn Reads);

impl CellSource for StoredCells<'_> {
    fn row(&mut self, key: &RowKey) -> Result<Row, EngineError> {
        Ok(load_row(self.0, key)?.unwrap_or_default())
    }

    fn open(&mut self, key: &CellKey) -> Result<OpenField, EngineError> {
        load_field(self.0, key)
    }
}

/// The row of an entity, if it was ever seen, with all its cells.
fn load_row(reads: &dyn Reads, key: &RowKey) -> Result<Option<Row>, EngineError> {
    let mut row = stored_row(reads, key)?;
    row.iter_mut().try_for_each(|row| row.gather(reads, key))?;
    Ok(row)
}

/// The row of an entity, if it was ever seen, without the cells that lie apart.
pub(crate) fn stored_row(reads: &dyn Reads, key: &RowKey) -> Result<Option<Row>, EngineError> {
    let mut row = None;
    reads.with(Table::Rows, &key.bytes(), &mut |bytes| row = Some(Row::decode(bytes)))?;
    Ok(row.transpose()?)
}

/// Opens a text or document: its snapshot, then all deltas since. A contested one is made anew of all its deltas.
pub(crate) fn load_field(reads: &dyn Reads, key: &CellKey) -> Result<OpenField, EngineError> {
    let saved = reads.get(Table::Snapshots, &key.bytes())?;
    if saved.as_deref() == Some(IN_LOG) {
        let live = contested::rebuild_from_log(reads, key)?;
        return Ok(OpenField { live, next: (0, 0), unsettled: false });
    }
    if saved.as_deref() == Some(CONTESTED) {
        let live = contested::rebuild(key, &contested::kept(reads, key)?)?;
        return Ok(OpenField { live, next: (0, 0), unsettled: false });
    }
    let live = Live::load(key.kind, saved.as_deref())?;
    let mut field = OpenField { live, next: (0, 0), unsettled: false };
    follow(reads, key, &mut field)?;
    if field.live.crdt().is_contested() {
        (field.live, field.unsettled) = (contested::rebuild_from_log(reads, key)?, true);
    }
    Ok(field)
}

/// Applies the deltas that the field has not seen.
fn follow(reads: &dyn Reads, key: &CellKey, field: &mut OpenField) -> Result<(), EngineError> {
    let (from, to) = (key.delta_bytes(field.next.0, field.next.1), key.delta_bytes(u64::MAX, u32::MAX));
    let mut records = vec![];
    let range = (Bound::Included(from.as_slice()), Bound::Included(to.as_slice()));
    reads.scan(Table::Deltas, range, Direction::Forward, &mut |key, value| {
        records.push((delta_place(key), value.to_vec()));
        ControlFlow::Continue(())
    })?;
    if records.is_empty() {
        return Ok(());
    }
    let mut edits = vec![];
    for (place, record) in &records {
        let (index, op) = place.ok_or_else(|| EngineError::Damaged("a delta's key".to_owned()))?;
        let (origin, delta) = decode_delta(record)?;
        edits.push(Edit { origin, delta });
        field.next = (index, op + 1);
    }
    let at = Place { entity: key.row.entity, field: &key.field };
    for answer in field.live.crdt_mut().apply_all(&at, &edits) {
        if let Err(void) = answer {
            tracing::debug!(field = %key.field, entity = %key.row.entity, %void, "a delta has no effect");
        }
    }
    Ok(())
}

/// The record in `Deltas`.
pub(crate) fn encode_delta(origin: &Origin, delta: &[u8]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(80 + delta.len());
    writer.raw(origin.author.as_bytes()).raw(&origin.stamp.to_u128().to_be_bytes());
    writer.raw(origin.event.as_bytes()).raw(delta);
    writer.into_bytes()
}

pub(crate) fn decode_delta(record: &[u8]) -> Result<(Origin, &[u8]), EngineError> {
    let mut reader = Reader::new(record);
    let author = DeviceId::decode(&mut reader)?;
    let stamp = Stamp::from_u128(u128::from_be_bytes(reader.array("stamp")?));
    let event = EventId::decode(&mut reader)?;
    Ok((Origin { author, stamp, event }, reader.take_rest()))
}

/// Rows and fields at hand. Changed rows are written to the store when a round of the engine is settled.
#[derive(Debug)]
pub(crate) struct Cells {
    rows: Lru<RowKey, CachedRow>,
    changed: Vec<RowKey>,
    fields: Lru<CellKey, OpenField>,
    /// Enough deltas of these have gathered to fold them.
    unfolded: BTreeSet<CellKey>,
    /// These may be contested since this round.
    suspects: BTreeSet<CellKey>,
    /// These are, and the store does not know it yet.
    contested: BTreeSet<CellKey>,
}

#[derive(Debug)]
struct CachedRow {
    row: Row,
    changed: bool,
}

impl Cells {
    /// Forgets everything of a space.
    pub(crate) fn forget(&mut self, space: SpaceNo) {
        self.rows.retain(|row| row.space != space);
        self.changed.retain(|row| row.space != space);
        self.fields.retain(|cell| cell.row.space != space);
        for cells in [&mut self.unfolded, &mut self.suspects, &mut self.contested] {
            cells.retain(|cell| cell.row.space != space);
        }
    }

    pub(crate) fn new() -> Self {
        Self {
            rows: Lru::new(ROWS_MAX),
            changed: vec![],
            fields: Lru::new(FIELDS_MAX),
            unfolded: BTreeSet::new(),
            suspects: BTreeSet::new(),
            contested: BTreeSet::new(),
        }
    }

    /// A copy of the row with all its cells; an empty one for an entity never seen.
    pub(crate) fn row(&mut self, reads: &dyn Reads, key: &RowKey) -> Result<Row, EngineError> {
        match self.rows.get_mut(key) {
            Some(cached) if cached.row.apart => {
                let mut row = load_row(reads, key)?.unwrap_or_default();
                row.lifecycle = cached.row.lifecycle;
                row.cells.extend(cached.row.cells.clone());
                Ok(row)
            }
            Some(cached) => Ok(cached.row.clone()),
            None => Ok(load_row(reads, key)?.unwrap_or_default()),
        }
    }

    /// The row, to be changed; of its cells use [`Self::cell_mut`].
    pub(crate) fn row_mut(&mut self, reads: &dyn Reads, key: &RowKey) -> Result<&mut Row, EngineError> {
        if !self.rows.is_newest(key) && self.rows.get_mut(key).is_none() {
            let row = stored_row(reads, key)?.unwrap_or_default();
            self.rows.insert(key.clone(), CachedRow { row, changed: false });
        }
        let cached = self.rows.get_mut(key).expect("it was just put there");
        if !std::mem::replace(&mut cached.changed, true) {
            self.changed.push(key.clone());
        }
        Ok(&mut cached.row)
    }

    /// A cell of a row, to be changed.
    pub(crate) fn cell_mut(&mut self, reads: &dyn Reads, key: &CellKey) -> Result<&mut Cell, EngineError> {
        let row = self.row_mut(reads, &key.row)?;
        let place = (key.field.clone(), key.kind);
        let stored = if row.apart && !row.cells.contains_key(&place) { load_cell(reads, key)? } else { None };
        Ok(row.cells.entry(place).or_insert_with(|| stored.unwrap_or_else(|| Cell::new(key.kind))))
    }

    /// Bytes that rows changed since the last round may take in the batch.
    pub(crate) fn changed_bytes(&self) -> usize {
        self.changed.len() * ROW_BYTES_MAX
    }

    /// Appends a delta to a text or document.
    pub(crate) fn append_delta(
        &mut self,
        view: (&dyn Reads, &mut Batch),
        key: &CellKey,
        place: (u64, u32),
        record: Vec<u8>,
    ) -> Result<(), EngineError> {
        let (reads, batch) = view;
        let bytes = record.len() as u64;
        let cell = self.cell_mut(&View::new(reads, batch), key)?;
        if let Cell::Folded(folding) = cell {
            folding.deltas += 1;
            folding.delta_bytes += bytes;
            if folding.is_due() && self.unfolded.len() < UNFOLDED_MAX {
                self.unfolded.insert(key.clone());
            }
        }
        batch.put(Table::Deltas, key.delta_bytes(place.0, place.1), record);
        Ok(())
    }

    /// The field, opened or brought up to date, for exclusive use.
    pub(crate) fn take_field(&mut self, reads: &dyn Reads, key: &CellKey) -> Result<OpenField, EngineError> {
        let Some(mut field) = self.fields.remove(key) else { return load_field(reads, key) };
        follow(reads, key, &mut field)?;
        if field.live.crdt().is_contested() { load_field(reads, key) } else { Ok(field) }
    }

    /// Keeps a field open, unless it is contested: the next delta may then change what came before it.
    pub(crate) fn keep_field(&mut self, key: CellKey, field: OpenField) {
        if field.unsettled {
            self.contested.insert(key);
        } else if !field.live.crdt().is_contested() {
            self.fields.insert(key, field);
        }
    }

    /// The author of this transaction has forked its chain: what it edits may be contested now.
    pub(crate) fn suspect(&mut self, space: SpaceNo, transaction: &Transaction) {
        for edit in &transaction.edits {
            let row = RowKey { space, collection: edit.collection.clone(), entity: edit.entity };
            for op in &edit.ops {
                if let Op::Edit { field, kind: kind @ (CrdtKind::Text | CrdtKind::Document), .. } = op {
                    self.suspects.insert(CellKey { row: row.clone(), field: field.clone(), kind: *kind });
                }
            }
        }
    }

    /// Folds what is due, at most `count` fields.
    pub(crate) fn fold(
        &mut self,
        reads: &dyn Reads,
        batch: &mut Batch,
        count: usize,
    ) -> Result<(), EngineError> {
        for key in std::mem::take(&mut self.suspects) {
            let field = self.take_field(&View::new(reads, batch), &key)?;
            self.keep_field(key, field);
        }
        for _ in 0..count {
            let Some(key) = self.unfolded.pop_first() else { break };
            let view = View::new(reads, batch);
            let field = self.take_field(&view, &key)?;
            if !field.live.crdt().is_contested() {
                let saved = field.live.crdt().save();
                let cell = self.cell_mut(&view, &key)?;
                if saved.len() > SNAPSHOT_BYTES_MAX {
                    // It stays as it is, and so do the deltas to come.
                    *cell = Cell::Folded(Folding::NEVER);
                } else {
                    let snapshot_bytes = saved.len() as u64;
                    *cell = Cell::Folded(Folding { snapshot_bytes, deltas: 0, delta_bytes: 0 });
                    for delta in delta_keys(&view, &key)? {
                        batch.delete(Table::Deltas, delta);
                    }
                    batch.put(Table::Snapshots, key.bytes(), saved);
                }
            }
            self.keep_field(key, field);
        }
        Ok(())
    }

    /// Puts down in the store what was found to be contested: a mark, and all its deltas for good.
    pub(crate) fn settle_contested(
        &mut self,
        reader: &LogReader<'_>,
        batch: &mut Batch,
    ) -> Result<(), EngineError> {
        let keys: BTreeSet<CellKey> =
            self.contested.extract_if(.., |key| key.row.space == reader.space).collect();
        if keys.is_empty() {
            return Ok(());
        }
        let mut gathered: BTreeMap<CellKey, (usize, Batch)> = BTreeMap::new();
        contested::gather(reader, &keys, &mut |key, place, record| {
            let (bytes, deltas) = gathered.entry(key.clone()).or_default();
            *bytes += record.len();
            if *bytes <= SNAPSHOT_BYTES_MAX {
                deltas.put(Table::Deltas, key.delta_bytes(place.0, place.1), record);
            }
        })?;
        for key in keys {
            *self.cell_mut(reader.reads, &key)? = Cell::Folded(Folding::NEVER);
            let (bytes, deltas) = gathered.remove(&key).unwrap_or_default();
            let fits = bytes <= SNAPSHOT_BYTES_MAX && batch.bytes() + deltas.bytes() <= GATHERED_BYTES_MAX;
            batch.put(Table::Snapshots, key.bytes(), if fits { CONTESTED } else { IN_LOG });
            if fits {
                batch.append(deltas);
            }
        }
        Ok(())
    }

    /// Whether contested fields of the space are to be put down.
    pub(crate) fn has_contested(&self, space: SpaceNo) -> bool {
        self.contested.iter().any(|key| key.row.space == space)
    }

    /// Puts changed rows into the batch and forgets what was used longest ago.
    pub(crate) fn settle(&mut self, batch: &mut Batch) {
        for key in self.changed.drain(..) {
            if let Some(cached) = self.rows.get_mut(&key) {
                cached.row.put(&key, batch);
                cached.changed = false;
            }
        }
        self.rows.trim(|_| false);
        self.fields.trim(|_| false);
    }
}

fn delta_keys(reads: &dyn Reads, key: &CellKey) -> Result<Vec<Vec<u8>>, EngineError> {
    let mut keys = vec![];
    reads.scan_prefix(Table::Deltas, &key.bytes(), Direction::Forward, &mut |key, _| {
        keys.push(key.to_vec());
        ControlFlow::Continue(())
    })?;
    Ok(keys)
}

impl Folding {
    /// Never due: a contested field keeps all its deltas, and one that has outgrown the store its last snapshot.
    const NEVER: Self = Self { snapshot_bytes: u64::MAX, deltas: 0, delta_bytes: 0 };

    /// Folding rewrites the snapshot, so it waits until the deltas weigh as much: each byte is then rewritten a
    /// logarithmic number of times.
    fn is_due(&self) -> bool {
        self.deltas >= FOLD_DELTAS_MIN && self.delta_bytes >= self.snapshot_bytes.max(FOLD_BYTES_MIN)
    }
}

/// Bytes of a text's or document's snapshot, or of the gathered deltas of a contested one.
const SNAPSHOT_BYTES_MAX: usize = VALUE_BYTES_MAX;
/// Bytes of deltas of contested fields that are put down at once.
const GATHERED_BYTES_MAX: usize = 2 * SNAPSHOT_BYTES_MAX;
const ROWS_MAX: usize = 4096;
const FIELDS_MAX: usize = 64;
const UNFOLDED_MAX: usize = 1024;
const FOLD_DELTAS_MIN: u64 = 128;
const FOLD_BYTES_MIN: u64 = 64 * 1024;
