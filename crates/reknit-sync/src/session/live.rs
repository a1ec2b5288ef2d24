//! Events as they happen: pushed if written here, held back a moment if learnt elsewhere.

use super::{History, HistoryError, Output, Session, Source, Stage, contains, meet};
use crate::close::CloseReason;
use crate::limits::{HAVE_DELAY_MS, HAVE_TIPS_MAX, RELAY_DELAY_MS, TIPS_MAX};
use crate::message::Message;
use crate::missing::{Missing, Range};
use reknit_types::{DeviceId, Dot, Tip};
use std::collections::BTreeMap;

/// Events learnt elsewhere. They wait in two generations, so that each waits at least the delay and at most twice.
#[derive(Debug, Default)]
pub(super) struct Relay {
    ripe: Missing,
    ripe_at: u64,
    fresh: Missing,
    haves: BTreeMap<DeviceId, Vec<Tip>>,
    have_at: u64,
}

impl Relay {
    /// Whether events wait to be relayed.
    pub(super) fn is_empty(&self) -> bool {
        self.ripe.is_empty() && self.fresh.is_empty()
    }

    pub(super) fn events(&self) -> u64 {
        self.ripe.events().saturating_add(self.fresh.events())
    }

    /// When something is to be done.
    pub(super) fn next_wakeup(&self) -> Option<u64> {
        let relay = (!self.is_empty()).then_some(self.ripe_at);
        let have = (!self.haves.is_empty()).then_some(self.have_at);
        relay.into_iter().chain(have).min()
    }

    fn generations(&mut self) -> [&mut Missing; 2] {
        [&mut self.ripe, &mut self.fresh]
    }

    /// Reports tips of an author, the last ones if it has more branches than are kept apart.
    fn note_have(&mut self, now_ms: u64, dot: &Dot) {
        if self.haves.is_empty() {
            self.have_at = now_ms.saturating_add(HAVE_DELAY_MS);
        }
        let tips = self.haves.entry(dot.author).or_default();
        tips.retain(|tip| tip.seq.saturating_add(1) != dot.seq);
        tips.push(dot.tip());
        if tips.len() > TIPS_MAX {
            tips.remove(0);
        }
    }

    /// Moves the generation that has waited long enough into `missing`.
    fn ripen(
        &mut self,
        now_ms: u64,
        missing: &mut Missing,
        history: &dyn History,
    ) -> Result<(), HistoryError> {
        if !self.ripe.is_empty() && now_ms < self.ripe_at {
            return Ok(());
        }
        append(missing, &mut self.ripe, history)?;
        self.ripe = std::mem::take(&mut self.fresh);
        self.ripe_at = now_ms.saturating_add(RELAY_DELAY_MS);
        Ok(())
    }

    fn flush(&mut self, missing: &mut Missing, history: &dyn History) -> Result<(), HistoryError> {
        append(missing, &mut self.ripe, history)?;
        append(missing, &mut self.fresh, history)
    }
}

impl Session {
    pub(super) fn take_events(
        &mut self,
        now_ms: u64,
        dots: &[Dot],
        bytes: u64,
        history: &dyn History,
    ) -> Result<(), CloseReason> {
        if !self.is_open() {
            return Err(CloseReason::OutOfTurn);
        }
        self.note_received(now_ms, dots.len() as u64, bytes)?;
        for dot in last_of_runs(dots) {
            if contains(history, &dot.author, &dot.tip())? {
                self.cover(&dot, history)?;
            } else {
                self.shown.deliver(&dot);
            }
        }
        Ok(())
    }

    pub(super) fn on_have(
        &mut self,
        now_ms: u64,
        dots: &[Dot],
        history: &dyn History,
    ) -> Result<(), CloseReason> {
        if !self.is_open() {
            return Err(CloseReason::OutOfTurn);
        }
        for dot in dots {
            if contains(history, &dot.author, &dot.tip())? {
                self.cover(dot, history)?;
                continue;
            }
            if !self.shown.owed() {
                self.active_at = now_ms;
            }
            let tips = history.frontier().tips(&dot.author);
            self.shown.promise(dot.author, dot.tip(), tips.iter().map(|tip| tip.seq).max().unwrap_or(0));
        }
        Ok(())
    }

