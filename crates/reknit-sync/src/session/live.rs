//! Events as they happen: pushed if written here, held back a moment if learnt elsewhere.

use super::{History, HistoryError, Output, Session, Source, Stage, contains, meet};
use crate::close::CloseReason;
use crate::limits::{AUTHORS_MAX, HAVE_DELAY_MS, HAVE_TIPS_MAX, RELAY_DELAY_MS, TIPS_MAX};
use crate::message::Message;
use crate::missing::{Missing, Range};
use reknit_types::{DeviceId, Dot, Tip};
use std::collections::{BTreeMap, BTreeSet};

/// Events learnt elsewhere.
#[derive(Debug, Default)]
pub(super) struct Relay {
    /// Of authors whose events the peer may have from nobody else.
    soon: Generations,
    /// Of authors whose events it had from elsewhere of late.
    later: Generations,
    /// Those authors.
    elsewhere: BTreeSet<DeviceId>,
    haves: BTreeMap<DeviceId, Vec<Tip>>,
    have_at: u64,
}

/// Events that wait in two generations, so that each waits at least the delay and at most twice.
#[derive(Debug, Default)]
struct Generations {
    ripe: Missing,
    ripe_at: u64,
    fresh: Missing,
}

impl Generations {
    fn is_empty(&self) -> bool {
        self.ripe.is_empty() && self.fresh.is_empty()
    }

    fn next_wakeup(&self) -> Option<u64> {
        (!self.is_empty()).then_some(self.ripe_at)
    }

    /// Takes out the generation that has waited long enough.
    fn ripen(&mut self, now_ms: u64, delay_ms: u64) -> Missing {
        if !self.ripe.is_empty() && now_ms < self.ripe_at {
            return Missing::default();
        }
        self.ripe_at = now_ms.saturating_add(delay_ms);
        std::mem::replace(&mut self.ripe, std::mem::take(&mut self.fresh))
    }

    fn flush(&mut self, missing: &mut Missing, history: &dyn History) -> Result<(), HistoryError> {
        append(missing, &mut self.ripe, history)?;
        append(missing, &mut self.fresh, history)
    }
}

impl Relay {
    /// Whether events wait to be relayed.
    pub(super) fn is_empty(&self) -> bool {
        self.soon.is_empty() && self.later.is_empty()
    }

    pub(super) fn events(&self) -> u64 {
        let all = [&self.later.ripe, &self.later.fresh, &self.soon.ripe, &self.soon.fresh];
        all.into_iter().map(Missing::events).fold(0, u64::saturating_add)
    }

    /// When something is to be done.
    pub(super) fn next_wakeup(&self) -> Option<u64> {
        let have = (!self.haves.is_empty()).then_some(self.have_at);
        [self.soon.next_wakeup(), self.later.next_wakeup(), have].into_iter().flatten().min()
    }

    fn generations(&mut self) -> [&mut Missing; 4] {
        [&mut self.soon.ripe, &mut self.soon.fresh, &mut self.later.ripe, &mut self.later.fresh]
    }

    /// Where events of this author wait.
    fn waiting(&mut self, author: &DeviceId) -> &mut Missing {
        if self.elsewhere.contains(author) { &mut self.later.fresh } else { &mut self.soon.fresh }
    }

    /// The peer has events of this author from elsewhere: it is likely to get the next ones from there too.
    fn note_elsewhere(&mut self, author: DeviceId) {
        if self.elsewhere.len() < AUTHORS_MAX {
            self.elsewhere.insert(author);
        }
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

    /// Moves what has waited long enough into `missing`, and with it what it may depend on. An author of whom a sign was
    /// awaited in vain is not waited for so long again, until there is one.
    fn ripen(
        &mut self,
        (now_ms, patience_ms): (u64, u64),
        missing: &mut Missing,
        history: &dyn History,
    ) -> Result<(), HistoryError> {
        let mut late = self.later.ripen(now_ms, patience_ms);
        late.iter().for_each(|(author, _)| _ = self.elsewhere.remove(author));
        append(missing, &mut late, history)?;
        let mut soon = self.soon.ripen(now_ms, RELAY_DELAY_MS);
        if !soon.is_empty() {
            self.later.flush(missing, history)?;
        }
        append(missing, &mut soon, history)
    }

    fn flush(&mut self, missing: &mut Missing, history: &dyn History) -> Result<(), HistoryError> {
        self.later.flush(missing, history)?;
        self.soon.flush(missing, history)
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
            self.relay.note_elsewhere(dot.author);
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
        let when = (now_ms, self.pace.patience_ms());
        self.relay.ripen(when, &mut self.missing, history)?;
        dots.iter().try_for_each(|dot| extend(self.relay.waiting(&dot.author), dot, history))?;
        last_of_runs(dots).iter().for_each(|dot| self.relay.note_have(now_ms, dot));
        self.relay.ripen(when, &mut self.missing, history)?;
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
        self.relay.ripen((now_ms, self.pace.patience_ms()), &mut self.missing, history)?;
        Ok(())
    }

    /// The peer has this event, which is here too, and with it all of its chain.
    fn cover(&mut self, dot: &Dot, history: &dyn History) -> Result<(), CloseReason> {
        for missing in self.relay.generations().into_iter().chain([&mut self.missing]) {
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
