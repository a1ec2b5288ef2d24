//! What the data events do to entities.

use super::document;
use super::identity::Place;
use super::past::Past;
use super::text;
use reknit_crdt::FieldValue;
use reknit_crdt::limits::{COUNTER_IDENTITIES_MAX, DOCUMENT_OPS_MAX};
use reknit_types::{CrdtKind, DecodeError, DeviceId, EntityId, EventId, Kind, Name, Op, Payload, Reader};
use reknit_types::{Stamp, Transaction, Value, VerifiedEvent, Writer};
use std::collections::BTreeMap;

/// What an entity holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExpectedEntity {
    /// Whether it is deleted.
    pub deleted: bool,
    /// Its fields, whether it is deleted or not.
    pub fields: BTreeMap<Name, FieldValue>,
}

#[derive(Default)]
pub(super) struct Rows {
    pub(super) entities: BTreeMap<(Name, EntityId), ExpectedEntity>,
    pub(super) voids: BTreeMap<(EventId, u32), String>,
}

/// One operation on a field, as it came.
#[derive(Debug, Clone)]
pub(super) struct FieldEdit {
    pub(super) author: DeviceId,
    pub(super) stamp: Stamp,
    pub(super) event: EventId,
    pub(super) delta: Vec<u8>,
}

/// All that is to be known of an entity before its fields are read. Edits are in canonical order.
#[derive(Default)]
struct Row {
    deleted: bool,
    decided: Option<(Stamp, EventId)>,
    edits: BTreeMap<(Name, CrdtKind), Vec<FieldEdit>>,
}

pub(super) fn fold(past: &Past<'_>) -> Rows {
    let mut fold = Fold::default();
    past.sorted().iter().filter(|event| event.header().kind == Kind::Data).for_each(|event| fold.take(event));
    let entities = fold.rows.iter().map(|(key, row)| (key.clone(), row.read(key.1))).collect();
    Rows { entities, voids: fold.voids }
}

#[derive(Default)]
struct Fold {
    rows: BTreeMap<(Name, EntityId), Row>,
    voids: BTreeMap<(EventId, u32), String>,
}

impl Fold {
    fn take(&mut self, event: &VerifiedEvent) {
        let transaction = match event.payload() {
            Payload::Open(bytes) => Transaction::decode(bytes).map_err(|error| error.to_string()),
            _ => Err("the payload does not open".to_owned()),
        };
        match transaction {
            Ok(transaction) => self.transact(event, transaction),
            Err(why) => _ = self.voids.insert((event.id(), 0), why),
        }
    }

    fn transact(&mut self, event: &VerifiedEvent, transaction: Transaction) {
        let mut room = DOCUMENT_OPS_MAX;
        let mut number = 0;
        for edit in transaction.edits {
            let key = (edit.collection, edit.entity);
            for op in edit.ops {
                match judge(event, key.1, &op, &mut room) {
                    Ok(()) => self.rows.entry(key.clone()).or_default().take(event, op),
                    Err(why) => _ = self.voids.insert((event.id(), number), why),
                }
                number += 1;
            }
        }
    }
}

/// Whether an operation has an effect, as far as its event alone tells. `room` is how much the texts and documents of the
/// event may still cost.
fn judge(event: &VerifiedEvent, entity: EntityId, op: &Op, room: &mut u64) -> Result<(), String> {
    let Op::Edit { field, kind, delta } = op else { return Ok(()) };
    let (place, author) = (Place { entity, field }, event.header().author);
    match kind {
        CrdtKind::Register => decode_register(delta).map(drop).map_err(|error| error.to_string()),
        CrdtKind::Counter => decode_counter(delta).map(drop).map_err(|error| error.to_string()),
        CrdtKind::Text | CrdtKind::Document => {
            let cost = reknit_crdt::cost(*kind, delta);
            let left = room.checked_sub(cost).ok_or("the event holds too many operations")?;
            match kind {
                CrdtKind::Text => {
                    text::decode(&place, author, delta).map(drop).map_err(|error| error.to_string())
                }
                _ => document::check_alone(&place, author, delta),
            }?;
            *room = left;
            Ok(())
        }
    }
}

impl Row {
    fn take(&mut self, event: &VerifiedEvent, op: Op) {
        let (stamp, author, event) = (event.header().stamp, event.header().author, event.id());
        match op {
            Op::Create => {}
            Op::Delete => (self.deleted, self.decided) = (true, Some((stamp, event))),
            // In its own event a deletion decides.
            Op::Restore if self.deleted && self.decided == Some((stamp, event)) => {}
            Op::Restore => (self.deleted, self.decided) = (false, Some((stamp, event))),
            Op::Edit { field, kind, delta } => {
                let edits = self.edits.entry((field, kind)).or_default();
                edits.push(FieldEdit { author, stamp, event, delta });
            }
        }
    }

    fn read(&self, entity: EntityId) -> ExpectedEntity {
        let mut fields = BTreeMap::new();
        // Kinds come in their order, so the first of a field is the one shown.
        for ((field, kind), edits) in &self.edits {
            let place = Place { entity, field };
            fields.entry(field.clone()).or_insert_with(|| match kind {
                CrdtKind::Register => FieldValue::Register(register(edits)),
                CrdtKind::Counter => FieldValue::Counter(counter(&place, edits)),
                CrdtKind::Text => FieldValue::Text(text::merge(&place, edits)),
                CrdtKind::Document => FieldValue::Document(document::merge(&place, edits)),
            });
        }
        ExpectedEntity { deleted: self.deleted, fields }
    }
}

fn register(edits: &[FieldEdit]) -> Option<Value> {
    let ranked = edits.iter().filter_map(|edit| {
        let value = decode_register(&edit.delta).ok()?;
        let mut encoding = Writer::new();
        value.encode(&mut encoding);
        Some(((edit.stamp, edit.event, encoding.into_bytes()), value))
    });
    ranked.max_by(|(one, _), (other, _)| one.cmp(other)).map(|(_, value)| value)
}

fn decode_register(delta: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(delta);
    let value = Value::decode(&mut reader)?;
    reader.finish()?;
    Ok(value)
}

fn counter(place: &Place<'_>, edits: &[FieldEdit]) -> i64 {
    let mut totals: BTreeMap<u64, (u64, i64)> = BTreeMap::new();
    for edit in edits {
        let Ok((nonce, step, sum)) = decode_counter(&edit.delta) else { continue };
        let total = totals.entry(place.number(edit.author, nonce)).or_insert((step, sum));
        *total = (step, sum).max(*total);
    }
    let sum: i128 = totals.values().take(COUNTER_IDENTITIES_MAX).map(|(_, sum)| i128::from(*sum)).sum();
    sum.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// The session's nonce, the step, which counts from 1, and the total so far.
fn decode_counter(delta: &[u8]) -> Result<(u64, u64, i64), DecodeError> {
    let mut reader = Reader::new(delta);
    let nonce = u64::from_le_bytes(reader.array("nonce")?);
    let (step, sum) = (reader.varint("step")?, reader.signed("total")?);
    reader.finish()?;
    if step == 0 { Err(DecodeError::Invalid("step")) } else { Ok((nonce, step, sum)) }
}
