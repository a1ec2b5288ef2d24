//! What an automerge change claims to hold, read before automerge unpacks it: its columns are run-length encoded, so a
//! few bytes could claim more operations than anybody has time for.
//!
//! Format: <https://automerge.org/automerge-binary-format-spec/>, change chunks.

use super::merge::ACTOR_BYTES;
use crate::limits::{DOCUMENT_KEY_BYTES, DOCUMENT_OPS_MAX};
use reknit_types::limits::PAYLOAD_BYTES_MAX;
use reknit_types::{DecodeError, Reader};

/// How many operations a change claims, before any is unpacked. Refuses one that is compressed, names actors as nobody
/// is named, or claims too much.
pub(crate) fn read(change: &[u8]) -> Result<u64, DecodeError> {
    let mut reader = Reader::new(change);
    reader.raw(MAGIC_BYTES + CHECKSUM_BYTES, "change")?;
    if reader.u8("chunk type")? != PLAIN_CHANGE {
        return Err(DecodeError::Invalid("chunk type"));
    }
    let body = reader.bytes(PAYLOAD_BYTES_MAX, "change")?;
    reader.finish()?;
    let mut reader = Reader::new(body);
    for _ in 0..reader.count(PAYLOAD_BYTES_MAX, "dependencies")? {
        reader.array::<HASH_BYTES>("dependency")?;
    }
    actor(&mut reader)?;
    reader.varint("sequence number")?;
    reader.varint("first operation")?;
    signed(&mut reader)?;
    reader.bytes(PAYLOAD_BYTES_MAX, "message")?;
    let others = reader.count(PAYLOAD_BYTES_MAX, "actors")?;
    for _ in 0..others {
        actor(&mut reader)?;
    }
    let actors = 1 + others as u64;
    let columns = (0..reader.count(PAYLOAD_BYTES_MAX, "columns")?)
        .map(|_| Ok((reader.varint("column")?, reader.varint("column")?)))
        .collect::<Result<Vec<_>, DecodeError>>()?;
    let mut most = 0;
    for (spec, len) in columns {
        let len = usize::try_from(len).map_err(|_| DecodeError::Short("column"))?;
        most = count(spec, actors, reader.raw(len, "column")?)?.max(most);
    }
    within(most)
}

/// Refuses more operations than a delta may hold.
pub(crate) fn within(claimed: u64) -> Result<u64, DecodeError> {
    if claimed > DOCUMENT_OPS_MAX {
        return Err(DecodeError::TooLong { what: "operations", found: claimed, limit: DOCUMENT_OPS_MAX });
    }
    Ok(claimed)
}

/// Passes over an actor. Each operation unpacks a copy of those it names, so one that is longer than ours is refused.
fn actor(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    match reader.bytes(PAYLOAD_BYTES_MAX, "actor")?.len() {
        ACTOR_BYTES => Ok(()),
        _ => Err(DecodeError::Invalid("actor")),
    }
}

/// How many items a column claims; of a column of group sizes, how many their groups do.
fn count(spec: u64, actors: u64, column: &[u8]) -> Result<u64, DecodeError> {
    if spec & DEFLATED != 0 {
        return Err(DecodeError::Invalid("column"));
    }
    let kind = spec & KIND_MASK;
    if kind == RAW {
        return Ok(0);
    }
    let mut reader = Reader::new(column);
    let mut claimed = 0u64;
    while reader.remaining() > 0 && claimed <= DOCUMENT_OPS_MAX {
        let items = if kind == BOOLEAN { reader.varint("run")? } else { run(kind, actors, &mut reader)? };
        claimed = claimed.saturating_add(items);
    }
    Ok(claimed)
}

/// The items of one run: copies of a value, values one by one, or nothing at all.
fn run(kind: u64, actors: u64, reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
    let len = signed(reader)?;
    match len {
        0 => reader.varint("run"),
        1.. => Ok(value(kind, actors, reader)?.saturating_mul(len.unsigned_abs())),
        _ => {
            let mut items = 0u64;
            for _ in 0..len.unsigned_abs().min(DOCUMENT_OPS_MAX + 1) {
                items = items.saturating_add(value(kind, actors, reader)?);
            }
            Ok(items)
        }
    }
}

