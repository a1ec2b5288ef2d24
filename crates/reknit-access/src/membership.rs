//! Membership: a fold over the control events of a space.
//!
//! **By its own past.** Whether an event is authorised follows from what its author could know, never from what this
//! peer happens to know, so that all peers decide alike:
//!
//! * A *control event* is judged in the state at its control parents: the control events they are or follow. Where
//!   its parents are this peer's control heads, that is the present state; else the small control DAG is walked.
//! * A *data event* names no control parents, and needs none. Its chain starts with a founding or a join. A reader's
//!   chain ends there, since any further event takes a writer. So the second event of a chain is judged by the first,
//!   which its `prev` names, and every later one by the fact that its predecessor was admitted: one lookup each.
//!
//! A device that joins twice without knowing (a restored backup, two tickets at once) forks its chain at its first
//! event. Each branch has the role that its own join gave it; [`Membership::member`] reports the greater.
//!
//! Stamps rise along control parents, so order by stamp is a causal order.

mod refusal;
mod state;

pub use refusal::Refusal;

use crate::control::{Action, Control};
use crate::invite::InviteId;
use crate::limits::{CONTROL_EVENTS_MAX, CONTROL_PARENTS_MAX};
use crate::role::Role;
use reknit_types::{DeviceId, EventId, Header, Kind, Signature, SpaceId, Stamp};
use std::collections::{BTreeMap, BTreeSet};

/// A device that belongs to the space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The greatest role it was given.
    pub role: Role,
    /// What people call the device.
    pub name: String,
    /// When it founded or joined.
    pub since: Stamp,
    /// The founding or join.
    pub start: EventId,
    /// The invite event it joined by; none for the founder.
    pub invite: Option<EventId>,
    /// Who made that invite; none for the founder.
    pub invited_by: Option<DeviceId>,
}

/// A standing offer of membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// Checks the proofs of those who join.
    pub key: InviteId,
    /// The role they get.
    pub role: Role,
    /// Milliseconds since the Unix epoch after which nobody joins by it.
    pub expires_ms: Option<u64>,
    /// Who made it.
    pub by: DeviceId,
    /// When.
    pub since: Stamp,
}

/// Who belongs to a space and who may join it: equal for equal sets of control events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    space: SpaceId,
    nodes: BTreeMap<EventId, Node>,
    heads: Vec<EventId>,
    /// The earliest: a founder that forks its own beginning makes more than one.
    founding: Option<(Stamp, EventId)>,
    invites: BTreeMap<EventId, Invite>,
    starts: BTreeMap<DeviceId, BTreeMap<EventId, Role>>,
    members: BTreeMap<DeviceId, Member>,
}

/// What remains of a control event once it is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    author: DeviceId,
    stamp: Stamp,
    parents: Vec<EventId>,
    deed: Deed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Deed {
    Found { name: String, device_name: String },
    Invite { key: InviteId, role: Role, expires_ms: Option<u64> },
    Join { invite: EventId, device_name: String },
}

impl Membership {
    /// The membership of a space of which nothing is known but its id.
    pub fn new(space: SpaceId) -> Self {
        Self {
            space,
            nodes: BTreeMap::new(),
            heads: Vec::new(),
            founding: None,
            invites: BTreeMap::new(),
            starts: BTreeMap::new(),
            members: BTreeMap::new(),
        }
    }

    /// Whether the event is authorised by its own past. `control` is the payload of a control event, none for data.
    ///
    /// The caller has verified the event and admitted its parents and predecessor.
    pub fn check(&self, header: &Header, control: Option<&Control>) -> Result<(), Refusal> {
        if header.space != self.space {
            return Err(Refusal::WrongSpace);
        }
        match (header.kind, control) {
            (Kind::Data, None) => self.check_data(header),
            (Kind::Control, Some(control)) => self.check_control(header, control),
            _ => Err(Refusal::WrongKind),
        }
    }

    /// Takes in a control event that [`Self::check`] passed. One that is known already changes nothing.
    ///
    /// # Panics
    /// If the event was not checked: it joins by an invite that is not known.
    pub fn apply(&mut self, id: EventId, header: &Header, control: &Control) {
        let deed = match &control.action {
            Action::Found { name, device_name, .. } => {
                Deed::Found { name: name.clone(), device_name: device_name.clone() }
            }
            Action::Invite { key, role, expires_ms } => {
                Deed::Invite { key: *key, role: *role, expires_ms: *expires_ms }
            }
            Action::Join { invite, device_name, .. } => {
                Deed::Join { invite: *invite, device_name: device_name.clone() }
            }
        };
        let (author, stamp, parents) = (header.author, header.stamp, control.parents.clone());
        let known = self.insert(id, Node { author, stamp, parents, deed });
        assert!(known.is_some(), "a control event is checked before it is applied");
    }

