//! Text edited character by character (yrs).

mod astral;
mod delta;
mod merge;
mod update;

use crate::contract::{Applied, Crdt, Edit, FieldValue};
use crate::error::{LoadError, Void};
use crate::identity::{Identity, Origin, Place};
use crate::limits::TEXT_CLOCK_MAX;
use crate::saved;
use crate::waiting::Waiting;
use astral::Astral;
use delta::{Delta, Run, units};
use merge::{Merge, client_of};
use reknit_types::CrdtKind;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use thiserror::Error;
use yrs::updates::decoder::Decode as _;
use yrs::{ClientID, Doc, GetString as _, OffsetKind, Options, ReadTxn as _, StateVector, Text as _};
use yrs::{TextRef, Transact as _, Update};

/// Text that several people edit at once.
///
/// Positions and lengths count characters (Unicode scalar values).
pub struct Text {
    doc: Doc,
    root: TextRef,
    merge: Merge,
    session: Option<Session>,
    /// What was done since the last [`Text::take_delta`].
    draft: Delta,
    /// Known unless a remote edit came since.
    astral: Option<Astral>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Session {
    client: u64,
    nonce: u64,
}

/// An edit of a text is impossible.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TextError {
    /// The edit reaches beyond the end of the text.
    #[error("the edit reaches character {end} of a text of {len}")]
    OutOfRange {
        /// Where the edit ends.
        end: usize,
        /// Characters in the text.
        len: usize,
    },
    /// Nobody edits.
    #[error("the text was not opened for editing; call `open` first")]
    NotOpen,
    /// One session inserted too much.
    #[error(
        "one session cannot insert more than {TEXT_CLOCK_MAX} UTF-16 units into one text; open a new session"
    )]
    Full,
}

impl Text {
    /// An empty text.
    pub fn new() -> Self {
        let (doc, root) = blank(0);
        let (merge, draft) = (Merge::default(), Delta::default());
        Self { doc, root, merge, session: None, draft, astral: None }
    }

    /// The text that [`Crdt::save`] returned these bytes for.
    pub fn load(saved: &[u8]) -> Result<Self, LoadError> {
        let saved = saved::unframe(CrdtKind::Text, saved)?;
        let mut text = Self::new();
        text.restore(saved.body).ok_or(LoadError::Damaged(CrdtKind::Text))?;
        text.merge.contested = saved.contested;
        text.merge.waiting = saved.waiting;
        Ok(text)
    }

    /// Begins editing as `identity`. What was edited before and not taken is dropped from the next delta, so take it
    /// first.
    ///
    /// Costs a copy of the text when the identity changes, nothing otherwise.
    pub fn open(&mut self, place: &Place<'_>, identity: &Identity) {
        let session =
            Session { client: client_of(place, identity.author, identity.nonce), nonce: identity.nonce };
        if self.session == Some(session) {
            return;
        }
        let state = self.doc.transact().encode_state_as_update_v1(&StateVector::default());
        (self.doc, self.root) = blank(session.client);
        self.restore(&state).expect("yrs reads what it wrote");
        self.session = Some(session);
        self.draft = Delta::new(session.client, self.merge.clock(session.client));
    }

    /// Deletes `delete` characters at `position` and inserts `insert` there.
    pub fn splice(&mut self, position: usize, delete: usize, insert: &str) -> Result<(), TextError> {
        let session = self.session.ok_or(TextError::NotOpen)?;
        let (len, end) = (self.len(), position.saturating_add(delete));
        if end > len {
            return Err(TextError::OutOfRange { end, len });
        }
        let clock = self.merge.clock(session.client);
        if units(insert) > TEXT_CLOCK_MAX - clock {
            return Err(TextError::Full);
        }
        let astral = self.astral();
        let at = astral.to_units(position);
        let cut = astral.to_units(end) - at;
        astral.splice(position, delete, insert);
        self.edit(at as u32, cut as u32, insert);
        Ok(())
    }

    /// What was done since this was last called, to be put into an event; `None` if nothing.
    pub fn take_delta(&mut self) -> Option<Vec<u8>> {
        let session = self.session?;
        let next = Delta::new(session.client, self.merge.clock(session.client));
        let done = std::mem::replace(&mut self.draft, next);
        (!done.is_empty()).then(|| done.encode(session.nonce))
    }

