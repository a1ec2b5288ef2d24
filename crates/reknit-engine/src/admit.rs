//! The one funnel through which every event enters a space, local or remote.
//!
//! Events come in groups (a frame, or one local event) and enter together or not at all: first each is checked against
//! the space and those before it in the group, then all are taken in.

mod check;

pub(crate) use check::Waits;

use crate::apply::{Applying, Budget, EntityChange};
use crate::cells::Cells;
use crate::effects::Committed;
use crate::error::{EngineError, Refused};
use crate::layout::{SpaceNo, fork_key, void_key};
use crate::log::opened;
use crate::space::{Head, SpaceState};
use crate::store::{Batch, Reads, Table, View};
use check::{Sieve, Stage};
use reknit_crdt::Origin;
use reknit_sync::{Frame, Inserted, Source};
use reknit_types::{DeviceId, Dot, Kind, Stamp, Transaction, VerifiedEvent};

/// A group of events on its way in.
pub(crate) struct Arrival {
    pub(crate) events: Vec<VerifiedEvent>,
    /// The frame they came in.
    pub(crate) frame: Option<Frame>,
    pub(crate) source: Source,
    /// The peer they came from.
    pub(crate) from: Option<DeviceId>,
}

/// What became of a group.
#[derive(Debug)]
pub(crate) enum Admission {
    /// Those that were new are in, except those that wait.
    Admitted(Vec<Admitted>, Option<Waits>),
    /// One is invalid by its own past, so none was admitted.
    Refused { dot: Dot, reason: Refused },
}

/// An event that was taken in, and what it did.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) dot: Dot,
    pub(crate) stamp: Stamp,
    pub(crate) changes: Vec<EntityChange>,
}

impl Admitted {
    /// The event as those who watch are told of it; takes the changes.
    pub(crate) fn take_committed(&mut self, space: SpaceNo, local: bool) -> Committed {
        let changes = std::mem::take(&mut self.changes);
        Committed { space, event: self.dot, stamp: self.stamp, local, changes }
    }
}

/// What admitting needs of the engine.
pub(crate) struct Desk<'a> {
    pub(crate) now_ms: u64,
    /// This device has none of the history yet and takes it from whom it is served by.
    pub(crate) joining: bool,
    pub(crate) reads: &'a dyn Reads,
    pub(crate) batch: &'a mut Batch,
    pub(crate) cells: &'a mut Cells,
}

/// Admits a group of events, or says why not.
pub(crate) fn admit(
    space: &mut SpaceState,
    desk: &mut Desk<'_>,
    arrival: Arrival,
) -> Result<Admission, EngineError> {
    let Arrival { events, frame, source, from } = arrival;
    let count = events.len();
    let mut sieve = Sieve::of(from.filter(|_| !desk.joining));
    let view = View::new(desk.reads, desk.batch);
    if source != Source::Local {
        sieve.hold_back(space, &view, desk.now_ms, &events)?;
    }
    let stage = match sieve.sift(space, &view, &events)? {
        Ok(stage) => stage,
        Err((dot, reason)) => return Ok(Admission::Refused { dot, reason }),
    };
    let waits = sieve.waits(&stage, &events);
    let mut chosen = stage.chosen.iter().copied().peekable();
    let events = events.into_iter().enumerate();
    let fresh: Vec<_> =
        events.filter(|(at, _)| chosen.next_if_eq(at).is_some()).map(|(_, event)| event).collect();
    let frame = frame.filter(|_| fresh.len() == count);
    let admitted = take_in(space, desk, fresh, Taking { stage, frame, source, from })?;
    Ok(Admission::Admitted(admitted, waits))
}

/// How a checked group is taken in.
struct Taking {
    stage: Stage,
    frame: Option<Frame>,
    source: Source,
    from: Option<DeviceId>,
}

