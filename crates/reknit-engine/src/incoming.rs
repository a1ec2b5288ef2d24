//! What comes from peers: messages and frames of sessions, announces, and what was held until now.

use crate::admit::{Admission, Arrival, Waits};
use crate::effects::{Incoming, LinkId, Notice};
use crate::engine::{Engine, Turn};
use crate::error::{EngineError, Refused};
use crate::held::{Kept, Waiting};
use crate::layout::SpaceNo;
use crate::links::Anew;
use crate::store::View;
use reknit_sync::{Announce, CloseReason, Frame, Source};
use reknit_types::{DeviceId, Dot, VerifiedEvent};
use std::sync::Arc;

impl Engine {
    pub(crate) fn on_incoming(
        &mut self,
        turn: &mut Turn<'_>,
        link: LinkId,
        incoming: Incoming,
    ) -> Result<(), EngineError> {
        let Some((no, device)) = self.table.by_link.get(&link).copied() else { return Ok(()) };
        self.release_held(turn, no)?;
        self.take_incoming(turn, (no, device), incoming)?;
        self.finish_join(turn, no)
    }

    fn take_incoming(
        &mut self,
        turn: &mut Turn<'_>,
        (no, device): (SpaceNo, DeviceId),
        incoming: Incoming,
    ) -> Result<(), EngineError> {
        match incoming {
            Incoming::Message(message) => {
                self.with_session(turn, no, device, |session, now_ms, history, out| {
                    session.on_message(now_ms, message, history, out);
                })
            }
            Incoming::Malformed(why) => {
                tracing::warn!(%device, why, "a message could not be read");
                self.end_link(turn, no, device, CloseReason::BadFrame)
            }
            Incoming::Events { frame, events } => self.on_events(turn, no, device, (frame, events)),
            Incoming::Arriving { bytes } => self.with_session(turn, no, device, |session, now_ms, _, out| {
                session.on_arriving(now_ms, bytes, out);
            }),
        }
    }

    fn on_events(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        device: DeviceId,
        (frame, events): (Frame, Vec<VerifiedEvent>),
    ) -> Result<(), EngineError> {
        let dots: Vec<Dot> = events.iter().map(VerifiedEvent::dot).collect();
        let bytes = frame.as_bytes().len();
        self.with_session(turn, no, device, |session, now_ms, history, out| {
            session.on_events(now_ms, (&dots, bytes), history, out);
        })?;
        self.space_mut(no)?.links.owed.push(device);
        self.take_frame(turn, no, (frame, events), (Source::FromPeer, Some(device)))
    }

    /// Admits the events of a frame, and keeps it if some of them must wait.
    fn take_frame(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        (frame, events): (Frame, Vec<VerifiedEvent>),
        (source, from): (Source, Option<DeviceId>),
    ) -> Result<(), EngineError> {
        let arrival = Arrival { events, frame: Some(frame.clone()), source, from };
        match self.admit(turn, no, arrival)? {
            Admission::Admitted(_, None) => Ok(()),
            Admission::Admitted(_, Some(waits)) => self.await_rest(turn, no, (&frame, waits), from),
            Admission::Refused { dot, reason } => {
                let Some(from) = from else {
                    tracing::warn!(?dot, %reason, "a held event was refused");
                    return Ok(());
                };
                turn.effects.notice(Notice::Refused { space: no, from, dot, reason });
                match source {
                    Source::FromPeer => self.end_link(turn, no, from, CloseReason::BadFrame),
                    // What an announce cannot bring, a session will.
                    Source::Elsewhere | Source::Local => Ok(()),
                }
            }
        }
    }

    /// Keeps what must wait for the clock. For the rest of what waits, and what there is no room for, the two compare
    /// anew later.
    fn await_rest(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        (frame, waits): (&Frame, Waits),
        from: Option<DeviceId>,
    ) -> Result<(), EngineError> {
        let Waits { held_until_ms, awaiting, events } = waits;
        let now_ms = turn.now_ms;
        let space = self.space_mut(no)?;
        let mut left = awaiting.is_some();
        if let Some(until_ms) = held_until_ms {
            let waiting = Waiting { frame, events: &events, until_ms };
            let kept = space.held.keep(&mut turn.effects.batch, no, &waiting);
            left |= kept == Kept::Full;
            if let (Kept::New, Some(from)) = (kept, from) {
                turn.effects.notice(Notice::Held { space: no, from, until_ms });
            }
        }
        match from {
            Some(from) if left && space.links.by_device.contains_key(&from) => {
                let later = Anew { at_ms: now_ms + AWAITING_MS, reason: CloseReason::Unequal };
                let anew = space.links.awaiting.entry(from).or_insert(later);
                if awaiting.as_ref().is_some_and(|(_, reason)| reason.is_for_room()) {
                    anew.reason = CloseReason::NoRoom;
                }
            }
            None if left => space.links.compare_anew(now_ms),
            _ => {}
        }
        match (awaiting, from) {
            (Some((dot, reason)), Some(from)) if !matches!(reason, Refused::AwaitingParent { .. }) => {
                turn.effects.notice(Notice::Refused { space: no, from, dot, reason });
            }
            _ => {}
        }
        Ok(())
    }

    /// Admits what was held, as far as the clock has got there.
    pub(crate) fn release_held(&mut self, turn: &mut Turn<'_>, no: SpaceNo) -> Result<(), EngineError> {
        let space = self.space_mut(no)?;
        if space.held.until_ms.is_none_or(|until_ms| until_ms > turn.now_ms) {
            return Ok(());
        }
        let frames = {
            let view = View::new(turn.reads, &turn.effects.batch);
            space.held.due(&view, no, turn.now_ms)?
        };
        let (id, keys) = (space.id, Arc::clone(&space.keys));
        for (key, frame) in frames {
            let events = reknit_sync::frame::decode_verified(frame.as_bytes(), id, &*keys);
            let events = events.map_err(|error| EngineError::Damaged(format!("a held frame: {error}")))?;
            let space = self.space_mut(no)?;
            space.held.remove(&mut turn.effects.batch, &key);
            self.take_frame(turn, no, (frame, events), (Source::Elsewhere, None))?;
        }
        // What followed came too early and was not kept.
        let space = self.space_mut(no)?;
        space.links.awaiting.values_mut().for_each(|anew| anew.at_ms = anew.at_ms.min(turn.now_ms));
        Ok(())
    }

    pub(crate) fn on_gossip(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        from: DeviceId,
        (announce, events): (Announce, Vec<VerifiedEvent>),
    ) -> Result<(), EngineError> {
        let Some(space) = self.spaces.get(&no) else { return Ok(()) };
        // Whoever once held a ticket can seal an announce: a stranger's events come by a session, which asks whether its
        // invite still holds, or not at all.
        let member = space.membership.member(&from).is_some();
        if let Some(frame) = announce.frame.filter(|_| member)
            && !events.is_empty()
        {
            self.take_frame(turn, no, (frame, events), (Source::Elsewhere, Some(from)))?;
        }
        self.open_if_wanted(turn, no, from)
    }
}

/// A session whose peer sent what cannot be admitted goes on for so long, then the two compare anew.
const AWAITING_MS: u64 = 60_000;
