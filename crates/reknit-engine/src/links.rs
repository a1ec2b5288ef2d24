//! Sessions with peers: opened when a member is connected, fed with what comes, told of what is admitted.

use crate::effects::{LinkContext, LinkId, Notice, Output};
use crate::engine::{Engine, Turn};
use crate::error::EngineError;
use crate::history::SpaceHistory;
use crate::joining::{Shown, accepted, encode_admission};
use crate::layout::{SpaceNo, receipt_key};
use crate::receipt::StoredReceipt;
use crate::status::Why;
use crate::store::{Table, View};
use reknit_sync::{
    CloseReason, Message, Opening, Output as SessionOutput, PROTOCOL_VERSION, Receipt, Role, Session, Source,
    Waiting,
};
use reknit_types::{DeviceId, Dot};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The sessions of one space.
#[derive(Debug, Default)]
pub(crate) struct Links {
    pub(crate) by_device: BTreeMap<DeviceId, Link>,
    pub(crate) retries: BTreeMap<DeviceId, Retry>,
    /// Peers that sent what cannot be admitted yet and was not kept: when to compare with them anew.
    pub(crate) awaiting: BTreeMap<DeviceId, Anew>,
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
    /// What the peer has shown besides being a member.
    pub(crate) shown: Shown,
    /// How many of the events admitted in this round the session has seen as part of the frontier it compared: it is
    /// not told of them again. `None` until both frontiers were compared.
    compared: Option<usize>,
}

impl Link {
    fn new(id: LinkId, session: Session, initiated: bool) -> Self {
        Self { id, session, initiated, shown: Shown::Nothing, compared: None }
    }

    pub(crate) fn has_compared(&self) -> bool {
        !matches!(
            self.session.status().waiting,
            Waiting::AwaitingHello | Waiting::AwaitingFrontier | Waiting::Closed
        )
    }
}

/// When to compare with a peer anew, and the reason that the session before ends for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Anew {
    pub(crate) at_ms: u64,
    pub(crate) reason: CloseReason,
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
    pub(crate) by_link: BTreeMap<LinkId, (SpaceNo, DeviceId)>,
    last: u64,
}

impl LinkTable {
    /// Streams opened here have even names; the runtime gives odd ones to those that peers open.
    fn draw(&mut self) -> LinkId {
        self.last += 2;
        LinkId(self.last)
    }

    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Names up to this one are taken.
    pub(crate) fn skip_to(&mut self, last: u64) {
        self.last = self.last.max(last);
    }
}

impl Links {
    /// When a session, a retry or a held frame wants a tick.
    pub(crate) fn next_wakeup_ms(&self) -> Option<u64> {
        let sessions = self.by_device.values().filter_map(|link| link.session.next_wakeup());
        let retries = self.retries.values().map(|retry| retry.at_ms);
        let awaiting = self.awaiting.values().map(|anew| anew.at_ms);
        sessions.chain(retries).chain(awaiting).chain(self.announce_at_ms).min()
    }

    fn retry_later(&mut self, device: DeviceId, now_ms: u64) {
        let wait_ms =
            self.retries.get(&device).map_or(RETRY_MS_MIN, |retry| (retry.wait_ms * 2).min(RETRY_MS_MAX));
        self.retries.insert(device, Retry { at_ms: now_ms + wait_ms, wait_ms });
    }

    /// Whether the peer does not know this device as a member.
    pub(crate) fn is_refused_by(&self, device: &DeviceId) -> bool {
        self.ended.get(device) == Some(&Why::Closed(CloseReason::NotMember))
    }

    /// Those who refused are tried again at once.
    pub(crate) fn forget_refusals(&mut self) {
        self.ended.clear();
        self.retries.clear();
    }

    /// Every open session is to compare anew.
    pub(crate) fn compare_anew(&mut self, now_ms: u64) {
        let anew = Anew { at_ms: now_ms, reason: CloseReason::Unequal };
        self.by_device.keys().for_each(|device| _ = self.awaiting.insert(*device, anew));
    }

