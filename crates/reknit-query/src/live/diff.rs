//! The steps from one list of rows to another.

use super::Difference;
use crate::exec::Output;
use reknit_types::EntityId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows that are in both lists and keep their order stay; as many as can. The others are removed, moved and inserted.
pub(super) fn differences(
    old: &[Arc<Output>],
    new: &[Arc<Output>],
    entity: &dyn Fn(&Output) -> Option<EntityId>,
) -> Vec<Difference> {
    let places: BTreeMap<&[u8], usize> =
        old.iter().enumerate().map(|(place, output)| (output.identity(), place)).collect();
    // For each new row, where it was.
    let from: Vec<Option<usize>> = new.iter().map(|output| places.get(output.identity()).copied()).collect();
    let stays = longest_ascending(&from);
    let moves = from.iter().zip(&stays).filter(|(from, stays)| from.is_some() && !**stays).count();
    let moving = moves <= MOVES_MAX;
    let lists = Lists { old, new, from: &from, stays: &stays, entity };
    let mut steps = lists.removals(moving);
    if moving {
        lists.moves(&mut steps);
    }
    lists.insertions_and_updates(moving, &mut steps);
    steps
}

struct Lists<'l> {
    old: &'l [Arc<Output>],
    new: &'l [Arc<Output>],
    from: &'l [Option<usize>],
    stays: &'l [bool],
    entity: &'l dyn Fn(&Output) -> Option<EntityId>,
}

impl Lists<'_> {
    /// From the last to the first, so that the places of those before do not change.
    fn removals(&self, moving: bool) -> Vec<Difference> {
        let mut kept = vec![false; self.old.len()];
        for (from, stays) in self.from.iter().zip(self.stays) {
            if let Some(kept) = from.filter(|_| *stays || moving).and_then(|from| kept.get_mut(from)) {
                *kept = true;
            }
        }
        let gone = self.old.iter().enumerate().zip(kept).rev().filter(|(_, kept)| !kept);
        gone.map(|((at, output), _)| Difference::Removed { at, entity: (self.entity)(output) }).collect()
    }

    /// Each row that changes its place is put behind the row that it comes after.
    fn moves(&self, steps: &mut Vec<Difference>) {
        // The rows of both lists in their old order, as places in the new one.
        let mut current: Vec<usize> =
            (0..self.new.len()).filter(|place| self.was(*place).is_some()).collect();
        current.sort_by_key(|place| self.was(*place));
        let mut settled = self.stays.to_vec();
        for place in 0..self.new.len() {
            if settled[place] || self.was(place).is_none() {
                continue;
            }
            let Some(from) = current.iter().position(|at| *at == place) else { continue };
            current.remove(from);
            let before = current.iter().rposition(|at| settled[*at] && *at < place);
            let to = before.map_or(0, |before| before + 1);
            current.insert(to, place);
            settled[place] = true;
            let output = &self.new[place];
            let (row, entity) = (output.values.clone(), (self.entity)(output));
            steps.push(Difference::Moved { from, to, row, entity });
        }
    }

    fn insertions_and_updates(&self, moving: bool, steps: &mut Vec<Difference>) {
        for (at, output) in self.new.iter().enumerate() {
            let entity = (self.entity)(output);
            let was = self.was(at).filter(|_| self.stays[at] || moving);
            match was.and_then(|was| self.old.get(was)) {
                None => steps.push(Difference::Inserted { at, row: output.values.clone(), entity }),
                Some(was) if self.stays[at] && was.values != output.values => {
                    steps.push(Difference::Updated { at, row: output.values.clone(), entity });
                }
                Some(_) => {}
            }
        }
    }

    fn was(&self, place: usize) -> Option<usize> {
        self.from.get(place).copied().flatten()
    }
}

/// Which of the places belong to a longest ascending row of them (patience sorting).
fn longest_ascending(from: &[Option<usize>]) -> Vec<bool> {
    // For each length, where the row of that length with the least last place ends.
    let mut ends: Vec<usize> = vec![];
    let mut before: Vec<Option<usize>> = vec![None; from.len()];
    for (at, place) in from.iter().enumerate() {
        let Some(place) = place else { continue };
        let length = ends.partition_point(|end| from[*end].is_some_and(|end| end < *place));
        before[at] = length.checked_sub(1).map(|shorter| ends[shorter]);
        if length == ends.len() {
            ends.push(at);
        } else {
            ends[length] = at;
        }
    }
    let mut stays = vec![false; from.len()];
    let mut next = ends.last().copied();
    while let Some(at) = next {
        stays[at] = true;
        next = before[at];
    }
    stays
}

/// When more rows change their places, they are removed and inserted instead.
const MOVES_MAX: usize = 64;
