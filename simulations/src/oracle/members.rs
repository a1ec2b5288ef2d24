//! Who belongs to the space, and whether each event's author had the right in the event's own past.

use super::OracleError;
use super::past::Past;
use reknit_access::{Action, Control, InviteId, Role};
use reknit_types::{DeviceId, EventId, Kind, Payload, SpaceId, Stamp, VerifiedEvent};
use std::collections::{BTreeMap, BTreeSet};

/// A device that belongs to the space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedMember {
    /// What people call it.
    pub name: String,
    /// The greatest role it was given.
    pub role: Role,
    /// When it first founded or joined.
    pub since: Stamp,
}

#[derive(Default)]
pub(super) struct Members {
    pub(super) space_name: String,
    pub(super) members: BTreeMap<DeviceId, ExpectedMember>,
}

/// Folds the control events; checks the right of every event.
pub(super) fn fold(past: &Past<'_>) -> Result<Members, OracleError> {
    let mut fold = Fold::default();
    for event in past.sorted() {
        let why = match event.header().kind {
            Kind::Data => fold.data(event),
            Kind::Control => fold.control(event),
        };
        why.map_err(|why| OracleError::Unauthorised { event: event.id(), why })?;
    }
    Ok(fold.members)
}

/// Control events so far, which come causes first.
#[derive(Default)]
struct Fold {
    members: Members,
    /// The stamp and the control parents of each.
    nodes: BTreeMap<EventId, (Stamp, Vec<EventId>)>,
    invites: BTreeMap<EventId, Offer>,
    /// The foundings and joins, with whose they are and the role they gave.
    starts: BTreeMap<EventId, (DeviceId, Role)>,
}

struct Offer {
    key: InviteId,
    role: Role,
    expires_ms: Option<u64>,
}

type Right = Result<(), String>;

impl Fold {
    /// The second event of a chain is judged by the first; a later one follows one that was judged.
    fn data(&self, event: &VerifiedEvent) -> Right {
        let header = event.header();
        let prev = header.prev.ok_or("a chain begins with data")?;
        match (header.seq, self.starts.get(&prev)) {
            (2, Some((_, role))) if *role >= Role::Writer => Ok(()),
            (2, _) => Err("its chain did not begin as a writer's".to_owned()),
            _ => Ok(()),
        }
    }

    fn control(&mut self, event: &VerifiedEvent) -> Right {
        let Payload::Open(bytes) = event.payload() else { return Err("it cannot be opened".to_owned()) };
        let Control { parents, action } = Control::decode(bytes).map_err(|error| error.to_string())?;
        let header = event.header();
        for parent in &parents {
            match self.nodes.get(parent) {
                Some((stamp, _)) if *stamp < header.stamp => {}
                Some(_) => return Err("it is not stamped after a control event that it follows".to_owned()),
                None => return Err("a control parent is not there".to_owned()),
            }
        }
        match action {
            Action::Found { nonce, name, device_name } => {
                let first = header.seq == 1 && header.parents.is_empty() && parents.is_empty();
                if !first || SpaceId::found(header.author, &nonce) != header.space {
                    return Err("it does not found this space".to_owned());
                }
                if self.starts.is_empty() {
                    self.members.space_name = name;
                }
                self.start(event, device_name, Role::Admin);
            }
            Action::Invite { key, role, expires_ms } => {
                self.check_invite(event, &parents, role)?;
                self.invites.insert(event.id(), Offer { key, role, expires_ms });
            }
            Action::Join { invite, proof, device_name } => {
                if header.seq != 1 || self.role_at(&parents, header.author).is_some() {
                    return Err("its author was there before".to_owned());
                }
                let offer = self.invites.get(&invite).filter(|_| self.follows(&parents, invite));
                let offer = offer.ok_or("the invite is not in its past")?;
                if offer.expires_ms.is_some_and(|expires_ms| header.stamp.ms() > expires_ms) {
                    return Err("the invite had expired".to_owned());
                }
                if !offer.key.proves(header.space, header.author, invite, &proof) {
                    return Err("it does not prove that it holds the invite".to_owned());
                }
                let role = offer.role;
                self.start(event, device_name, role);
            }
        }
        self.nodes.insert(event.id(), (header.stamp, parents));
        Ok(())
    }

    fn check_invite(&self, event: &VerifiedEvent, parents: &[EventId], role: Role) -> Right {
        if event.header().seq == 1 {
            return Err("a chain begins with an invite".to_owned());
        }
        let held = self.role_at(parents, event.header().author);
        let may =
            matches!(role, Role::Reader | Role::Writer) && held.is_some_and(|held| held >= Role::Writer);
        // Only writers invite, and nobody gives more than it has.
        if may && held >= Some(role) { Ok(()) } else { Err(format!("{held:?} invites a {role}")) }
    }

    /// Events come in the order of their stamps, so the first start of a device is the one that names it.
    fn start(&mut self, event: &VerifiedEvent, name: String, role: Role) {
        let header = event.header();
        self.starts.insert(event.id(), (header.author, role));
        let member = ExpectedMember { name, role, since: header.stamp };
        let member = self.members.members.entry(header.author).or_insert(member);
        member.role = member.role.max(role);
    }

    /// The greatest role that the past of these gave the device.
    fn role_at(&self, parents: &[EventId], device: DeviceId) -> Option<Role> {
        let own = self.starts.iter().filter(|(_, (whose, _))| *whose == device);
        own.filter(|(start, _)| self.follows(parents, **start)).map(|(_, (_, role))| *role).max()
    }

    /// Whether `target` is one of these control events, or before one of them.
    fn follows(&self, from: &[EventId], target: EventId) -> bool {
        let (mut open, mut seen) = (from.to_vec(), BTreeSet::new());
        while let Some(id) = open.pop() {
            if id == target {
                return true;
            }
            if seen.insert(id)
                && let Some((_, parents)) = self.nodes.get(&id)
            {
                open.extend(parents);
            }
        }
        false
    }
}
