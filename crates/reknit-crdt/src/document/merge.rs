//! Which deltas of a document merge, wait, or compete for a place.

use super::delta::{self, Parsed};
use super::history::History;
use crate::contract::{Applied, Edit};
use crate::error::Void;
use crate::identity::Place;
use crate::waiting::Waiting;
use automerge::{ActorId, AutoCommit, AutomergeError, Change, ChangeHash};
use reknit_types::{CrdtKind, DeviceId};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a document knows beside its content.
#[derive(Debug, Default, Clone)]
pub(crate) struct Merge {
    pub(crate) history: History,
    pub(crate) waiting: Waiting,
    pub(crate) contested: bool,
    /// Whether this is a replay in canonical order, where an edit whose place is taken is skipped.
    pub(crate) replaying: bool,
}

/// Changes found fit to be merged, not yet handed to automerge; by hash, with the greatest operation number of each.
#[derive(Default)]
struct Batch {
    changes: Vec<Change>,
    max_ops: BTreeMap<ChangeHash, u64>,
}

enum Verdict {
    Fits,
    Known,
    Waits,
    Overlaps,
}

/// Automerge refused a batch, or panicked over it.
struct Broken(String);

impl Merge {
    /// Merges deltas in bulk. What automerge turns out to refuse is found by halving, and is void alone.
    pub(crate) fn apply_all(
        &mut self,
        doc: &mut AutoCommit,
        place: &Place<'_>,
        edits: &[Edit<'_>],
    ) -> Vec<Result<Applied, Void>> {
        let answers = self.merge_all(doc, place, edits);
        if answers.contains(&Ok(Applied::Merged)) && !self.waiting.is_empty() {
            self.retry(doc, place);
        }
        answers
    }

    fn merge_all(
        &mut self,
        doc: &mut AutoCommit,
        place: &Place<'_>,
        edits: &[Edit<'_>],
    ) -> Vec<Result<Applied, Void>> {
        let before = (self.clone(), doc.clone());
        match self.try_batch(doc, place, edits) {
            Ok(answers) => answers,
            Err(Broken(reason)) => {
                (*self, *doc) = before;
                let (left, right) = edits.split_at(edits.len() / 2);
                if left.is_empty() {
                    return vec![Err(Void::Refused(reason))];
                }
                let mut answers = self.merge_all(doc, place, left);
                answers.append(&mut self.merge_all(doc, place, right));
                answers
            }
        }
    }

    fn try_batch(
        &mut self,
        doc: &mut AutoCommit,
        place: &Place<'_>,
        edits: &[Edit<'_>],
    ) -> Result<Vec<Result<Applied, Void>>, Broken> {
        let mut batch = Batch::default();
        let mut answers = Vec::with_capacity(edits.len());
        for edit in edits {
            let answer = self.admit(doc, &mut batch, place, edit);
            answers.push(if self.contested && answer.is_ok() { Ok(Applied::Contested) } else { answer });
        }
        batch.merge_into(doc)?;
        Ok(answers)
    }

    /// Merges what waits, each delta apart: a bad one must not take along what released it.
    fn retry(&mut self, doc: &mut AutoCommit, place: &Place<'_>) {
        let mut progress = true;
        while progress {
            progress = false;
            for (origin, delta) in self.waiting.take() {
                let edit = Edit { origin, delta: &delta };
                progress |= self.merge_all(doc, place, &[edit]).contains(&Ok(Applied::Merged));
            }
        }
    }

    /// Decides about one delta, and puts the changes of one that fits into the batch: all of them, or none.
    fn admit(
        &mut self,
        doc: &mut AutoCommit,
        batch: &mut Batch,
        place: &Place<'_>,
        edit: &Edit<'_>,
    ) -> Result<Applied, Void> {
        let (nonce, changes) = delta::decode(edit.delta)?;
        let actor = actor_of(place, edit.origin.author, nonce);
        if changes.iter().any(|parsed| *parsed.change.actor_id() != actor) {
            return Err(Void::Identity);
        }
        if self.contested {
            return Ok(Applied::Contested);
        }
        let (mark, held) = (self.history.mark(&actor), batch.changes.len());
        let verdict = self.admit_all(doc, batch, changes);
        if !matches!(verdict, Ok(Verdict::Fits | Verdict::Known)) {
            self.history.return_to(mark);
            batch.truncate(held);
        }
        match verdict? {
            Verdict::Fits => return Ok(Applied::Merged),
            Verdict::Known => return Ok(Applied::Known),
            Verdict::Overlaps if self.replaying => return Ok(Applied::Known),
            Verdict::Overlaps => self.contested = true,
            Verdict::Waits => self.contested |= !self.waiting.keep(CrdtKind::Document, edit),
        }
        Ok(if self.contested { Applied::Contested } else { Applied::Waiting })
    }

    /// Puts changes into the batch until one does not fit; says what became of them together.
    fn admit_all(
        &mut self,
        doc: &mut AutoCommit,
        batch: &mut Batch,
        changes: Vec<Parsed>,
    ) -> Result<Verdict, Void> {
        let mut together = Verdict::Known;
        for parsed in changes {
            match self.judge(doc, batch, &parsed)? {
                Verdict::Known => {}
                Verdict::Fits => {
                    let change = parsed.change;
                    self.history.add(change.actor_id(), change.start_op().get(), change.max_op());
                    batch.push(change);
                    together = Verdict::Fits;
                }
                verdict => return Ok(verdict),
            }
        }
        Ok(together)
    }

    fn judge(&self, doc: &mut AutoCommit, batch: &Batch, parsed: &Parsed) -> Result<Verdict, Void> {
        let change = &parsed.change;
        if batch.max_op(doc, &change.hash()).is_some() {
            return Ok(Verdict::Known);
        }
        let next = self.history.changes(change.actor_id()).saturating_add(1);
        if change.seq() < next {
            return Ok(Verdict::Overlaps);
        }
        let mut max_op = 0;
        for dep in change.deps() {
            match batch.max_op(doc, dep) {
                Some(found) => max_op = max_op.max(found),
                None => return Ok(Verdict::Waits),
            }
        }
        // Every honest change numbers its operations on from its dependencies'; a liar's leap would use numbers up.
        if change.start_op().get() != max_op.saturating_add(1) {
            return Err(Void::Refused(
                "its operations are not numbered on from what it builds on".to_owned(),
            ));
        }
        let complete = parsed.refers_to.iter().all(|(actor, number)| self.history.has_op(actor, *number));
        Ok(if complete && change.seq() == next { Verdict::Fits } else { Verdict::Waits })
    }
}

impl Batch {
    fn push(&mut self, change: Change) {
        self.max_ops.insert(change.hash(), change.max_op());
        self.changes.push(change);
    }

    /// Takes out again all but the first changes.
    fn truncate(&mut self, held: usize) {
        for change in self.changes.drain(held..) {
            self.max_ops.remove(&change.hash());
        }
    }

    /// The greatest operation number of a change that is merged or about to be.
    fn max_op(&self, doc: &mut AutoCommit, hash: &ChangeHash) -> Option<u64> {
        let merged = || doc.get_change_meta_by_hash(hash).map(|meta| meta.max_op);
        self.max_ops.get(hash).copied().or_else(merged)
    }

    fn merge_into(self, doc: &mut AutoCommit) -> Result<(), Broken> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let before = doc.get_heads();
        let merged = catch_unwind(AssertUnwindSafe(|| {
            doc.apply_changes_batch(self.changes)?;
            // What cannot be told again as it was told could not be saved.
            let held: BTreeSet<ChangeHash> = doc.get_changes(&before).iter().map(Change::hash).collect();
            Ok::<bool, AutomergeError>(
                held.len() == self.max_ops.len() && self.max_ops.keys().all(|hash| held.contains(hash)),
            )
        }));
        match merged {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(Broken("automerge holds it otherwise than it was written".to_owned())),
            Ok(Err(error)) => Err(Broken(error.to_string())),
            Err(_) => Err(Broken("automerge cannot apply it".to_owned())),
        }
    }
}

/// Whether a delta is void by itself, as far as that is cheaply told: its operations are not unpacked.
pub(crate) fn check(place: &Place<'_>, edit: &Edit<'_>) -> Result<(), Void> {
    let (nonce, actors) = delta::skim(edit.delta)?;
    let actor = actor_of(place, edit.origin.author, nonce);
    if actors.iter().all(|found| *found == actor) { Ok(()) } else { Err(Void::Identity) }
}

/// The automerge actor of an author in a session.
pub(crate) fn actor_of(place: &Place<'_>, author: DeviceId, nonce: u64) -> ActorId {
    let hash = place.identify(author, nonce);
    ActorId::from(hash.first_chunk::<ACTOR_BYTES>().map_or(&hash[..], |actor| &actor[..]))
}

/// Half a hash: nobody finds a nonce that gives another author's actor.
pub(crate) const ACTOR_BYTES: usize = 16;