    pub(super) fn take_admitted(
        &mut self,
        now_ms: u64,
        (dots, source): (&[Dot], Source),
        history: &dyn History,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        if source == Source::FromPeer {
            self.grant_credit(now_ms, out);
        }
        if !self.is_open() || dots.is_empty() {
            return Ok(());
        }
        (self.receipts.equal, self.receipts.stale) = (false, true);
        self.active_at = now_ms;
        match source {
            Source::Local => {
                self.relay.flush(&mut self.missing, history)?;
                dots.iter().try_for_each(|dot| extend(&mut self.missing, dot, history))?;
            }
            Source::FromPeer => {}
            Source::Elsewhere => self.hold_back(now_ms, dots, history)?,
        }
        for dot in dots {
            if self.shown.take(dot) && source != Source::FromPeer {
                self.cover(dot, history)?;
            }
        }
        Ok(())
    }

    fn hold_back(&mut self, now_ms: u64, dots: &[Dot], history: &dyn History) -> Result<(), CloseReason> {
        self.relay.ripen(now_ms, &mut self.missing, history)?;
        dots.iter().try_for_each(|dot| extend(&mut self.relay.fresh, dot, history))?;
        last_of_runs(dots).iter().for_each(|dot| self.relay.note_have(now_ms, dot));
        self.relay.ripen(now_ms, &mut self.missing, history)?;
        Ok(())
    }

    /// Sends what has waited long enough.
    pub(super) fn release(
        &mut self,
        now_ms: u64,
        history: &dyn History,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        if !matches!(self.stage, Stage::Open) {
            return Ok(());
        }
        if !self.relay.haves.is_empty() && now_ms >= self.relay.have_at {
            let haves = std::mem::take(&mut self.relay.haves).into_iter();
            let mut dots: Vec<Dot> = haves
                .flat_map(|(author, tips)| {
                    tips.into_iter().map(move |tip| Dot { author, seq: tip.seq, id: tip.id })
                })
                .collect();
            dots.sort_unstable();
            dots.dedup();
            let messages = dots.chunks(HAVE_TIPS_MAX).map(|dots| Message::Have(dots.to_vec()));
            out.extend(messages.map(Output::Send));
        }
        if !self.relay.is_empty() && now_ms >= self.relay.ripe_at {
            self.relay.ripen(now_ms, &mut self.missing, history)?;
        }
        Ok(())
    }

    /// The peer has this event, which is here too, and with it all of its chain.
    fn cover(&mut self, dot: &Dot, history: &dyn History) -> Result<(), CloseReason> {
        let [ripe, fresh] = self.relay.generations();
        for missing in [&mut self.missing, ripe, fresh] {
            let mut failed = None;
            missing.retain(&dot.author, |range| match meet(history, &dot.author, &range.up_to, &dot.tip()) {
                Ok(met) => range.after = range.after.max(met),
                Err(error) => failed = Some(error),
            });
            if let Some(error) = failed {
                return Err(error.into());
            }
        }
        Ok(())
    }
}

/// Adds a new event of the local history to `missing`.
fn extend(missing: &mut Missing, dot: &Dot, history: &dyn History) -> Result<(), HistoryError> {
    let range = Range { after: dot.seq.saturating_sub(1), up_to: dot.tip() };
    missing.extend(dot.author, range, |before, after| follows(history, &dot.author, before, after))
}

fn append(missing: &mut Missing, from: &mut Missing, history: &dyn History) -> Result<(), HistoryError> {
    missing.append(from, |author, before, after| follows(history, author, before, after))
}

/// Whether the chain of `after` runs through `before`.
fn follows(
    history: &dyn History,
    author: &DeviceId,
    before: &Tip,
    after: &Tip,
) -> Result<bool, HistoryError> {
    if history.frontier().tips(author).len() <= 1 {
        return Ok(true);
    }
    Ok(history.ancestor(author, after, before.seq)? == Some(before.id))
}

/// The last event of each author, and of each run whose numbers do not follow on one another.
fn last_of_runs(dots: &[Dot]) -> Vec<Dot> {
    let mut last: BTreeMap<DeviceId, Dot> = BTreeMap::new();
    let mut ends = Vec::new();
    for dot in dots {
        if let Some(before) = last.insert(dot.author, *dot)
            && before.seq.checked_add(1) != Some(dot.seq)
        {
            ends.push(before);
        }
    }
    ends.extend(last.into_values());
    ends
}
