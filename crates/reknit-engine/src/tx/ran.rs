//! What the body of a transaction did, as data: to be noted down, and done again.

use super::{Tx, TxState};
use crate::cells::{CellSource, OpenField};
use crate::error::{EngineError, TxError};
use crate::layout::{CellKey, RowKey};
use crate::row::Row;
use reknit_crdt::{Edit, Origin, Place};
use reknit_types::{
    CrdtKind, DecodeError, EntityId, EventId, Name, Op, Reader, Stamp, Transaction, Writer, limits,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the body of a transaction did, and all of the engine's state that it touched while it did so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    /// What it did; `None` if it failed, or did more than an event holds.
    pub(crate) done: Option<Transaction>,
    /// The rows and fields it took from the engine, in order.
    pub(crate) touched: Vec<Touch>,
    /// Where the generator of chance stood afterwards.
    pub(crate) drawn: u128,
}

/// A row, or a field of one if it names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Touch {
    pub(crate) collection: Name,
    pub(crate) entity: EntityId,
    pub(crate) field: Option<(Name, CrdtKind)>,
}

impl Tx<'_> {
    /// Runs `run`, and tells what it did besides what came of it.
    pub(crate) fn witness(
        &mut self,
        run: impl FnOnce(&mut Tx<'_>) -> Result<(), TxError>,
    ) -> (Result<(), TxError>, Ran) {
        let mut source = Witness { source: &mut *self.source, touched: vec![] };
        let result = {
            let mut tx = Tx {
                state: &mut *self.state,
                source: &mut source,
                space: self.space,
                identity: self.identity,
                now_ms: self.now_ms,
                rng: &mut *self.rng,
            };
            catch_unwind(AssertUnwindSafe(|| run(&mut tx))).unwrap_or(Err(TxError::Panicked))
        };
        let touched = source.touched;
        let done = result.is_ok().then(|| self.state.take_transaction()).filter(fits);
        (result, Ran { done, touched, drawn: self.rng.get_word_pos() })
    }

    /// Does again what was witnessed, with the same effect on all that the engine keeps. What the body failed with is not
    /// known any more.
    pub(crate) fn repeat(&mut self, ran: Ran) -> Result<(), TxError> {
        for touch in ran.touched {
            let row = RowKey { space: self.space, collection: touch.collection, entity: touch.entity };
            match touch.field {
                None => _ = self.row_mut(&row)?,
                Some((field, kind)) => _ = self.field_mut(&CellKey { row, field, kind })?,
            }
        }
        self.rng.set_word_pos(ran.drawn);
        let transaction = ran.done.ok_or_else(|| TxError::abort("it failed when it was run first"))?;
        for edit in &transaction.edits {
            edit.ops.iter().try_for_each(|op| self.merge(&edit.collection, edit.entity, op))?;
        }
        self.state.edits = transaction.edits;
        Ok(())
    }

    /// Puts this device's own delta into the text or document it was made of.
    fn merge(&mut self, collection: &Name, entity: EntityId, op: &Op) -> Result<(), TxError> {
        let Op::Edit { field, kind: kind @ (CrdtKind::Text | CrdtKind::Document), delta } = op else {
            return Ok(());
        };
        let row = RowKey { space: self.space, collection: collection.clone(), entity };
        let (author, stamp) = (self.identity.author, Stamp::from_u128(0));
        let edit = Edit { origin: Origin { author, stamp, event: EventId::from_bytes([0; 32]) }, delta };
        let open = self.field_mut(&CellKey { row, field: field.clone(), kind: *kind })?;
        let place = Place { entity, field };
        for answer in open.live.crdt_mut().apply_all(&place, &[edit]) {
            answer.map_err(|void| TxError::Read(format!("a delta of this device: {void}")))?;
        }
        Ok(())
    }
}

impl TxState {
    fn take_transaction(&mut self) -> Transaction {
        self.take_deltas();
        Transaction { edits: self.edits.clone() }
    }
}

/// Whether the transaction has a place in an event: others are refused when they are committed.
pub(crate) fn fits(transaction: &Transaction) -> bool {
    let ops: usize = transaction.edits.iter().map(|edit| edit.ops.len()).sum();
    transaction.edits.len() <= limits::TRANSACTION_ENTITIES_MAX
        && ops <= limits::TRANSACTION_OPS_MAX
        && transaction.encode().len() <= limits::PAYLOAD_BYTES_MAX
}

/// Notes what is taken from a source.
struct Witness<'a> {
    source: &'a mut dyn CellSource,
    touched: Vec<Touch>,
}

impl CellSource for Witness<'_> {
    fn row(&mut self, key: &RowKey) -> Result<Row, EngineError> {
        self.touched.push(Touch { collection: key.collection.clone(), entity: key.entity, field: None });
        self.source.row(key)
    }

    fn open(&mut self, key: &CellKey) -> Result<OpenField, EngineError> {
        let field = Some((key.field.clone(), key.kind));
        self.touched.push(Touch { collection: key.row.collection.clone(), entity: key.row.entity, field });
        self.source.open(key)
    }
}

impl Ran {
    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.flag(self.done.is_some());
        if let Some(transaction) = &self.done {
            writer.bytes(&transaction.encode());
        }
        writer.varint(self.touched.len() as u64);
        for touch in &self.touched {
            touch.collection.encode(writer);
            writer.raw(&touch.entity.to_bytes()).flag(touch.field.is_some());
            if let Some((field, kind)) = &touch.field {
                field.encode(writer);
                writer.u8(kind.to_byte());
            }
        }
        writer.raw(&self.drawn.to_be_bytes());
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let done = match reader.flag("what a transaction did")? {
            true => Some(Transaction::decode(reader.bytes(limits::PAYLOAD_BYTES_MAX, "a transaction")?)?),
            false => None,
        };
        let count = reader.count(usize::MAX, "what a transaction touched")?;
        let touched = (0..count).map(|_| Touch::decode(reader)).collect::<Result<_, _>>()?;
        Ok(Self { done, touched, drawn: u128::from_be_bytes(reader.array("place of a generator")?) })
    }
}

impl Touch {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let collection = Name::decode(reader)?;
        let entity = EntityId::from_bytes(reader.array("entity")?);
        let field = match reader.flag("field")? {
            true => Some((Name::decode(reader)?, CrdtKind::from_byte(reader.u8("kind")?)?)),
            false => None,
        };
        Ok(Self { collection, entity, field })
    }
}
