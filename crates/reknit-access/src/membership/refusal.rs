//! Why an event or a stranger is not admitted.

use crate::limits::CONTROL_EVENTS_MAX;
use crate::role::Role;
use reknit_types::{DecodeError, DeviceId, EventId};
use thiserror::Error;

/// Why an event or a stranger is not admitted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The event belongs to another space.
    #[error("the event belongs to another space")]
    WrongSpace,
    /// The header says control and no control payload came with it, or the reverse.
    #[error("the header's kind is not that of its payload")]
    WrongKind,
    /// No control event could look like this.
    #[error("malformed control event: {0}")]
    Shape(#[from] DecodeError),
    /// A control event names one that is not known here (yet).
    #[error("the control event names {0}, which is not a known control event")]
    UnknownControlParent(EventId),
    /// A control event is stamped no later than one it follows.
    #[error("the control event is not stamped after {0}, which it follows")]
    StampNotAfterParent(EventId),
    /// The space's id does not name this author, or the founding does not stand at the beginning of everything.
    #[error("{0} did not found this space")]
    NotFounder(DeviceId),
    /// Only a founding or a join starts a chain, and they stand nowhere else.
    #[error("a chain starts with a founding or a join, and only there")]
    ChainStart,
    /// The author was no member when it wrote the event.
    #[error("{0} is not a member of the space; join it by a ticket")]
    NotMember(DeviceId),
    /// The author's role is too low.
    #[error("a {held} may not do this: it takes a {needed}")]
    RoleTooLow {
        /// The role the author had.
        held: Role,
        /// The least role that may.
        needed: Role,
    },
    /// This role is not given by invite.
    #[error("the role {0} is not given by invite; use reader or writer")]
    NotInvitable(Role),
    /// The invite is not among those that were known when the join was written.
    #[error("{0} is not a known invite to this space; ask for a new ticket")]
    UnknownInvite(EventId),
    /// The invite's time is over.
    #[error("the invite expired at {expires_ms} ms since 1970; ask for a new ticket")]
    InviteExpired {
        /// Milliseconds since the Unix epoch.
        expires_ms: u64,
    },
    /// The proof is not by the invite's key, or for another device or space.
    #[error("the proof does not show that {0} holds the invite")]
    BadProof(DeviceId),
    /// The device was a member when it joined.
    #[error("{0} is a member of the space already")]
    AlreadyMember(DeviceId),
    /// This peer takes in no more control events.
    #[error("the space has {CONTROL_EVENTS_MAX} control events, as many as this peer takes in")]
    Full,
}

impl Refusal {
    /// Whether every peer refuses the event for good. If not, it may pass later: a control parent may still arrive,
    /// and how much a peer takes in is its own affair.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::UnknownControlParent(_) | Self::Full)
    }
}
