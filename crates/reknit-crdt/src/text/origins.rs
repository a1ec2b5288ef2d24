//! Between which neighbours every unit of a text was inserted.
//!
//! Yrs places a run by its neighbours (YATA; Nicolaescu et al., Near Real-Time Peer-to-Peer Shared Editing, 2016), and
//! all copies of a text agree only if its author really saw the two next to each other. A liar may name any two. So a
//! run counts only if one of its neighbours was inserted next to the other: then there was a moment when they were
//! neighbours, and the run cannot be told from one that somebody typed at that moment. Whoever types here names such
//! neighbours, see [`Origins::gap`].

use super::delta::{Delta, Run, Unit};
use super::update::Block;
use std::collections::BTreeMap;

/// Between which neighbours every unit of a text was inserted.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    clients: BTreeMap<u64, Chain>,
    /// The first units of pieces, by their left neighbours.
    children: BTreeMap<Option<Unit>, Vec<Unit>>,
}

/// What a client inserted. No piece continues the one before it: equal runs make equal pieces.
#[derive(Debug, Default)]
struct Chain {
    end: u32,
    pieces: Vec<Piece>,
}

/// Units typed one after the other: each but the first has the one before to its left, all have the same to the right.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    clock: u32,
    left: Option<Unit>,
    right: Option<Unit>,
}

impl Origins {
    /// The origins of a text that consists of these blocks.
    pub(crate) fn of(mut blocks: Vec<Block>) -> Self {
        blocks.sort_by_key(|block| block.unit);
        let mut origins = Self::default();
        for block in blocks {
            origins.extend(block.unit.client, block.len, block.left, block.right);
        }
        origins
    }

    /// Units inserted so far by a client.
    pub(crate) fn clock(&self, client: u64) -> u32 {
        self.clients.get(&client).map_or(0, |chain| chain.end)
    }

    /// Units inserted so far, by client.
    pub(crate) fn clocks(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.clients.iter().map(|(client, chain)| (*client, chain.end))
    }

    /// Whether all neighbours that the runs of a delta name were next to each other once. Those of other deltas must be
    /// here; the delta's own units are its own, even where another delta's are here in their place.
    pub(crate) fn allow(&self, delta: &Delta) -> bool {
        let mut ahead = Ahead { delta, chain: Chain::at(delta.start) };
        delta.runs.iter().all(|run| {
            let allowed = self.allows(&ahead, run);
            ahead.chain.take(delta.client, run);
            allowed
        })
    }

    /// Takes the runs of a delta that is allowed, and next of its client.
    pub(crate) fn add(&mut self, delta: &Delta) {
        delta.runs.iter().for_each(|run| self.extend(delta.client, run.units(), run.left, run.right));
    }

    /// Whether the units at the place of a delta have the neighbours that it says.
    pub(crate) fn hold(&self, delta: &Delta) -> bool {
        let Some(held) = self.clients.get(&delta.client).filter(|chain| delta.end <= chain.end) else {
            return false;
        };
        let chain = Chain::of(delta);
        let Some((first, rest)) = chain.pieces.split_first() else { return true };
        let from = held.pieces.partition_point(|piece| piece.clock <= delta.start);
        let to = held.pieces.partition_point(|piece| piece.clock < delta.end);
        let start = Unit { client: delta.client, clock: delta.start };
        held.left_of(start) == first.left
            && held.right_of(start) == first.right
            && held.pieces.get(from..to) == Some(rest)
    }

    /// Neighbours for what is typed between two visible units that no other visible one lies between; `None` is the
    /// start or end of the text.
    ///
    /// The left neighbours form a tree, and the text is a walk through it, parents first. So what hangs from `left` comes
    /// right after it, and of what hangs there only the branch that leads to `right` is visible.
    pub(crate) fn gap(&self, left: Option<Unit>, right: Option<Unit>) -> (Option<Unit>, Option<Unit>) {
        let next = left.and_then(|unit| self.next_in_piece(unit));
        let hanging = self.children.get(&left).map_or(&[][..], Vec::as_slice);
        match (next, hanging) {
            (None, []) => (left, left.and_then(|unit| self.right_of(unit))),
            (Some(next), []) => (left, Some(next)),
            (None, [only]) => (left, Some(*only)),
            (next, [first, ..]) => {
                let branch = right.and_then(|unit| self.ancestor_below(unit, left));
                (left, branch.or(next).or(Some(*first)))
            }
        }
    }

