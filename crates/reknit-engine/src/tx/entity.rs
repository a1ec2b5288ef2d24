//! One entity inside a transaction.

use super::{DocumentMut, TextMut, Tx};
use crate::error::TxError;
use crate::layout::{CellKey, RowKey};
use crate::row::{Cell, Folding, Verdict};
use reknit_crdt::{Counter, Crdt, FieldValue, Origin, Place, Register};
use reknit_types::{CrdtKind, EntityId, EventId, Name, Op, Stamp, Value};

/// An entity, to be read and edited.
pub struct EntityMut<'t, 'a> {
    tx: &'t mut Tx<'a>,
    key: RowKey,
}

impl<'t, 'a> EntityMut<'t, 'a> {
    pub(super) fn new(tx: &'t mut Tx<'a>, key: RowKey) -> Self {
        Self { tx, key }
    }

    /// The id.
    pub fn id(&self) -> EntityId {
        self.key.entity
    }

    /// Whether it was ever created or edited, and is not deleted.
    ///
    /// # Errors
    /// [`TxError::Read`] if the store fails.
    pub fn exists(&mut self) -> Result<bool, TxError> {
        let row = self.tx.row_mut(&self.key)?;
        Ok(row.lifecycle.created.is_some() && !row.deleted())
    }

    /// Whether it is deleted.
    ///
    /// # Errors
    /// [`TxError::Read`] if the store fails.
    pub fn is_deleted(&mut self) -> Result<bool, TxError> {
        Ok(self.tx.row_mut(&self.key)?.deleted())
    }

    /// What a field holds; `None` if it was never written.
    ///
    /// # Errors
    /// [`TxError::Name`], [`TxError::Read`].
    pub fn get(&mut self, field: &str) -> Result<Option<FieldValue>, TxError> {
        let field = Name::new(field)?;
        match self.tx.row_mut(&self.key)?.kind_of(&field) {
            None => Ok(None),
            Some(kind) => self.tx.value(&self.key, &field, kind).map(Some),
        }
    }

    /// Writes a register.
    ///
    /// # Errors
    /// [`TxError::KindMismatch`], [`TxError::Deleted`], [`TxError::Register`] if the value is too large or deep.
    pub fn set(&mut self, field: &str, value: impl Into<Value>) -> Result<&mut Self, TxError> {
        let field = self.writable(field, CrdtKind::Register)?;
        let delta = Register::set(&value.into())?;
        let origin = self.provisional();
        let place = Place { entity: self.key.entity, field: &field };
        let row = self.tx.row_mut(&self.key)?;
        // Within the transaction its own write is the latest; the event gives it its real stamp.
        let mut register = Register::new();
        register.apply(&place, &origin, &delta).map_err(|void| TxError::Read(void.to_string()))?;
        row.cells.insert((field.clone(), CrdtKind::Register), Cell::Register(register));
        self.tx.record(&self.key, Op::Edit { field, kind: CrdtKind::Register, delta })?;
        Ok(self)
    }

    /// Adds to a counter; negative numbers subtract.
    ///
    /// # Errors
    /// [`TxError::KindMismatch`], [`TxError::Deleted`].
    pub fn add(&mut self, field: &str, by: i64) -> Result<&mut Self, TxError> {
        let field = self.writable(field, CrdtKind::Counter)?;
        let identity = self.tx.identity;
        let place = Place { entity: self.key.entity, field: &field };
        let row = self.tx.row_mut(&self.key)?;
        let cell =
            row.cells.entry((field.clone(), CrdtKind::Counter)).or_insert(Cell::Counter(Counter::new()));
        let Cell::Counter(counter) = cell else { return Ok(self) };
        let delta = counter.add(&place, &identity, by);
        self.tx.record(&self.key, Op::Edit { field, kind: CrdtKind::Counter, delta })?;
        Ok(self)
    }

    /// A text, to be read and edited.
    ///
    /// # Errors
    /// [`TxError::KindMismatch`], [`TxError::Deleted`], [`TxError::Read`].
    pub fn text(&mut self, field: &str) -> Result<TextMut<'_, 'a>, TxError> {
        let cell = self.open(field, CrdtKind::Text)?;
        Ok(TextMut::new(self.tx, cell))
    }

    /// A document, to be read and edited.
    ///
    /// # Errors
    /// [`TxError::KindMismatch`], [`TxError::Deleted`], [`TxError::Read`].
    pub fn document(&mut self, field: &str) -> Result<DocumentMut<'_, 'a>, TxError> {
        let cell = self.open(field, CrdtKind::Document)?;
        Ok(DocumentMut::new(self.tx, cell))
    }

    /// Hides the entity, here and everywhere. Edits made elsewhere meanwhile do not bring it back; [`Self::restore`]
    /// does, with those edits. Deleting a deleted entity changes nothing.
    ///
    /// # Errors
    /// [`TxError::Read`] if the store fails.
    pub fn delete(&mut self) -> Result<(), TxError> {
        self.judge(true)
    }

    /// Shows a deleted entity again. Restoring one that is not deleted changes nothing.
    ///
    /// # Errors
    /// [`TxError::Read`] if the store fails.
    pub fn restore(&mut self) -> Result<(), TxError> {
        self.judge(false)
    }

    fn judge(&mut self, deleted: bool) -> Result<(), TxError> {
        let Origin { stamp, event, .. } = self.provisional();
        let row = self.tx.row_mut(&self.key)?;
        if row.deleted() == deleted {
            return Ok(());
        }
        row.lifecycle.verdict = Some(Verdict { stamp, event, deleted });
        self.tx.record(&self.key, if deleted { Op::Delete } else { Op::Restore })
    }

    fn open(&mut self, field: &str, kind: CrdtKind) -> Result<CellKey, TxError> {
        let field = self.writable(field, kind)?;
        let cell = CellKey { row: self.key.clone(), field: field.clone(), kind };
        let identity = self.tx.identity;
        self.tx.row_mut(&self.key)?.cells.entry((field, kind)).or_insert(Cell::Folded(Folding::default()));
        // The entity takes part in the transaction from here on: what is done to the field is collected at its end.
        self.touch()?;
        let opened = self.tx.field_mut(&cell)?;
        let place = Place { entity: cell.row.entity, field: &cell.field };
        match &mut opened.live {
            crate::cells::Live::Text(text) => text.open(&place, &identity),
            crate::cells::Live::Document(document) => document.open(&place, &identity),
        }
        Ok(cell)
    }

    fn touch(&mut self) -> Result<(), TxError> {
        let stamp = self.provisional().stamp;
        let row = self.tx.row_mut(&self.key)?;
        if row.lifecycle.created.is_none() {
            row.lifecycle.created = Some(stamp);
        }
        self.tx.enlist(&self.key)
    }

    /// The name of the field, if it may be edited as this kind.
    fn writable(&mut self, field: &str, wanted: CrdtKind) -> Result<Name, TxError> {
        let field = Name::new(field)?;
        let stamp = self.provisional().stamp;
        let row = self.tx.row_mut(&self.key)?;
        if row.deleted() {
            return Err(TxError::Deleted(self.key.entity));
        }
        if let Some(is) = row.kind_of(&field).filter(|is| *is != wanted) {
            return Err(TxError::KindMismatch { field, is, wanted });
        }
        row.lifecycle.created.get_or_insert(stamp);
        Ok(field)
    }

    /// An origin later than every real one.
    fn provisional(&self) -> Origin {
        let (stamp, event) = (Stamp::from_u128(u128::MAX), EventId::from_bytes([u8::MAX; 32]));
        Origin { author: self.tx.identity.author, stamp, event }
    }
}
