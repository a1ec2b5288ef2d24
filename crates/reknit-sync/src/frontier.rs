//! What a peer has: the tips of every author's chain.

use crate::limits::{AUTHORS_MAX, TIPS_MAX};
use reknit_types::{DecodeError, DeviceId, Dot, EventId, Reader, Tip, Writer};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Author to tips: one for each branch of the author's chain, which is one unless the author forked it. Names a
/// causally complete set of events: all that the tips' chains reach back to.
#[derive(Debug, Clone, Default)]
pub struct Frontier {
    authors: BTreeMap<DeviceId, Vec<Tip>>,
    digest: OnceLock<[u8; 32]>,
}

/// What became of an event put into a frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It extends its author's chain, or begins it.
    Extended,
    /// It begins another branch of its author's chain.
    Forked,
    /// It was a tip already.
    Known,
    /// Refused: the space has its fill of authors, or the author of branches.
    Full,
}

impl Frontier {
    /// Adds an event whose predecessors are in already; `prev` is the one it names in its author's chain.
    pub fn insert(&mut self, dot: &Dot, prev: Option<&EventId>) -> Inserted {
        if !self.authors.contains_key(&dot.author) && self.authors.len() >= AUTHORS_MAX {
            return Inserted::Full;
        }
        let tips = self.authors.entry(dot.author).or_default();
        let inserted = insert_tip(tips, dot.tip(), prev);
        if matches!(inserted, Inserted::Extended | Inserted::Forked) {
            self.digest.take();
        }
        inserted
    }

    /// Replaces the tips of one author; none removes the author.
    pub fn set(&mut self, author: DeviceId, mut tips: Vec<Tip>) {
        self.digest.take();
        tips.sort_unstable();
        tips.dedup();
        tips.truncate(TIPS_MAX);
        if tips.is_empty() {
            self.authors.remove(&author);
        } else {
            self.authors.insert(author, tips);
        }
    }

    /// The tips of an author, ascending; none if nothing of the author is in.
    pub fn tips(&self, author: &DeviceId) -> &[Tip] {
        self.authors.get(author).map_or(&[], Vec::as_slice)
    }

    /// Whether the event is the end of a branch.
    pub fn contains_tip(&self, dot: &Dot) -> bool {
        self.tips(&dot.author).contains(&dot.tip())
    }

    /// Every author with its tips, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&DeviceId, &[Tip])> {
        self.authors.iter().map(|(author, tips)| (author, tips.as_slice()))
    }

    /// How many authors have written.
    pub fn authors(&self) -> usize {
        self.authors.len()
    }

    /// Whether there is no event at all.
    pub fn is_empty(&self) -> bool {
        self.authors.is_empty()
    }

    /// The BLAKE3 hash of the canonical encoding: equal digests mean equal sets of events.
    pub fn digest(&self) -> [u8; 32] {
        *self.digest.get_or_init(|| {
            let mut hasher = blake3::Hasher::new_derive_key("reknit/1 frontier");
            hasher.update(&self.encode());
            *hasher.finalize().as_bytes()
        })
    }

    /// What changed since `base`: the authors whose tips differ, with their tips here (none if the author is only
    /// in `base`). [`Self::apply`] on `base` gives this frontier again.
    pub fn delta(&self, base: &Self) -> Vec<(DeviceId, Vec<Tip>)> {
        let changed = self.authors.iter().filter(|(author, tips)| base.tips(author) != tips.as_slice());
        let changed = changed.map(|(author, tips)| (*author, tips.clone()));
        let gone = base.authors.keys().filter(|author| !self.authors.contains_key(author));
        let mut delta: Vec<_> = changed.chain(gone.map(|author| (*author, Vec::new()))).collect();
        delta.sort_unstable();
        delta
    }

    /// Applies what [`Self::delta`] gave.
    pub fn apply(&mut self, delta: impl IntoIterator<Item = (DeviceId, Vec<Tip>)>) {
        delta.into_iter().for_each(|(author, tips)| self.set(author, tips));
    }

    /// The canonical bytes: authors ascending, each with its tips ascending.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(8 + ENTRY_BYTES * self.authors.len());
        writer.varint(self.authors.len() as u64);
        for (author, tips) in &self.authors {
            encode_entry(&mut writer, author, tips);
        }
        writer.into_bytes()
    }

    /// The frontier with these canonical bytes, and nothing after them.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let entries = decode_entries(&mut reader)?;
        reader.finish()?;
        if entries.iter().any(|(_, tips)| tips.is_empty()) {
            return Err(DecodeError::Invalid("frontier"));
        }
        Ok(Self { authors: entries.into_iter().collect(), digest: OnceLock::new() })
    }
}

impl PartialEq for Frontier {
    fn eq(&self, other: &Self) -> bool {
        self.authors == other.authors
    }
}

impl Eq for Frontier {}

fn insert_tip(tips: &mut Vec<Tip>, tip: Tip, prev: Option<&EventId>) -> Inserted {
    if tips.contains(&tip) {
        return Inserted::Known;
    }
    let extended = tips.iter().position(|old| prev == Some(&old.id));
    let inserted = match extended {
        Some(at) => {
            tips[at] = tip;
            Inserted::Extended
        }
        None if tips.len() >= TIPS_MAX => return Inserted::Full,
        None => {
            tips.push(tip);
            if tips.len() == 1 { Inserted::Extended } else { Inserted::Forked }
        }
    };
    tips.sort_unstable();
    inserted
}

pub(crate) fn encode_entry(writer: &mut Writer, author: &DeviceId, tips: &[Tip]) {
    writer.raw(author.as_bytes()).varint(tips.len() as u64);
    for tip in tips {
        writer.varint(tip.seq).raw(tip.id.as_bytes());
    }
}

/// Entries, authors strictly ascending, tips strictly ascending.
pub(crate) fn decode_entries(reader: &mut Reader<'_>) -> Result<Vec<(DeviceId, Vec<Tip>)>, DecodeError> {
    let count = reader.count(AUTHORS_MAX, "authors of a frontier")?;
    let mut entries: Vec<(DeviceId, Vec<Tip>)> = Vec::new();
    for _ in 0..count {
        let author = DeviceId::decode(reader)?;
        let tips = (0..reader.count(TIPS_MAX, "tips of an author")?)
            .map(|_| Ok(Tip { seq: reader.varint("seq")?, id: EventId::decode(reader)? }))
            .collect::<Result<Vec<_>, DecodeError>>()?;
        let ascending = entries.last().is_none_or(|(last, _)| *last < author);
        if !ascending || !tips.is_sorted_by(|a, b| a < b) || tips.iter().any(|tip| tip.seq == 0) {
            return Err(DecodeError::Invalid("frontier"));
        }
        entries.push((author, tips));
    }
    Ok(entries)
}

const ENTRY_BYTES: usize = 72;

#[cfg(test)]
mod tests;
