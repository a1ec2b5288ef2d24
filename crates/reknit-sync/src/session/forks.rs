//! Locating where the branches of a forked chain part.
//!
//! If each side has a tip of one author that the other does not know, neither tip may be part of the other's chain. The
//! responder, which hears both frontiers first, says which of the initiator's tips it does not know. For each, the
//! initiator asks about places of that chain, exponentially spaced as in a block locator, until the last event that
//! both have is found, and says so. Nothing is sent by a side that has such a question open.

use super::{History, HistoryError, Output, Role, Session, meet};
use crate::close::CloseReason;
use crate::frontier::Frontier;
use crate::limits::{LOCATE_ROUNDS_MAX, PROBES_MAX};
use crate::message::{Locate, Message, Probe};
use crate::missing::Range;
use reknit_types::{DeviceId, Tip};
use std::collections::BTreeMap;

/// A stretch that the peer lacks, unless it knows more of it than could be told from its tips.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doubt {
    pub(super) author: DeviceId,
    pub(super) range: Range,
}

#[derive(Debug, Default)]
pub(super) struct Forks {
    doubts: Vec<Doubt>,
    unknown: BTreeMap<DeviceId, Vec<Tip>>,
    /// The initiator's tips of authors of whom it knows every tip of the peer, and how much of them is shared.
    sure: BTreeMap<(DeviceId, Tip), u64>,
    /// What the initiator said it has, until the responder has said what of it is unknown.
    told: Option<Frontier>,
    /// Questions open, by the place of the tip in what the initiator told.
    open: BTreeMap<u64, Search>,
}

/// A tip of the initiator and what is known of its chain: the peer has it up to `shared`, and not from `unknown` on.
#[derive(Debug)]
struct Search {
    author: DeviceId,
    tip: Tip,
    shared: u64,
    unknown: u64,
    asked: Vec<u64>,
    rounds: u32,
}

impl Forks {
    /// Whether a question is open.
    pub(super) fn pending(&self) -> bool {
        !self.open.is_empty() || (self.told.is_some() && !self.doubts.is_empty())
    }

    /// Whether stretches wait for the answer.
    pub(super) fn doubted(&self) -> u64 {
        self.doubts.iter().map(|doubt| doubt.range.len()).fold(0, u64::saturating_add)
    }

    pub(super) fn doubt(&mut self, doubt: Doubt) {
        self.doubts.push(doubt);
    }

    /// What is shared of a tip is known: no question about it is needed.
    pub(super) fn sure(&mut self, Doubt { author, range }: Doubt) {
        self.sure.insert((author, range.up_to), range.after);
    }

    pub(super) fn unknown_tips(&mut self, author: DeviceId, tips: Vec<Tip>) {
        self.unknown.insert(author, tips);
    }

    /// A search for what the peer has of a tip, with all that is known already.
    fn search(&self, author: DeviceId, tip: Tip) -> Search {
        if let Some(shared) = self.sure.get(&(author, tip)) {
            return Search { unknown: shared.saturating_add(1), ..Search::new(author, tip, *shared) };
        }
        let doubt = self.doubts.iter().find(|doubt| doubt.author == author && doubt.range.up_to == tip);
        Search::new(author, tip, doubt.map_or(0, |doubt| doubt.range.after))
    }

    /// The initiator has told this frontier.
    pub(super) fn expect_unknown(&mut self, told: Frontier) {
        self.unknown.clear();
        self.told = Some(told);
    }

    /// The responder opens a question for each unknown tip of what it was told; returns their places.
    pub(super) fn question(&mut self, told: Frontier) -> Vec<u64> {
        let unknown = std::mem::take(&mut self.unknown);
        for (place, (author, tip)) in places(&told) {
            if unknown.get(&author).is_some_and(|tips| tips.contains(&tip)) {
                self.open.insert(place, Search::new(author, tip, 0));
            }
        }
        self.open.keys().copied().collect()
    }
}

