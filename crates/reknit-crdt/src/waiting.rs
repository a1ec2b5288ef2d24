//! Deltas that build on what is not here yet.

use crate::contract::{Edit, cost};
use crate::identity::Origin;
use crate::limits::{SAVED_BYTES_MAX, WAITING_DELTAS_MAX, WAITING_WEIGHT_MAX};
use reknit_types::{CrdtKind, DecodeError, DeviceId, EventId, Reader, Stamp, Writer};

/// Deltas that wait, in the order they came, each with its origin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    deltas: Vec<(Origin, Vec<u8>)>,
    weight: u64,
    unbounded: bool,
}

impl Waiting {
    /// For a replay, whose deltas are all in memory anyway.
    pub(crate) fn unbounded() -> Self {
        Self { unbounded: true, ..Self::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.deltas.is_empty()
    }

    /// Keeps a delta of a field of this kind; `false` if there is no room.
    pub(crate) fn keep(&mut self, kind: CrdtKind, edit: &Edit<'_>) -> bool {
        if self.deltas.iter().any(|(origin, delta)| *origin == edit.origin && delta == edit.delta) {
            return true;
        }
        let weight = self.weight.saturating_add(weight(kind, edit.delta));
        if (self.deltas.len() >= WAITING_DELTAS_MAX || weight > WAITING_WEIGHT_MAX) && !self.unbounded {
            return false;
        }
        self.weight = weight;
        self.deltas.push((edit.origin, edit.delta.to_vec()));
        true
    }

    /// Everything that waits; what still must is to be kept again.
    pub(crate) fn take(&mut self) -> Vec<(Origin, Vec<u8>)> {
        self.weight = 0;
        std::mem::take(&mut self.deltas)
    }

    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.varint(self.deltas.len() as u64);
        for (origin, delta) in &self.deltas {
            writer.raw(origin.author.as_bytes()).raw(&origin.stamp.to_u128().to_be_bytes());
            writer.raw(origin.event.as_bytes()).bytes(delta);
        }
    }

    pub(crate) fn decode(kind: CrdtKind, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.count(SAVED_BYTES_MAX, "waiting deltas")?;
        let deltas: Vec<(Origin, Vec<u8>)> = (0..count)
            .map(|_| Ok((decode_origin(reader)?, reader.bytes(SAVED_BYTES_MAX, "delta")?.to_vec())))
            .collect::<Result<_, DecodeError>>()?;
        let weight = deltas.iter().fold(0, |sum: u64, (_, delta)| sum.saturating_add(weight(kind, delta)));
        Ok(Self { deltas, weight, unbounded: false })
    }
}

/// What trying a delta again costs.
fn weight(kind: CrdtKind, delta: &[u8]) -> u64 {
    cost(kind, delta).max(delta.len() as u64)
}

fn decode_origin(reader: &mut Reader<'_>) -> Result<Origin, DecodeError> {
    let author = DeviceId::decode(reader)?;
    let stamp = Stamp::from_u128(u128::from_be_bytes(reader.array("stamp")?));
    Ok(Origin { author, stamp, event: EventId::decode(reader)? })
}
