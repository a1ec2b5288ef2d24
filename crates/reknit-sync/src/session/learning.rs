//! Learning what the other side has, at the cost of what is different.
//!
//! The responder sends its frontier, or a delta against the last receipt, if that is short. Else it sends a sketch, and
//! the initiator asks for the tips that it lacks, or for more symbols if those do not tell yet. What it learns so is
//! checked against the digest in the responder's hello; if they do not match, it asks for the whole frontier.

use super::{History, Output, Session, Stage};
use crate::close::CloseReason;
use crate::delta::Delta;
use crate::frontier::Frontier;
use crate::limits::{SYMBOLS_FIRST, SYMBOLS_GROWTH, SYMBOLS_MAX, WANTS_MAX, WHOLE_TIPS_MAX};
use crate::message::{Against, Hello, Message, Want};
use crate::sketch::{Sketch, Symbol, difference, fingerprints, symbols};
use std::collections::BTreeSet;

/// The initiator's side: what it knows of the frontier of the responder.
#[derive(Debug)]
pub(super) struct Learner {
    /// What the initiator had when it said hello.
    ours: Frontier,
    /// The digest of what the responder has.
    digest: [u8; 32],
    nonce: Option<[u8; 16]>,
    symbols: Vec<Symbol>,
    sketches: u32,
    /// The tips of `ours` that both have, once a sketch has told them.
    shared: Option<Frontier>,
}

/// The responder's side: what it tells.
#[derive(Debug)]
pub(super) struct Teller {
    /// What the responder had when it said hello.
    ours: Frontier,
    nonce: [u8; 16],
    symbols: usize,
    wants: u32,
}

/// Where the initiator is after a word of the responder.
enum Learnt {
    All(Frontier),
    Not(Want),
}

impl Learner {
    pub(super) fn new(ours: Frontier, digest: [u8; 32]) -> Self {
        Self { ours, digest, nonce: None, symbols: Vec::new(), sketches: 0, shared: None }
    }

    /// Takes in symbols, and says what to ask for then.
    fn take(&mut self, sketch: Sketch) -> Result<Learnt, CloseReason> {
        self.sketches += 1;
        let continued = *self.nonce.get_or_insert(sketch.nonce) == sketch.nonce && self.shared.is_none();
        let bounded = self.sketches <= WANTS_MAX && self.symbols.len() + sketch.symbols.len() <= SYMBOLS_MAX;
        if !continued || !bounded || sketch.symbols.is_empty() {
            return Err(CloseReason::BadFrontier);
        }
        self.symbols.extend(sketch.symbols);
        let ours = fingerprints(&self.ours, &sketch.nonce);
        let Some(mut apart) = difference(ours.iter().map(|(at, _)| *at), &self.symbols) else {
            return Ok(Learnt::Not(self.want_more(sketch.tips)));
        };
        let shared = ours.into_iter().filter(|(fingerprint, _)| !apart.remove(fingerprint));
        let shared = Frontier::of(shared.map(|(_, dot)| dot).collect()).unwrap_or_default();
        if apart.is_empty() && shared.digest() == self.digest {
            return Ok(Learnt::All(shared));
        }
        self.shared = Some(shared);
        Ok(Learnt::Not(Want::Tips(apart.into_iter().collect())))
    }

    /// More symbols, as long as they are likely to cost less than the whole frontier of so many tips.
    fn want_more(&self, tips: u64) -> Want {
        let tips = usize::try_from(tips).unwrap_or(usize::MAX);
        let at_least = tips.abs_diff(self.ours.dots().count());
        let useful = tips.saturating_mul(2).min(SYMBOLS_MAX);
        let wanted = (self.symbols.len() * SYMBOLS_GROWTH).max(at_least.saturating_mul(2)).min(useful);
        if wanted <= self.symbols.len() || at_least >= tips / 3 * 2 {
            return Want::All;
        }
        Want::Symbols(wanted as u64)
    }
}

impl Teller {
    pub(super) fn into_frontier(self) -> Frontier {
        self.ours
    }

    fn sketch(&mut self, symbols_wanted: usize) -> Sketch {
        let ours = fingerprints(&self.ours, &self.nonce);
        let mut symbols = symbols(ours.iter().map(|(fingerprint, _)| *fingerprint), symbols_wanted);
        symbols.drain(..self.symbols.min(symbols_wanted));
        self.symbols = symbols_wanted;
        Sketch { nonce: self.nonce, tips: ours.len() as u64, symbols }
    }

