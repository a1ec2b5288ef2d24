//! What every kind of field can do, and the registry of kinds.

use crate::counter::Counter;
use crate::document::Document;
use crate::error::{LoadError, Void};
use crate::identity::{Origin, Place};
use crate::register::Register;
use crate::text::Text;
use reknit_types::{CrdtKind, Value};
use std::fmt::Debug;

/// The state of one field.
///
/// Two states that were given the same deltas have the same value, whatever the order (causes first, for text and
/// documents), repetition and batches, and whether or not they were saved and loaded in between.
pub trait Crdt: Debug + Send {
    /// The kind of field.
    fn kind(&self) -> CrdtKind;

    /// Merges one delta. An error means that the delta is void, and the state as it was.
    fn apply(&mut self, place: &Place<'_>, origin: &Origin, delta: &[u8]) -> Result<Applied, Void>;

    /// Merges many deltas, causes first, and answers each. Much cheaper than one at a time for text and documents.
    fn apply_all(&mut self, place: &Place<'_>, edits: &[Edit<'_>]) -> Vec<Result<Applied, Void>> {
        edits.iter().map(|edit| self.apply(place, &edit.origin, edit.delta)).collect()
    }

    /// The whole state, for [`load`]. Equal states need not have equal bytes.
    fn save(&self) -> Vec<u8>;

    /// What the field holds.
    fn value(&self) -> FieldValue;

    /// Whether the value depends on the order of arrival, so that only [`rebuild`] can tell it. Once contested, a field
    /// stays so, and this is saved with it.
    fn is_contested(&self) -> bool {
        false
    }
}

/// A delta and where it came from.
#[derive(Debug, Clone, Copy)]
pub struct Edit<'a> {
    /// The event it came in.
    pub origin: Origin,
    /// The delta.
    pub delta: &'a [u8],
}

/// What became of a delta that is not void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// The delta is part of the state now.
    Merged,
    /// The delta was part of the state already, or has nothing to add to it.
    Known,
    /// The delta builds on what is not here. It is kept in the state, and merges when that has.
    Waiting,
    /// The field is contested: see [`Crdt::is_contested`].
    Contested,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// The value written last; `None` if none ever was, which is not [`Value::Null`].
    Register(Option<Value>),
    /// The sum of everything added.
    Counter(i64),
    /// The text.
    Text(String),
    /// The document as JSON, see [`Document::to_json`].
    Document(serde_json::Value),
}

/// The state of a field that was never edited.
pub fn empty(kind: CrdtKind) -> Box<dyn Crdt> {
    match kind {
        CrdtKind::Register => Box::new(Register::new()),
        CrdtKind::Counter => Box::new(Counter::new()),
        CrdtKind::Text => Box::new(Text::new()),
        CrdtKind::Document => Box::new(Document::new()),
    }
}

/// The state that [`Crdt::save`] returned these bytes for.
pub fn load(kind: CrdtKind, saved: &[u8]) -> Result<Box<dyn Crdt>, LoadError> {
    Ok(match kind {
        CrdtKind::Register => Box::new(Register::load(saved)?),
        CrdtKind::Counter => Box::new(Counter::load(saved)?),
        CrdtKind::Text => Box::new(Text::load(saved)?),
        CrdtKind::Document => Box::new(Document::load(saved)?),
    })
}

/// How many operations it takes at most to merge a delta, as it claims: run lengths let a small one hold very many. Cheap,
/// for nothing is unpacked; a delta that is void for its shape counts as none.
///
/// One delta is bounded by [`limits`](crate::limits); whoever takes many at once has this to bound them together.
pub fn cost(kind: CrdtKind, delta: &[u8]) -> u64 {
    match kind {
        CrdtKind::Register | CrdtKind::Counter | CrdtKind::Text => 1,
        CrdtKind::Document => crate::document::cost(delta),
    }
}

/// The state of a contested field: `edits` must be all deltas it ever received, in any order, each once or more.
///
/// They are applied in the order of `(stamp, event id)`, deltas of one event in the order given. An edit whose place in
/// its identity is taken is skipped: a text keeps what it deletes, nothing else of it remains.
pub fn rebuild(kind: CrdtKind, place: &Place<'_>, edits: &[Edit<'_>]) -> Box<dyn Crdt> {
    let mut sorted: Vec<Edit<'_>> = edits.to_vec();
    sorted.sort_by_key(|edit| (edit.origin.stamp, edit.origin.event));
    match kind {
        CrdtKind::Register | CrdtKind::Counter => {
            let mut state = empty(kind);
            state.apply_all(place, &sorted);
            state
        }
        CrdtKind::Text => Box::new(Text::replay(place, &sorted)),
        CrdtKind::Document => Box::new(Document::replay(place, &sorted)),
    }
}