    fn allows(&self, ahead: &Ahead<'_>, run: &Run) -> bool {
        let chain = |unit: Unit| ahead.chain_of(unit).or_else(|| self.clients.get(&unit.client));
        match (run.left, run.right) {
            (None, None) => true,
            (left, Some(right)) if chain(right).and_then(|chain| chain.left_of(right)) == left => true,
            (Some(left), right) => chain(left).and_then(|chain| chain.right_of(left)) == right,
            (None, Some(_)) => false,
        }
    }

    fn extend(&mut self, client: u64, len: u32, left: Option<Unit>, right: Option<Unit>) {
        let chain = self.clients.entry(client).or_default();
        if let Some(first) = chain.extend(client, len, left, right) {
            self.children.entry(left).or_default().push(first);
        }
    }

    fn right_of(&self, unit: Unit) -> Option<Unit> {
        self.clients.get(&unit.client)?.right_of(unit)
    }

    fn piece(&self, unit: Unit) -> Option<&Piece> {
        self.clients.get(&unit.client)?.piece(unit.clock)
    }

    /// The unit that was typed right after this one, in the same piece.
    fn next_in_piece(&self, unit: Unit) -> Option<Unit> {
        let next = Unit { clock: unit.clock.checked_add(1)?, ..unit };
        let chain = self.clients.get(&unit.client)?;
        let starts = self.piece(next).is_none_or(|piece| piece.clock == next.clock);
        (next.clock < chain.end && !starts).then_some(next)
    }

    /// Of the units that `unit` hangs from, and itself, the one whose left neighbour is `parent`.
    fn ancestor_below(&self, unit: Unit, parent: Option<Unit>) -> Option<Unit> {
        let mut unit = unit;
        loop {
            let piece = self.piece(unit)?;
            let inside = |parent: Unit| {
                parent.client == unit.client && (piece.clock..unit.clock).contains(&parent.clock)
            };
            if let Some(parent) = parent.filter(|parent| inside(*parent)) {
                return Some(Unit { clock: parent.clock + 1, ..parent });
            }
            if piece.left == parent {
                return Some(Unit { clock: piece.clock, ..unit });
            }
            unit = piece.left?;
        }
    }
}

/// What a delta is about to insert.
struct Ahead<'a> {
    delta: &'a Delta,
    chain: Chain,
}

impl Ahead<'_> {
    fn chain_of(&self, unit: Unit) -> Option<&Chain> {
        (unit.client == self.delta.client && unit.clock >= self.delta.start).then_some(&self.chain)
    }
}

impl Chain {
    /// The chain of a delta alone.
    fn of(delta: &Delta) -> Self {
        let mut chain = Self::at(delta.start);
        delta.runs.iter().for_each(|run| _ = chain.take(delta.client, run));
        chain
    }

    fn at(end: u32) -> Self {
        Self { end, pieces: Vec::new() }
    }

    fn take(&mut self, client: u64, run: &Run) -> Option<Unit> {
        self.extend(client, run.units(), run.left, run.right)
    }

    /// Takes what was typed next; returns its first unit, if a piece begins there.
    fn extend(&mut self, client: u64, len: u32, left: Option<Unit>, right: Option<Unit>) -> Option<Unit> {
        let clock = self.end;
        self.end = clock.saturating_add(len);
        let previous = clock.checked_sub(1).map(|clock| Unit { client, clock });
        let joins = previous.is_some() && left == previous;
        if joins && self.pieces.last().is_some_and(|last| last.right == right) {
            return None;
        }
        self.pieces.push(Piece { clock, left, right });
        Some(Unit { client, clock })
    }

    fn left_of(&self, unit: Unit) -> Option<Unit> {
        let piece = self.piece(unit.clock)?;
        if piece.clock == unit.clock { piece.left } else { Some(Unit { clock: unit.clock - 1, ..unit }) }
    }

    fn right_of(&self, unit: Unit) -> Option<Unit> {
        self.piece(unit.clock)?.right
    }

    fn piece(&self, clock: u32) -> Option<&Piece> {
        let after = self.pieces.partition_point(|piece| piece.clock <= clock);
        self.pieces.get(after.checked_sub(1)?)
    }
}
