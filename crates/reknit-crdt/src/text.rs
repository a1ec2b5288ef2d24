//! Text edited character by character (yrs).

mod astral;
mod body;
mod cursor;
mod delta;
mod layout;
mod merge;
mod origins;
mod seams;
mod update;
mod words;

pub(crate) use merge::check;

use crate::contract::{Applied, Crdt, Edit, FieldValue};
use crate::error::{LoadError, Void};
use crate::identity::{Identity, Origin, Place};
use crate::limits::TEXT_CLOCK_MAX;
use crate::saved::{self, Saved};
use crate::waiting::Waiting;
use astral::Astral;
use body::Body;
use cursor::Cursor;
use delta::{Delta, Span, Unit, units};
use layout::Layout;
use merge::{Merge, client_of};
use origins::Origins;
use reknit_types::{CrdtKind, Reader, Writer};
use seams::Seams;
use std::fmt;
use thiserror::Error;

/// Text that several people edit at once.
///
/// Positions and lengths count characters (Unicode scalar values).
pub struct Text {
    body: Body,
    merge: Merge,
    session: Option<Session>,
    /// What was done since the last [`Text::take_delta`].
    draft: Delta,
    /// What is known of the text, unless a remote edit came since.
    view: Option<View>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Session {
    client: u64,
    nonce: u64,
}

struct View {
    /// UTF-16 units in the text.
    units: u32,
    astral: Astral,
    layout: Layout,
    cursor: Option<Cursor>,
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
        let (merge, draft) = (Merge::default(), Delta::default());
        Self { body: Body::new(), merge, session: None, draft, view: None }
    }

    /// The text that [`Crdt::save`] returned these bytes for.
    pub fn load(saved: &[u8]) -> Result<Self, LoadError> {
        let saved = saved::unframe(CrdtKind::Text, saved)?;
        let mut reader = Reader::new(saved.body);
        let seams =
            if saved.version < SEAMS_VERSION { Ok(Seams::default()) } else { Seams::decode(&mut reader) };
        let seams = seams.map_err(|error| LoadError::Shape { kind: CrdtKind::Text, error })?;
        let (body, origins) = Body::load(reader.take_rest()).ok_or(LoadError::Damaged(CrdtKind::Text))?;
        let Saved { waiting, contested, .. } = saved;
        let merge = Merge { origins, seams, waiting, contested, replaying: false };
        Ok(Self { body, merge, session: None, draft: Delta::default(), view: None })
    }

    /// Begins editing as `identity`. What was edited before and not taken is dropped from the next delta, so take it
    /// first.
    pub fn open(&mut self, place: &Place<'_>, identity: &Identity) {
        let client = client_of(place, identity.author, identity.nonce);
        let session = Session { client, nonce: identity.nonce };
        if self.session != Some(session) {
            self.session = Some(session);
            self.draft = Delta::default();
        }
    }

    /// Deletes `delete` characters at `position` and inserts `insert` there.
    pub fn splice(&mut self, position: usize, delete: usize, insert: &str) -> Result<(), TextError> {
        let session = self.session.ok_or(TextError::NotOpen)?;
        let inserted = units(insert);
        if inserted > TEXT_CLOCK_MAX - self.merge.origins.clock(session.client).min(TEXT_CLOCK_MAX) {
            return Err(TextError::Full);
        }
        let view = self.view.get_or_insert_with(|| View::new(&self.body));
        let (len, end) = (view.astral.characters(view.units as usize), position.saturating_add(delete));
        if end > len {
            return Err(TextError::OutOfRange { end, len });
        }
        if inserted > TEXT_CLOCK_MAX.saturating_sub(view.units) {
            return Err(TextError::Full);
        }
        let at = view.astral.to_units(position);
        let cut = view.astral.to_units(end) - at;
        view.astral.splice(position, delete, insert);
        // Both are at most the units of the text.
        self.edit(session.client, at as u32, cut as u32, insert);
        Ok(())
    }