    fn answer(&mut self, want: Want) -> Result<Message, CloseReason> {
        self.wants += 1;
        if self.wants > WANTS_MAX {
            return Err(CloseReason::BadFrontier);
        }
        match want {
            Want::Symbols(count) => {
                let count = usize::try_from(count).ok().filter(|count| *count <= SYMBOLS_MAX);
                let count = count.filter(|count| *count > self.symbols).ok_or(CloseReason::BadFrontier)?;
                Ok(Message::Sketch(self.sketch(count)))
            }
            Want::Tips(wanted) => {
                let wanted: BTreeSet<u64> = wanted.into_iter().collect();
                let ours = fingerprints(&self.ours, &self.nonce).into_iter();
                let found = ours.filter(|(fingerprint, _)| wanted.contains(fingerprint)).map(|(_, dot)| dot);
                let found = Frontier::of(found.collect()).unwrap_or_default();
                let delta = found.delta(&Frontier::default());
                Ok(Message::Frontier { against: Against::Sketch, delta })
            }
            Want::All => {
                let delta = self.ours.delta(&Frontier::default());
                Ok(Message::Frontier { against: Against::Nothing, delta })
            }
        }
    }
}

impl Session {
    /// The responder says what it has, in the way that is likely to be the cheapest.
    pub(super) fn tell(&mut self, hello: &Hello, history: &dyn History, out: &mut Vec<Output>) {
        let ours = history.frontier().clone();
        let base = hello.base.and_then(|digest| Some((digest, history.past_frontier(&digest)?)));
        let (against, base) = match base {
            Some((digest, base)) => (Against::Base(digest), base),
            None => (Against::Nothing, Frontier::default()),
        };
        let delta = ours.delta(&base);
        let mut teller = Teller { nonce: self.nonce(hello, &ours), ours, symbols: 0, wants: 0 };
        let whole = hello.events == 0 || delta.dots().count() <= WHOLE_TIPS_MAX;
        out.push(Output::Send(if whole {
            Message::Frontier { against, delta }
        } else {
            Message::Sketch(teller.sketch(SYMBOLS_FIRST))
        }));
        self.stage = Stage::AwaitingReply(Box::new(teller));
    }

    /// The start of a signature, which nobody else could make before: as good as drawn by chance.
    fn nonce(&self, hello: &Hello, ours: &Frontier) -> [u8; 16] {
        let mut text = self.space.as_bytes().to_vec();
        text.extend_from_slice(self.them.as_bytes());
        text.extend_from_slice(&hello.digest);
        text.extend_from_slice(&hello.now_ms.to_le_bytes());
        text.extend_from_slice(&ours.digest());
        let signature = self.key.sign(NONCE_DOMAIN, &text);
        signature.as_bytes().first_chunk().copied().unwrap_or_default()
    }

    pub(super) fn on_sketch(
        &mut self,
        now_ms: u64,
        sketch: Sketch,
        history: &dyn History,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        let Stage::AwaitingFrontier(learner) = &mut self.stage else { return Err(CloseReason::OutOfTurn) };
        self.since = now_ms;
        match learner.take(sketch)? {
            Learnt::All(theirs) => self.reply(now_ms, &theirs, history, out),
            Learnt::Not(want) => {
                out.push(Output::Send(Message::Want(want)));
                Ok(())
            }
        }
    }

    pub(super) fn on_want(
        &mut self,
        now_ms: u64,
        want: Want,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        let Stage::AwaitingReply(teller) = &mut self.stage else { return Err(CloseReason::OutOfTurn) };
        self.since = now_ms;
        out.push(Output::Send(teller.answer(want)?));
        Ok(())
    }

    /// What the responder has, if this says it; else what is there to be asked is asked.
    pub(super) fn learn(
        &mut self,
        (against, delta): (Against, &Delta),
        history: &dyn History,
        out: &mut Vec<Output>,
    ) -> Result<Option<Frontier>, CloseReason> {
        let Stage::AwaitingFrontier(learner) = &mut self.stage else { return Err(CloseReason::OutOfTurn) };
        let theirs = match against {
            Against::Nothing => Frontier::default().apply(delta).ok_or(CloseReason::BadFrontier)?,
            Against::Base(digest) => {
                let base = history.past_frontier(&digest).ok_or(CloseReason::OutOfTurn)?;
                base.apply(delta).ok_or(CloseReason::BadFrontier)?
            }
            Against::Sketch => {
                let shared = learner.shared.take().ok_or(CloseReason::OutOfTurn)?;
                match shared.apply(delta).filter(|theirs| theirs.digest() == learner.digest) {
                    Some(theirs) => theirs,
                    None => {
                        out.push(Output::Send(Message::Want(Want::All)));
                        return Ok(None);
                    }
                }
            }
            Against::Yours => return Err(CloseReason::OutOfTurn),
        };
        Ok(Some(theirs))
    }
}

const NONCE_DOMAIN: &str = "reknit/1 sketch nonce";
