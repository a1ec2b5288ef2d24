//! How one frontier differs from another.

use crate::frontier::{decode_entries, encode_entry};
use crate::limits::FRONTIER_TIPS_MAX;
use reknit_types::{DecodeError, DeviceId, Dot, Reader, Tip, Writer};

/// Tips of one author.
pub type Entry = (DeviceId, Vec<Tip>);

/// What makes another frontier of one, tip by tip.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// Tips that are no tips any more: their places among all tips of the first frontier, ascending.
    pub gone: Vec<u64>,
    /// Tips that are new: authors ascending, each with at least one.
    pub new: Vec<Entry>,
}

impl Delta {
    /// Every new tip.
    pub fn dots(&self) -> impl Iterator<Item = Dot> {
        let dot = |author: DeviceId| move |tip: &Tip| Dot { author, seq: tip.seq, id: tip.id };
        self.new.iter().flat_map(move |(author, tips)| tips.iter().map(dot(*author)))
    }

    pub(crate) fn encode(&self, writer: &mut Writer) {
        encode_places(writer, &self.gone);
        writer.varint(self.new.len() as u64);
        self.new.iter().for_each(|(author, tips)| encode_entry(writer, author, tips));
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let delta = Self { gone: decode_places(reader)?, new: decode_entries(reader)? };
        let tips: usize = delta.new.iter().map(|(_, tips)| tips.len()).sum();
        if tips > FRONTIER_TIPS_MAX { Err(DecodeError::Invalid("number of tips")) } else { Ok(delta) }
    }
}

pub(crate) fn encode_places(writer: &mut Writer, places: &[u64]) {
    writer.varint(places.len() as u64);
    places.iter().for_each(|place| _ = writer.varint(*place));
}

/// Places among the tips of a frontier, ascending.
pub(crate) fn decode_places(reader: &mut Reader<'_>) -> Result<Vec<u64>, DecodeError> {
    let count = reader.count(FRONTIER_TIPS_MAX, "places of tips")?;
    let places = (0..count).map(|_| reader.varint("place of a tip")).collect::<Result<Vec<_>, _>>()?;
    if places.is_sorted_by(|a, b| a < b) { Ok(places) } else { Err(DecodeError::Invalid("order of tips")) }
}
