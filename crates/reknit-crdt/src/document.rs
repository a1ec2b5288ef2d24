//! Nested JSON with maps, lists and text (automerge).

mod claims;
mod delta;
mod edit;
mod history;
mod json;
mod merge;
mod path;

pub(crate) use delta::cost;
pub(crate) use merge::check;

use crate::contract::{Applied, Crdt, Edit, FieldValue};
use crate::error::{LoadError, Void};
use crate::identity::{Identity, Origin, Place};
use crate::limits::{DOCUMENT_DEPTH_MAX, DOCUMENT_OPS_MAX};
use crate::saved;
use crate::waiting::Waiting;
use automerge::transaction::CommitOptions;
use automerge::{ActorId, AutoCommit, AutomergeError, LoadOptions, ObjType, OnPartialLoad, ROOT};
use automerge::{TextEncoding, VerificationMode};
use history::History;
use merge::{Merge, actor_of};
use reknit_types::CrdtKind;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use thiserror::Error;

/// Nested JSON that several people edit at once.
///
/// | in the document | as JSON |
/// |---|---|
/// | null, booleans, strings, whole numbers, finite floats | themselves |
/// | text that merges | a string |
/// | a counter | its sum; written as `{"$counter": 5}` |
/// | bytes | `{"$bytes": "<base 64>"}` |
/// | a timestamp | `{"$timestamp": <milliseconds since 1970>}` |
/// | a float that is not finite, anything nested too deep | null |
/// | a value of a newer automerge | `{"$unknown": <type code>, "$bytes": "<base 64>"}` |
///
/// Positions in text count characters (Unicode scalar values).
pub struct Document {
    doc: AutoCommit,
    merge: Merge,
    session: Option<Session>,
    /// Changes committed since the last [`Document::take_delta`].
    committed: Vec<Vec<u8>>,
    /// How many operations it will claim, at most.
    spent: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Session {
    actor: ActorId,
    nonce: u64,
}

/// An edit of a document is impossible.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// A path is not a JSON pointer.
    #[error("{0:?} is not a path; write /key/0/key")]
    Path(String),
    /// A path leads nowhere.
    #[error("nothing is at {0:?}")]
    Missing(String),
    /// A path leads to something else than the edit needs.
    #[error("{path:?} is not {wanted}")]
    Kind {
        /// The path.
        path: String,
        /// What was needed there.
        wanted: &'static str,
    },
    /// The whole document was to be something else than an object.
    #[error("the whole document must be a JSON object")]
    Root,
    /// A value nests too deep.
    #[error("the value nests deeper than the {DOCUMENT_DEPTH_MAX} levels of a document")]
    Depth,
    /// A tagged value does not hold what its tag says.
    #[error("{0} does not hold what it should: base 64 in $bytes, an integer in $timestamp and $counter")]
    Tag(String),
    /// An edit reaches beyond the end of a text.
    #[error("the edit reaches character {end} of a text of {len}")]
    OutOfRange {
        /// Where the edit ends.
        end: usize,
        /// Characters in the text.
        len: usize,
    },
    /// One delta would hold too much.
    #[error(
        "one transaction cannot hold more than {DOCUMENT_OPS_MAX} operations on one document; commit, and go on in another"
    )]
    TooLarge,
    /// Nobody edits.
    #[error("the document was not opened for editing; call `open` first")]
    NotOpen,
    /// Automerge refuses the edit.
    #[error("the document refuses the edit: {0}")]
    Refused(#[from] AutomergeError),
}

impl Document {
    /// An empty document.
    pub fn new() -> Self {
        let doc = AutoCommit::new_with_encoding(TextEncoding::UnicodeCodePoint).with_actor(nobody());
        Self { doc, merge: Merge::default(), session: None, committed: Vec::new(), spent: 0 }
    }

