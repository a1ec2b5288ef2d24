//! Doing again what a journal tells, and comparing.

use super::JournalError;
use super::outcome::Outcome;
use super::read::{End, HandledStep, Journal, Round, RoundEnd, Step};
use crate::effects::Effects;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::status::SpaceStatus;
use crate::store::{Durability, MemoryStore, Store};
use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What came of a replay.
#[derive(Debug)]
pub struct Replayed {
    /// Rounds that came to the same as when they were written down.
    pub rounds: usize,
    /// Inputs of these rounds.
    pub inputs: usize,
    /// Where the replay parted from what was written down; it went no further.
    pub difference: Option<Difference>,
    /// What ended the process in the middle of the last round, if that comes again.
    pub panic: Option<String>,
    /// How the journal ends.
    pub end: End,
    /// The time of the first round and of the last, in milliseconds since the Unix epoch.
    pub span_ms: Option<(u64, u64)>,
    /// How every space stands at the end, and why.
    pub spaces: Vec<SpaceStatus>,
    /// When the engine wants to be called next, in milliseconds since the Unix epoch.
    pub wakeup_ms: Option<u64>,
}

/// Where a replay parts from what was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which round, counted from 0.
    pub round: usize,
    /// What was written down.
    pub expected: String,
    /// What came of it now.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {}: {} was written down, and now it is {}", self.round, self.expected, self.found)
    }
}

/// Feeds an engine what a journal has, and compares what comes of it.
///
/// # Errors
/// [`JournalError::Image`].
pub fn replay(journal: &Journal) -> Result<Replayed, JournalError> {
    let mut replay = Replay::open(journal)?;
    let mut replayed = Replayed {
        rounds: 0,
        inputs: 0,
        difference: None,
        panic: None,
        end: journal.end,
        span_ms: None,
        spaces: vec![],
        wakeup_ms: None,
    };
    for (at, round) in journal.rounds.iter().enumerate() {
        if let Err((expected, found)) = replay.round(round) {
            replayed.difference = Some(Difference { round: at, expected, found });
            break;
        }
        replayed.rounds += 1;
        replayed.inputs += round.steps.len();
        let first_ms = replayed.span_ms.map_or(replay.now_ms, |(first_ms, _)| first_ms);
        replayed.span_ms = Some((first_ms, replay.now_ms));
    }
    replayed.panic = replay.panic.take();
    replayed.spaces = replay.engine.statuses(replay.now_ms, &replay.store)?;
    replayed.wakeup_ms = replay.engine.next_wakeup_ms();
    Ok(replayed)
}

struct Replay {
    engine: Engine,
    store: MemoryStore,
    now_ms: u64,
    panic: Option<String>,
}

impl Replay {
    fn open(journal: &Journal) -> Result<Self, JournalError> {
        let (opening, store) = (&journal.opening, journal.store.clone());
        let engine = Engine::open_after(opening.numbers(), opening.config(), &store)?;
        Ok(Self { engine, store, now_ms: 0, panic: None })
    }

    /// Does a round again. Fails with what was expected and what came instead.
    fn round(&mut self, round: &Round) -> Result<(), (String, String)> {
        let found = match catch_unwind(AssertUnwindSafe(|| self.effects(round))) {
            Ok(found) => found,
            Err(panic) => {
                let words = panic_words(&*panic);
                if round.end != RoundEnd::Unfinished {
                    return Err(("a round that ends".to_owned(), format!("a panic: {words}")));
                }
                self.panic = Some(words);
                return Ok(());
            }
        };
        match (&round.end, found) {
            (RoundEnd::Settled { outcome, .. }, Ok(mut effects)) => {
                compare(outcome, &Outcome::of(&effects))?;
                let batch = std::mem::take(&mut effects.batch);
                let committed = self.store.commit(batch, Durability::Durable);
                committed.map_err(|error| ("a batch that a store takes".to_owned(), error.to_string()))
            }
            (RoundEnd::Settled { .. }, Err(error)) => {
                Err(("a round that ends well".to_owned(), error.to_string()))
            }
            (RoundEnd::Failed(why), Err(error)) if *why == error.to_string() => Ok(()),
            (RoundEnd::Failed(why), Err(error)) => Err((why.clone(), error.to_string())),
            // A disk that failed then does not fail now.
            (RoundEnd::Failed(_) | RoundEnd::Unfinished, _) => Ok(()),
        }
    }

    fn effects(&mut self, round: &Round) -> Result<Effects, EngineError> {
        let mut effects = Effects::default();
        for step in &round.steps {
            self.step(step, &mut effects)?;
        }
        if let RoundEnd::Settled { now_ms, .. } = round.end {
            self.now_ms = now_ms;
        }
        self.engine.settle(self.now_ms, &self.store, &mut effects)?;
        Ok(effects)
    }

    fn step(&mut self, step: &Step, effects: &mut Effects) -> Result<(), EngineError> {
        match step {
            Step::Identity => drop(self.engine.draw_identity()),
            Step::Input { now_ms, input, handled } => {
                self.now_ms = *now_ms;
                let handled = handled.as_deref().map(|HandledStep(handled)| handled);
                let input = input.as_ref().clone().into_input(&self.engine, handled.cloned());
                self.engine.handle(*now_ms, input, &self.store, effects)?;
                if let Some(handled) = handled {
                    self.engine.rng.set_word_pos(handled.drawn);
                }
            }
        }
        Ok(())
    }
}

fn panic_words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without words".to_owned())
}

fn compare(expected: &Outcome, found: &Outcome) -> Result<(), (String, String)> {
    let outputs = expected.told.len().max(found.told.len());
    for at in 0..outputs {
        let (one, other) = (expected.told.get(at), found.told.get(at));
        if one != other {
            let words = |told: Option<&super::Told>| match told {
                Some(told) => format!("output {at}: {told}"),
                None => format!("no output {at}"),
            };
            return Err((words(one), words(other)));
        }
    }
    if (expected.changes, expected.batch) != (found.changes, found.batch) {
        let words = |outcome: &Outcome| {
            format!("a batch of {} changes, {:032x}", outcome.changes, u128::from_be_bytes(outcome.batch))
        };
        return Err((words(expected), words(found)));
    }
    Ok(())
}
