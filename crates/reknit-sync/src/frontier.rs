//! What a peer has: the tips of every author's chain.

use crate::delta::{Delta, Entry};
use crate::limits::{AUTHORS_MAX, FRONTIER_TIPS_MAX, TIPS_MAX};
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
        self.tips(&dot.author).binary_search(&dot.tip()).is_ok()
    }

    /// Every author with its tips, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (&DeviceId, &[Tip])> {
        self.authors.iter().map(|(author, tips)| (author, tips.as_slice()))
    }

    /// How many authors have written.
    pub fn authors(&self) -> usize {
        self.authors.len()
    }

    /// How many tips there are beyond the first of each author.
    pub fn branches(&self) -> usize {
        self.authors.values().map(|tips| tips.len().saturating_sub(1)).sum()
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

    /// Every tip, author by author: the order that places in a [`Delta`] count.
    pub fn dots(&self) -> impl Iterator<Item = Dot> {
        let dot = |author: DeviceId| move |tip: &Tip| Dot { author, seq: tip.seq, id: tip.id };
        self.iter().flat_map(move |(author, tips)| tips.iter().map(dot(*author)))
    }

    /// What changed since `base`. [`Self::apply`] on `base` gives this frontier again.
    pub fn delta(&self, base: &Self) -> Delta {
        let gone = (0u64..).zip(base.dots()).filter(|(_, dot)| !self.contains_tip(dot));
        let gone = gone.map(|(place, _)| place).collect();
        Delta { gone, new: entries(self.dots().filter(|dot| !base.contains_tip(dot))) }
    }

    /// The frontier that differs from this one by `delta`; `None` if there is none, or only one beyond the bounds.
    pub fn apply(&self, delta: &Delta) -> Option<Self> {
        let mut gone = delta.gone.iter().copied().peekable();
        let kept = (0u64..).zip(self.dots()).filter(|(place, _)| gone.next_if_eq(place).is_none());
        let mut tips: Vec<Dot> = kept.map(|(_, dot)| dot).collect();
        if gone.next().is_some() {
            return None;
        }
        tips.extend(delta.dots());
        Self::of(tips)
    }

    /// The frontier with these tips; `None` if one is there twice, or there are more than the bounds allow.
    pub(crate) fn of(mut tips: Vec<Dot>) -> Option<Self> {
        tips.sort_unstable_by_key(|dot| (dot.author, dot.tip()));
        if tips.len() > FRONTIER_TIPS_MAX || !tips.is_sorted_by(|a, b| a != b) {
            return None;
        }
        let authors: BTreeMap<_, _> = entries(tips.into_iter()).into_iter().collect();
        let bounded = authors.len() <= AUTHORS_MAX && authors.values().all(|tips| tips.len() <= TIPS_MAX);
        bounded.then(|| Self { authors, digest: OnceLock::new() })
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

/// Tips gathered author by author; those of one author follow on one another.
fn entries(dots: impl Iterator<Item = Dot>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for dot in dots {
        match entries.last_mut().filter(|(author, _)| *author == dot.author) {
            Some((_, tips)) => tips.push(dot.tip()),
            None => entries.push((dot.author, vec![dot.tip()])),
        }
    }
    entries
}

pub(crate) fn encode_entry(writer: &mut Writer, author: &DeviceId, tips: &[Tip]) {
    writer.raw(author.as_bytes()).varint(tips.len() as u64);
    for tip in tips {
        writer.varint(tip.seq).raw(tip.id.as_bytes());
    }
}

/// Entries, authors strictly ascending, each with tips strictly ascending.
pub(crate) fn decode_entries(reader: &mut Reader<'_>) -> Result<Vec<Entry>, DecodeError> {
    let count = reader.count(AUTHORS_MAX, "authors of a frontier")?;
    let mut entries: Vec<Entry> = Vec::new();
    for _ in 0..count {
        let author = DeviceId::decode(reader)?;
        let tips = (0..reader.count(TIPS_MAX, "tips of an author")?)
            .map(|_| Ok(Tip { seq: reader.varint("seq")?, id: EventId::decode(reader)? }))
            .collect::<Result<Vec<_>, DecodeError>>()?;
        let ascending = entries.last().is_none_or(|(last, _)| *last < author);
        let genuine = !tips.is_empty() && tips.iter().all(|tip| tip.seq > 0);
        if !ascending || !genuine || !tips.is_sorted_by(|a, b| a < b) {
            return Err(DecodeError::Invalid("frontier"));
        }
        entries.push((author, tips));
    }
    Ok(entries)
}

const ENTRY_BYTES: usize = 72;

#[cfg(test)]
mod tests;
