//! Checking a group of events against the space and those before it in the group.

use crate::error::{EngineError, Refused};
use crate::log::opened;
use crate::space::{Head, SpaceState};
use crate::store::Reads;
use reknit_access::{Control, Membership};
use reknit_sync::limits::{AUTHORS_MAX, BRANCHES_MAX, OWN_TIPS_MAX, TIPS_MAX};
use reknit_types::limits::STAMP_LEAD_MS_MAX;
use reknit_types::{DecodeError, DeviceId, Dot, EventId, Kind, Payload, Stamp, Tip, VerifiedEvent};
use std::collections::{BTreeMap, BTreeSet};

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

/// The group as far as it has been checked: what its later events may build on.
#[derive(Default)]
pub(super) struct Stage {
    /// Which of the group may enter, ascending.
    pub(super) chosen: Vec<usize>,
    /// Those, by id.
    pub(super) recent: BTreeMap<EventId, Head>,
    pub(super) membership: Option<Membership>,
    from: Option<DeviceId>,
    tips: BTreeMap<DeviceId, Vec<Tip>>,
    /// The last of them, which is most often the parent of the next.
    newest: Option<Head>,
    /// Those that were here already.
    known: BTreeSet<EventId>,
}

/// Whose events of a group wait. The last event of each author in a group is the one that is signed, so an author's
/// events in it wait together; so does what follows them.
#[derive(Default)]
pub(super) struct Sieve {
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
    pub(super) fn of(from: Option<DeviceId>) -> Self {
        Self { from, ..Self::default() }
    }

    /// Holds back authors whose stamps are too far ahead of the local clock.
    pub(super) fn hold_back(
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

    /// Checks a group, leaving out those that wait. The inner error says which event is refused, and why.
    pub(super) fn sift(
        &mut self,
        space: &SpaceState,
        reads: &dyn Reads,
        events: &[VerifiedEvent],
    ) -> Result<Result<Stage, (Dot, Refused)>, EngineError> {
        loop {
            match self.stage(space, reads, events)? {
                Staging::Done(stage) => return Ok(Ok(*stage)),
                Staging::Again if self.rounds < SIEVE_ROUNDS_MAX => self.rounds += 1,
                // Too tangled to take apart: all of it waits.
                Staging::Again => {
                    self.authors.extend(events.iter().map(|event| event.header().author));
                    return Ok(Ok(Stage::default()));
                }
                Staging::Refused(dot, reason) => return Ok(Err((dot, reason))),
            }
        }
    }

    fn stage(
        &mut self,
        space: &SpaceState,
        reads: &dyn Reads,
        events: &[VerifiedEvent],
    ) -> Result<Staging, EngineError> {
        let mut stage = Stage { from: self.from, ..Stage::default() };
        let mut waiting: BTreeSet<EventId> = BTreeSet::new();
        for (at, event) in events.iter().enumerate() {
            let author = event.header().author;
            if is_known(space, reads, event, &stage)? {
                stage.known.insert(event.id());
                continue;
            }
            if !self.authors.contains(&author) {
                let follows =
                    !waiting.is_empty() && event.header().parents.iter().any(|id| waiting.contains(id));
                let verdict = if follows { None } else { Some(check(space, reads, event, &mut stage)?) };
                match verdict {
                    Some(Ok(())) => {
                        stage.chosen.push(at);
                        continue;
                    }
                    Some(Err(reason)) if reason.is_final() => {
                        return Ok(Staging::Refused(event.dot(), reason));
                    }
                    Some(Err(reason)) => _ = self.awaiting.get_or_insert((event.dot(), reason)),
                    None => {}
                }
                self.authors.insert(author);
                if stage.tips.contains_key(&author) {
                    return Ok(Staging::Again);
                }
            }
            waiting.insert(event.id());
        }
        Ok(Staging::Done(Box::new(stage)))
    }

    /// What of the group waits, once it is staged.
    pub(super) fn waits(self, stage: &Stage, events: &[VerifiedEvent]) -> Option<Waits> {
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
    let here = stage.recent.contains_key(&id) || space.round.recent.contains_key(&id);
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
        match stage.stamp_of(space, reads, parent)? {
            Err(reason) => return Ok(Err(reason)),
            Ok(stamp) if stamp >= header.stamp => return Ok(Err(Refused::Stamp)),
            Ok(_) => {}
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
        if tips.iter().any(|tip| tip.id == prev) {
            return Ok(Err(Refused::Place));
        }
        let before = Dot { author, seq: seq - 1, id: prev };
        if let Err(reason) = stage.stamp_of(space, reads, &before)? {
            return Ok(Err(reason));
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
    Control::decode(payload).map(Some).map_err(|error| match error {
        newer @ DecodeError::Version { .. } => Refused::Newer(newer),
        error => Refused::Control(error.to_string()),
    })
}

impl Stage {
    /// The stamp of an event that another builds on. The place that comes with its id is not signed: an id known to
    /// lie elsewhere makes a forgery of the whole group.
    fn stamp_of(
        &self,
        space: &SpaceState,
        reads: &dyn Reads,
        dot: &Dot,
    ) -> Result<Result<Stamp, Refused>, EngineError> {
        let staged = self.newest.filter(|newest| newest.dot.id == dot.id);
        let found = match staged.or_else(|| self.recent.get(&dot.id).copied()) {
            Some(found) => Some(found),
            None => space.find(reads, dot)?,
        };
        Ok(match found {
            Some(found) if found.dot == *dot => Ok(found.stamp),
            Some(_) => Err(Refused::Place),
            None => Err(Refused::AwaitingParent { author: dot.author, seq: dot.seq }),
        })
    }

    fn note(&mut self, space: &SpaceState, event: &VerifiedEvent, control: Option<&Control>) {
        let header = event.header();
        let tips =
            self.tips.entry(header.author).or_insert_with(|| space.frontier.tips(&header.author).to_vec());
        tips.retain(|tip| Some(tip.id) != header.prev);
        tips.push(event.tip());
        let head = Head { dot: event.dot(), stamp: header.stamp };
        self.recent.insert(event.id(), head);
        self.newest = Some(head);
        if let Some(control) = control {
            let membership = self.membership.get_or_insert_with(|| space.membership.clone());
            membership.apply(event.id(), header, control);
        }
    }
}

/// Authors of one group are set aside one after the other at most so often.
const SIEVE_ROUNDS_MAX: usize = 16;
