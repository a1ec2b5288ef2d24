//! Sessions with peers: opened when a member is connected, fed with what comes, told of what is admitted.

use crate::admit::{Admission, Arrival};
use crate::effects::{Incoming, LinkContext, LinkId, Notice, Output, Reply, RequestId};
use crate::engine::{Engine, Turn};
use crate::error::{EngineError, Refused};
use crate::held::{self, HELD_BYTES_MAX};
use crate::history::SpaceHistory;
use crate::layout::{SpaceNo, receipt_key};
use crate::receipt::StoredReceipt;
use crate::space::SpaceState;
use crate::status::Why;
use crate::store::{Table, View};
use reknit_access::{Action, Ticket};
use reknit_sync::{
    CloseReason, Frame, Message, Opening, Output as SessionOutput, PROTOCOL_VERSION, Receipt, Role, Session,
    Source,
};
use reknit_types::{DeviceId, Dot, EventId, Reader, Signature, VerifiedEvent, Writer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The sessions of one space.
#[derive(Debug, Default)]
pub(crate) struct Links {
    pub(crate) by_device: BTreeMap<DeviceId, Link>,
    pub(crate) retries: BTreeMap<DeviceId, Retry>,
    /// When the first held frame is due.
    pub(crate) held_until_ms: Option<u64>,
    /// Peers whose events were handled in this round: they are owed credit, admitted or not.
    pub(crate) owed: Vec<DeviceId>,
    /// An announce is due at this time: one was published a moment ago.
    pub(crate) announce_at_ms: Option<u64>,
    pub(crate) announced_ms: u64,
    /// The last session with each peer ended for this reason.
    pub(crate) ended: BTreeMap<DeviceId, Why>,
}

/// A session and the stream it runs on.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: LinkId,
    pub(crate) session: Session,
    initiated: bool,
}

/// When to try a peer again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retry {
    at_ms: u64,
    wait_ms: u64,
}

/// Which space and peer a stream belongs to.
#[derive(Debug, Default)]
pub(crate) struct LinkTable {
    by_link: BTreeMap<LinkId, (SpaceNo, DeviceId)>,
    last: u64,
}

impl LinkTable {
    /// Streams opened here have even names; the runtime gives odd ones to those that peers open.
    fn draw(&mut self) -> LinkId {
        self.last += 2;
        LinkId(self.last)
    }
}

impl Links {
    /// When a session, a retry or a held frame wants a tick.
    pub(crate) fn next_wakeup_ms(&self) -> Option<u64> {
        let sessions = self.by_device.values().filter_map(|link| link.session.next_wakeup());
        let retries = self.retries.values().map(|retry| retry.at_ms);
        sessions.chain(retries).chain(self.held_until_ms).chain(self.announce_at_ms).min()
    }

    fn retry_later(&mut self, device: DeviceId, now_ms: u64) {
        let wait_ms =
            self.retries.get(&device).map_or(RETRY_MS_MIN, |retry| (retry.wait_ms * 2).min(RETRY_MS_MAX));
        self.retries.insert(device, Retry { at_ms: now_ms + wait_ms, wait_ms });
    }
}

impl Engine {
    pub(crate) fn on_connected(&mut self, turn: &mut Turn<'_>, device: DeviceId) -> Result<(), EngineError> {
        self.connected.entry(device).or_insert(turn.now_ms);
        for no in self.space_numbers() {
            self.space_mut(no)?.links.retries.remove(&device);
            self.open_if_wanted(turn, no, device)?;
        }
        Ok(())
    }

    pub(crate) fn on_disconnected(
        &mut self,
        turn: &mut Turn<'_>,
        device: DeviceId,
    ) -> Result<(), EngineError> {
        self.connected.remove(&device);
        for no in self.space_numbers() {
            self.drop_link(turn, no, device, Why::Disconnected)?;
            self.space_mut(no)?.links.retries.remove(&device);
        }
        Ok(())
    }

    /// Of two peers the one with the lesser id opens the stream at once; the other does if none came by itself. A
    /// device that is joining always opens: nobody knows it yet.
    fn open_if_wanted(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        device: DeviceId,
    ) -> Result<(), EngineError> {
        let us = self.device.id();
        let Some(since) = self.connected.get(&device).copied() else { return Ok(()) };
        let space = self.space_mut(no)?;
        let wanted = space.joining.is_some() || space.membership.member(&device).is_some();
        if !wanted || space.links.by_device.contains_key(&device) {
            return Ok(());
        }
        let may_at = if us < device || space.joining.is_some() { since } else { since + PATIENCE_MS };
        let retry_at = space.links.retries.get(&device).map_or(0, |retry| retry.at_ms);
        let at_ms = may_at.max(retry_at);
        if at_ms > turn.now_ms {
            let wait_ms = space.links.retries.get(&device).map_or(RETRY_MS_MIN, |retry| retry.wait_ms);
            space.links.retries.insert(device, Retry { at_ms, wait_ms });
            return Ok(());
        }
        self.open_link(turn, no, device)
    }

