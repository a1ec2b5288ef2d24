//! Which events of a frame form a chain.

use reknit_types::{DeviceId, Dot, EventId, Signature, Tip, VerifiedEvent};
use std::collections::BTreeMap;

/// One author's chain, or a branch of it, as far as it lies in the frame.
pub(super) struct Lane {
    pub(super) author: DeviceId,
    pub(super) before: Option<Tip>,
    pub(super) last: Tip,
    pub(super) signature: Option<Signature>,
}

impl Lane {
    /// The event before the lane.
    pub(super) fn dot_before(&self) -> Option<Dot> {
        self.before.map(|tip| Dot { author: self.author, seq: tip.seq, id: tip.id })
    }
}

/// The lanes of a frame, in the order of their first events.
#[derive(Default)]
pub(super) struct Lanes {
    pub(super) list: Vec<Lane>,
    by_author: BTreeMap<DeviceId, Vec<usize>>,
    current: usize,
    unsigned: usize,
}

impl Lanes {
    /// Puts `event` into its lane; returns the place of the lane.
    pub(super) fn place(&mut self, event: &VerifiedEvent) -> usize {
        let lane = if self.extends(self.current, event) { Some(self.current) } else { self.find(event) };
        let at = lane.unwrap_or_else(|| self.open(event));
        let lane = &mut self.list[at];
        self.unsigned -= usize::from(lane.signature.is_none());
        (lane.last, lane.signature) = (event.tip(), event.signature().copied());
        self.unsigned += usize::from(lane.signature.is_none());
        self.current = at;
        at
    }

    /// Whether every lane ends in a signed event.
    pub(super) fn signed(&self) -> bool {
        self.unsigned == 0
    }

    fn extends(&self, lane: usize, event: &VerifiedEvent) -> bool {
        let header = event.header();
        self.list.get(lane).is_some_and(|lane| {
            header.prev == Some(lane.last.id)
                && header.author == lane.author
                && header.seq.checked_sub(1) == Some(lane.last.seq)
        })
    }

    fn find(&self, event: &VerifiedEvent) -> Option<usize> {
        let lanes = self.by_author.get(&event.header().author)?;
        lanes.iter().copied().find(|lane| self.extends(*lane, event))
    }

    fn open(&mut self, event: &VerifiedEvent) -> usize {
        let header = event.header();
        let before = header.prev.map(|id| Tip { seq: header.seq - 1, id });
        self.list.push(Lane { author: header.author, before, last: event.tip(), signature: None });
        self.unsigned += 1;
        let at = self.list.len() - 1;
        self.by_author.entry(header.author).or_default().push(at);
        at
    }
}

/// The id of the last event of each lane, in the order of the lanes.
pub(crate) fn last_ids(events: &[VerifiedEvent]) -> Vec<EventId> {
    let mut lanes = Lanes::default();
    events.iter().for_each(|event| {
        lanes.place(event);
    });
    lanes.list.iter().map(|lane| lane.last.id).collect()
}
