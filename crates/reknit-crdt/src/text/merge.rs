//! Which deltas of a text merge, wait, or compete for a place: decided before yrs sees them.

use super::body::Body;
use super::delta::{Delta, Unit};
use super::origins::Origins;
use super::seams::Seams;
use super::update::Block;
use crate::contract::{Applied, Edit};
use crate::error::Void;
use crate::identity::{Place, prefix};
use crate::waiting::Waiting;
use reknit_types::{CrdtKind, DeviceId};

/// What a text knows beside its characters.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    pub(crate) origins: Origins,
    pub(crate) seams: Seams,
    pub(crate) waiting: Waiting,
    pub(crate) contested: bool,
    /// Whether this is a replay in canonical order, where an edit whose place is taken is skipped.
    pub(crate) replaying: bool,
}

enum Verdict {
    Fits,
    /// What it builds on is not here.
    Waits,
    /// It names neighbours that never were.
    Unfit,
    /// Its place is taken, maybe by itself.
    Overlaps,
}

impl Merge {
    /// Merges one delta and all that waited for it.
    pub(crate) fn apply(
        &mut self,
        body: &mut Body,
        place: &Place<'_>,
        edit: &Edit<'_>,
    ) -> Result<Applied, Void> {
        let applied = self.apply_one(body, place, edit)?;
        if applied == Applied::Merged && !self.waiting.is_empty() {
            self.retry(body, place);
        }
        Ok(if self.contested { Applied::Contested } else { applied })
    }

    fn retry(&mut self, body: &mut Body, place: &Place<'_>) {
        let mut progress = true;
        while progress {
            progress = false;
            for (origin, delta) in self.waiting.take() {
                let edit = Edit { origin, delta: &delta };
                progress |= self.apply_one(body, place, &edit) == Ok(Applied::Merged);
            }
        }
    }

    fn apply_one(&mut self, body: &mut Body, place: &Place<'_>, edit: &Edit<'_>) -> Result<Applied, Void> {
        let mut delta = Delta::decode(edit.delta, |nonce| client_of(place, edit.origin.author, nonce))?;
        if self.contested {
            return Ok(Applied::Contested);
        }
        let mut verdict = self.judge(&delta);
        let mut answer = Applied::Merged;
        if let Verdict::Overlaps = verdict {
            if !self.replaying && !self.holds(body, &delta) {
                self.contested = true;
                return Ok(Applied::Contested);
            }
            delta.runs.clear();
            verdict = self.judge(&delta);
            answer = Applied::Known;
        }
        match verdict {
            Verdict::Unfit => {
                Err(Void::Refused("it inserts between what never was next to each other".to_owned()))
            }
            Verdict::Waits => {
                self.contested |= !self.waiting.keep(CrdtKind::Text, edit);
                Ok(if self.contested { Applied::Contested } else { Applied::Waiting })
            }
            Verdict::Fits | Verdict::Overlaps => {
                self.origins.add(&delta);
                self.seams.add(&delta);
                body.push(delta);
                Ok(answer)
            }
        }
    }

    /// Whether a delta waits or is unfit depends on what it names, never on what is in its place: so it is the same in
    /// any order of arrival, contested or not.
    fn judge(&self, delta: &Delta) -> Verdict {
        let next = self.origins.clock(delta.client);
        let end = if delta.runs.is_empty() { next } else { delta.end };
        let bound = |client| if client == delta.client { end } else { self.origins.clock(client) };
        let gap = !delta.runs.is_empty() && delta.start > next;
        let mut neighbours = delta.runs.iter().flat_map(|run| [run.left, run.right]).flatten();
        let adrift = neighbours.any(|unit| unit.clock >= bound(unit.client))
            || delta.spans.iter().any(|span| span.end() > bound(span.client));
        if gap || adrift {
            Verdict::Waits
        } else if !self.origins.allow(delta) {
            Verdict::Unfit
        } else if !delta.runs.is_empty() && delta.start < next {
            Verdict::Overlaps
        } else {
            Verdict::Fits
        }
    }

    /// Whether the runs of the delta came before, in a delta of their own. What of them is deleted since may have been
    /// other characters: nobody can tell any more, and nobody needs to.
    fn holds(&self, body: &Body, delta: &Delta) -> bool {
        self.seams.hold(delta) && self.origins.hold(delta) && {
            let others = self.origins.clocks().filter(|(client, _)| *client != delta.client);
            shows(&body.blocks_since(others.chain([(delta.client, delta.start)])), delta)
        }
    }
}

/// Whether a delta is void by itself.
pub(crate) fn check(place: &Place<'_>, edit: &Edit<'_>) -> Result<(), Void> {
    Delta::decode(edit.delta, |nonce| client_of(place, edit.origin.author, nonce))?;
    Ok(())
}

/// The yrs client id of an author in a session.
pub(crate) fn client_of(place: &Place<'_>, author: DeviceId, nonce: u64) -> u64 {
    prefix(&place.identify(author, nonce)) & super::delta::CLIENT_MAX
}

/// Whether `blocks`, which are all of the client's from where the delta begins, show its characters. A deleted unit may
/// be any.
fn shows(blocks: &[Block], delta: &Delta) -> bool {
    let start = Unit { client: delta.client, clock: delta.start };
    let mut held = blocks.iter().flat_map(Block::units);
    blocks.first().is_some_and(|first| first.unit == start)
        && delta
            .runs
            .iter()
            .flat_map(|run| run.text.encode_utf16())
            .all(|unit| held.next().is_some_and(|held| held.is_none_or(|held| held == unit)))
}

impl Block {
    /// The units of the block; `None` for each that is deleted.
    fn units(&self) -> impl Iterator<Item = Option<u16>> + '_ {
        let deleted = if self.text.is_some() { 0 } else { self.len as usize };
        let text = self.text.iter().flat_map(|text| text.encode_utf16());
        text.map(Some).chain(std::iter::repeat_n(None, deleted))
    }
}
