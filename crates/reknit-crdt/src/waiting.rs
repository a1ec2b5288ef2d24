//! Deltas that build on what is not here yet.

use crate::contract::Edit;
use crate::identity::Origin;
use crate::limits::{SAVED_BYTES_MAX, WAITING_DELTAS_MAX};
use reknit_types::{DecodeError, DeviceId, EventId, Reader, Stamp, Writer};

/// Deltas that wait, in the order they came, each with its origin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    deltas: Vec<(Origin, Vec<u8>)>,
    unbounded: bool,
}

impl Waiting {
    /// For a replay, whose deltas are all in memory anyway.
    pub(crate) fn unbounded() -> Self {
        Self { deltas: Vec::new(), unbounded: true }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.deltas.is_empty()
    }

    /// Keeps a delta; `false` if there is no room.
    pub(crate) fn keep(&mut self, edit: &Edit<'_>) -> bool {
        if self.deltas.iter().any(|(origin, delta)| *origin == edit.origin && delta == edit.delta) {
            return true;
        }
        if self.deltas.len() >= WAITING_DELTAS_MAX && !self.unbounded {
            return false;
        }
        self.deltas.push((edit.origin, edit.delta.to_vec()));
        true
    }

    /// Everything that waits; what still must is to be kept again.
    pub(crate) fn take(&mut self) -> Vec<(Origin, Vec<u8>)> {
        std::mem::take(&mut self.deltas)
    }

    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.varint(self.deltas.len() as u64);
        for (origin, delta) in &self.deltas {
            writer.raw(origin.author.as_bytes()).raw(&origin.stamp.to_u128().to_be_bytes());
            writer.raw(origin.event.as_bytes()).bytes(delta);
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.count(SAVED_BYTES_MAX, "waiting deltas")?;
        let deltas = (0..count)
            .map(|_| Ok((decode_origin(reader)?, reader.bytes(SAVED_BYTES_MAX, "delta")?.to_vec())))
            .collect::<Result<_, DecodeError>>()?;
        Ok(Self { deltas, unbounded: false })
    }
}

fn decode_origin(reader: &mut Reader<'_>) -> Result<Origin, DecodeError> {
    let author = DeviceId::decode(reader)?;
    let stamp = Stamp::from_u128(u128::from_be_bytes(reader.array("stamp")?));
    Ok(Origin { author, stamp, event: EventId::decode(reader)? })
}
