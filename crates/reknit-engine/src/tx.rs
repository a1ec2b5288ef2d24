//! Transactions: edits of many entities that become one event or none.
//!
//! A transaction works on a fork. Rows are copied and texts and documents are held exclusively from the first touch
//! until it ends, so positions and reads are of the state the transaction saw, and reads inside see its own writes.

mod entity;
mod field;
mod ran;

pub use entity::EntityMut;
pub use field::{DocumentMut, TextMut};
#[cfg(test)]
pub(crate) use ran::Touch;
pub(crate) use ran::{Ran, fits};

use crate::apply::Budget;
use crate::cells::{CellSource, OpenField};
use crate::error::TxError;
use crate::layout::{CellKey, RowKey, SpaceNo};
use crate::read::Entity;
use crate::row::{Cell, Row};
use rand_chacha::ChaCha20Rng;
use reknit_crdt::{Crdt, Edit, Identity, Origin, Place};
use reknit_types::limits::{TRANSACTION_ENTITIES_MAX, TRANSACTION_OPS_MAX};
use reknit_types::{CrdtKind, EntityEdit, EntityId, Name, Op, Transaction};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// What a transaction has seen and done so far.
#[derive(Debug, Default)]
pub struct TxState {
    rows: BTreeMap<RowKey, Row>,
    fields: BTreeMap<CellKey, OpenField>,
    edits: Vec<EntityEdit>,
    places: BTreeMap<RowKey, usize>,
    /// Operations in `edits`.
    ops: usize,
    /// The operations of which only the last counts, as they all have the stamp of the event: which entity, which
    /// register or counter (none for deletions and restorations), and where among the entity's operations.
    last: BTreeMap<(usize, Option<Name>), usize>,
    /// What was remembered with [`Tx::note`].
    notes: BTreeSet<String>,
}

/// A transaction in progress.
///
/// Entities are reached with [`Tx::create`] and [`Tx::entity`], read with [`Tx::get`]. Nothing is visible to others, or
/// stored, until the transaction commits.
pub struct Tx<'a> {
    state: &'a mut TxState,
    source: &'a mut dyn CellSource,
    space: SpaceNo,
    identity: Identity,
    now_ms: u64,
    rng: &'a mut ChaCha20Rng,
}

