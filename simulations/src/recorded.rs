//! A recorded editing session, typed again by simulated peers.
//!
//! Every transaction of the recording becomes one of its author's peer, made on exactly the history that the author had
//! seen: peers are cut from each other, save for the meetings of a [`Plan`]. In the recorded session words were under way
//! while both went on typing; here peers that type nothing carry them, the plan's couriers.

use crate::action::Action;
use crate::network::PeerNo;
use crate::people::{NOTES, Work, entity_id};
use crate::settled::{Budget, settle};
use crate::world::{AskError, Violation, World};
use reknit_crdt::FieldValue;
use reknit_engine::{Tx, TxError};
use reknit_traces::{Part, Patch, Plan, Step, Trace, TraceError};
use reknit_types::Name;
use std::path::Path;
use std::time::Duration;

/// A session that peers can type.
#[derive(Debug, Clone)]
pub struct Recording {
    trace: Trace,
    plan: Plan,
}

impl Recording {
    /// Plans how to type a session.
    ///
    /// # Errors
    /// [`TraceError::Forgetful`], if no peers could.
    pub fn of(trace: Trace) -> Result<Self, TraceError> {
        Ok(Self { plan: Plan::of(&trace)?, trace })
    }

    /// Reads a session from a file of either format of the editing-traces data sets, compressed or not.
    ///
    /// # Errors
    /// [`TraceError`], which names the file.
    pub fn read(file: &Path) -> Result<Self, TraceError> {
        Self::of(Trace::read(file, None)?)
    }

    /// How many peers it takes. An only author has a reader.
    pub(crate) fn peers(&self) -> usize {
        (self.trace.authors + self.plan.couriers).max(2)
    }
}

/// Types it: the authors are the first peers.
pub(crate) fn play(world: &mut World, recording: &Recording) -> Result<(), AskError> {
    let Recording { trace, plan } = recording;
    if !trace.start.is_empty() {
        let patch = Patch(0, 0, trace.start.clone());
        world.transact(0, move |tx| type_in(tx, vec![patch]))?;
        settle(world, &Budget::default())?;
    }
    world.sample();
    let before = events(world, 0);
    let (authors, mut meetings) = (trace.authors, 0);
    world.act(&Action::Partition(groups(world, None)));
    for step in &plan.steps {
        match step {
            Step::Write { author, transactions, seen } => {
                exactly(world, *author, before + *seen as u64)?;
                transactions.iter().try_for_each(|place| write(world, trace, *author, *place))?;
            }
            Step::Meet { one, other } => {
                let pair = (number(*one, authors), number(*other, authors));
                meetings += 1;
                if meetings % CUT_EVERY == 0 || meetings == plan.meetings() / 2 {
                    cut_short(world, pair)?;
                }
                meet(world, pair)?;
            }
        }
    }
    Ok(())
}

/// In the end the text at every peer is the recorded one.
pub(crate) fn as_recorded(world: &World, recording: &Recording) -> Result<(), Violation> {
    let Some(end) = &recording.trace.end else { return Ok(()) };
    for peer in 0..world.peers() {
        let text = text(world, peer);
        if text.as_ref() != Some(end) {
            let agrees = text.iter().flat_map(|text| text.chars().zip(end.chars()));
            let agrees = agrees.take_while(|(found, recorded)| found == recorded).count();
            let found = text.as_ref().map_or(0, |text| text.chars().count());
            let what = format!(
                "the text of {peer} has {found} characters, of which the first {agrees} are as recorded; recorded are {}",
                end.chars().count()
            );
            return Err(Violation { at: world.now(), rule: "as-recorded", what });
        }
    }
    Ok(())
}

fn number(part: Part, authors: usize) -> PeerNo {
    match part {
        Part::Author(author) => author,
        Part::Courier(courier) => authors + courier,
    }
}

/// Everybody alone, save for two who meet.
fn groups(world: &World, pair: Option<(PeerNo, PeerNo)>) -> Vec<Vec<PeerNo>> {
    let (one, other) = pair.unzip();
    let alone = (0..world.peers()).filter(|peer| Some(*peer) != one && Some(*peer) != other);
    let together = pair.map(|(one, other)| vec![one, other]);
    alone.map(|peer| vec![peer]).chain(together).collect()
}

/// Who is about to write has the events that it had in the recorded session, and no others.
fn exactly(world: &World, author: PeerNo, expected: u64) -> Result<(), Violation> {
    let found = events(world, author);
    if found == expected {
        return Ok(());
    }
    let what = format!("{author} has {found} events before it types on: {expected} in the recording");
    Err(Violation { at: world.now(), rule: "recorded-history", what })
}

fn write(world: &mut World, trace: &Trace, author: PeerNo, place: usize) -> Result<(), AskError> {
    let patches = trace.transactions[place].patches.clone();
    world.transact(author, move |tx| type_in(tx, patches))?;
    Ok(world.pass(BETWEEN_KEYS)?)
}

fn type_in(tx: &mut Tx<'_>, patches: Vec<Patch>) -> Result<(), TxError> {
    let mut entity = tx.entity(NOTES, entity_id(Work::Typing, 0))?;
    let mut text = entity.text(BODY)?;
    for Patch(position, deleted, inserted) in patches {
        text.splice(position, deleted, &inserted)?;
    }
    Ok(())
}

/// Two are connected until they are equal.
fn meet(world: &mut World, pair: (PeerNo, PeerNo)) -> Result<(), AskError> {
    world.act(&Action::Partition(groups(world, Some(pair))));
    let mut next = world.now();
    let met = world.pass_until(MEETING_MAX, |world| {
        if world.now() < next {
            return false;
        }
        next = world.now() + LOOK_EVERY;
        let digest = |peer| world.glance(peer).map(|glance| glance.frontier_digest);
        digest(pair.0).is_some_and(|one| Some(one) == digest(pair.1))
    })?;
    world.act(&Action::Partition(groups(world, None)));
    if met {
        return Ok(());
    }
    let what = format!("{} and {} are not equal after {} s", pair.0, pair.1, MEETING_MAX.as_secs());
    Err(Violation { at: world.now(), rule: "meets", what }.into())
}

/// Two are cut from each other as soon as something has come through, in the middle of whatever they exchange.
fn cut_short(world: &mut World, pair: (PeerNo, PeerNo)) -> Result<(), AskError> {
    world.act(&Action::Partition(groups(world, Some(pair))));
    let before = world.traffic().messages;
    world.pass_until(MEETING_MAX, |world| world.traffic().messages > before)?;
    world.act(&Action::Partition(groups(world, None)));
    Ok(world.pass(CUT_LASTS)?)
}

fn events(world: &World, peer: PeerNo) -> u64 {
    world.glance(peer).map_or(0, |glance| glance.events)
}

fn text(world: &World, peer: PeerNo) -> Option<String> {
    let (notes, body) = (Name::new(NOTES).ok()?, Name::new(BODY).ok()?);
    let entity = world.entity(peer, &notes, entity_id(Work::Typing, 0)).ok()??;
    match entity.fields.get(&body)? {
        FieldValue::Text(text) => Some(text.clone()),
        _ => None,
    }
}

const BODY: &str = "body";
const BETWEEN_KEYS: Duration = Duration::from_millis(40);
const LOOK_EVERY: Duration = Duration::from_millis(10);
const MEETING_MAX: Duration = Duration::from_secs(60);
/// One in so many meetings is cut, besides the one in the middle.
const CUT_EVERY: usize = 50;
const CUT_LASTS: Duration = Duration::from_secs(25);