impl Session {
    /// The initiator learns which of its tips the responder does not know.
    pub(super) fn on_unknown(
        &mut self,
        now_ms: u64,
        tips: &[u64],
        history: &dyn History,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        let told = self.forks.told.take().filter(|_| self.role == Role::Initiator);
        let told = told.ok_or(CloseReason::OutOfTurn)?;
        self.since = now_ms;
        let mut wanted = tips.iter().copied().peekable();
        for (place, (author, tip)) in places(&told) {
            if wanted.next_if_eq(&place).is_some() {
                self.forks.open.insert(place, self.forks.search(author, tip));
            }
        }
        self.forks.sure.clear();
        if wanted.next().is_some() {
            return Err(CloseReason::BadLocate);
        }
        let open = &self.forks.open;
        self.forks.doubts.retain(|doubt| {
            open.values().any(|search| search.author == doubt.author && search.tip == doubt.range.up_to)
        });
        let places: Vec<u64> = self.forks.open.keys().copied().collect();
        places.into_iter().try_for_each(|place| self.ask(place, history, out))
    }

    /// The responder says how much of a branch it has.
    pub(super) fn on_locate(
        &mut self,
        now_ms: u64,
        locate: &Locate,
        history: &dyn History,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        let search = self.forks.open.get_mut(&locate.tip).filter(|_| self.role == Role::Responder);
        let search = search.ok_or(CloseReason::BadLocate)?;
        search.count_round()?;
        self.since = now_ms;
        let mut unknown = 0;
        for probe in &locate.probes {
            if find(history, &search.author, probe)?.is_some() {
                break;
            }
            unknown += 1;
        }
        out.push(Output::Send(Message::Located { tip: locate.tip, unknown }));
        Ok(())
    }

    /// The initiator gets its answer, and asks on or is done.
    pub(super) fn on_located(
        &mut self,
        now_ms: u64,
        (place, unknown): (u64, u64),
        history: &dyn History,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        let search = self.forks.open.get_mut(&place).filter(|_| self.role == Role::Initiator);
        let search = search.ok_or(CloseReason::BadLocate)?;
        search.narrow(unknown)?;
        self.since = now_ms;
        self.ask(place, history, out)
    }

    /// The responder learns what is shared of a branch.
    pub(super) fn on_settled(
        &mut self,
        now_ms: u64,
        (place, shared): (u64, Option<Probe>),
        history: &dyn History,
    ) -> Result<(), CloseReason> {
        let search = match self.role {
            Role::Responder => self.forks.open.remove(&place),
            Role::Initiator => None,
        };
        let search = search.ok_or(CloseReason::BadLocate)?;
        self.since = now_ms;
        if let Some(probe) = shared {
            let found = find(history, &search.author, &probe)?.ok_or(CloseReason::BadLocate)?;
            for doubt in self.forks.doubts.iter_mut().filter(|doubt| doubt.author == search.author) {
                let met = meet(history, &search.author, &doubt.range.up_to, &found)?;
                doubt.range.after = doubt.range.after.max(met);
            }
        }
        self.resolve_doubts(history)
    }

    /// Asks about the next places of a branch, or ends the search.
    fn ask(&mut self, place: u64, history: &dyn History, out: &mut Vec<Output>) -> Result<(), CloseReason> {
        let search = self.forks.open.get_mut(&place).ok_or(CloseReason::BadLocate)?;
        search.asked = search.next_places();
        search.count_round()?;
        let probe = |seq: u64| -> Result<Probe, CloseReason> {
            let id = history.ancestor(&search.author, &search.tip, seq)?.ok_or(CloseReason::History)?;
            Ok(Probe { seq, id: half(id.as_bytes()) })
        };
        if !search.asked.is_empty() {
            let probes = search.asked.iter().map(|seq| probe(*seq)).collect::<Result<_, _>>()?;
            out.push(Output::Send(Message::Locate(Locate { tip: place, probes })));
            return Ok(());
        }
        let shared = if search.shared > 0 { Some(probe(search.shared)?) } else { None };
        out.push(Output::Send(Message::Settled { tip: place, shared }));
        let (author, tip, after) = (search.author, search.tip, search.shared);
        self.forks.open.remove(&place);
        let doubts = self.forks.doubts.iter_mut().filter(|d| d.author == author && d.range.up_to == tip);
        doubts.for_each(|doubt| doubt.range.after = after);
        self.resolve_doubts(history)
    }