    /// The document that [`Crdt::save`] returned these bytes for.
    pub fn load(saved: &[u8]) -> Result<Self, LoadError> {
        let saved = saved::unframe(CrdtKind::Document, saved)?;
        let options = LoadOptions::new()
            .text_encoding(TextEncoding::UnicodeCodePoint)
            .on_partial_load(OnPartialLoad::Error)
            // The frame's checksum has vouched for the bytes.
            .verification_mode(VerificationMode::DontCheck);
        let loaded = catch_unwind(AssertUnwindSafe(|| {
            let mut doc = AutoCommit::load_with_options(saved.body, options).ok()?.with_actor(nobody());
            let history = History::read(&mut doc);
            Some((doc, history))
        }));
        let (doc, history) = loaded.ok().flatten().ok_or(LoadError::Damaged(CrdtKind::Document))?;
        let merge = Merge { history, waiting: saved.waiting, contested: saved.contested, replaying: false };
        Ok(Self { doc, merge, session: None, committed: Vec::new(), spent: 0 })
    }

    /// Begins editing as `identity`. What was edited before and not taken is dropped from the next delta, so take it
    /// first.
    pub fn open(&mut self, place: &Place<'_>, identity: &Identity) {
        let session =
            Session { actor: actor_of(place, identity.author, identity.nonce), nonce: identity.nonce };
        if self.session.as_ref() == Some(&session) {
            return;
        }
        self.commit();
        self.committed.clear();
        self.spent = 0;
        self.doc.set_actor(session.actor.clone());
        self.session = Some(session);
    }

    /// What was done since this was last called, to be put into an event; `None` if nothing.
    pub fn take_delta(&mut self) -> Option<Vec<u8>> {
        self.commit();
        let nonce = self.session.as_ref()?.nonce;
        self.spent = 0;
        let changes = std::mem::take(&mut self.committed);
        (!changes.is_empty()).then(|| delta::encode(nonce, &changes))
    }

    /// The whole document.
    pub fn to_json(&self) -> serde_json::Value {
        json::read(&self.doc, &ROOT, ObjType::Map, 0)
    }

    /// The document that all `edits` make in canonical order, see [`crate::rebuild`].
    pub(crate) fn replay(place: &Place<'_>, edits: &[Edit<'_>]) -> Self {
        let mut document = Self::new();
        document.merge = Merge { waiting: Waiting::unbounded(), replaying: true, ..Merge::default() };
        document.apply_all(place, edits);
        document.merge.replaying = false;
        document.merge.contested = true;
        document
    }

    /// Before every edit.
    fn begin(&self) -> Result<(), DocumentError> {
        if self.session.is_some() { Ok(()) } else { Err(DocumentError::NotOpen) }
    }

    /// Ends the change being made. Time and message stay empty: the event has a stamp, and equal edits equal bytes.
    fn commit(&mut self) {
        let Some(session) = &self.session else { return };
        if self.doc.commit_with(CommitOptions::default().with_time(0)).is_none() {
            return;
        }
        if let Some(change) = self.doc.get_last_local_change() {
            self.merge.history.add(&session.actor, change.start_op().get(), change.max_op());
            self.committed.push(change.raw_bytes().to_vec());
        }
    }
}

impl Crdt for Document {
    fn kind(&self) -> CrdtKind {
        CrdtKind::Document
    }

    fn apply(&mut self, place: &Place<'_>, origin: &Origin, delta: &[u8]) -> Result<Applied, Void> {
        let mut answers = self.apply_all(place, &[Edit { origin: *origin, delta }]);
        answers.pop().unwrap_or(Ok(Applied::Known))
    }

    fn apply_all(&mut self, place: &Place<'_>, edits: &[Edit<'_>]) -> Vec<Result<Applied, Void>> {
        self.commit();
        self.merge.apply_all(&mut self.doc, place, edits)
    }

    fn save(&self) -> Vec<u8> {
        // Saving ends the change being made, so a copy is saved.
        let mut copy = self.doc.clone();
        saved::frame(self.merge.contested, &self.merge.waiting, &[&copy.save()])
    }

    fn value(&self) -> FieldValue {
        FieldValue::Document(self.to_json())
    }

    fn is_contested(&self) -> bool {
        self.merge.contested
    }
}

impl Default for Document {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("merge", &self.merge)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// Who edits a document that was not opened: the actor of no change.
fn nobody() -> ActorId {
    ActorId::from(&[0u8; merge::ACTOR_BYTES][..])
}

#[cfg(test)]
mod tests;