/// Passes over a value; returns for how many items it stands. Refuses an actor that the change does not list: automerge
/// looks it up as if it were there.
fn value(kind: u64, actors: u64, reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
    match kind {
        GROUP => Ok(reader.varint("group")?.max(1)),
        DELTA => signed(reader).map(|_| 1),
        ACTOR if reader.varint("actor")? < actors => Ok(1),
        ACTOR => Err(DecodeError::Invalid("actor")),
        // Each item of a run unpacks a copy.
        STRING => reader.bytes(PAYLOAD_BYTES_MAX, "string").map(|key| key_cost(key.len())),
        _ => reader.varint("value").map(|_| 1),
    }
}

/// How much an operation at a key counts.
pub(crate) fn key_cost(len: usize) -> u64 {
    1 + (len / DOCUMENT_KEY_BYTES) as u64
}

/// A signed LEB128 integer: two's complement, unlike ours.
fn signed(reader: &mut Reader<'_>) -> Result<i64, DecodeError> {
    let mut value = 0i64;
    for shift in (0..64).step_by(7) {
        let byte = reader.u8("integer")?;
        value |= i64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            let negative = byte & 0x40 != 0 && shift < 57;
            return Ok(if negative { value | (-1 << (shift + 7)) } else { value });
        }
    }
    Err(DecodeError::Invalid("integer"))
}

const MAGIC_BYTES: usize = 4;
const CHECKSUM_BYTES: usize = 4;
const HASH_BYTES: usize = 32;
const PLAIN_CHANGE: u8 = 1;
const KIND_MASK: u64 = 7;
const DEFLATED: u64 = 8;
const GROUP: u64 = 0;
const ACTOR: u64 = 1;
const DELTA: u64 = 3;
const BOOLEAN: u64 = 4;
const STRING: u64 = 5;
const RAW: u64 = 7;

#[cfg(test)]
mod tests {
    use super::super::delta;
    use super::*;
    use crate::error::Void;

    /// A change that holds nothing but one column.
    fn change(spec: u8, column: &[u8]) -> Vec<u8> {
        let mut body = vec![0, 16];
        body.extend_from_slice(&[7; 16]);
        body.extend_from_slice(&[1, 1, 0, 0, 0, 1, spec, column.len() as u8]);
        body.extend_from_slice(column);
        let mut bytes = vec![0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, PLAIN_CHANGE, body.len() as u8];
        bytes.append(&mut body);
        bytes
    }

    #[test]
    fn a_run_of_billions_is_refused_before_it_is_unpacked() {
        let billions = [0x80, 0x80, 0x80, 0x80, 0x20];
        let with = |head: &[u8], tail: &[u8]| [head, &billions, tail].concat();
        for (spec, column) in [
            (0x42, with(&[], &[1])),
            (0x42, with(&[0], &[])),
            (0x34, with(&[], &[])),
            (0x70, with(&[1], &[])),
            (0x13, with(&[], &[1])),
        ] {
            let refused = read(&change(spec, &column));
            assert!(matches!(refused, Err(DecodeError::TooLong { .. })), "{spec:x}: {refused:?}");
        }
        assert_eq!(read(&change(0x42, &[3, 1, 0x7e, 1, 2])), Ok(5));
        assert_eq!(read(&change(0x4a, &[])), Err(DecodeError::Invalid("column")));
    }

    #[test]
    fn an_actor_that_is_not_listed_is_refused() {
        assert_eq!(read(&change(0x01, &[2, 0])), Ok(2));
        assert_eq!(read(&change(0x01, &[2, 1])), Err(DecodeError::Invalid("actor")));
    }

    #[test]
    fn the_changes_of_a_delta_share_one_budget() {
        // A run of 2^19 operations.
        let half = change(0x42, &[0x80, 0x80, 0x20, 1]);
        let delta = |count| delta::encode(1, &vec![half.clone(); count]);
        assert_eq!(delta::cost(&delta(2)), DOCUMENT_OPS_MAX);
        assert_eq!(delta::cost(&delta(3)), 0);
        let refused = delta::decode(&delta(3)).err();
        assert!(matches!(refused, Some(Void::Shape(DecodeError::TooLong { .. }))), "{refused:?}");
    }

    #[test]
    fn a_run_of_a_long_key_counts_its_bytes() {
        let key = b"k".repeat(64);
        // A run of three.
        let column = [&[3, 64], key.as_slice()].concat();
        assert_eq!(read(&change(0x15, &column)), Ok(6));
    }
}
