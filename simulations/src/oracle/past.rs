//! The graph of events: whether it is whole, and its ends.

use super::OracleError;
use reknit_types::{DeviceId, EventId, Kind, Payload, Tip, VerifiedEvent, Writer};
use std::collections::{BTreeMap, BTreeSet};

/// Events that are a causally complete set.
pub(super) struct Past<'a> {
    by_id: BTreeMap<EventId, &'a VerifiedEvent>,
    /// By `(stamp, id)`: causes before effects.
    sorted: Vec<&'a VerifiedEvent>,
}

impl<'a> Past<'a> {
    pub(super) fn of(events: &'a [VerifiedEvent]) -> Result<Self, OracleError> {
        let by_id: BTreeMap<_, _> = events.iter().map(|event| (event.id(), event)).collect();
        let mut sorted: Vec<_> = by_id.values().copied().collect();
        sorted.sort_by_key(|event| (event.header().stamp, event.id()));
        let past = Self { by_id, sorted };
        past.sorted.iter().try_for_each(|event| past.check(event))?;
        Ok(past)
    }

    /// All events, causes before effects.
    pub(super) fn sorted(&self) -> &[&'a VerifiedEvent] {
        &self.sorted
    }

    /// What no other event follows.
    pub(super) fn heads(&self) -> BTreeSet<EventId> {
        let mut heads: BTreeSet<EventId> = self.by_id.keys().copied().collect();
        for event in &self.sorted {
            let header = event.header();
            header.parents.iter().chain(&header.prev).for_each(|named| _ = heads.remove(named));
        }
        heads
    }

    /// The ends of each author's chain.
    pub(super) fn frontier(&self) -> BTreeMap<DeviceId, BTreeSet<Tip>> {
        let followed: BTreeSet<EventId> =
            self.sorted.iter().filter_map(|event| event.header().prev).collect();
        let mut frontier: BTreeMap<DeviceId, BTreeSet<Tip>> = BTreeMap::new();
        for event in self.sorted.iter().filter(|event| !followed.contains(&event.id())) {
            frontier.entry(event.header().author).or_default().insert(event.tip());
        }
        frontier
    }

    /// Where chains part, with everything that the author wrote under that number.
    pub(super) fn forks(&self) -> BTreeMap<(DeviceId, u64), BTreeSet<EventId>> {
        let mut followers: BTreeMap<(DeviceId, Option<EventId>), u64> = BTreeMap::new();
        let mut numbered: BTreeMap<(DeviceId, u64), BTreeSet<EventId>> = BTreeMap::new();
        let mut parting = BTreeSet::new();
        for event in &self.sorted {
            let header = event.header();
            let count = followers.entry((header.author, header.prev)).or_default();
            *count += 1;
            if *count > 1 {
                parting.insert((header.author, header.seq));
            }
            numbered.entry((header.author, header.seq)).or_default().insert(event.id());
        }
        numbered.retain(|place, _| parting.contains(place));
        numbered
    }

    fn check(&self, event: &VerifiedEvent) -> Result<(), OracleError> {
        let (header, id) = (event.header(), event.id());
        let unfit = |why: &str| Err(OracleError::Unfit { event: id, why: why.to_owned() });
        if self.sorted.first().is_some_and(|first| first.header().space != header.space) {
            return unfit("it names another space");
        }
        if matches!(event.payload(), Payload::Erased { .. }) {
            return unfit("its payload is gone");
        }
        if header.kind == Kind::Data && header.parents.is_empty() {
            return unfit("it writes data before anything was there");
        }
        if let Some(prev) = header.prev {
            let before = self.named(event, prev)?.header();
            if before.author != header.author || before.seq.checked_add(1) != Some(header.seq) {
                return Err(OracleError::Misplaced { event: id, named: prev });
            }
        }
        for dot in event.parents() {
            if self.named(event, dot.id)?.dot() != *dot {
                return Err(OracleError::Misplaced { event: id, named: dot.id });
            }
        }
        Ok(())
    }

    /// What the event names, which must be there and stamped before it.
    fn named(&self, event: &VerifiedEvent, named: EventId) -> Result<&'a VerifiedEvent, OracleError> {
        let found =
            self.by_id.get(&named).ok_or(OracleError::Missing { event: event.id(), missing: named })?;
        if found.header().stamp >= event.header().stamp {
            return Err(OracleError::Stamp { event: event.id(), before: named });
        }
        Ok(found)
    }
}

/// The hash of the canonical encoding: authors ascending, each with its tips ascending.
pub(super) fn digest(frontier: &BTreeMap<DeviceId, BTreeSet<Tip>>) -> [u8; 32] {
    let mut writer = Writer::new();
    writer.varint(frontier.len() as u64);
    for (author, tips) in frontier {
        writer.raw(author.as_bytes()).varint(tips.len() as u64);
        for tip in tips {
            writer.varint(tip.seq).raw(tip.id.as_bytes());
        }
    }
    blake3::derive_key("reknit/1 frontier", writer.as_slice())
}
