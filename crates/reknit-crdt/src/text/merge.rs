//! Which deltas of a text merge, wait, or compete for a place: decided before yrs sees them.

use super::body::Body;
use super::delta::{Delta, Run, Unit};
use super::origins::Origins;
use super::update::Block;
use crate::contract::{Applied, Edit};
use crate::error::Void;
use crate::identity::{Place, prefix};
use crate::waiting::Waiting;
use reknit_types::DeviceId;

/// What a text knows beside its characters.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    pub(crate) origins: Origins,
    pub(crate) waiting: Waiting,
    pub(crate) contested: bool,
    /// Whether this is a replay in canonical order, where an edit whose place is taken is skipped.
    pub(crate) replaying: bool,
}

enum Verdict {
    Fits,
    Waits,
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
        let mut answer = Applied::Merged;
        if matches!(self.judge(&delta), Verdict::Overlaps) {
            if !self.replaying && !self.holds(body, &delta) {
                self.contested = true;
                return Ok(Applied::Contested);
            }
            delta.runs.clear();
            answer = Applied::Known;
        }
        if let Verdict::Waits = self.judge(&delta) {
            self.contested |= !self.waiting.keep(edit);
            return Ok(if self.contested { Applied::Contested } else { Applied::Waiting });
        }
        if !self.origins.add(&delta) {
            return Err(Void::Refused("it inserts between what never was next to each other".to_owned()));
        }
        body.push(delta);
        Ok(answer)
    }

    fn judge(&self, delta: &Delta) -> Verdict {
        let next = self.origins.clock(delta.client);
        if !delta.runs.is_empty() && delta.start < next {
            return Verdict::Overlaps;
        }
        let gap = !delta.runs.is_empty() && delta.start > next;
        let end = if delta.runs.is_empty() { next } else { delta.end };
        let bound = |client| if client == delta.client { end } else { self.origins.clock(client) };
        let mut neighbours = delta.runs.iter().flat_map(|run| [run.left, run.right]).flatten();
        let adrift = neighbours.any(|unit| unit.clock >= bound(unit.client))
            || delta.spans.iter().any(|span| span.end() > bound(span.client));
        if gap || adrift { Verdict::Waits } else { Verdict::Fits }
    }

    /// Whether the text already holds exactly the runs of the delta, as far as they are not deleted since.
    fn holds(&self, body: &Body, delta: &Delta) -> bool {
        let others = self.origins.clocks().filter(|(client, _)| *client != delta.client);
        let blocks = body.blocks_since(others.chain([(delta.client, delta.start)]));
        let mut clock = delta.start;
        delta.runs.iter().all(|run| {
            let start = Unit { client: delta.client, clock };
            clock = clock.saturating_add(run.units());
            run_is_held(run, start, &blocks)
        })
    }
}

/// The yrs client id of an author in a session.
pub(crate) fn client_of(place: &Place<'_>, author: DeviceId, nonce: u64) -> u64 {
    prefix(&place.identify(author, nonce)) & super::delta::CLIENT_MAX
}

/// Whether `blocks` (one client's, consecutive) hold the run from `start` on.
fn run_is_held(run: &Run, start: Unit, blocks: &[Block]) -> bool {
    let units: Vec<u16> = run.text.encode_utf16().collect();
    units.iter().zip(start.clock..).all(|(unit, clock)| {
        let Some(block) = blocks.iter().find(|block| block.covers(start.client, clock)) else { return false };
        let previous = clock.checked_sub(1).map(|clock| Unit { client: start.client, clock });
        let left = if clock == start.clock { run.left } else { previous };
        let found_left = if clock == block.unit.clock { block.left } else { previous };
        left == found_left && run.right == block.right && block.shows(clock, *unit)
    })
}

impl Block {
    fn covers(&self, client: u64, clock: u32) -> bool {
        let end = self.unit.clock.saturating_add(self.len);
        self.unit.client == client && (self.unit.clock..end).contains(&clock)
    }

    /// Whether the unit at `clock` is this one. A deleted unit is any.
    fn shows(&self, clock: u32, unit: u16) -> bool {
        let Some(text) = &self.text else { return true };
        let at = clock.saturating_sub(self.unit.clock) as usize;
        text.encode_utf16().nth(at) == Some(unit)
    }
}
