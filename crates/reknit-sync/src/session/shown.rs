//! Tips that the peer has shown and that are not in the local history yet.

use crate::limits::{AUTHORS_MAX, TIPS_MAX};
use reknit_types::{DeviceId, Dot, Tip};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Shown {
    authors: BTreeMap<DeviceId, Vec<Entry>>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    tip: Tip,
    /// The sequence number up to which nothing is to come.
    from: u64,
    /// The event itself has come, though it is not admitted.
    delivered: bool,
}

impl Shown {
    /// The peer has an event that is not here; of its author, everything up to `from` is.
    pub(super) fn promise(&mut self, author: DeviceId, tip: Tip, from: u64) {
        self.note(author, Entry { tip, from: from.min(tip.seq.saturating_sub(1)), delivered: false });
    }

    /// The peer has sent an event that is not here yet.
    pub(super) fn deliver(&mut self, dot: &Dot) {
        let tip = dot.tip();
        for entry in self.authors.get_mut(&dot.author).into_iter().flatten() {
            entry.from = entry.from.max(tip.seq.min(entry.tip.seq));
        }
        self.note(dot.author, Entry { tip, from: tip.seq, delivered: true });
    }

    fn note(&mut self, author: DeviceId, entry: Entry) {
        if !self.authors.contains_key(&author) && self.authors.len() >= AUTHORS_MAX {
            return;
        }
        let entries = self.authors.entry(author).or_default();
        if let Some(known) = entries.iter_mut().find(|known| known.tip == entry.tip) {
            known.delivered |= entry.delivered;
            return;
        }
        entries.push(entry);
        entries.sort_unstable_by_key(|entry| entry.tip);
        if entries.len() > TIPS_MAX {
            entries.remove(0);
        }
    }

    /// The event is here now. Whether the peer had shown it.
    pub(super) fn take(&mut self, dot: &Dot) -> bool {
        let Some(entries) = self.authors.get_mut(&dot.author) else { return false };
        let before = entries.len();
        entries.retain(|entry| entry.tip != dot.tip());
        let found = entries.len() < before;
        if entries.is_empty() {
            self.authors.remove(&dot.author);
        }
        found
    }

    pub(super) fn is_empty(&self) -> bool {
        self.authors.is_empty()
    }

    /// Whether the peer owes events.
    pub(super) fn owed(&self) -> bool {
        self.authors.values().flatten().any(|entry| !entry.delivered)
    }

    /// How many events the peer owes, as far as is known.
    pub(super) fn events(&self) -> u64 {
        let owed = self.authors.values().flatten().filter(|entry| !entry.delivered);
        owed.map(|entry| entry.tip.seq.saturating_sub(entry.from)).fold(0, u64::saturating_add)
    }
}