    fn open_link(&mut self, turn: &mut Turn<'_>, no: SpaceNo, device: DeviceId) -> Result<(), EngineError> {
        let (us, key) = (self.device.id(), Arc::clone(&self.device));
        let id = self.table.draw();
        let space = self.space_mut(no)?;
        let admission = space.joining.as_ref().map(|ticket| encode_admission(ticket, us));
        let tag = space.keys.session_tag(us, device);
        let opening = Opening { version: PROTOCOL_VERSION, tag, admission };
        let context = LinkContext { space: space.id, keys: Arc::clone(&space.keys) };
        let session = Session::new(space.id, key, device, Role::Initiator);
        space.links.by_device.insert(device, Link { id, session, initiated: true });
        self.table.by_link.insert(id, (no, device));
        turn.effects.outputs.push(Output::Open { link: id, device, opening, context });
        self.with_session(turn, no, device, |session, now_ms, history, out| {
            session.start(now_ms, history, out)
        })
    }

    pub(crate) fn on_opened(
        &mut self,
        turn: &mut Turn<'_>,
        link: LinkId,
        device: DeviceId,
        opening: Opening,
    ) -> Result<(), EngineError> {
        let refuse = |turn: &mut Turn<'_>, reason| {
            turn.effects.outputs.push(Output::Send { link, message: Message::Close(reason) });
            turn.effects.outputs.push(Output::Close { link, reason });
            Ok(())
        };
        let us = self.device.id();
        if opening.version != PROTOCOL_VERSION {
            return refuse(turn, CloseReason::Version);
        }
        let space = self.spaces.values().find(|space| space.keys.session_tag(device, us) == opening.tag);
        let Some(space) = space.filter(|space| may_be_served(space, device, &opening, turn.now_ms)) else {
            return refuse(turn, CloseReason::NotMember);
        };
        let no = space.no;
        if let Some(existing) = space.links.by_device.get(&device) {
            if existing.initiated && us < device {
                return refuse(turn, CloseReason::Superseded);
            }
            self.end_link(turn, no, device, CloseReason::Superseded)?;
        }
        let key = Arc::clone(&self.device);
        let space = self.space_mut(no)?;
        let context = LinkContext { space: space.id, keys: Arc::clone(&space.keys) };
        let session = Session::new(space.id, key, device, Role::Responder);
        space.links.by_device.insert(device, Link { id: link, session, initiated: false });
        space.links.retries.remove(&device);
        self.table.by_link.insert(link, (no, device));
        turn.effects.outputs.push(Output::Accept { link, context });
        self.with_session(turn, no, device, |session, now_ms, history, out| {
            session.start(now_ms, history, out)
        })
    }

    pub(crate) fn on_incoming(
        &mut self,
        turn: &mut Turn<'_>,
        link: LinkId,
        incoming: Incoming,
    ) -> Result<(), EngineError> {
        let Some((no, device)) = self.table.by_link.get(&link).copied() else { return Ok(()) };
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
        let arrival =
            Arrival { events, frame: Some(frame.clone()), source: Source::FromPeer, from: Some(device) };
        match self.admit(turn, no, arrival)? {
            Admission::Admitted(_) => Ok(()),
            Admission::Held { until_ms } => self.hold(turn, no, device, (until_ms, &frame)),
            Admission::Refused { dot, reason } => {
                turn.effects.notice(Notice::Refused { space: no, from: device, dot, reason: reason.clone() });
                match reason {
                    // Its cause is held here, or a liar left it out: the session's own deadlines tell which.
                    Refused::AwaitingParent { .. } => Ok(()),
                    _ => self.end_link(turn, no, device, CloseReason::BadFrame),
                }
            }
        }
    }

    fn hold(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        from: DeviceId,
        (until_ms, frame): (u64, &Frame),
    ) -> Result<(), EngineError> {
        let bytes = frame.as_bytes().len() as u64;
        let space = self.space_mut(no)?;
        if space.held_bytes + bytes <= HELD_BYTES_MAX
            && held::hold(turn.reads, &mut turn.effects.batch, no, until_ms, frame)?
        {
            space.held_bytes += bytes;
            let due = space.links.held_until_ms.get_or_insert(until_ms);
            *due = (*due).min(until_ms);
        }
        turn.effects.notice(Notice::Held { space: no, from, until_ms });
        Ok(())
    }

    pub(crate) fn on_closed(
        &mut self,
        turn: &mut Turn<'_>,
        link: LinkId,
        why: String,
    ) -> Result<(), EngineError> {
        let Some((no, device)) = self.table.by_link.get(&link).copied() else { return Ok(()) };
        self.drop_link(turn, no, device, Why::Stream(why))
    }

    /// Forgets the session with a peer, and tries again later.
    fn drop_link(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        device: DeviceId,
        why: Why,
    ) -> Result<(), EngineError> {
        let connected = self.connected.contains_key(&device);
        let space = self.space_mut(no)?;
        let Some(link) = space.links.by_device.remove(&device) else { return Ok(()) };
        space.links.ended.insert(device, why.clone());
        if connected {
            space.links.retry_later(device, turn.now_ms);
        }
        self.table.by_link.remove(&link.id);
        turn.effects.notice(Notice::Unlinked { space: no, device, why });
        Ok(())
    }

    /// Ends the session with a peer for a reason found outside it.
    fn end_link(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        device: DeviceId,
        reason: CloseReason,
    ) -> Result<(), EngineError> {
        self.with_session(turn, no, device, |session, _, _, out| session.close(reason, out))
    }

    pub(crate) fn on_tick(&mut self, turn: &mut Turn<'_>) -> Result<(), EngineError> {
        for no in self.space_numbers() {
            self.release_held(turn, no)?;
            let space = self.space_mut(no)?;
            let due = |at: Option<u64>| at.is_some_and(|at| at <= turn.now_ms);
            let sessions = space.links.by_device.iter().filter(|(_, link)| due(link.session.next_wakeup()));
            let sessions: Vec<_> = sessions.map(|(device, _)| *device).collect();
            let retries = space.links.retries.iter().filter(|(_, retry)| due(Some(retry.at_ms)));
            let retries: Vec<_> = retries.map(|(device, _)| *device).collect();
            for device in sessions {
                self.with_session(turn, no, device, |session, now_ms, history, out| {
                    session.on_tick(now_ms, history, out);
                })?;
            }
            for device in retries {
                self.open_if_wanted(turn, no, device)?;
                self.clear_retry(turn, no, device)?;
            }
            self.finish_join(turn, no)?;
            self.announce_if_due(turn, no)?;
        }
        Ok(())
    }

    /// A retry that led to a stream, or has lost its reason, is over.
    fn clear_retry(&mut self, turn: &Turn<'_>, no: SpaceNo, device: DeviceId) -> Result<(), EngineError> {
        let links = &mut self.space_mut(no)?.links;
        if let Some(retry) = links.retries.get_mut(&device)
            && retry.at_ms <= turn.now_ms
        {
            if links.by_device.contains_key(&device) {
                // The wait is kept for the next failure.
                retry.at_ms = u64::MAX;
            } else {
                links.retries.remove(&device);
            }
        }
        Ok(())
    }

    fn release_held(&mut self, turn: &mut Turn<'_>, no: SpaceNo) -> Result<(), EngineError> {
        let space = self.space_mut(no)?;
        if space.links.held_until_ms.is_none_or(|until| until > turn.now_ms) {
            return Ok(());
        }
        let frames = held::release(turn.reads, &mut turn.effects.batch, no, turn.now_ms)?;
        let view = View::new(turn.reads, &turn.effects.batch);
        space.links.held_until_ms = held::waiting(&view, no)?.map(|(until, _)| until);
        let (id, keys) = (space.id, Arc::clone(&space.keys));
        for frame in frames {
            let space = self.space_mut(no)?;
            space.held_bytes = space.held_bytes.saturating_sub(frame.as_bytes().len() as u64);
            let events = reknit_sync::frame::decode_verified(frame.as_bytes(), id, &*keys);
            let events = events.map_err(|error| EngineError::Damaged(format!("a held frame: {error}")))?;
            let arrival = Arrival { events, frame: Some(frame), source: Source::Elsewhere, from: None };
            if let Admission::Refused { dot, reason } = self.admit(turn, no, arrival)? {
                tracing::warn!(?dot, %reason, "a held event was refused");
            }
        }
        Ok(())
    }

    pub(crate) fn on_gossip(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        from: DeviceId,
        (announce, events): (reknit_sync::Announce, Vec<VerifiedEvent>),
    ) -> Result<(), EngineError> {
        if !self.spaces.contains_key(&no) {
            return Ok(());
        }
        if !events.is_empty() {
            let arrival = Arrival {
                events,
                frame: announce.frame.clone(),
                source: Source::Elsewhere,
                from: Some(from),
            };
            match self.admit(turn, no, arrival)? {
                Admission::Held { until_ms } => {
                    if let Some(frame) = &announce.frame {
                        self.hold(turn, no, from, (until_ms, frame))?;
                    }
                }
                // What an announce cannot bring, a session will.
                Admission::Admitted(_) | Admission::Refused { .. } => {}
            }
        }
        self.open_if_wanted(turn, no, from)
    }

    /// Tells every session what was admitted in this round, and those who watch the topic.
    pub(crate) fn tell_links(&mut self, turn: &mut Turn<'_>) -> Result<(), EngineError> {
        for no in self.space_numbers() {
            let space = self.space_mut(no)?;
            let admitted = std::mem::take(&mut space.round.admitted);
            let owed = std::mem::take(&mut space.links.owed);
            if admitted.is_empty() && owed.is_empty() {
                continue;
            }
            let devices: Vec<DeviceId> = space.links.by_device.keys().copied().collect();
            for device in devices {
                for (dots, source) in as_seen_by(device, &admitted, owed.contains(&device)) {
                    self.with_session(turn, no, device, |session, now_ms, history, out| {
                        session.on_admitted(now_ms, (&dots, source), history, out);
                    })?;
                }
            }
            if admitted.iter().any(|(_, source, _)| *source == Source::Local) {
                self.announce(turn, no, &admitted)?;
            }
            if self.space(no)?.membership.members().count() > 0 {
                self.link_new_members(turn, no)?;
            }
        }
        Ok(())
    }

    fn link_new_members(&mut self, turn: &mut Turn<'_>, no: SpaceNo) -> Result<(), EngineError> {
        let space = self.space(no)?;
        let unlinked = |device: &&DeviceId| {
            !space.links.by_device.contains_key(device) && !space.links.retries.contains_key(device)
        };
        let devices: Vec<DeviceId> = self.connected.keys().filter(unlinked).copied().collect();
        devices.into_iter().try_for_each(|device| self.open_if_wanted(turn, no, device))
    }

    /// Runs one step of a session and carries out what it asks for.
    fn with_session(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        device: DeviceId,
        step: impl FnOnce(&mut Session, u64, &SpaceHistory<'_>, &mut Vec<SessionOutput>),
    ) -> Result<(), EngineError> {
        let space = self.space_mut(no)?;
        // The link leaves the space while its session reads the rest of it.
        let Some(mut link) = space.links.by_device.remove(&device) else { return Ok(()) };
        let mut out = vec![];
        let view = View::new(turn.reads, &turn.effects.batch);
        let history = SpaceHistory { space, reads: &view, peer: device };
        step(&mut link.session, turn.now_ms, &history, &mut out);
        let id = link.id;
        space.links.by_device.insert(device, link);
        for output in out {
            match output {
                SessionOutput::Send(message) => turn.effects.outputs.push(Output::Send { link: id, message }),
                SessionOutput::Converged(receipt) => self.on_converged(turn, no, device, receipt)?,
                SessionOutput::Close(reason) => {
                    turn.effects.outputs.push(Output::Close { link: id, reason });
                    self.drop_link(turn, no, device, Why::Closed(reason))?;
                }
            }
        }
        Ok(())
    }

    fn on_converged(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        device: DeviceId,
        receipt: Receipt,
    ) -> Result<(), EngineError> {
        let space = self.space_mut(no)?;
        space.links.retries.remove(&device);
        space.links.ended.remove(&device);
        let frontier = space.frontier.clone();
        let stored = StoredReceipt { at_ms: turn.now_ms, receipt, frontier };
        turn.effects.batch.put(Table::Receipts, receipt_key(no, &device), stored.encode());
        turn.effects.notice(Notice::Converged { space: no, device, receipt });
        Ok(())
    }

    fn space_numbers(&self) -> Vec<SpaceNo> {
        self.spaces.keys().copied().collect()
    }

    /// Begins to become a member: the history first, then the join that rests on it.
    pub(crate) fn on_join(
        &mut self,
        turn: &mut Turn<'_>,
        request: RequestId,
        ticket: Ticket,
    ) -> Result<(), EngineError> {
        let known = self.spaces.values().find(|space| space.id == ticket.space).map(|space| space.no);
        let no = match known {
            Some(no) if self.space(no)?.joining.is_none() => {
                turn.effects.reply(request, Ok(Reply::Space(no)));
                return Ok(());
            }
            Some(no) => no,
            None => self.add_space(turn, ticket.space, ticket.keys()),
        };
        let space = self.space_mut(no)?;
        space.joining = Some(ticket);
        space.put_joining(&mut turn.effects.batch);
        turn.effects.durable = true;
        self.joins.push((no, request));
        let devices: Vec<DeviceId> = self.connected.keys().copied().collect();
        devices.into_iter().try_for_each(|device| self.open_if_wanted(turn, no, device))
    }

    /// Writes the join once the invite and all that the peer has are here.
    fn finish_join(&mut self, turn: &mut Turn<'_>, no: SpaceNo) -> Result<(), EngineError> {
        let us = self.device.id();
        let space = self.space_mut(no)?;
        if !is_join_ready(space) {
            return Ok(());
        }
        let Some(ticket) = space.joining.take() else { return Ok(()) };
        space.put_joining(&mut turn.effects.batch);
        let member = space.membership.member(&us).is_some();
        let proof = ticket.invite_secret.proof(space.id, us, ticket.invite);
        let action = Action::Join { invite: ticket.invite, proof, device_name: self.device_name.clone() };
        let written = if member { Ok(()) } else { self.control(turn, no, action).map(|_| ()) };
        let requests: Vec<_> = self.joins.extract_if(.., |(joined, _)| *joined == no).collect();
        let refusal = match written {
            Ok(()) => None,
            Err(EngineError::NotPermitted(refusal)) => Some(refusal),
            Err(error) => return Err(error),
        };
        for (_, request) in requests {
            let reply = refusal.clone().map_or(Ok(Reply::Space(no)), |refusal| Err(refusal.into()));
            turn.effects.reply(request, reply);
        }
        self.note_space_changed(no);
        Ok(())
    }
}

