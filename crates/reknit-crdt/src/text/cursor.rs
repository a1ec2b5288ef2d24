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
    /// After a run that was inserted at `at`, and whose last unit is `last`.
    pub(crate) fn after(run: &Run, at: u32, last: Unit) -> Self {
        Self { at: at.saturating_add(run.units()), left: Some(last), right: run.right }
    }

    /// The run that inserts `text` at `at`, if the cursor is there.
    pub(crate) fn run(&self, at: u32, text: &str) -> Option<Run> {
        (self.at == at).then(|| Run { left: self.left, right: self.right, text: text.to_owned() })
    }

    /// Follows a deletion of `cut` units at `at`. Its neighbours stay, as deleted ones.
    pub(crate) fn erased(&mut self, at: u32, cut: u32) {
        self.at = self.at.saturating_sub(cut).max(self.at.min(at));
    }
}
