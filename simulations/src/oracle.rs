//! What a space must hold, computed from its events alone and from the definitions alone.
//!
//! The oracle shares no code with the engine, and none with the fields' own merging: it reads the formats with the
//! codecs of `reknit-types`, and does the rest by itself, in the plainest way there is. All events are sorted by
//! `(stamp, id)`, which is a causal order, and folded once, with everything in memory. So where the engine and the oracle
//! agree, neither the order of arrival nor a cache, snapshot, batch or restart has changed anything.
//!
//! # The definitions
//!
//! * **The set** is causally complete and authorised: every event follows what its header names, is stamped later than
//!   that, and its author had the right in the event's own past. A set that is not must never be in a store:
//!   [`expected`] answers it with an [`OracleError`].
//! * **Heads** are the events that no other names as a parent or as the one before it. The **frontier** is, for each
//!   author, its events that no other of its events follows. A chain **forks** where two events follow the same one of
//!   their author; all events of the author under that number are evidence.
//! * **Void** is an operation that is malformed, beyond a limit, or under another author's identity, as far as its event
//!   alone tells; a transaction that does not decode is void as one. What is void has no effect at all: it makes neither an
//!   entity nor a field. (A delta that only turns out to be unfit when it meets its field makes the field, and nothing
//!   else.)
//! * **An entity** is deleted if the greatest `(stamp, id)` among its deletions and restorations is that of a deletion; of
//!   both in one event, the deletion decides. Edits do not matter.
//! * **A field** that was given several kinds shows the first in the order of kinds.
//! * **A register** holds the write with the greatest `(stamp, id)`; within one event that with the greatest encoding.
//! * **A counter** adds up, for every identity, the greatest `(step, total)`; of too many identities those with the least
//!   keys count; the sum saturates.
//! * **A text** takes its deltas in canonical order, `(stamp, id)`. A delta that names what is not there waits for it; after
//!   every delta that merges, what waits is tried again in canonical order, as long as that helps. A delta whose place is
//!   taken only deletes. A delta that inserts between what never was next to each other is void. Where a unit goes is
//!   decided by YATA (Nicolaescu et al., Near Real-Time Peer-to-Peer Shared Editing, 2016).
//! * **A document** takes its deltas likewise, each as a whole; but what waits is tried again only when all others are in.
//!   (Between honest deltas that makes no difference, for they never wait and never compete.) What they amount to is up to
//!   automerge, which gets all the changes at once.
//! * **Members** are those who founded or joined, each with the greatest role that gave it, and the name of the earliest.

mod compare;
mod document;
mod identity;
mod members;
mod past;
mod rows;
mod text;
mod yata;

pub use compare::{DIFFERENCES_MAX, Found, differences};
pub use members::ExpectedMember;
pub use rows::ExpectedEntity;

use past::Past;
use reknit_types::{DeviceId, EntityId, EventId, Name, Tip, VerifiedEvent};
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// What every peer with the same events must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expected {
    /// What people call the space.
    pub name: String,
    /// How many events there are.
    pub events: u64,
    /// Every entity that was ever touched, by collection and id.
    pub entities: BTreeMap<(Name, EntityId), ExpectedEntity>,
    /// Who belongs to the space.
    pub members: BTreeMap<DeviceId, ExpectedMember>,
    /// Events that nothing follows.
    pub heads: BTreeSet<EventId>,
    /// The ends of every author's chain.
    pub frontier: BTreeMap<DeviceId, BTreeSet<Tip>>,
    /// The hash of the frontier's canonical encoding.
    pub digest: [u8; 32],
    /// Where chains fork: all events of the author under that number.
    pub forks: BTreeMap<(DeviceId, u64), BTreeSet<EventId>>,
    /// Operations without effect, as far as their events alone tell, by event and place in it; why.
    pub voids: BTreeMap<(EventId, u32), String>,
}

/// A set of events that no peer may ever have admitted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OracleError {
    /// An event names another that is not in the set.
    #[error("event {event} names {missing}, which is not there")]
    Missing {
        /// The event.
        event: EventId,
        /// What it names.
        missing: EventId,
    },
    /// An event names another that does not lie where it says, or is not of its author's chain.
    #[error("event {event} names {named}, which lies elsewhere")]
    Misplaced {
        /// The event.
        event: EventId,
        /// What it names.
        named: EventId,
    },
    /// An event is not stamped after one that it follows.
    #[error("event {event} is not stamped after {before}, which it follows")]
    Stamp {
        /// The event.
        event: EventId,
        /// What it follows.
        before: EventId,
    },
    /// An event cannot be one of this space.
    #[error("event {event} cannot be of this space: {why}")]
    Unfit {
        /// The event.
        event: EventId,
        /// Why.
        why: String,
    },
    /// The author of an event did not have the right.
    #[error("event {event} is not authorised: {why}")]
    Unauthorised {
        /// The event.
        event: EventId,
        /// Why.
        why: String,
    },
}

/// What a peer that has exactly these events must hold. They may come in any order.
///
/// # Errors
/// An [`OracleError`] if no peer may have admitted these events: then that is the finding.
pub fn expected(events: &[VerifiedEvent]) -> Result<Expected, OracleError> {
    let past = Past::of(events)?;
    let members = members::fold(&past)?;
    let rows = rows::fold(&past);
    let frontier = past.frontier();
    Ok(Expected {
        name: members.space_name,
        events: past.sorted().len() as u64,
        entities: rows.entities,
        members: members.members,
        heads: past.heads(),
        digest: past::digest(&frontier),
        frontier,
        forks: past.forks(),
        voids: rows.voids,
    })
}

#[cfg(test)]
mod tests;
