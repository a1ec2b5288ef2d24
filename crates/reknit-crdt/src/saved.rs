//! The frame around saved states that are decoded by libraries: damage is found before they see it.

use crate::error::LoadError;
use crate::waiting::Waiting;
use reknit_types::{CrdtKind, DecodeError, Reader, Writer};

/// What is saved of a text or a document.
pub(crate) struct Saved<'a> {
    pub(crate) contested: bool,
    pub(crate) waiting: Waiting,
    pub(crate) body: &'a [u8],
}

/// Frames a state: checksum, version, flag, waiting deltas, and the body that a library wrote.
pub(crate) fn frame(contested: bool, waiting: &Waiting, body: &[u8]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(body.len() + 16);
    writer.raw(&[0; CHECKSUM_BYTES]).u8(VERSION).flag(contested);
    waiting.encode(&mut writer);
    writer.raw(body);
    let mut bytes = writer.into_bytes();
    if let Some((head, rest)) = bytes.split_first_chunk_mut::<CHECKSUM_BYTES>() {
        *head = checksum(rest);
    }
    bytes
}

/// Opens a frame.
pub(crate) fn unframe(kind: CrdtKind, bytes: &[u8]) -> Result<Saved<'_>, LoadError> {
    let damaged = LoadError::Damaged(kind);
    let Some((head, rest)) = bytes.split_first_chunk::<CHECKSUM_BYTES>() else { return Err(damaged) };
    if *head != checksum(rest) {
        return Err(damaged);
    }
    decode(rest).map_err(|error| LoadError::Shape { kind, error })
}

fn decode(bytes: &[u8]) -> Result<Saved<'_>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let found = u64::from(reader.u8("version")?);
    if found > u64::from(VERSION) {
        return Err(DecodeError::Version { what: "saved field", found, known: u64::from(VERSION) });
    }
    let contested = reader.flag("contested")?;
    let waiting = Waiting::decode(&mut reader)?;
    Ok(Saved { contested, waiting, body: reader.take_rest() })
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(bytes).as_bytes();
    [a, b, c, d, e, f, g, h]
}

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;
