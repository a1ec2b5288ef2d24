//! What one side of a session lacks of the other's events.

use reknit_types::{DeviceId, Tip};
use std::collections::BTreeMap;

/// Events to be sent: stretches of authors' chains. A [`crate::History`] takes the next ones out in causal order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    authors: BTreeMap<DeviceId, Vec<Range>>,
}

/// A stretch of one branch: the events with a sequence number greater than `after`, up to and with `up_to`, on the
/// chain that ends in `up_to`. Stretches of one author never share an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The last sequence number that the other side has, or has been sent, of this chain; 0 if none.
    pub after: u64,
    /// The last event to send. `up_to.seq > after`.
    pub up_to: Tip,
}

impl Range {
    /// How many events it holds.
    pub fn len(&self) -> u64 {
        self.up_to.seq.saturating_sub(self.after)
    }

    /// Whether nothing is left of it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Missing {
    /// Whether nothing is left to send.
    pub fn is_empty(&self) -> bool {
        self.authors.is_empty()
    }

    /// How many events are left to send.
    pub fn events(&self) -> u64 {
        self.authors.values().flatten().map(Range::len).fold(0, u64::saturating_add)
    }

    /// Every stretch, author by author.
    pub fn iter(&self) -> impl Iterator<Item = (&DeviceId, &Range)> {
        self.authors.iter().flat_map(|(author, ranges)| ranges.iter().map(move |range| (author, range)))
    }

    /// The stretches of one author: usually one; several if its chain is forked, or some were learnt later.
    pub fn ranges(&self, author: &DeviceId) -> &[Range] {
        self.authors.get(author).map_or(&[], Vec::as_slice)
    }

    /// Adds a stretch; an empty one is ignored. It must share no event with those already there.
    pub fn add(&mut self, author: DeviceId, range: Range) {
        if !range.is_empty() {
            self.authors.entry(author).or_default().push(range);
        }
    }

    /// Notes that the stretch of `author` that ends in `up_to` has been sent through the sequence number `seq`.
    pub fn mark_sent(&mut self, author: &DeviceId, up_to: &Tip, seq: u64) {
        self.retain(author, |range| {
            if range.up_to == *up_to {
                range.after = range.after.max(seq);
            }
        });
    }

    /// Whether the event with this sequence number is still to be sent, if the author's chain is not forked. Events
    /// of forked authors need their branch known: compare with [`Self::ranges`].
    pub fn holds(&self, author: &DeviceId, seq: u64) -> bool {
        self.ranges(author).iter().any(|range| range.after < seq && seq <= range.up_to.seq)
    }

    /// Changes every stretch of `author`, and drops those that end up empty.
    pub(crate) fn retain(&mut self, author: &DeviceId, mut change: impl FnMut(&mut Range)) {
        if let Some(ranges) = self.authors.get_mut(author) {
            ranges.iter_mut().for_each(&mut change);
            ranges.retain(|range| !range.is_empty());
            if ranges.is_empty() {
                self.authors.remove(author);
            }
        }
    }

    /// Adds an event: lengthens the stretch that it follows on, or begins one. `follows` tells whether the second
    /// event's chain runs through the first, which lies right before it or before the stretch it ends.
    pub(crate) fn extend<E>(
        &mut self,
        author: DeviceId,
        range: Range,
        follows: impl Fn(&Tip, &Tip) -> Result<bool, E>,
    ) -> Result<(), E> {
        for held in self.authors.get_mut(&author).into_iter().flatten() {
            if held.up_to.seq == range.after && follows(&held.up_to, &range.up_to)? {
                held.up_to = range.up_to;
                return Ok(());
            }
        }
        self.add(author, range);
        Ok(())
    }

    /// Moves everything out of `other` into this; the two share no event.
    pub(crate) fn append<E>(
        &mut self,
        other: &mut Self,
        follows: impl Fn(&DeviceId, &Tip, &Tip) -> Result<bool, E>,
    ) -> Result<(), E> {
        for (author, ranges) in std::mem::take(&mut other.authors) {
            for range in ranges {
                self.extend(author, range, |a, b| follows(&author, a, b))?;
            }
        }
        Ok(())
    }
}