/// Whether everything a join rests on is here.
pub(crate) fn is_join_ready(space: &SpaceState) -> bool {
    let Some(ticket) = &space.joining else { return false };
    let caught_up = space.links.by_device.values().any(|link| {
        let status = link.session.status();
        status.we_lack == 0 && status.their_events.is_some_and(|events| events <= space.log.len())
    });
    caught_up && space.membership.invite(&ticket.invite).is_some()
}

/// Only members are served, and strangers who prove that they hold a valid invite. A device that is joining does not
/// know the members yet; whoever names the space holds its key.
fn may_be_served(space: &SpaceState, device: DeviceId, opening: &Opening, now_ms: u64) -> bool {
    if space.joining.is_some() || space.membership.member(&device).is_some() {
        return true;
    }
    let Some((invite, proof)) = opening.admission.as_deref().and_then(decode_admission) else { return false };
    space.membership.admits(device, invite, &proof, now_ms).is_ok()
}

fn encode_admission(ticket: &Ticket, us: DeviceId) -> Vec<u8> {
    let proof = ticket.invite_secret.proof(ticket.space, us, ticket.invite);
    let mut writer = Writer::new();
    writer.raw(ticket.invite.as_bytes()).raw(proof.as_bytes());
    writer.into_bytes()
}

fn decode_admission(bytes: &[u8]) -> Option<(EventId, Signature)> {
    let mut reader = Reader::new(bytes);
    let invite = EventId::decode(&mut reader).ok()?;
    let proof = Signature::from_bytes(reader.array("proof").ok()?);
    reader.finish().ok()?;
    Some((invite, proof))
}

/// What was admitted as the session with `device` sees it: stretches of one source, in order.
fn as_seen_by(
    device: DeviceId,
    admitted: &[(Dot, Source, Option<DeviceId>)],
    owed: bool,
) -> Vec<(Vec<Dot>, Source)> {
    let mut stretches: Vec<(Vec<Dot>, Source)> = vec![];
    for (dot, source, from) in admitted {
        let seen = match source {
            Source::FromPeer if *from != Some(device) => Source::Elsewhere,
            source => *source,
        };
        match stretches.last_mut() {
            Some((dots, last)) if *last == seen => dots.push(*dot),
            _ => stretches.push((vec![*dot], seen)),
        }
    }
    if owed && !stretches.iter().any(|(_, source)| *source == Source::FromPeer) {
        stretches.push((vec![], Source::FromPeer));
    }
    stretches
}

/// How long the peer with the greater id waits for the other to open the stream.
const PATIENCE_MS: u64 = 1_000;
const RETRY_MS_MIN: u64 = 200;
const RETRY_MS_MAX: u64 = 30_000;
