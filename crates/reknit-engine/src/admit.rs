//! The one funnel through which every event enters a space, local or remote.
//!
//! Events come in groups (a frame, or one local event) and enter together or not at all: first each is checked against
//! the space and those before it in the group, then all are taken in.

use crate::apply::{Applying, EntityChange};
use crate::cells::Cells;
use crate::effects::Committed;
use crate::error::{EngineError, Refused};
use crate::layout::{SpaceNo, fork_key, void_key};
use crate::log::opened;
use crate::space::{Head, SpaceState};
use crate::store::{Batch, Reads, Table, View};
use reknit_access::{Control, Membership};
use reknit_crdt::Origin;
use reknit_sync::limits::TIPS_MAX;
use reknit_sync::{Frame, Inserted, Source};
use reknit_types::limits::STAMP_LEAD_MS_MAX;
use reknit_types::{DeviceId, Dot, EventId, Kind, Stamp, Tip, Transaction, VerifiedEvent};
use std::collections::BTreeMap;

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
    /// Those that were new are in.
    Admitted(Vec<Admitted>),
    /// The stamp of one is too far ahead of the local clock.
    Held { until_ms: u64 },
    /// One cannot be admitted, so none was.
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
    /// The event as those who watch are told of it.
    pub(crate) fn committed(&self, space: SpaceNo, local: bool) -> Committed {
        Committed { space, event: self.dot, stamp: self.stamp, local, changes: self.changes.clone() }
    }
}

/// What admitting needs of the engine.
pub(crate) struct Desk<'a> {
    pub(crate) now_ms: u64,
    pub(crate) reads: &'a dyn Reads,
    pub(crate) batch: &'a mut Batch,
    pub(crate) cells: &'a mut Cells,
}

/// The group as far as it has been checked: what its later events may build on.
#[derive(Default)]
struct Stage {
    tips: BTreeMap<DeviceId, Vec<Tip>>,
    stamps: BTreeMap<EventId, Stamp>,
    membership: Option<Membership>,
    fresh: Vec<Option<Control>>,
}

/// Admits a group of events, or says why not.
pub(crate) fn admit(
    space: &mut SpaceState,
    desk: &mut Desk<'_>,
    arrival: Arrival,
) -> Result<Admission, EngineError> {
    let lead = |event: &VerifiedEvent| event.header().stamp.ms().saturating_sub(desk.now_ms);
    let ahead = arrival.events.iter().map(lead).max().unwrap_or(0);
    if ahead > STAMP_LEAD_MS_MAX && arrival.source != Source::Local {
        return Ok(Admission::Held { until_ms: desk.now_ms + ahead - STAMP_LEAD_MS_MAX });
    }
    let mut stage = Stage::default();
    let mut fresh = Vec::with_capacity(arrival.events.len());
    let count = arrival.events.len();
    for event in arrival.events {
        let view = View::new(desk.reads, desk.batch);
        if is_known(space, &view, &event, &stage)? {
            continue;
        }
        match check(space, &view, &event, &mut stage)? {
            Ok(control) => {
                stage.fresh.push(control);
                fresh.push(event);
            }
            Err(reason) => return Ok(Admission::Refused { dot: event.dot(), reason }),
        }
    }
    let frame = arrival.frame.filter(|_| fresh.len() == count);
    take_in(space, desk, fresh, Taking { stage, frame, source: arrival.source, from: arrival.from })
        .map(Admission::Admitted)
}

fn is_known(
    space: &SpaceState,
    reads: &dyn Reads,
    event: &VerifiedEvent,
    stage: &Stage,
) -> Result<bool, EngineError> {
    let (header, id) = (event.header(), event.id());
    if stage.stamps.contains_key(&id) || space.round.stamps.contains_key(&id) {
        return Ok(true);
    }
    let newest = space.frontier.tips(&header.author).iter().map(|tip| tip.seq).max().unwrap_or(0);
    Ok(header.seq <= newest && space.ids_at(reads, &header.author, header.seq)?.contains(&id))
}

/// Whether the event may enter, as its own past has it. The outer error is the store's.
fn check(
    space: &SpaceState,
    reads: &dyn Reads,
    event: &VerifiedEvent,
    stage: &mut Stage,
) -> Result<Result<Option<Control>, Refused>, EngineError> {
    let header = event.header();
    if header.space != space.id {
        return Ok(Err(Refused::Space));
    }
    if let Err(reason) = check_prev(space, reads, event, stage)? {
        return Ok(Err(reason));
    }
    for parent in event.parents() {
        let staged = stage.stamps.get(&parent.id).copied();
        let stamp = if staged.is_some() { staged } else { space.stamp_of(reads, parent)? };
        match stamp {
            None => return Ok(Err(Refused::AwaitingParent { author: parent.author, seq: parent.seq })),
            Some(stamp) if stamp >= header.stamp => return Ok(Err(Refused::Stamp)),
            Some(_) => {}
        }
    }
    if header.parents.is_empty() && header.kind == Kind::Data {
        return Ok(Err(Refused::Rootless));
    }
    let control = match control_of(event) {
        Ok(control) => control,
        Err(reason) => return Ok(Err(reason)),
    };
    let membership = stage.membership.as_ref().unwrap_or(&space.membership);
    if let Err(refusal) = membership.check(header, control.as_ref()) {
        return Ok(Err(Refused::Access(refusal)));
    }
    stage.note(space, event, control.as_ref());
    Ok(Ok(control))
}