    /// The control heads: control events that no other follows, ascending.
    pub fn heads(&self) -> &[EventId] {
        &self.heads
    }

    /// The control parents that `author` puts into its next control event: the heads. If they are too many, those
    /// that prove its right come first.
    pub fn parents_for(&self, author: DeviceId, action: &Action) -> Vec<EventId> {
        if self.heads.len() <= CONTROL_PARENTS_MAX {
            return self.heads.clone();
        }
        let needed = match action {
            Action::Join { invite, .. } => Some(*invite),
            _ => self.strongest_start(&author),
        };
        let proves = |head: &&EventId| needed.is_some_and(|needed| self.in_past(&[**head], &needed));
        let proof = self.heads.iter().find(proves);
        let others = self.heads.iter().filter(|head| Some(*head) != proof);
        let chosen: BTreeSet<_> = proof.into_iter().chain(others).take(CONTROL_PARENTS_MAX).collect();
        chosen.into_iter().copied().collect()
    }

    /// The space.
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// What people call the space; empty until its founding is known.
    pub fn name(&self) -> &str {
        let founding = self.founding.and_then(|(_, id)| self.nodes.get(&id));
        match founding.map(|node| &node.deed) {
            Some(Deed::Found { name, .. }) => name,
            _ => "",
        }
    }

    /// The member with this device.
    pub fn member(&self, device: &DeviceId) -> Option<&Member> {
        self.members.get(device)
    }

    /// All members, by device.
    pub fn members(&self) -> impl Iterator<Item = (DeviceId, &Member)> {
        self.members.iter().map(|(device, member)| (*device, member))
    }

    /// The invite that this event made.
    pub fn invite(&self, id: &EventId) -> Option<&Invite> {
        self.invites.get(id)
    }

    /// All invites, by the event that made them.
    pub fn invites(&self) -> impl Iterator<Item = (EventId, &Invite)> {
        self.invites.iter().map(|(id, invite)| (*id, invite))
    }

    /// Whether `device` may write data now. Asked before a local transaction, so that it is refused at once.
    pub fn may_write(&self, device: &DeviceId) -> Result<(), Refusal> {
        let member = self.member(device).ok_or(Refusal::NotMember(*device))?;
        at_least(Role::Writer, member.role)
    }

    /// Whether a stranger may be served so that it can join: it proves that it holds an invite which has not expired.
    /// A member is admitted in any case. Returns the role it has or will get.
    pub fn admits(
        &self,
        device: DeviceId,
        invite: EventId,
        proof: &Signature,
        now_ms: u64,
    ) -> Result<Role, Refusal> {
        if let Some(member) = self.member(&device) {
            return Ok(member.role);
        }
        let offer = self.invites.get(&invite).ok_or(Refusal::UnknownInvite(invite))?;
        offer.check_expiry(now_ms)?;
        if !offer.key.proves(self.space, device, invite, proof) {
            return Err(Refusal::BadProof(device));
        }
        Ok(offer.role)
    }

    fn check_data(&self, header: &Header) -> Result<(), Refusal> {
        let prev = header.prev.ok_or(Refusal::ChainStart)?;
        if header.seq > 2 {
            return self.may_write(&header.author);
        }
        let starts = self.starts.get(&header.author);
        let held = starts.and_then(|starts| starts.get(&prev)).ok_or(Refusal::NotMember(header.author))?;
        at_least(Role::Writer, *held)
    }

    fn check_control(&self, header: &Header, control: &Control) -> Result<(), Refusal> {
        control.check_shape()?;
        for parent in &control.parents {
            let node = self.nodes.get(parent).ok_or(Refusal::UnknownControlParent(*parent))?;
            if header.stamp <= node.stamp {
                return Err(Refusal::StampNotAfterParent(*parent));
            }
        }
        match &control.action {
            Action::Found { nonce, .. } => self.check_found(header, control, nonce),
            Action::Invite { role, .. } => self.check_invite(header, control, *role),
            Action::Join { invite, proof, .. } => self.check_join(header, control, (*invite, proof)),
        }?;
        if self.nodes.len() >= CONTROL_EVENTS_MAX { Err(Refusal::Full) } else { Ok(()) }
    }

    fn check_found(&self, header: &Header, control: &Control, nonce: &[u8; 32]) -> Result<(), Refusal> {
        if header.seq != 1 {
            return Err(Refusal::ChainStart);
        }
        let first = header.parents.is_empty() && control.parents.is_empty();
        if !first || SpaceId::found(header.author, nonce) != self.space {
            return Err(Refusal::NotFounder(header.author));
        }
        Ok(())
    }

    fn check_invite(&self, header: &Header, control: &Control, role: Role) -> Result<(), Refusal> {
        if header.seq == 1 {
            return Err(Refusal::ChainStart);
        }
        let held = self.role_at(&control.parents, &header.author);
        let held = held.ok_or(Refusal::NotMember(header.author))?;
        if !role.is_invitable() {
            return Err(Refusal::NotInvitable(role));
        }
        at_least(role.max(Role::Writer), held)
    }

