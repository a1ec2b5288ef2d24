//! The delta of a document: the session's nonce, and automerge changes.

use crate::error::Void;
use crate::limits::{DOCUMENT_CHANGES_MAX, DOCUMENT_OPS_MAX};
use automerge::Change;
use reknit_types::limits::PAYLOAD_BYTES_MAX;
use reknit_types::{DecodeError, Reader, Writer};
use std::panic::{AssertUnwindSafe, catch_unwind};

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
pub(crate) fn decode(bytes: &[u8]) -> Result<(u64, Vec<Change>), Void> {
    let mut reader = Reader::new(bytes);
    let nonce = u64::from_le_bytes(reader.array("nonce")?);
    let count = reader.count(DOCUMENT_CHANGES_MAX, "changes")?;
    if count == 0 {
        return Err(Void::Shape(DecodeError::Invalid("document delta")));
    }
    let changes = (0..count)
        .map(|_| decode_change(reader.bytes(PAYLOAD_BYTES_MAX, "change")?))
        .collect::<Result<_, _>>()?;
    reader.finish()?;
    Ok((nonce, changes))
}

fn decode_change(bytes: &[u8]) -> Result<Change, Void> {
    // A compressed change could unpack to anything; only plain ones are read.
    if bytes.get(CHUNK_TYPE_AT) != Some(&PLAIN_CHANGE) {
        return Err(Void::Shape(DecodeError::Invalid("change")));
    }
    let decoded = catch_unwind(AssertUnwindSafe(|| Change::try_from(bytes)));
    let change = decoded
        .map_err(|_| Void::Refused("automerge cannot decode it".to_owned()))?
        .map_err(|error| Void::Refused(error.to_string()))?;
    let plain = change.timestamp() == 0 && change.message().is_none() && change.author().is_none();
    if !plain || change.is_empty() {
        return Err(Void::Shape(DecodeError::Invalid("change")));
    }
    if change.len() as u64 > DOCUMENT_OPS_MAX {
        return Err(Void::Limit { what: "operations", limit: DOCUMENT_OPS_MAX });
    }
    Ok(change)
}

/// After four bytes of magic and four of checksum (automerge binary format).
const CHUNK_TYPE_AT: usize = 8;
const PLAIN_CHANGE: u8 = 1;