/// What a transaction needs besides the cells it works on.
pub(crate) struct TxContext<'a> {
    pub(crate) space: SpaceNo,
    pub(crate) identity: Identity,
    pub(crate) now_ms: u64,
    pub(crate) rng: &'a mut ChaCha20Rng,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(
        state: &'a mut TxState,
        source: &'a mut dyn CellSource,
        context: TxContext<'a>,
    ) -> Self {
        let TxContext { space, identity, now_ms, rng } = context;
        Self { state, source, space, identity, now_ms, rng }
    }

    /// Creates an entity in `collection` under a fresh id.
    ///
    /// # Errors
    /// [`TxError::Name`] if `collection` cannot be a name, [`TxError::Reserved`].
    pub fn create(&mut self, collection: &str) -> Result<EntityMut<'_, 'a>, TxError> {
        let entity = EntityId::generate(self.now_ms, self.rng);
        self.create_with_id(collection, entity)
    }

    /// Creates an entity under an id of the caller's; creating one that is there already changes nothing.
    ///
    /// # Errors
    /// [`TxError::Name`] if `collection` cannot be a name, [`TxError::Reserved`].
    pub fn create_with_id(&mut self, collection: &str, id: EntityId) -> Result<EntityMut<'_, 'a>, TxError> {
        let key = self.open_to_apps(collection, id)?;
        let stamp = reknit_types::Stamp::from_parts(self.now_ms, 0);
        let row = self.row_mut(&key)?;
        if row.lifecycle.created.is_none() {
            row.lifecycle.created = stamp;
            self.record(&key, Op::Create)?;
        }
        Ok(EntityMut::new(self, key))
    }

    /// The entity with this id, to be read or edited. Editing one that was never seen creates it.
    ///
    /// # Errors
    /// [`TxError::Name`] if `collection` cannot be a name, [`TxError::Reserved`], [`TxError::Read`] if the store fails.
    pub fn entity(&mut self, collection: &str, id: EntityId) -> Result<EntityMut<'_, 'a>, TxError> {
        let key = self.open_to_apps(collection, id)?;
        self.row_mut(&key)?;
        Ok(EntityMut::new(self, key))
    }

    /// The entity with this id in a collection that is Reknit's own: for the layers that keep their books in it.
    ///
    /// # Errors
    /// As for [`Tx::entity`].
    pub fn reserved(&mut self, collection: &str, id: EntityId) -> Result<EntityMut<'_, 'a>, TxError> {
        let key = self.row_key(collection, id)?;
        self.row_mut(&key)?;
        Ok(EntityMut::new(self, key))
    }

    /// Whether [`Tx::note`] was called with this in the transaction: what is to be done once in each was done.
    pub fn has_noted(&self, what: &str) -> bool {
        self.state.notes.contains(what)
    }

    /// Remembers something for the rest of the transaction.
    pub fn note(&mut self, what: &str) {
        self.state.notes.insert(what.to_owned());
    }

    /// What the entity holds, own writes included; `None` if it was never seen.
    ///
    /// # Errors
    /// As for [`Tx::entity`].
    pub fn get(&mut self, collection: &str, id: EntityId) -> Result<Option<Entity>, TxError> {
        let key = self.row_key(collection, id)?;
        let row = self.row_mut(&key)?;
        if row.lifecycle.created.is_none() && row.lifecycle.verdict.is_none() {
            return Ok(None);
        }
        let (deleted, names) = (row.deleted(), row.cells.keys().cloned().collect::<Vec<_>>());
        let mut fields = BTreeMap::new();
        for (field, kind) in names {
            if let Entry::Vacant(vacant) = fields.entry(field) {
                let value = self.value(&key, vacant.key(), kind)?;
                vacant.insert(value);
            }
        }
        Ok(Some(Entity { collection: key.collection, id, deleted, fields }))
    }

    fn open_to_apps(&self, collection: &str, entity: EntityId) -> Result<RowKey, TxError> {
        let key = self.row_key(collection, entity)?;
        if key.collection.is_reserved() { Err(TxError::Reserved(key.collection)) } else { Ok(key) }
    }

    fn row_key(&self, collection: &str, entity: EntityId) -> Result<RowKey, TxError> {
        Ok(RowKey { space: self.space, collection: Name::new(collection)?, entity })
    }

    fn row_mut(&mut self, key: &RowKey) -> Result<&mut Row, TxError> {
        if !self.state.rows.contains_key(key) {
            let row = self.source.row(key)?;
            self.state.rows.insert(key.clone(), row);
        }
        Ok(self.state.rows.get_mut(key).expect("it was just put there"))
    }

    fn field_mut(&mut self, key: &CellKey) -> Result<&mut OpenField, TxError> {
        if !self.state.fields.contains_key(key) {
            let field = self.source.open(key)?;
            self.state.fields.insert(key.clone(), field);
        }
        Ok(self.state.fields.get_mut(key).expect("it was just put there"))
    }

    fn value(
        &mut self,
        row: &RowKey,
        field: &Name,
        kind: CrdtKind,
    ) -> Result<reknit_crdt::FieldValue, TxError> {
        match self.row_mut(row)?.cells.get(&(field.clone(), kind)) {
            Some(Cell::Register(register)) => Ok(register.value()),
            Some(Cell::Counter(counter)) => Ok(counter.value()),
            _ => {
                let key = CellKey { row: row.clone(), field: field.clone(), kind };
                Ok(self.field_mut(&key)?.live.crdt().value())
            }
        }
    }

    fn record(&mut self, key: &RowKey, op: Op) -> Result<(), TxError> {
        self.enlist(key)?;
        let state = &mut *self.state;
        let at = state.places[key];
        let ops = &mut state.edits[at].ops;
        if let Some(place) = overrules(&op).map(|what| (at, what)) {
            if let Some(earlier) = state.last.get(&place) {
                ops[*earlier] = op;
                return Ok(());
            }
            state.last.insert(place, ops.len());
        }
        if state.ops >= TRANSACTION_OPS_MAX {
            return Err(TxError::TooLarge { what: "operations", limit: TRANSACTION_OPS_MAX });
        }
        state.ops += 1;
        ops.push(op);
        Ok(())
    }

    /// Gives the entity its place in the transaction.
    fn enlist(&mut self, key: &RowKey) -> Result<(), TxError> {
        match self.state.places.get(key) {
            Some(_) => {}
            None if self.state.edits.len() >= TRANSACTION_ENTITIES_MAX => {
                return Err(TxError::TooLarge { what: "entities", limit: TRANSACTION_ENTITIES_MAX });
            }
            None => {
                let edit = EntityEdit { collection: key.collection.clone(), entity: key.entity, ops: vec![] };
                self.state.edits.push(edit);
                self.state.places.insert(key.clone(), self.state.edits.len() - 1);
            }
        }
        Ok(())
    }
}