    /// Turns the text into `new` by few splices that keep what both have in common, word by word.
    ///
    /// For editors that only know the whole text. What somebody typed is told best by [`Text::splice`].
    pub fn diff_to(&mut self, new: &str) -> Result<(), TextError> {
        if self.session.is_none() {
            return Err(TextError::NotOpen);
        }
        words::splices(&self.body.text(), new)
            .into_iter()
            .try_for_each(|splice| self.splice(splice.position, splice.delete, splice.insert))
    }

    /// What was done since this was last called, to be put into an event; `None` if nothing.
    pub fn take_delta(&mut self) -> Option<Vec<u8>> {
        let session = self.session?;
        let done = std::mem::take(&mut self.draft);
        self.merge.seams.add(&done);
        (!done.is_empty()).then(|| done.encode(session.nonce))
    }

    /// Characters in the text.
    pub fn len(&self) -> usize {
        match &self.view {
            Some(view) => view.astral.characters(view.units as usize),
            None => self.body.text().chars().count(),
        }
    }

    /// Whether the text holds no characters.
    pub fn is_empty(&self) -> bool {
        self.body.units() == 0
    }

    /// The characters from `start` up to and without `end`, as far as there are any.
    pub fn slice(&self, start: usize, end: usize) -> String {
        self.body.text().chars().skip(start).take(end.saturating_sub(start)).collect()
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

    fn edit(&mut self, client: u64, at: u32, cut: u32, insert: &str) {
        let Some(view) = &mut self.view else { return };
        let clock = self.merge.origins.clock(client);
        if cut > 0 {
            let mut erased = Delta::new(client, clock);
            view.layout.erase(at, cut).into_iter().for_each(|span| erased.push_span(span));
            if let Some(cursor) = &mut view.cursor {
                cursor.erased(at, cut);
            }
            view.units -= cut;
            self.body.push(erased.clone());
            self.draft.append(erased);
        }
        if !insert.is_empty() {
            let mut inserted = Delta::new(client, clock);
            let cursor = view.cursor_at(at, &self.merge.origins);
            inserted.push_run(cursor.run(insert));
            let span = Span { client, clock, len: inserted.end - clock };
            cursor.advance(span.len, Unit { client, clock: inserted.end.saturating_sub(1) });
            view.layout.insert(at, span);
            view.units += span.len;
            debug_assert!(self.merge.origins.allow(&inserted), "the gap between two neighbours is one");
            self.merge.origins.add(&inserted);
            self.body.push(inserted.clone());
            self.draft.append(inserted);
        }
    }
}

impl View {
    fn new(body: &Body) -> Self {
        let (text, spans) = body.read();
        Self { units: units(&text), astral: Astral::new(&text), layout: Layout::new(spans), cursor: None }
    }

    /// The cursor, moved to `at` if it is elsewhere.
    fn cursor_at(&mut self, at: u32, origins: &Origins) -> &mut Cursor {
        if self.cursor.as_ref().is_none_or(|cursor| cursor.at() != at) {
            let (left, right) = self.layout.around(at);
            let (left, right) = origins.gap(left, right);
            self.cursor = Some(Cursor::new(at, left, right));
        }
        self.cursor.as_mut().expect("set above")
    }
}

impl Crdt for Text {
    fn kind(&self) -> CrdtKind {
        CrdtKind::Text
    }

    fn apply(&mut self, place: &Place<'_>, origin: &Origin, delta: &[u8]) -> Result<Applied, Void> {
        self.view = None;
        self.merge.apply(&mut self.body, place, &Edit { origin: *origin, delta })
    }

    fn apply_all(&mut self, place: &Place<'_>, edits: &[Edit<'_>]) -> Vec<Result<Applied, Void>> {
        self.view = None;
        edits.iter().map(|edit| self.merge.apply(&mut self.body, place, edit)).collect()
    }

    fn save(&self) -> Vec<u8> {
        let mut seams = Writer::new();
        self.merge.seams.encode(&mut seams);
        saved::frame(self.merge.contested, &self.merge.waiting, &[&seams.into_bytes(), &self.body.save()])
    }

    fn value(&self) -> FieldValue {
        FieldValue::Text(self.body.text())
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
        f.write_str(&self.body.text())
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

/// The first version of saved texts that tells where deltas begin and end.
const SEAMS_VERSION: u8 = 2;

#[cfg(test)]
mod tests;
