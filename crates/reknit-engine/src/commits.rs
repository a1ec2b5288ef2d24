//! What may be released when: the end of every round, in production and in simulations alike.

use crate::effects::{Effects, Notice, Output};
use crate::error::EngineError;
use crate::store::{Batch, Durability, Store, StoreError};
use std::time::Duration;

/// What a round is committed to. Every [`Store`] is one.
pub trait Ledger {
    /// As [`Store::commit_then`].
    ///
    /// # Errors
    /// As for [`Store::commit`].
    fn commit_then(
        &mut self,
        batch: Batch,
        durability: Durability,
        then: &mut dyn FnMut(),
    ) -> Result<(), StoreError>;

    /// As [`Store::flush`].
    ///
    /// # Errors
    /// As for [`Store::flush`].
    fn flush(&mut self) -> Result<(), StoreError>;
}

impl<S: Store + ?Sized> Ledger for S {
    fn commit_then(
        &mut self,
        batch: Batch,
        durability: Durability,
        then: &mut dyn FnMut(),
    ) -> Result<(), StoreError> {
        Store::commit_then(self, batch, durability, then)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        Store::flush(self)
    }
}

/// Commits rounds, and releases their outputs once they may be.
///
/// Nothing is acknowledged, sent or shown before it is committed. What a batch promises to be durable is on disk by then.
/// Other commits are made durable in groups, since their events can be fetched again, but nothing leaves the device
/// after an own event that the disk may not have: a crash would make the device write others under the same numbers.
///
/// Times are since any fixed moment, by a clock that never goes back.
#[derive(Debug, Default)]
pub struct Commits {
    unflushed: Option<Unflushed>,
}

/// Commits that the disk may not have.
#[derive(Debug, Clone, Copy)]
struct Unflushed {
    since: Duration,
    /// Events of this device are among them.
    own: bool,
}

impl Commits {
    /// Commits what a round did and releases the rest.
    ///
    /// # Errors
    /// [`EngineError::Store`]: the peer must stop. What was not released by then never happened as far as others know.
    pub fn commit(
        &mut self,
        now: Duration,
        effects: Effects,
        ledger: &mut (impl Ledger + ?Sized),
        release: &mut dyn FnMut(Output),
    ) -> Result<(), EngineError> {
        let Effects { batch, durable, own, outputs } = effects;
        let (staying, leaving) = sort(outputs);
        let mut release_all = |outputs: Vec<Output>| outputs.into_iter().for_each(&mut *release);
        if batch.is_empty() {
            release_all(staying);
        } else if durable {
            let mut outputs = Some((staying, leaving));
            ledger.commit_then(batch, Durability::Durable, &mut || {
                if let Some((staying, leaving)) = outputs.take() {
                    release_all(staying);
                    release_all(leaving);
                }
            })?;
            self.unflushed = None;
            return Ok(());
        } else {
            ledger.commit_then(batch, Durability::Fast, &mut || {})?;
            let earlier = self.unflushed.unwrap_or(Unflushed { since: now, own: false });
            self.unflushed = Some(Unflushed { own: earlier.own || own, ..earlier });
            release_all(staying);
        }
        if !leaving.is_empty() && self.unflushed.is_some_and(|unflushed| unflushed.own) {
            self.flush(ledger)?;
        }
        release_all(leaving);
        Ok(())
    }

    /// Makes every commit so far durable.
    ///
    /// # Errors
    /// As for [`Commits::commit`].
    pub fn flush(&mut self, ledger: &mut (impl Ledger + ?Sized)) -> Result<(), EngineError> {
        ledger.flush()?;
        self.unflushed = None;
        Ok(())
    }

    /// When [`Commits::flush`] is due; `None` while the disk has everything.
    pub fn due(&self) -> Option<Duration> {
        self.unflushed.map(|unflushed| unflushed.since + FLUSH_AFTER)
    }
}

/// What stays on this device, and what leaves it. What is known of a space comes first of all: handles look spaces up by
/// themselves, so it is in place before any reply speaks of it.
fn sort(outputs: Vec<Output>) -> (Vec<Output>, Vec<Output>) {
    let (spaces, others): (Vec<_>, Vec<_>) =
        outputs.into_iter().partition(|output| matches!(output, Output::Notice(Notice::Space(_))));
    let all = spaces.into_iter().chain(others);
    all.partition(|output| matches!(output, Output::Notice(_) | Output::Reply { .. }))
}

/// Remote events are committed at once and fsynced in groups: they can be fetched again.
const FLUSH_AFTER: Duration = Duration::from_millis(500);