    fn note_ended(&mut self, device: DeviceId, why: Why) {
        // That one took over from another says nothing of why an earlier one ended.
        if why == Why::Closed(CloseReason::Superseded) && self.ended.contains_key(&device) {
            return;
        }
        if self.ended.len() >= ENDED_MAX && !self.ended.contains_key(&device) {
            self.ended.pop_first();
        }
        self.ended.insert(device, why);
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
    pub(crate) fn open_if_wanted(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        device: DeviceId,
    ) -> Result<(), EngineError> {
        let us = self.device.id();
        let Some(since) = self.connected.get(&device).copied() else { return Ok(()) };
        let space = self.space_mut(no)?;
        let joining = space.is_joining(&us);
        let wanted = joining || space.membership.member(&device).is_some();
        if !wanted || space.links.by_device.contains_key(&device) {
            return Ok(());
        }
        let may_at = if us < device || joining { since } else { since + PATIENCE_MS };
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
        let ticket =
            space.ticket.as_ref().filter(|_| space.is_joining(&us) || space.links.is_refused_by(&device));
        let admission = ticket.map(|ticket| encode_admission(ticket, us));
        let tag = space.keys.session_tag(us, device);
        let opening = Opening { version: PROTOCOL_VERSION, tag, admission };
        let context = LinkContext { space: space.id, keys: Arc::clone(&space.keys) };
        let session = Session::new(space.id, key, device, Role::Initiator);
        space.links.by_device.insert(device, Link::new(id, session, true));
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
        let accepted =
            space.and_then(|space| Some((space.no, accepted(space, (us, device), &opening, turn.now_ms)?)));
        let Some((no, shown)) = accepted else { return refuse(turn, CloseReason::NotMember) };
        let space = self.space(no)?;
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
        space.links.by_device.insert(device, Link { shown, ..Link::new(link, session, false) });
        space.links.retries.remove(&device);
        self.table.by_link.insert(link, (no, device));
        turn.effects.outputs.push(Output::Accept { link, context });
        self.with_session(turn, no, device, |session, now_ms, history, out| {
            session.start(now_ms, history, out)
        })
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
        space.links.note_ended(device, why.clone());
        space.links.awaiting.remove(&device);
        if connected {
            space.links.retry_later(device, turn.now_ms);
        }
        self.table.by_link.remove(&link.id);
        turn.effects.notice(Notice::Unlinked { space: no, device, why });
        self.refuse_join_if_hopeless(turn, no)
    }

    /// Ends the session with a peer for a reason found outside it.
    pub(crate) fn end_link(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        device: DeviceId,
        reason: CloseReason,
    ) -> Result<(), EngineError> {
        self.with_session(turn, no, device, |session, _, _, out| session.close(reason, out))
    }

    /// Ends every session of a space for a reason found outside them.
    pub(crate) fn end_sessions(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        reason: CloseReason,
    ) -> Result<(), EngineError> {
        let devices: Vec<DeviceId> = self.space(no)?.links.by_device.keys().copied().collect();
        devices.into_iter().try_for_each(|device| self.end_link(turn, no, device, reason))
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
            let awaiting = space.links.awaiting.extract_if(.., |_, anew| due(Some(anew.at_ms)));
            let awaiting: Vec<_> = awaiting.collect();
            for (device, anew) in awaiting {
                self.end_link(turn, no, device, anew.reason)?;
            }
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

    /// Tells every session what was admitted in this round, and those who watch the topic.
    pub(crate) fn tell_links(&mut self, turn: &mut Turn<'_>) -> Result<(), EngineError> {
        for no in self.space_numbers() {
            let space = self.space_mut(no)?;
            let admitted = std::mem::take(&mut space.round.admitted);
            let owed = std::mem::take(&mut space.links.owed);
            if admitted.is_empty() && owed.is_empty() {
                continue;
            }
            self.judge_links(turn, no)?;
            let devices: Vec<DeviceId> = self.space(no)?.links.by_device.keys().copied().collect();
            for device in devices {
                let space = self.space_mut(no)?;
                let Some(link) = space.links.by_device.get_mut(&device) else { continue };
                let seen = link.compared.as_mut().map_or(0, std::mem::take).min(admitted.len());
                for (dots, source) in as_seen_by(device, &admitted[seen..], owed.contains(&device)) {
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
    pub(crate) fn with_session(
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
        let served = link.shown == Shown::Invite || space.membership.member(&device).is_some();
        let history = SpaceHistory { space, reads: &view, peer: device, served };
        step(&mut link.session, turn.now_ms, &history, &mut out);
        let id = link.id;
        if link.compared.is_none() && link.has_compared() {
            link.compared = Some(space.round.admitted.len());
            space.log.set_apart();
        }
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
        space.links.awaiting.remove(&device);
        // Strangers who are served so that they can join are without number.
        if space.membership.member(&device).is_some() {
            let frontier = space.frontier.clone();
            let stored = StoredReceipt { at_ms: turn.now_ms, receipt, frontier };
            turn.effects.batch.put(Table::Receipts, receipt_key(no, &device), stored.encode());
        }
        turn.effects.notice(Notice::Converged { space: no, device, receipt });
        Ok(())
    }

    pub(crate) fn space_numbers(&self) -> Vec<SpaceNo> {
        self.spaces.keys().copied().collect()
    }
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
    if stretches.is_empty() {
        // What it compared in the middle of the round can be sent now.
        stretches.push((vec![], Source::Elsewhere));
    }
    stretches
}

/// How long the peer with the greater id waits for the other to open the stream.
const PATIENCE_MS: u64 = 1_000;
const RETRY_MS_MIN: u64 = 200;
const RETRY_MS_MAX: u64 = 30_000;
/// Peers of which it is kept why the last session with them ended.
const ENDED_MAX: usize = 1024;
