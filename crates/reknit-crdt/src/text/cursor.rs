//! Where somebody is typing: what is typed there needs no search for its neighbours.

use super::delta::{Run, Unit};

/// A place between two neighbouring units of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Visible units before the cursor.
    at: u32,
    left: Option<Unit>,
    right: Option<Unit>,
}

impl Cursor {
    pub(crate) fn new(at: u32, left: Option<Unit>, right: Option<Unit>) -> Self {
        Self { at, left, right }
    }

    pub(crate) fn at(&self) -> u32 {
        self.at
    }

    /// The run that inserts `text` here.
    pub(crate) fn run(&self, text: &str) -> Run {
        Run { left: self.left, right: self.right, text: text.to_owned() }
    }

    /// Moves behind what was inserted here, whose last unit is `last`.
    pub(crate) fn advance(&mut self, units: u32, last: Unit) {
        self.at = self.at.saturating_add(units);
        self.left = Some(last);
    }

    /// Follows a deletion of `cut` units at `at`. Its neighbours stay, as deleted ones.
    pub(crate) fn erased(&mut self, at: u32, cut: u32) {
        self.at = self.at.saturating_sub(cut).max(self.at.min(at));
    }
}
