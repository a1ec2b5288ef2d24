//! Becoming a member: the history first, then the join that rests on it.

use crate::effects::{Reply, RequestId};
use crate::engine::{Engine, Turn};
use crate::error::EngineError;
use crate::layout::SpaceNo;
use crate::space::SpaceState;
use reknit_access::{Action, Membership, Refusal, Ticket};
use reknit_sync::{CloseReason, Opening};
use reknit_types::{DeviceId, EventId, Reader, Signature, Writer};

/// Who waits to be a member.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Join {
    pub(crate) space: SpaceNo,
    pub(crate) request: RequestId,
    pub(crate) since_ms: u64,
}

impl Engine {
    /// Begins to become a member.
    pub(crate) fn on_join(
        &mut self,
        turn: &mut Turn<'_>,
        request: RequestId,
        ticket: Ticket,
    ) -> Result<(), EngineError> {
        match self.begin_join(turn, request, ticket) {
            Ok(Some(no)) => turn.effects.reply(request, Ok(Reply::Space(no))),
            Ok(None) => {}
            Err(error @ (EngineError::NotPermitted(_) | EngineError::TooManyJoins(_))) => {
                turn.effects.reply(request, Err(error));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The space, if this device is a member already; else the reply comes once it is, or cannot be.
    fn begin_join(
        &mut self,
        turn: &mut Turn<'_>,
        request: RequestId,
        ticket: Ticket,
    ) -> Result<Option<SpaceNo>, EngineError> {
        let us = self.device.id();
        let known = self.spaces.values().find(|space| space.id == ticket.space).map(|space| space.no);
        if let Some(no) = known
            && self.space(no)?.membership.member(&us).is_some()
        {
            return Ok(Some(no));
        }
        if let Some(expires_ms) = ticket.expires_ms.filter(|expires_ms| turn.now_ms > *expires_ms) {
            return Err(Refusal::InviteExpired { expires_ms }.into());
        }
        if self.joins.len() >= JOINS_MAX {
            // Whoever asked for the same space before has most likely gone.
            let earlier = self.joins.iter().position(|join| Some(join.space) == known);
            let earlier = self.joins.remove(earlier.ok_or(EngineError::TooManyJoins(JOINS_MAX))?);
            turn.effects.reply(earlier.request, Err(EngineError::TooManyJoins(JOINS_MAX)));
        }
        let no = match known {
            Some(no) => no,
            None => self.add_space(turn, ticket.space, ticket.keys()),
        };
        let space = self.space_mut(no)?;
        space.ticket = Some(ticket);
        space.join_refused = None;
        space.put_ticket(&mut turn.effects.batch);
        // Whoever refused another ticket may take this one.
        space.links.forget_refusals();
        turn.effects.durable = true;
        self.joins.push(Join { space: no, request, since_ms: turn.now_ms });
        self.note_space_changed(no);
        let devices: Vec<DeviceId> = self.connected.keys().copied().collect();
        devices.into_iter().try_for_each(|device| self.open_if_wanted(turn, no, device))?;
        self.finish_join(turn, no)?;
        Ok(None)
    }

    /// Writes the join once the invite and all that a peer has are here.
    pub(crate) fn finish_join(&mut self, turn: &mut Turn<'_>, no: SpaceNo) -> Result<(), EngineError> {
        let us = self.device.id();
        let space = self.space(no)?;
        let Some(ticket) = space.ticket.as_ref().filter(|_| space.is_joining(&us)) else { return Ok(()) };
        let invite = ticket.invite;
        if space.membership.invite(&invite).is_none() || !is_caught_up(space) {
            return Ok(());
        }
        let proof = ticket.invite_secret.proof(space.id, us, invite);
        let action = Action::Join { invite, proof, device_name: self.device_name.clone() };
        match self.control(turn, no, action) {
            Ok(_) => self.answer_joins(turn, no, || Ok(Reply::Space(no))),
            Err(EngineError::NotPermitted(refusal)) => {
                self.space_mut(no)?.join_refused = Some(refusal.to_string());
                self.answer_joins(turn, no, || Err(refusal.clone().into()));
            }
            Err(error) => return Err(error),
        }
        self.note_space_changed(no);
        Ok(())
    }

    /// Answers those who wait to join, if every peer that might let this device in refused it. It goes on trying.
    pub(crate) fn refuse_join_if_hopeless(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
    ) -> Result<(), EngineError> {
        let us = self.device.id();
        let space = self.space(no)?;
        let Some(ticket) = space.ticket.as_ref().filter(|_| space.is_joining(&us)) else { return Ok(()) };
        let named = |device: &&DeviceId| {
            ticket.peers.is_empty() || ticket.peers.iter().any(|peer| peer.device == **device)
        };
        let asked: Vec<&DeviceId> = self.connected.keys().filter(named).collect();
        let refused = |device: &&DeviceId| space.links.is_refused_by(device);
        // A member may hear of a fresh invite a moment after its ticket is used.
        let patient = self.joins.iter().any(|join| turn.now_ms < join.since_ms + REFUSALS_MS);
        if !patient && !asked.is_empty() && space.links.by_device.is_empty() && asked.iter().all(refused) {
            let count = asked.len();
            self.space_mut(no)?.join_refused = Some(EngineError::JoinRefused(count).to_string());
            self.answer_joins(turn, no, || Err(EngineError::JoinRefused(count)));
        }
        Ok(())
    }

    /// Ends the sessions that were begun before the members were known, with who turned out to be none: who has shown no
    /// valid invite either, and has nothing more to bring that could make it a member. It may come back and show one.
    pub(crate) fn judge_links(&mut self, turn: &mut Turn<'_>, no: SpaceNo) -> Result<(), EngineError> {
        let us = self.device.id();
        let SpaceState { membership, links, ticket, .. } = self.space_mut(no)?;
        if ticket.is_none() || membership.member(&us).is_none() {
            return Ok(());
        }
        let mut strangers = vec![];
        for (device, link) in &mut links.by_device {
            if let Shown::Claim(admission) = link.shown {
                link.shown = Shown::judge(membership, *device, Some(admission), turn.now_ms);
            }
            let known = link.shown == Shown::Invite || membership.member(device).is_some();
            if !known && link.has_compared() && link.session.status().we_lack == 0 {
                strangers.push(*device);
            }
        }
        strangers.into_iter().try_for_each(|device| self.end_link(turn, no, device, CloseReason::Unequal))
    }

    /// Nobody waits for this request any more. The join itself goes on.
    pub(crate) fn forget_join(&mut self, request: RequestId) {
        self.joins.retain(|join| join.request != request);
    }

    pub(crate) fn answer_joins(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        reply: impl Fn() -> Result<Reply, EngineError>,
    ) {
        let joins = self.joins.extract_if(.., |join| join.space == no);
        joins.for_each(|join| turn.effects.reply(join.request, reply()));
    }
}

/// Whether all that a peer had is here, or held.
fn is_caught_up(space: &SpaceState) -> bool {
    let here = space.log.len() + space.held.events();
    space.links.by_device.values().any(|link| {
        let status = link.session.status();
        status.we_lack == 0 && status.their_events.is_some_and(|events| events <= here)
    })
}

/// An invite, and the proof that a device holds it.
pub(crate) type Admission = (EventId, Signature);

/// What a device that opened a stream has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Nothing: it is served once it is known to be a member, and not before.
    Nothing,
    /// This, which nobody could judge yet: the invite was not here.
    Claim(Admission),
    /// A valid invite: it is served, so that it can join.
    Invite,
}

impl Shown {
    /// What `device` shows of an invite, judged by the members and invites that are known here.
    pub(crate) fn judge(
        members: &Membership,
        device: DeviceId,
        admission: Option<Admission>,
        now_ms: u64,
    ) -> Self {
        match admission {
            None => Self::Nothing,
            Some((invite, proof)) => match members.admits(device, invite, &proof, now_ms) {
                Ok(_) => Self::Invite,
                Err(_) => Self::Claim((invite, proof)),
            },
        }
    }
}

/// Whether a stream is accepted, and what the device that opened it has shown. A device that is joining does not know the
/// members yet, so it takes from whoever names the space; what it gives is decided event by event, see
/// [`crate::history::SpaceHistory`].
pub(crate) fn accepted(
    space: &SpaceState,
    (us, device): (DeviceId, DeviceId),
    opening: &Opening,
    now_ms: u64,
) -> Option<Shown> {
    let shown = Shown::judge(
        &space.membership,
        device,
        opening.admission.as_deref().and_then(decode_admission),
        now_ms,
    );
    let known = space.membership.member(&device).is_some() || shown == Shown::Invite;
    (known || space.is_joining(&us)).then_some(shown)
}

pub(crate) fn encode_admission(ticket: &Ticket, us: DeviceId) -> Vec<u8> {
    let proof = ticket.invite_secret.proof(ticket.space, us, ticket.invite);
    let mut writer = Writer::new();
    writer.raw(ticket.invite.as_bytes()).raw(proof.as_bytes());
    writer.into_bytes()
}

fn decode_admission(bytes: &[u8]) -> Option<Admission> {
    let mut reader = Reader::new(bytes);
    let invite = EventId::decode(&mut reader).ok()?;
    let proof = Signature::from_bytes(reader.array("proof").ok()?);
    reader.finish().ok()?;
    Some((invite, proof))
}

/// Peers may refuse a device for so long before those who wait for its join are told.
const REFUSALS_MS: u64 = 5_000;
/// Requests to join that wait at one time.
const JOINS_MAX: usize = 64;
