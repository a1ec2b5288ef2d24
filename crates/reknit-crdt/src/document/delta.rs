//! The delta of a document: the session's nonce, and automerge changes.

use super::claims;
use crate::error::Void;
use crate::limits::DOCUMENT_CHANGES_MAX;
use automerge::legacy::{Key, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Change, ExpandedChange, ObjType, ScalarValue};
use reknit_types::limits::PAYLOAD_BYTES_MAX;
use reknit_types::{DecodeError, Reader, Writer};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A change, and the operations of other changes that it refers to.
pub(crate) struct Parsed {
    pub(crate) change: Change,
    pub(crate) refers_to: BTreeSet<(ActorId, u64)>,
}

/// The bytes of a delta.
pub(crate) fn encode(nonce: u64, changes: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(changes.iter().map(Vec::len).sum::<usize>() + 16);
    writer.raw(&nonce.to_le_bytes()).varint(changes.len() as u64);
    changes.iter().for_each(|change| {
        writer.bytes(change);
    });
    writer.into_bytes()
}

/// The nonce and changes of a delta.
pub(crate) fn decode(bytes: &[u8]) -> Result<(u64, Vec<Parsed>), Void> {
    let (nonce, changes) = split(bytes)?;
    claimed(&changes)?;
    Ok((nonce, changes.into_iter().map(decode_change).collect::<Result<_, _>>()?))
}

/// How many operations a delta claims, before any is unpacked; 0 if it claims what no delta may.
pub(crate) fn cost(bytes: &[u8]) -> u64 {
    split(bytes).and_then(|(_, changes)| claimed(&changes)).unwrap_or(0)
}

fn split(bytes: &[u8]) -> Result<(u64, Vec<&[u8]>), DecodeError> {
    let mut reader = Reader::new(bytes);
    let nonce = u64::from_le_bytes(reader.array("nonce")?);
    let count = reader.count(DOCUMENT_CHANGES_MAX, "changes")?;
    if count == 0 {
        return Err(DecodeError::Invalid("document delta"));
    }
    let changes = (0..count).map(|_| reader.bytes(PAYLOAD_BYTES_MAX, "change")).collect::<Result<_, _>>()?;
    reader.finish()?;
    Ok((nonce, changes))
}

fn claimed(changes: &[&[u8]]) -> Result<u64, DecodeError> {
    changes.iter().try_fold(0u64, |sum, change| claims::within(sum.saturating_add(claims::read(change)?)))
}

fn decode_change(bytes: &[u8]) -> Result<Parsed, Void> {
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        let change = Change::try_from(bytes).map_err(|error| Void::Refused(error.to_string()))?;
        let expanded = change.decode();
        let refers_to = references(&expanded)?;
        // Automerge keeps operations, not bytes, and encodes a change anew when it is asked for: under another hash,
        // if these are not the bytes it would have chosen.
        let plain = expanded.time == 0 && expanded.message.is_none() && expanded.extra_bytes.is_empty();
        if !plain || Change::from(expanded).raw_bytes() != bytes {
            return Err(Void::Shape(DecodeError::Invalid("change")));
        }
        Ok(Parsed { change, refers_to })
    }));
    let parsed = decoded.unwrap_or_else(|_| Err(Void::Refused("automerge cannot decode it".to_owned())))?;
    if parsed.change.is_empty() {
        return Err(Void::Shape(DecodeError::Invalid("change")));
    }
    Ok(parsed)
}

/// The operations of other changes that a change refers to. Each must have a lesser number than what refers to it.
fn references(change: &ExpandedChange) -> Result<BTreeSet<(ActorId, u64)>, Void> {
    let start = change.start_op.get();
    let mut refers_to = BTreeSet::new();
    for (own, op) in (start..).zip(&change.operations) {
        if !is_used(op) {
            return Err(Void::Refused("it holds an operation that documents do not use".to_owned()));
        }
        let object = match &op.obj {
            ObjectId::Id(id) => Some(id),
            ObjectId::Root => None,
        };
        let element = match &op.key {
            Key::Seq(element) => element.as_opid(),
            Key::Map(_) => None,
        };
        for OpId(number, actor) in object.into_iter().chain(element).chain(op.pred.iter()) {
            if *number >= own {
                return Err(Void::Refused("it refers to what comes after it".to_owned()));
            }
            if *actor != change.actor_id || *number < start {
                refers_to.insert((actor.clone(), *number));
            }
        }
    }
    Ok(refers_to)
}

/// Whether documents use operations like this one. Automerge knows more: marks, blocks and tables; and its changes can
/// say more: to delete or count up nothing, to insert into a map.
fn is_used(op: &Op) -> bool {
    let in_map = matches!(op.key, Key::Map(_));
    let at_head = matches!(&op.key, Key::Seq(element) if element.as_opid().is_none());
    let fits = if op.insert { !in_map && op.pred.is_empty() } else { !at_head };
    if !fits {
        return false;
    }
    match &op.action {
        OpType::Make(kind) => *kind != ObjType::Table,
        OpType::Put(value) => !matches!(value, ScalarValue::Unknown { .. }),
        OpType::Delete | OpType::Increment(_) => !op.insert && !op.pred.is_empty(),
        OpType::MarkBegin(_) | OpType::MarkEnd(_) => false,
    }
}

/// The nonce of a delta and the actors of its changes, of which only the outside is looked at.
pub(crate) fn skim(bytes: &[u8]) -> Result<(u64, Vec<ActorId>), Void> {
    let (nonce, changes) = split(bytes)?;
    claimed(&changes)?;
    Ok((nonce, changes.into_iter().map(actor).collect::<Result<_, _>>()?))
}

fn actor(change: &[u8]) -> Result<ActorId, Void> {
    let parsed = catch_unwind(|| Change::try_from(change).map_err(|error| Void::Refused(error.to_string())));
    let parsed = parsed.unwrap_or_else(|_| Err(Void::Refused("automerge cannot decode it".to_owned())))?;
    Ok(parsed.actor_id().clone())
}
