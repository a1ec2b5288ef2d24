//! The characters of a text, in a yrs document.

use super::delta::{Delta, Span, units};
use super::origins::Origins;
use super::update::{self, Block};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use yrs::updates::decoder::Decode as _;
use yrs::{Any, ClientID, Doc, GetString as _, IdSet, OffsetKind, Options, Out, ReadTxn as _, Snapshot};
use yrs::{StateVector, Text as _, TextRef, Transact as _, Update};

/// The characters of a text.
///
/// Deltas gather until somebody looks: what is typed in a row merges as one run, in one yrs transaction.
pub(crate) struct Body {
    doc: Doc,
    root: TextRef,
    pending: RefCell<Delta>,
}

impl Body {
    /// No characters.
    pub(crate) fn new() -> Self {
        let mut options = Options::with_guid_and_client_id("".into(), ClientID::new(NOBODY));
        options.offset_kind = OffsetKind::Utf16;
        let doc = Doc::with_options(options);
        let root = doc.get_or_insert_text(update::ROOT);
        Self { doc, root, pending: RefCell::default() }
    }

    /// The characters that [`Body::save`] returned these bytes for, and the origins of their units.
    pub(crate) fn load(saved: &[u8]) -> Option<(Self, Origins)> {
        let (blocks, _) = update::decode(saved).ok()?;
        let loaded = catch_unwind(AssertUnwindSafe(|| {
            let body = Self::new();
            let mut txn = body.doc.transact_mut();
            txn.apply_update(Update::decode_v1(saved).ok()?).ok()?;
            let complete = !txn.has_missing_updates();
            drop(txn);
            complete.then_some(body)
        }));
        Some((loaded.ok().flatten()?, Origins::of(blocks)))
    }

    pub(crate) fn save(&self) -> Vec<u8> {
        self.flush();
        self.doc.transact().encode_state_as_update_v1(&StateVector::default())
    }

    pub(crate) fn text(&self) -> String {
        self.flush();
        self.root.get_string(&self.doc.transact())
    }

    /// UTF-16 units in the text.
    pub(crate) fn units(&self) -> u32 {
        self.flush();
        self.root.len(&self.doc.transact())
    }

    /// Takes a delta that builds on nothing but what was taken before.
    pub(crate) fn push(&mut self, delta: Delta) {
        let pending = self.pending.get_mut();
        let full = pending.runs.len() + pending.spans.len() >= PENDING_PARTS_MAX;
        if full || !pending.continues_with(&delta) {
            self.flush();
        }
        self.pending.get_mut().append(delta);
    }

    /// The characters, and the units they are.
    pub(crate) fn read(&self) -> (String, Vec<Span>) {
        self.flush();
        let mut txn = self.doc.transact_mut();
        // Between all that ever was and nothing, every visible item counts as removed, and is told with its id.
        let all = Snapshot::new(txn.state_vector(), IdSet::new());
        let items =
            self.root.diff_range(&mut txn, Some(&Snapshot::default()), Some(&all), |change| change.id);
        let (mut text, mut spans) = (String::new(), Vec::with_capacity(items.len()));
        for item in items {
            if let (Out::Any(Any::String(shown)), Some(id)) = (item.insert, item.ychange) {
                spans.push(Span { client: id.client.get(), clock: id.clock, len: units(&shown) });
                text.push_str(&shown);
            }
        }
        (text, spans)
    }

    /// The blocks of all clients from these clocks on.
    pub(crate) fn blocks_since(&self, clocks: impl Iterator<Item = (u64, u32)>) -> Vec<Block> {
        self.flush();
        let since: StateVector = clocks.map(|(client, clock)| (ClientID::new(client), clock)).collect();
        let diff = self.doc.transact().encode_diff_v1(&since);
        update::decode(&diff).map(|(blocks, _)| blocks).unwrap_or_default()
    }

    fn flush(&self) {
        let mut pending = self.pending.borrow_mut();
        if pending.is_empty() {
            return;
        }
        let update = Update::decode_v1(&update::encode(&pending)).expect("what is encoded here decodes");
        self.doc.transact_mut().apply_update(update).expect("what yrs needs was checked to be here");
        *pending = Delta::default();
    }
}

/// Runs and spans that gather before they are handed to yrs: its transactions slow down as they grow.
const PENDING_PARTS_MAX: usize = 256;
/// The client of the yrs document, which writes nothing: all edits come to it as updates.
const NOBODY: u64 = 0;
