//! The frame around saved states that are decoded by libraries: damage is found before they see it.

use crate::error::LoadError;
use crate::waiting::Waiting;
use reknit_types::{CrdtKind, DecodeError, Reader, Writer};

/// What is saved of a text or a document.
pub(crate) struct Saved<'a> {
    pub(crate) version: u8,
    pub(crate) contested: bool,
    pub(crate) waiting: Waiting,
    pub(crate) body: &'a [u8],
}

/// Frames a state: checksum, version, flag, waiting deltas, and the parts of the body, of which the last one is what a
/// library wrote.
pub(crate) fn frame(contested: bool, waiting: &Waiting, body: &[&[u8]]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(body.iter().map(|part| part.len()).sum::<usize>() + 16);
    writer.raw(&[0; CHECKSUM_BYTES]).u8(VERSION).flag(contested);
    waiting.encode(&mut writer);
    body.iter().for_each(|part| _ = writer.raw(part));
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
    decode(kind, rest).map_err(|error| LoadError::Shape { kind, error })
}

fn decode(kind: CrdtKind, bytes: &[u8]) -> Result<Saved<'_>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.u8("version")?;
    if version > VERSION {
        let (found, known) = (u64::from(version), u64::from(VERSION));
        return Err(DecodeError::Version { what: "saved field", found, known });
    }
    let contested = reader.flag("contested")?;
    let waiting = Waiting::decode(kind, &mut reader)?;
    Ok(Saved { version, contested, waiting, body: reader.take_rest() })
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(bytes).as_bytes();
    [a, b, c, d, e, f, g, h]
}

/// 2: texts tell where deltas begin and end.
const VERSION: u8 = 2;
const CHECKSUM_BYTES: usize = 8;