    /// With no question left open, what was in doubt is missing.
    fn resolve_doubts(&mut self, history: &dyn History) -> Result<(), CloseReason> {
        if self.forks.open.is_empty() {
            for doubt in std::mem::take(&mut self.forks.doubts) {
                self.add_missing(&doubt.author, doubt.range, history)?;
            }
        }
        Ok(())
    }
}

impl Search {
    fn new(author: DeviceId, tip: Tip, shared: u64) -> Self {
        Self { author, tip, shared, unknown: tip.seq, asked: Vec::new(), rounds: 0 }
    }

    fn count_round(&mut self) -> Result<(), CloseReason> {
        self.rounds += 1;
        if self.rounds > LOCATE_ROUNDS_MAX { Err(CloseReason::BadLocate) } else { Ok(()) }
    }

    /// Descending places strictly between what is shared and what is unknown. At first at growing distances from the
    /// tip, since branches are mostly short; then a few that cut the rest evenly.
    fn next_places(&self) -> Vec<u64> {
        let between = |seq: &u64| *seq > self.shared && *seq < self.unknown;
        if self.unknown == self.tip.seq && self.rounds == 0 {
            let steps = (0..u64::BITS).map(|power| 1u64 << power);
            return steps
                .map_while(|step| self.tip.seq.checked_sub(step))
                .filter(between)
                .take(PROBES_MAX)
                .collect();
        }
        let gap = self.unknown.saturating_sub(self.shared);
        let mut places: Vec<u64> = (1..=CUTS).rev().map(|cut| self.shared + share(gap, cut)).collect();
        places.dedup();
        places.retain(between);
        places
    }

    /// Takes in that the first `unknown` places asked about are unknown and the next is shared.
    fn narrow(&mut self, unknown: u64) -> Result<(), CloseReason> {
        let asked = std::mem::take(&mut self.asked);
        let count = usize::try_from(unknown).ok().filter(|count| *count <= asked.len() && !asked.is_empty());
        let count = count.ok_or(CloseReason::BadLocate)?;
        if let Some(last) = count.checked_sub(1).and_then(|last| asked.get(last)) {
            self.unknown = *last;
        }
        if let Some(first) = asked.get(count) {
            self.shared = *first;
        }
        Ok(())
    }
}

/// `cut` of `CUTS + 1` parts of `gap`.
fn share(gap: u64, cut: u64) -> u64 {
    (u128::from(gap) * u128::from(cut) / u128::from(CUTS + 1)) as u64
}

/// Every tip of a frontier, counted.
fn places(frontier: &Frontier) -> impl Iterator<Item = (u64, (DeviceId, Tip))> {
    let tips = frontier.iter().flat_map(|(author, tips)| tips.iter().map(|tip| (*author, *tip)));
    (0u64..).zip(tips)
}

/// The local event at a probed place.
fn find(history: &dyn History, author: &DeviceId, probe: &Probe) -> Result<Option<Tip>, HistoryError> {
    let ids = history.ids_at(author, probe.seq)?;
    let found = ids.into_iter().find(|id| half(id.as_bytes()) == probe.id);
    Ok(found.map(|id| Tip { seq: probe.seq, id }))
}

fn half(id: &[u8; 32]) -> [u8; 16] {
    id.first_chunk().copied().unwrap_or_default()
}

const CUTS: u64 = 4;
