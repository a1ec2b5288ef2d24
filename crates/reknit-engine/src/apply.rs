//! What an event does to the rows and fields of its space.

use crate::cells::{Cells, encode_delta};
use crate::error::EngineError;
use crate::layout::{CellKey, RowKey, SpaceNo, void_key};
use crate::row::{Cell, Verdict};
use crate::store::{Batch, Reads, Table, View};
use reknit_crdt::limits::DOCUMENT_OPS_MAX;
use reknit_crdt::{Crdt, Edit, Origin, Place};
use reknit_types::{CrdtKind, EntityEdit, EntityId, Name, Op, Transaction};
use std::collections::BTreeSet;

/// What one event did to one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityChange {
    /// The collection it lives in.
    pub collection: Name,
    /// The entity.
    pub id: EntityId,
    /// Fields that were edited, each once.
    pub fields: Vec<Name>,
    /// What else happened to it.
    pub what: What,
}

/// What an event did to an entity as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It was created.
    Created,
    /// Its fields were edited.
    Updated,
    /// It was deleted.
    Deleted,
    /// It was restored.
    Restored,
}

/// The event whose operations are applied, and its place in the log.
pub(crate) struct Applying<'a> {
    pub(crate) space: SpaceNo,
    pub(crate) origin: Origin,
    pub(crate) index: u64,
    /// None for an event of this device: its deltas were checked before it was written.
    pub(crate) budget: Option<Budget>,
    pub(crate) cells: &'a mut Cells,
    pub(crate) reads: &'a dyn Reads,
    pub(crate) batch: &'a mut Batch,
}

impl Applying<'_> {
    /// Applies a transaction. An operation that is void changes nothing and is listed with why.
    pub(crate) fn transaction(
        &mut self,
        transaction: &Transaction,
    ) -> Result<Vec<EntityChange>, EngineError> {
        let mut number = 0;
        let mut changes = Vec::with_capacity(transaction.edits.len());
        for edit in &transaction.edits {
            changes.extend(self.entity(edit, &mut number)?);
        }
        Ok(changes)
    }

    /// What happened to one entity; none if all of it is void.
    fn entity(&mut self, edit: &EntityEdit, number: &mut u32) -> Result<Option<EntityChange>, EngineError> {
        let key = RowKey { space: self.space, collection: edit.collection.clone(), entity: edit.entity };
        let (mut what, mut touched) = (What::Updated, false);
        let (mut fields, mut seen) = (vec![], BTreeSet::new());
        for op in &edit.ops {
            let at = *number;
            *number += 1;
            if let Err(why) = self.judge(edit.entity, op) {
                self.note_void(at, why);
                continue;
            }
            touched = true;
            what = self.lifecycle(&key, op)?.unwrap_or(what);
            if let Op::Edit { field, kind, delta } = op {
                let cell = CellKey { row: key.clone(), field: field.clone(), kind: *kind };
                self.edit(&cell, delta, at)?;
                if seen.insert(field) {
                    fields.push(field.clone());
                }
            }
        }
        let change = || EntityChange { collection: edit.collection.clone(), id: edit.entity, fields, what };
        Ok(touched.then(change))
    }

    /// Whether an operation has an effect, as far as its event alone tells; if not, why. What is void must leave no trace,
    /// neither a row nor a cell, or it would hide the other kinds of its field.
    fn judge(&mut self, entity: EntityId, op: &Op) -> Result<(), String> {
        let Op::Edit { field, kind, delta } = op else { return Ok(()) };
        let (place, edit) = (Place { entity, field }, Edit { origin: self.origin, delta });
        match (kind, &mut self.budget) {
            (CrdtKind::Register | CrdtKind::Counter, _) => {
                reknit_crdt::check(*kind, &place, &edit).map_err(|void| void.to_string())
            }
            (CrdtKind::Text | CrdtKind::Document, Some(left)) => left.admit(*kind, &place, &edit),
            (CrdtKind::Text | CrdtKind::Document, None) => Ok(()),
        }
    }

    fn lifecycle(&mut self, key: &RowKey, op: &Op) -> Result<Option<What>, EngineError> {
        let Origin { stamp, event, .. } = self.origin;
        let view = View::new(self.reads, self.batch);
        let row = self.cells.row_mut(&view, key)?;
        let verdict = |deleted| Verdict { stamp, event, deleted };
        Ok(match op {
            Op::Create => {
                row.touch(stamp);
                Some(What::Created)
            }
            Op::Edit { .. } => {
                row.touch(stamp);
                None
            }
            Op::Delete => {
                row.judge(verdict(true));
                Some(What::Deleted)
            }
            Op::Restore => {
                row.judge(verdict(false));
                Some(What::Restored)
            }
        })
    }

    fn edit(&mut self, cell: &CellKey, delta: &[u8], number: u32) -> Result<(), EngineError> {
        let place = Place { entity: cell.row.entity, field: &cell.field };
        let view = View::new(self.reads, self.batch);
        let applied = match cell.kind {
            CrdtKind::Register | CrdtKind::Counter => match self.cells.cell_mut(&view, cell)? {
                Cell::Register(register) => register.apply(&place, &self.origin, delta),
                Cell::Counter(counter) => counter.apply(&place, &self.origin, delta),
                Cell::Folded(_) => Ok(reknit_crdt::Applied::Known),
            },
            CrdtKind::Text | CrdtKind::Document => {
                let record = encode_delta(&self.origin, delta);
                return self.cells.append_delta((self.reads, self.batch), cell, (self.index, number), record);
            }
        };
        applied
            .map(drop)
            .map_err(|void| EngineError::Damaged(format!("a delta that was fit is void: {void}")))
    }

    fn note_void(&mut self, number: u32, why: String) {
        self.batch.put(Table::Evidence, void_key(self.space, self.index, number), why.into_bytes());
    }
}

/// What the texts and documents of one event may still cost to merge. What does not fit is void, as is what is void by
/// itself: both follow from the event alone, so they are decided the same way by whoever writes it and whoever gets it.
#[derive(Debug)]
pub(crate) struct Budget(u64);

impl Budget {
    /// Of one event.
    pub(crate) const WHOLE: Self = Self(DOCUMENT_OPS_MAX);

    /// Whether the delta has an effect; if not, why.
    pub(crate) fn admit(&mut self, kind: CrdtKind, place: &Place<'_>, edit: &Edit<'_>) -> Result<(), String> {
        let left = self.0.checked_sub(reknit_crdt::cost(kind, edit.delta));
        let too_much = || format!("the edits of one event hold more than {DOCUMENT_OPS_MAX} operations");
        let left = left.ok_or_else(too_much)?;
        reknit_crdt::check(kind, place, edit).map_err(|void| void.to_string())?;
        self.0 = left;
        Ok(())
    }
}
