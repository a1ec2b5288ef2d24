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
use reknit_sync::limits::{AUTHORS_MAX, BRANCHES_MAX, OWN_TIPS_MAX, TIPS_MAX};
use reknit_sync::{Frame, Inserted, Source};
use reknit_types::limits::STAMP_LEAD_MS_MAX;
use reknit_types::{DeviceId, Dot, EventId, Kind, Payload, Stamp, Tip, Transaction, VerifiedEvent};
use std::collections::{BTreeMap, BTreeSet};

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

/// What of a group was not admitted, and may be later.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// The stamp of one is too far ahead of the local clock: the first is due then.
    pub(crate) held_until_ms: Option<u64>,
    /// One waits for what is not here, or for room.
    pub(crate) awaiting: Option<(Dot, Refused)>,
    /// All that wait.
    pub(crate) events: Vec<EventId>,
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

/// The group as far as it has been checked: what its later events may build on.
#[derive(Default)]
struct Stage {
    from: Option<DeviceId>,
    tips: BTreeMap<DeviceId, Vec<Tip>>,
    stamps: BTreeMap<EventId, Stamp>,
    /// The last of them, which is most often the parent of the next.
    newest: Option<(EventId, Stamp)>,
    membership: Option<Membership>,
    /// Those that were here already.
    known: BTreeSet<EventId>,
}

/// Admits a group of events, or says why not.
pub(crate) fn admit(
    space: &mut SpaceState,
    desk: &mut Desk<'_>,
    arrival: Arrival,
) -> Result<Admission, EngineError> {
    let Arrival { events, frame, source, from } = arrival;
    let count = events.len();
    let mut sieve = Sieve { from: from.filter(|_| !desk.joining), ..Sieve::default() };
    if source != Source::Local {
        let view = View::new(desk.reads, desk.batch);
        sieve.hold_back(space, &view, desk.now_ms, &events)?;
    }
    let stage = loop {
        let view = View::new(desk.reads, desk.batch);
        match stage(space, &view, &events, &mut sieve)? {
            Staging::Done(stage) => break *stage,
            Staging::Again if sieve.rounds < SIEVE_ROUNDS_MAX => sieve.rounds += 1,
            // Too tangled to take apart: all of it waits.
            Staging::Again => {
                sieve.authors.extend(events.iter().map(|event| event.header().author));
                break Stage::default();
            }
            Staging::Refused(dot, reason) => return Ok(Admission::Refused { dot, reason }),
        }
    };
    let waits = sieve.waits(&stage, &events);
    let chosen = &stage.stamps;
    let fresh: Vec<_> = events.into_iter().filter(|event| chosen.contains_key(&event.id())).collect();
    let frame = frame.filter(|_| fresh.len() == count);
    let admitted = take_in(space, desk, fresh, Taking { stage, frame, source, from })?;
    Ok(Admission::Admitted(admitted, waits))
}

/// Whose events of a group wait. The last event of each author in a group is the one that is signed, so an author's
/// events in it wait together; so does what follows them.
#[derive(Default)]
struct Sieve {
    /// Who brought the group, whose own branches are taken in from others only, once there are some.
    from: Option<DeviceId>,
    authors: BTreeSet<DeviceId>,
    held_until_ms: Option<u64>,
    awaiting: Option<(Dot, Refused)>,
    rounds: usize,
}

enum Staging {
    Done(Box<Stage>),
    /// Another author's events wait, of which some were staged.
    Again,
    Refused(Dot, Refused),
}

impl Sieve {
    /// Holds back authors whose stamps are too far ahead of the local clock.
    fn hold_back(
        &mut self,
        space: &SpaceState,
        reads: &dyn Reads,
        now_ms: u64,
        events: &[VerifiedEvent],
    ) -> Result<(), EngineError> {
        for event in events {
            let due_ms = event.header().stamp.ms().saturating_sub(STAMP_LEAD_MS_MAX);
            if due_ms > now_ms && !is_known(space, reads, event, &Stage::default())? {
                self.authors.insert(event.header().author);
                self.held_until_ms = Some(self.held_until_ms.map_or(due_ms, |first| first.min(due_ms)));
            }
        }
        Ok(())
    }

    fn waits(self, stage: &Stage, events: &[VerifiedEvent]) -> Option<Waits> {
        if self.authors.is_empty() {
            return None;
        }
        let waits = |event: &&VerifiedEvent| {
            self.authors.contains(&event.header().author) && !stage.known.contains(&event.id())
        };
        let events = events.iter().filter(waits).map(VerifiedEvent::id).collect();
        Some(Waits { held_until_ms: self.held_until_ms, awaiting: self.awaiting, events })
    }
}