    fn check_join(
        &self,
        header: &Header,
        control: &Control,
        (invite, proof): (EventId, &Signature),
    ) -> Result<(), Refusal> {
        if header.seq != 1 {
            return Err(Refusal::ChainStart);
        }
        if self.role_at(&control.parents, &header.author).is_some() {
            return Err(Refusal::AlreadyMember(header.author));
        }
        let offer = self.invites.get(&invite).filter(|_| self.in_past(&control.parents, &invite));
        let offer = offer.ok_or(Refusal::UnknownInvite(invite))?;
        offer.check_expiry(header.stamp.ms())?;
        if !offer.key.proves(self.space, header.author, invite, proof) {
            return Err(Refusal::BadProof(header.author));
        }
        Ok(())
    }

    /// The role of `device` in the state at `parents`: the greatest that a founding or join in their past gave it.
    fn role_at(&self, parents: &[EventId], device: &DeviceId) -> Option<Role> {
        let starts = self.starts.get(device)?;
        starts.iter().filter(|(start, _)| self.in_past(parents, start)).map(|(_, role)| *role).max()
    }

    fn strongest_start(&self, device: &DeviceId) -> Option<EventId> {
        let starts = self.starts.get(device)?.iter();
        starts.max_by_key(|(_, role)| **role).map(|(start, _)| *start)
    }

    /// Whether `target` is among `parents` or their ancestors.
    fn in_past(&self, parents: &[EventId], target: &EventId) -> bool {
        let Some(since) = self.nodes.get(target).map(|node| node.stamp) else { return false };
        if parents == self.heads {
            return true;
        }
        let (mut open, mut seen) = (parents.to_vec(), BTreeSet::new());
        while let Some(id) = open.pop() {
            if id == *target {
                return true;
            }
            // Ancestors are stamped earlier still: nothing at or before the target's stamp leads to it.
            if let Some(node) = self.nodes.get(&id).filter(|node| node.stamp > since)
                && seen.insert(id)
            {
                open.extend(&node.parents);
            }
        }
        false
    }

    /// Adds a node whose parents are there. `None` if it joins by an invite that is not.
    fn insert(&mut self, id: EventId, node: Node) -> Option<()> {
        if self.nodes.contains_key(&id) {
            return Some(());
        }
        let (by, since) = (node.author, node.stamp);
        match &node.deed {
            Deed::Found { device_name, .. } => {
                self.founding = [self.founding, Some((since, id))].into_iter().flatten().min();
                self.start(by, Member::founder(device_name.clone(), since, id), Role::Admin);
            }
            Deed::Invite { key, role, expires_ms } => {
                let invite = Invite { key: *key, role: *role, expires_ms: *expires_ms, by, since };
                self.invites.insert(id, invite);
            }
            Deed::Join { invite, device_name } => {
                let offer = self.invites.get(invite)?;
                let (role, invited_by) = (offer.role, Some(offer.by));
                let (name, invite) = (device_name.clone(), Some(*invite));
                self.start(by, Member { role, name, since, start: id, invite, invited_by }, role);
            }
        }
        for parent in &node.parents {
            if let Ok(at) = self.heads.binary_search(parent) {
                self.heads.remove(at);
            }
        }
        let at = self.heads.partition_point(|head| *head < id);
        self.heads.insert(at, id);
        self.nodes.insert(id, node);
        Some(())
    }

    /// Of several starts of one device, the earliest tells its name and beginning, and the greatest role counts.
    fn start(&mut self, device: DeviceId, member: Member, role: Role) {
        self.starts.entry(device).or_default().insert(member.start, role);
        let Some(known) = self.members.get_mut(&device) else {
            self.members.insert(device, member);
            return;
        };
        let role = role.max(known.role);
        if (member.since, member.start) < (known.since, known.start) {
            *known = member;
        }
        known.role = role;
    }
}

impl Member {
    fn founder(name: String, since: Stamp, start: EventId) -> Self {
        Self { role: Role::Admin, name, since, start, invite: None, invited_by: None }
    }
}

impl Invite {
    /// Whether the invite holds at `now_ms`, milliseconds since the Unix epoch.
    pub fn check_expiry(&self, now_ms: u64) -> Result<(), Refusal> {
        match self.expires_ms {
            Some(expires_ms) if now_ms > expires_ms => Err(Refusal::InviteExpired { expires_ms }),
            _ => Ok(()),
        }
    }
}

fn at_least(needed: Role, held: Role) -> Result<(), Refusal> {
    if held >= needed { Ok(()) } else { Err(Refusal::RoleTooLow { held, needed }) }
}

#[cfg(test)]
mod tests;
