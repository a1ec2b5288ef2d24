//! Positions: people count characters, yrs counts UTF-16 units. They differ by the characters beyond the basic plane.

/// Where a text holds characters of two UTF-16 units: their positions, counted in characters, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Astral {
    at: Vec<usize>,
}

impl Astral {
    pub(crate) fn new(text: &str) -> Self {
        Self { at: positions(text, 0).collect() }
    }

    /// The units before the character at `position`.
    pub(crate) fn to_units(&self, position: usize) -> usize {
        position + self.at.partition_point(|at| *at < position)
    }

    /// The characters of a text of so many units.
    pub(crate) fn characters(&self, units: usize) -> usize {
        units.saturating_sub(self.at.len())
    }

    /// Follows an edit.
    pub(crate) fn splice(&mut self, position: usize, delete: usize, insert: &str) {
        if self.at.is_empty() && insert.is_ascii() {
            return;
        }
        let first = self.at.partition_point(|at| *at < position);
        let last = self.at.partition_point(|at| *at < position + delete);
        let inserted = insert.chars().count();
        let after: Vec<usize> =
            self.at.split_off(last).into_iter().map(|at| at - delete + inserted).collect();
        self.at.truncate(first);
        self.at.extend(positions(insert, position));
        self.at.extend(after);
    }
}

fn positions(text: &str, start: usize) -> impl Iterator<Item = usize> + '_ {
    text.chars().enumerate().filter(|(_, c)| c.len_utf16() == 2).map(move |(at, _)| start + at)
}