fn take_in(
    space: &mut SpaceState,
    desk: &mut Desk<'_>,
    events: Vec<VerifiedEvent>,
    taking: Taking,
) -> Result<Vec<Admitted>, EngineError> {
    let first = space.log.len();
    let (mut admitted, mut forked, mut followed) = (Vec::with_capacity(events.len()), vec![], vec![]);
    for (index, event) in (first..).zip(&events) {
        if link(space, event) {
            forked.push(event.dot());
        } else if space.is_forked(&event.header().author) {
            followed.push(event.dot());
        }
        let budget = (taking.source != Source::Local).then_some(Budget::WHOLE);
        let changes = apply(space, desk, (event, budget), index)?;
        space.round.admitted.push((event.dot(), taking.source, taking.from));
        admitted.push(Admitted { dot: event.dot(), stamp: event.header().stamp, changes });
    }
    space.round.recent.extend(taking.stage.recent);
    if let Some(membership) = taking.stage.membership {
        space.membership = membership;
        space.round.membership_changed = true;
    }
    if !events.is_empty() {
        space.log.append(desk.batch, events, taking.frame);
    }
    for dot in forked {
        keep_evidence(space, desk, &dot)?;
    }
    // An event that goes on from a branch may stand under a number under which another branch forked before it came.
    for dot in followed {
        let key = fork_key(space.no, &dot.author, dot.seq);
        if View::new(desk.reads, desk.batch).get(Table::Evidence, &key)?.is_some() {
            keep_evidence(space, desk, &dot)?;
        }
    }
    Ok(admitted)
}

/// Keeps the ids of all events that the author wrote under one number.
fn keep_evidence(space: &SpaceState, desk: &mut Desk<'_>, dot: &Dot) -> Result<(), EngineError> {
    let mut ids = space.ids_at(&View::new(desk.reads, desk.batch), &dot.author, dot.seq)?;
    ids.sort_unstable();
    let record: Vec<u8> = ids.iter().flat_map(|id| *id.as_bytes()).collect();
    desk.batch.put(Table::Evidence, fork_key(space.no, &dot.author, dot.seq), record);
    Ok(())
}

/// Makes the event the end of its chain and a head; whether its chain forks here.
fn link(space: &mut SpaceState, event: &VerifiedEvent) -> bool {
    let (header, dot) = (event.header(), event.dot());
    let forks = space.frontier.insert(&dot, header.prev.as_ref()) == Inserted::Forked;
    space.heads.retain(|head| !header.parents.contains(&head.dot.id) && Some(head.dot.id) != header.prev);
    space.heads.push(Head { dot, stamp: header.stamp });
    space.round.authors.insert(header.author);
    forks
}

fn apply(
    space: &SpaceState,
    desk: &mut Desk<'_>,
    (event, budget): (&VerifiedEvent, Option<Budget>),
    index: u64,
) -> Result<Vec<EntityChange>, EngineError> {
    let header = event.header();
    if header.kind == Kind::Control {
        return Ok(vec![]);
    }
    let transaction = opened(event)
        .ok_or_else(|| "the payload is not sealed under the key that it names".to_owned())
        .and_then(|payload| Transaction::decode(payload).map_err(|error| error.to_string()));
    let transaction = match transaction {
        Ok(transaction) => transaction,
        Err(why) => {
            desk.batch.put(Table::Evidence, void_key(space.no, index, 0), why.into_bytes());
            return Ok(vec![]);
        }
    };
    let origin = Origin { author: header.author, stamp: header.stamp, event: event.id() };
    let (cells, reads, batch) = (&mut *desk.cells, desk.reads, &mut *desk.batch);
    let mut applying = Applying { space: space.no, origin, index, budget, cells, reads, batch };
    let changes = applying.transaction(&transaction)?;
    if space.is_forked(&header.author) {
        // Only the two branches of a forked chain can claim one place of one identity.
        desk.cells.suspect(space.no, &transaction);
    }
    Ok(changes)
}