    /// Characters in the text.
    pub fn len(&mut self) -> usize {
        let units = self.root.len(&self.doc.transact()) as usize;
        self.astral().characters(units)
    }

    /// Whether the text holds no characters.
    pub fn is_empty(&self) -> bool {
        self.root.len(&self.doc.transact()) == 0
    }

    /// The characters from `start` up to and without `end`, as far as there are any.
    pub fn slice(&self, start: usize, end: usize) -> String {
        self.to_string().chars().skip(start).take(end.saturating_sub(start)).collect()
    }

    /// The text that all `edits` make in canonical order, see [`crate::rebuild`].
    pub(crate) fn replay(place: &Place<'_>, edits: &[Edit<'_>]) -> Self {
        let mut text = Self::new();
        text.merge = Merge { waiting: Waiting::unbounded(), replaying: true, ..Merge::default() };
        text.apply_all(place, edits);
        text.merge.replaying = false;
        text.merge.contested = true;
        text
    }

    /// Fills an empty document with a state that yrs wrote.
    fn restore(&mut self, state: &[u8]) -> Option<()> {
        let doc = &self.doc;
        let clocks = catch_unwind(AssertUnwindSafe(|| {
            let mut txn = doc.transact_mut();
            txn.apply_update(Update::decode_v1(state).ok()?).ok()?;
            let complete = !txn.has_missing_updates();
            complete
                .then(|| txn.state_vector().iter().map(|(client, clock)| (client.get(), *clock)).collect())
        }));
        self.merge.clocks = clocks.ok().flatten()?;
        Some(())
    }

    fn edit(&mut self, at: u32, cut: u32, insert: &str) {
        let mut txn = self.doc.transact_mut();
        if cut > 0 {
            self.root.remove_range(&mut txn, at, cut);
        }
        if !insert.is_empty() {
            self.root.insert(&mut txn, at, insert);
        }
        let (blocks, spans) =
            update::decode(&txn.encode_update_v1()).expect("yrs writes updates of plain text");
        spans.into_iter().for_each(|span| self.draft.push_span(span));
        for block in blocks {
            let end = block.unit.clock + block.len;
            self.merge.clocks.insert(block.unit.client, end);
            let text = block.text.unwrap_or_default();
            self.draft.push_run(Run { left: block.left, right: block.right, text });
        }
    }

    fn astral(&mut self) -> &mut Astral {
        let (doc, root) = (&self.doc, &self.root);
        self.astral.get_or_insert_with(|| Astral::new(&root.get_string(&doc.transact())))
    }
}

impl Crdt for Text {
    fn kind(&self) -> CrdtKind {
        CrdtKind::Text
    }

    fn apply(&mut self, place: &Place<'_>, origin: &Origin, delta: &[u8]) -> Result<Applied, Void> {
        self.astral = None;
        self.merge.apply(&mut self.doc.transact_mut(), place, &Edit { origin: *origin, delta })
    }

    fn apply_all(&mut self, place: &Place<'_>, edits: &[Edit<'_>]) -> Vec<Result<Applied, Void>> {
        self.astral = None;
        let mut txn = self.doc.transact_mut();
        let merge = &mut self.merge;
        edits.iter().map(|edit| merge.apply(&mut txn, place, edit)).collect()
    }

    fn save(&self) -> Vec<u8> {
        let state = self.doc.transact().encode_state_as_update_v1(&StateVector::default());
        saved::frame(self.merge.contested, &self.merge.waiting, &state)
    }

    fn value(&self) -> FieldValue {
        FieldValue::Text(self.to_string())
    }

    fn is_contested(&self) -> bool {
        self.merge.contested
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root.get_string(&self.doc.transact()))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Text")
            .field("merge", &self.merge)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

fn blank(client: u64) -> (Doc, TextRef) {
    let mut options = Options::with_guid_and_client_id("".into(), ClientID::new(client));
    options.offset_kind = OffsetKind::Utf16;
    let doc = Doc::with_options(options);
    let root = doc.get_or_insert_text(update::ROOT);
    (doc, root)
}
