//! A text as a linked list of UTF-16 units, each placed by the two it was typed between (YATA; Nicolaescu et al., Near
//! Real-Time Peer-to-Peer Shared Editing, 2016, section 4, as Yjs has it).

use std::collections::BTreeMap;

/// A UTF-16 unit: who inserted it, and its place among all that they inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unit {
    pub(super) client: u64,
    pub(super) clock: u32,
}

/// Units inserted together between two others.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// The clock of the first.
    pub(super) clock: u32,
    pub(super) left: Option<Unit>,
    pub(super) right: Option<Unit>,
    pub(super) units: Vec<u16>,
}

/// Consecutive units of one client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) first: Unit,
    pub(super) len: u32,
}

/// The two units that another was inserted between; none is the start or the end.
pub(super) type Between = (Option<Unit>, Option<Unit>);

impl Run {
    /// The clock after the last.
    pub(super) fn end(&self) -> u32 {
        // A payload has fewer bytes than a clock has values.
        self.clock.saturating_add(self.units.len() as u32)
    }

    /// What the unit at `clock` was inserted between: all but the first follow the one before.
    pub(super) fn origins(&self, client: u64, clock: u32) -> Between {
        let left = if clock == self.clock { self.left } else { Some(Unit { client, clock: clock - 1 }) };
        (left, self.right)
    }
}

impl Span {
    pub(super) fn last(&self) -> Unit {
        let clock = self.first.clock.saturating_add(self.len.saturating_sub(1));
        Unit { clock, ..self.first }
    }
}

#[derive(Debug)]
struct Node {
    unit: Unit,
    between: Between,
    code: u16,
    deleted: bool,
    /// Half of a surrogate pair that somebody took apart.
    broken: bool,
    next: Option<usize>,
}

/// All units ever inserted, in the order of the text.
#[derive(Debug, Default)]
pub(super) struct Yata {
    nodes: Vec<Node>,
    first: Option<usize>,
    /// Where each client's units are in `nodes`, by clock.
    clients: BTreeMap<u64, Vec<usize>>,
}

impl Yata {
    /// How many units of a client there are.
    pub(super) fn clock(&self, client: u64) -> u32 {
        self.clients.get(&client).map_or(0, |units| units.len() as u32)
    }

    /// What a unit was inserted between, if it is there.
    pub(super) fn origins(&self, unit: Unit) -> Option<Between> {
        Some(self.nodes[self.find(unit)?].between)
    }

    /// Inserts the next units of a client. Its neighbours are there.
    pub(super) fn insert(&mut self, client: u64, run: &Run) {
        run.left.iter().for_each(|left| self.part_before(Unit { clock: left.clock + 1, ..*left }));
        run.right.iter().for_each(|right| self.part_before(*right));
        for (clock, code) in (run.clock..).zip(&run.units) {
            let unit = Unit { client, clock };
            let between = run.origins(client, clock);
            let after = self.place(unit, between);
            let at = self.nodes.len();
            let next = match after {
                Some(after) => self.nodes[after].next.replace(at),
                None => self.first.replace(at),
            };
            self.nodes.push(Node { unit, between, code: *code, deleted: false, broken: false, next });
            self.clients.entry(client).or_default().push(at);
        }
    }

    /// Deletes units that are there.
    pub(super) fn delete(&mut self, span: &Span) {
        let last = span.last();
        self.part_before(span.first);
        self.part_before(Unit { clock: last.clock + 1, ..last });
        for clock in span.first.clock..=last.clock {
            if let Some(at) = self.find(Unit { clock, ..last }) {
                self.nodes[at].deleted = true;
            }
        }
    }

    /// What the text reads. Of a character that was taken apart each half shows as U+FFFD.
    pub(super) fn text(&self) -> String {
        let mut codes = vec![];
        let mut at = self.first;
        while let Some(node) = at.map(|at| &self.nodes[at]) {
            if !node.deleted {
                codes.push(if node.broken { REPLACEMENT } else { node.code });
            }
            at = node.next;
        }
        String::from_utf16_lossy(&codes)
    }

    /// After which node a unit goes. Between its neighbours lie units that were inserted concurrently. Those that hang from
    /// the same left neighbour go in the order of their clients, each with what hangs from it.
    fn place(&self, unit: Unit, (left, right): Between) -> Option<usize> {
        let left_at = left.and_then(|left| self.find(left));
        let right_at = right.and_then(|right| self.find(right));
        let mut after = left_at;
        let mut at = left_at.map_or(self.first, |left| self.nodes[left].next);
        // Passed units, with how many were passed before; and how many were when `after` last moved.
        let (mut passed, mut settled) = (BTreeMap::new(), 0);
        while let Some(here) = at.filter(|_| at != right_at) {
            let node = &self.nodes[here];
            passed.insert(node.unit, passed.len() + 1);
            let goes_before_us = match node.between.0 {
                origin if origin == left => {
                    if node.unit.client > unit.client && node.between.1 == right {
                        break;
                    }
                    node.unit.client < unit.client
                }
                Some(origin) => match passed.get(&origin) {
                    Some(place) => *place <= settled,
                    None => break,
                },
                None => break,
            };
            if goes_before_us {
                (after, settled) = (Some(here), passed.len());
            }
            at = node.next;
        }
        after
    }

    /// Notes that an edit begins or ends right before this unit: if that is inside a character, it is broken for good.
    fn part_before(&mut self, unit: Unit) {
        let Some(before) = unit.clock.checked_sub(1) else { return };
        let halves = (self.find(Unit { clock: before, ..unit }), self.find(unit));
        if let (Some(high), Some(low)) = halves
            && (0xd800..0xdc00).contains(&self.nodes[high].code)
            && (0xdc00..0xe000).contains(&self.nodes[low].code)
        {
            (self.nodes[high].broken, self.nodes[low].broken) = (true, true);
        }
    }

    fn find(&self, unit: Unit) -> Option<usize> {
        self.clients.get(&unit.client)?.get(unit.clock as usize).copied()
    }
}

const REPLACEMENT: u16 = 0xfffd;