fn check_prev(
    space: &SpaceState,
    reads: &dyn Reads,
    event: &VerifiedEvent,
    stage: &Stage,
) -> Result<Result<(), Refused>, EngineError> {
    let header = event.header();
    let (author, seq) = (header.author, header.seq);
    let staged = stage.tips.get(&author).map(Vec::as_slice);
    let tips = staged.unwrap_or_else(|| space.frontier.tips(&author));
    let extends = match header.prev {
        None => tips.is_empty(),
        Some(prev) => tips.contains(&Tip { seq: seq - 1, id: prev }),
    };
    if extends {
        return Ok(Ok(()));
    }
    if let Some(prev) = header.prev {
        let known = stage.stamps.contains_key(&prev)
            || space.round.stamps.contains_key(&prev)
            || space.ids_at(reads, &author, seq - 1)?.contains(&prev);
        if !known {
            return Ok(Err(Refused::AwaitingParent { author, seq: seq - 1 }));
        }
    }
    Ok(if tips.len() >= TIPS_MAX { Err(Refused::Forks(TIPS_MAX)) } else { Ok(()) })
}

fn control_of(event: &VerifiedEvent) -> Result<Option<Control>, Refused> {
    if event.header().kind == Kind::Data {
        return Ok(None);
    }
    let payload =
        opened(event).ok_or_else(|| Refused::Control("it is sealed under another key".to_owned()))?;
    Control::decode(payload).map(Some).map_err(|error| Refused::Control(error.to_string()))
}

impl Stage {
    fn note(&mut self, space: &SpaceState, event: &VerifiedEvent, control: Option<&Control>) {
        let header = event.header();
        let tips =
            self.tips.entry(header.author).or_insert_with(|| space.frontier.tips(&header.author).to_vec());
        tips.retain(|tip| Some(tip.id) != header.prev);
        tips.push(event.tip());
        self.stamps.insert(event.id(), header.stamp);
        if let Some(control) = control {
            let membership = self.membership.get_or_insert_with(|| space.membership.clone());
            membership.apply(event.id(), header, control);
        }
    }
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
    let mut admitted = Vec::with_capacity(events.len());
    for (index, event) in (first..).zip(&events) {
        link(space, desk.batch, event);
        let changes = apply(space, desk, event, index)?;
        space.round.admitted.push((event.dot(), taking.source, taking.from));
        admitted.push(Admitted { dot: event.dot(), stamp: event.header().stamp, changes });
    }
    space.round.stamps.extend(taking.stage.stamps);
    if let Some(membership) = taking.stage.membership {
        space.membership = membership;
        space.round.membership_changed = true;
    }
    if !events.is_empty() {
        space.log.append(desk.batch, events, taking.frame);
    }
    Ok(admitted)
}

/// Makes the event the end of its chain and a head; keeps the evidence if the chain forked.
fn link(space: &mut SpaceState, batch: &mut Batch, event: &VerifiedEvent) {
    let (header, dot) = (event.header(), event.dot());
    if space.frontier.insert(&dot, header.prev.as_ref()) == Inserted::Forked {
        batch.put(Table::Evidence, fork_key(space.no, &dot.author, dot.seq), dot.id.as_bytes().to_vec());
    }
    space.heads.retain(|head| !header.parents.contains(&head.dot.id) && Some(head.dot.id) != header.prev);
    space.heads.push(Head { dot, stamp: header.stamp });
    space.round.authors.insert(header.author);
}

fn apply(
    space: &SpaceState,
    desk: &mut Desk<'_>,
    event: &VerifiedEvent,
    index: u64,
) -> Result<Vec<EntityChange>, EngineError> {
    let header = event.header();
    if header.kind == Kind::Control {
        return Ok(vec![]);
    }
    let transaction = match opened(event).map(Transaction::decode) {
        Some(Ok(transaction)) => transaction,
        Some(Err(error)) => {
            desk.batch.put(Table::Evidence, void_key(space.no, index, 0), error.to_string().into_bytes());
            return Ok(vec![]);
        }
        None => return Ok(vec![]),
    };
    let origin = Origin { author: header.author, stamp: header.stamp, event: event.id() };
    let (cells, reads, batch) = (&mut *desk.cells, desk.reads, &mut *desk.batch);
    Applying { space: space.no, origin, index, cells, reads, batch }.transaction(&transaction)
}