/// What the operation decides alone, so that it takes the place of an earlier one.
fn overrules(op: &Op) -> Option<Option<Name>> {
    match op {
        Op::Delete | Op::Restore => Some(None),
        // A delta of a counter holds all that its session added.
        Op::Edit { field, kind: CrdtKind::Register | CrdtKind::Counter, .. } => Some(Some(field.clone())),
        Op::Create | Op::Edit { .. } => None,
    }
}

impl TxState {
    /// Ends the transaction: what it did, and the fields it opened.
    pub(crate) fn finish(mut self) -> (Transaction, BTreeMap<CellKey, OpenField>) {
        self.take_deltas();
        (Transaction { edits: self.edits }, self.fields)
    }

    /// Texts and documents give their deltas away. Nothing is edited after that.
    fn take_deltas(&mut self) {
        for (key, field) in &mut self.fields {
            let Some(delta) = field.live.take_delta() else { continue };
            if let Some(at) = self.places.get(&key.row) {
                self.edits[*at].ops.push(Op::Edit { field: key.field.clone(), kind: key.kind, delta });
            }
        }
        self.edits.retain(|edit| !edit.ops.is_empty());
    }
}

/// Whether a transaction will have the effect that it had while it was made, at every peer. Texts and documents give
/// their deltas away at the end only.
pub(crate) fn check(transaction: &Transaction, origin: Origin) -> Result<(), TxError> {
    let too_large = |what, limit| Err(TxError::TooLarge { what, limit });
    if transaction.edits.len() > TRANSACTION_ENTITIES_MAX {
        return too_large("entities", TRANSACTION_ENTITIES_MAX);
    }
    if transaction.edits.iter().map(|edit| edit.ops.len()).sum::<usize>() > TRANSACTION_OPS_MAX {
        return too_large("operations", TRANSACTION_OPS_MAX);
    }
    let mut budget = Budget::WHOLE;
    for edit in &transaction.edits {
        for op in &edit.ops {
            let Op::Edit { field, kind: kind @ (CrdtKind::Text | CrdtKind::Document), delta } = op else {
                continue;
            };
            let place = Place { entity: edit.entity, field };
            budget.admit(*kind, &place, &Edit { origin, delta }).map_err(|why| TxError::Unfit {
                entity: edit.entity,
                field: field.clone(),
                why,
            })?;
        }
    }
    Ok(())
}

/// A transaction that outlives one call: it works on one state of the store for as long as it takes, and its edits
/// merge with whatever was committed meanwhile.
pub struct LongTx {
    state: TxState,
    space: SpaceNo,
    identity: Identity,
    rng: ChaCha20Rng,
}

impl LongTx {
    /// A transaction in `space` by `identity`, which must be fresh: its nonce drawn for this transaction alone.
    pub fn new(space: SpaceNo, identity: Identity, rng: ChaCha20Rng) -> Self {
        Self { state: TxState::default(), space, identity, rng }
    }

    /// Edits and reads more. `reads` must be the same state of the store every time.
    ///
    /// # Errors
    /// Whatever `edit` returns. The transaction is then half edited: drop it.
    pub fn edit<R>(
        &mut self,
        reads: &dyn crate::store::Reads,
        now_ms: u64,
        edit: impl FnOnce(&mut Tx<'_>) -> Result<R, TxError>,
    ) -> Result<R, TxError> {
        let mut source = crate::cells::StoredCells(reads);
        let context = TxContext { space: self.space, identity: self.identity, now_ms, rng: &mut self.rng };
        edit(&mut Tx::new(&mut self.state, &mut source, context))
    }

    /// What it did, to be committed.
    pub fn finish(self) -> Transaction {
        self.state.finish().0
    }
}