/// Checks a group against the space and itself, leaving out those that wait.
fn stage(
    space: &SpaceState,
    reads: &dyn Reads,
    events: &[VerifiedEvent],
    sieve: &mut Sieve,
) -> Result<Staging, EngineError> {
    let mut stage = Stage { from: sieve.from, ..Stage::default() };
    let mut waiting: BTreeSet<EventId> = BTreeSet::new();
    for event in events {
        let author = event.header().author;
        if is_known(space, reads, event, &stage)? {
            stage.known.insert(event.id());
            continue;
        }
        if !sieve.authors.contains(&author) {
            let follows = !waiting.is_empty() && event.header().parents.iter().any(|id| waiting.contains(id));
            let verdict = if follows { None } else { Some(check(space, reads, event, &mut stage)?) };
            match verdict {
                Some(Ok(())) => continue,
                Some(Err(reason)) if reason.is_final() => {
                    return Ok(Staging::Refused(event.dot(), reason));
                }
                Some(Err(reason)) => _ = sieve.awaiting.get_or_insert((event.dot(), reason)),
                None => {}
            }
            sieve.authors.insert(author);
            if stage.tips.contains_key(&author) {
                return Ok(Staging::Again);
            }
        }
        waiting.insert(event.id());
    }
    Ok(Staging::Done(Box::new(stage)))
}

fn is_known(
    space: &SpaceState,
    reads: &dyn Reads,
    event: &VerifiedEvent,
    stage: &Stage,
) -> Result<bool, EngineError> {
    let (header, id) = (event.header(), event.id());
    let staged = stage.tips.get(&header.author).map(Vec::as_slice);
    let tips = staged.unwrap_or_else(|| space.frontier.tips(&header.author));
    // Nothing of the author reaches as far: the usual case, decided without a search.
    if tips.iter().all(|tip| tip.seq < header.seq) {
        return Ok(false);
    }
    let here = stage.stamps.contains_key(&id) || space.round.stamps.contains_key(&id);
    Ok(here || space.ids_at(reads, &header.author, header.seq)?.contains(&id))
}

/// Whether the event may enter, as its own past has it. The outer error is the store's.
fn check(
    space: &SpaceState,
    reads: &dyn Reads,
    event: &VerifiedEvent,
    stage: &mut Stage,
) -> Result<Result<(), Refused>, EngineError> {
    let header = event.header();
    if header.space != space.id {
        return Ok(Err(Refused::Space));
    }
    // Whoever passes an event on could say so of any payload, and the id would still be right.
    if matches!(event.payload(), Payload::Erased { .. }) {
        return Ok(Err(Refused::Erased));
    }
    if let Err(reason) = check_prev(space, reads, event, stage)? {
        return Ok(Err(reason));
    }
    let before = header.prev.filter(|prev| !header.parents.contains(prev));
    let before = before.map(|id| Dot { author: header.author, seq: header.seq - 1, id });
    for parent in event.parents().iter().chain(&before) {
        let newest = stage.newest.filter(|(id, _)| *id == parent.id).map(|(_, stamp)| stamp);
        let staged = newest.or_else(|| stage.stamps.get(&parent.id).copied());
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
    if space.frontier.authors() + stage.tips.len() >= AUTHORS_MAX
        && space.frontier.tips(&header.author).is_empty()
    {
        return Ok(Err(Refused::Authors(AUTHORS_MAX)));
    }
    stage.note(space, event, control.as_ref());
    Ok(Ok(()))
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
    let tips_max = if stage.from == Some(author) { OWN_TIPS_MAX } else { TIPS_MAX };
    if tips.len() >= tips_max {
        return Ok(Err(Refused::Forks(tips_max)));
    }
    let full = space.frontier.branches() >= BRANCHES_MAX && !tips.is_empty();
    Ok(if full { Err(Refused::Branches(BRANCHES_MAX)) } else { Ok(()) })
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
        self.newest = Some((event.id(), header.stamp));
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
    let changes =
        Applying { space: space.no, origin, index, cells, reads, batch }.transaction(&transaction)?;
    if space.is_forked(&header.author) {
        // Only the two branches of a forked chain can claim one place of one identity.
        desk.cells.suspect(space.no, &transaction);
    }
    Ok(changes)
}

/// Authors of one group are set aside one after the other at most so often.
const SIEVE_ROUNDS_MAX: usize = 16;
