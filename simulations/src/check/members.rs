//! That whatever is on an honest disk was written by somebody who was a member when they wrote it.
//!
//! Found anew from the events themselves: hashes, signatures, chains, and the founding, invites and joins in each event's
//! own past. An event that is proven once is proven for every peer, since its id names all that it rests on.

use super::Checks;
use crate::network::PeerNo;
use crate::peer::Peer;
use crate::world::HOME;
use reknit_access::{Action, Control, InviteId, Role};
use reknit_engine::store::StoreError;
use reknit_engine::{EngineError, read};
use reknit_types::{DeviceId, EventId, Kind, Payload, SpaceId, Stamp, VerifiedEvent};
use std::collections::{BTreeMap, BTreeSet};

/// Events that are proven.
#[derive(Default)]
pub(super) struct Roll {
    proven: BTreeMap<EventId, Proven>,
    /// Events that a signature covers.
    signed: BTreeSet<EventId>,
}

struct Proven {
    author: DeviceId,
    seq: u64,
    stamp: Stamp,
    causes: Vec<EventId>,
    /// What the author may do, by the beginning of this branch of its chain.
    role: Role,
    /// What it offers, if it is an invite.
    offer: Option<(InviteId, Role)>,
}

impl Roll {
    /// Proves events, which are in causal order; the first that is not proven, and why.
    fn prove(&mut self, space: SpaceId, events: &[VerifiedEvent]) -> Result<(), (EventId, &'static str)> {
        for event in events.iter().rev() {
            let (header, id) = (event.header(), event.id());
            if let Some(signature) = event.signature().filter(|_| !self.signed.contains(&id)) {
                if !header.author.signed_event(&id, signature) {
                    return Err((id, "its signature does not verify"));
                }
                self.signed.insert(id);
            }
            if !self.signed.contains(&id) {
                return Err((id, "no signature covers it"));
            }
            self.signed.extend(header.prev);
        }
        for event in events {
            if !self.proven.contains_key(&event.id()) {
                let proven = self.examine(space, event).map_err(|why| (event.id(), why))?;
                self.proven.insert(event.id(), proven);
            }
        }
        Ok(())
    }

    fn examine(&self, space: SpaceId, event: &VerifiedEvent) -> Result<Proven, &'static str> {
        let (header, id) = (event.header(), event.id());
        if header.id() != id {
            return Err("its id is not the hash of its header");
        }
        if header.space != space {
            return Err("it belongs to another space");
        }
        let causes: Vec<EventId> = header.prev.iter().chain(&header.parents).copied().collect();
        for cause in &causes {
            let cause = self.proven.get(cause).ok_or("it is there without its cause")?;
            if cause.stamp >= header.stamp {
                return Err("it is stamped before its cause");
            }
        }
        let control = control(event)?;
        let (role, offer) = match header.prev.and_then(|prev| self.proven.get(&prev)) {
            None => {
                (self.begins(event, control.as_ref().ok_or("no member begins like this")?, &causes)?, None)
            }
            Some(before) if before.author != header.author || before.seq + 1 != header.seq => {
                return Err("its chain is broken");
            }
            Some(before) => (before.role, goes_on(before.role, control.as_ref())?),
        };
        let (author, seq, stamp) = (header.author, header.seq, header.stamp);
        Ok(Proven { author, seq, stamp, causes, role, offer })
    }

    /// The role of whoever begins like this.
    fn begins(
        &self,
        event: &VerifiedEvent,
        control: &Control,
        causes: &[EventId],
    ) -> Result<Role, &'static str> {
        let header = event.header();
        match &control.action {
            Action::Found { nonce, .. } => {
                let founds = causes.is_empty() && SpaceId::found(header.author, nonce) == header.space;
                if founds { Ok(Role::Admin) } else { Err("somebody else founded the space") }
            }
            Action::Join { invite, proof, .. } if self.in_past(causes, invite) => {
                let offer = self.proven.get(invite).and_then(|proven| proven.offer);
                let (key, role) = offer.ok_or("it joins by what is no invite")?;
                let proves = key.proves(header.space, header.author, *invite, proof);
                if proves { Ok(role) } else { Err("it joins without holding the invite") }
            }
            Action::Join { .. } => Err("it joins by an invite that is not in its past"),
            _ => Err("no member begins like this"),
        }
    }

    fn in_past(&self, causes: &[EventId], sought: &EventId) -> bool {
        let (mut open, mut seen) = (causes.to_vec(), BTreeSet::new());
        while let Some(id) = open.pop() {
            if id == *sought {
                return true;
            }
            if let Some(proven) = self.proven.get(&id).filter(|_| seen.insert(id)) {
                open.extend(&proven.causes);
            }
        }
        false
    }
}

/// What a member offers who goes on like this, if anything.
fn goes_on(role: Role, control: Option<&Control>) -> Result<Option<(InviteId, Role)>, &'static str> {
    if !role.may_write() {
        return Err("a reader wrote it");
    }
    match control.map(|control| &control.action) {
        None => Ok(None),
        Some(Action::Invite { key, role, .. }) if role.is_invitable() => Ok(Some((*key, *role))),
        Some(_) => Err("no member goes on like this"),
    }
}

fn control(event: &VerifiedEvent) -> Result<Option<Control>, &'static str> {
    match (event.header().kind, event.payload()) {
        (_, Payload::Erased { .. }) => Err("its payload is erased"),
        (Kind::Data, _) => Ok(None),
        (Kind::Control, Payload::Open(payload)) => {
            Control::decode(payload).map(Some).map_err(|_| "it is a control event that does not read")
        }
        (Kind::Control, Payload::Sealed(_)) => Err("it is a control event that does not open"),
    }
}

impl Checks {
    /// Nothing by anybody but members is on the disk of this peer.
    pub(crate) fn members_only(&mut self, at: PeerNo, peer: &Peer) {
        if self.peers[at].hostile {
            return;
        }
        let space = peer.running().and_then(|running| running.spaces.get(&HOME));
        let (Some(space), Some(reads)) = (space, peer.disk.reads()) else { return };
        match read::newest_events(reads, space, usize::MAX) {
            Ok(mut events) => {
                events.reverse();
                if let Err((id, why)) = self.roll.prove(space.id, &events) {
                    self.broke("members-only", || format!("{at} has {id:?}: {why}"));
                }
            }
            // It is looked at again once it is reopened.
            Err(EngineError::Store(StoreError::Stopped)) => {}
            Err(error) => self.broke("readable", || format!("{at} cannot read its own history: {error}")),
        }
    }
}
