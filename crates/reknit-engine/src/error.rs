//! What can go wrong in the engine.

use crate::store::StoreError;
use reknit_crdt::{DocumentError, RegisterError, TextError};
use reknit_types::{CrdtKind, DecodeError, DeviceId, EntityId, EventError, Name, NameError, SpaceId};
use thiserror::Error;

/// Why the engine could not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The store failed. Nothing more is committed until the peer is reopened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record of the store does not read back.
    #[error("the store holds a damaged record: {0}")]
    Damaged(String),
    /// There is no such space here.
    #[error("this peer holds no space {0}; join it with a ticket first")]
    NoSuchSpace(SpaceId),
    /// This device may not write here.
    #[error("this device may not write here: {0}")]
    NotPermitted(#[from] reknit_access::Refusal),
    /// The event could not be made.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The transaction failed; nothing of it was committed.
    #[error(transparent)]
    Tx(#[from] TxError),
    /// The space is being joined; its history is not here yet.
    #[error("this device is still joining the space: no member that holds it was reached yet")]
    Joining,
    /// No peer that was reached lets this device join.
    #[error(
        "{0} peers were reached and none lets this device join: the invite has expired, or is not known to \
         them yet; ask for a new ticket, or connect to the device that made this one"
    )]
    JoinRefused(usize),
    /// The space was given up while somebody waited to join it.
    #[error("the space was given up before this device became a member")]
    GivenUp,
    /// There is no space with this local number.
    #[error("this peer holds no space number {0}")]
    NoSuchSpaceNo(u32),
    /// What was asked for exceeds a bound.
    #[error("this cannot be done: {0}")]
    Invalid(String),
    /// Too many requests of one kind wait.
    #[error("{0} requests to join wait already; try again when some are answered")]
    TooManyJoins(usize),
}

impl From<DecodeError> for EngineError {
    fn from(error: DecodeError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Why a transaction was not committed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TxError {
    /// Not a name for a collection or field.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The collection is not for apps to write to.
    #[error("collection {0} is Reknit's own: names that begin with `reknit.` are reserved; choose another")]
    Reserved(Name),
    /// The field merges in another way.
    #[error("field {field} is a {is} and cannot be edited as a {wanted}")]
    KindMismatch {
        /// The field.
        field: Name,
        /// How it merges.
        is: CrdtKind,
        /// How it was used.
        wanted: CrdtKind,
    },
    /// The entity is deleted.
    #[error("entity {0} is deleted; restore it before editing it")]
    Deleted(EntityId),
    /// The value does not fit into a register.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The edit does not fit the text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The edit does not fit the document.
    #[error(transparent)]
    Document(Box<DocumentError>),
    /// The transaction exceeds a bound of the event.
    #[error("a transaction holds at most {limit} {what}; split it")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// The edits of a text or document are too many for one event.
    #[error("the edits of field {field} of entity {entity} do not fit into one transaction: {why}; split it")]
    Unfit {
        /// The entity.
        entity: EntityId,
        /// The field.
        field: Name,
        /// What is wrong with them.
        why: String,
    },
    /// The state it works on could not be read.
    #[error("the state could not be read: {0}")]
    Read(String),
    /// The caller changed its mind.
    #[error("aborted: {0}")]
    Aborted(String),
    /// The caller could not do what it wanted to.
    #[error(transparent)]
    Caller(Box<dyn std::error::Error + Send + Sync>),
    /// The closure panicked.
    #[error("the transaction panicked and was rolled back")]
    Panicked,
}

impl TxError {
    /// An error of the caller's own, to roll back with.
    pub fn abort(reason: impl Into<String>) -> Self {
        Self::Aborted(reason.into())
    }

    /// An error of the caller's own type, to roll back with. It comes back as it is.
    pub fn caller(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Caller(Box::new(error))
    }
}

impl From<DocumentError> for TxError {
    fn from(error: DocumentError) -> Self {
        Self::Document(Box::new(error))
    }
}

impl From<EngineError> for TxError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Tx(error) => error,
            other => Self::Read(other.to_string()),
        }
    }
}

/// Why an event from a peer was not admitted. Every peer that knows the event's past refuses it alike.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refused {
    /// The event names another space.
    #[error("the event belongs to another space")]
    Space,
    /// A predecessor or parent is not here.
    #[error("event {seq} of {author} is not here yet")]
    AwaitingParent {
        /// Whose event is missing.
        author: DeviceId,
        /// Its place in the chain.
        seq: u64,
    },
    /// An event that this one builds on lies elsewhere than it is said to.
    #[error("an event that it builds on is said to lie where it does not")]
    Place,
    /// The stamp is not after those of its parents.
    #[error("the stamp is not after those of its parents")]
    Stamp,
    /// An event other than the first names no parents.
    #[error("the event names no parents")]
    Rootless,
    /// The payload is said to be erased; nothing in the space allows that.
    #[error("the payload is said to be erased, which nothing allows")]
    Erased,
    /// The author has no right to it.
    #[error(transparent)]
    Access(#[from] reknit_access::Refusal),
    /// A control payload that cannot be read.
    #[error("the control payload does not read: {0}")]
    Control(String),
    /// A control payload of a version that this program does not know yet.
    #[error("the control payload is newer than this program ({0}); update this program")]
    Newer(DecodeError),
    /// The author has forked its chain too often.
    #[error("the author's chain has {0} ends already, as many as are taken in from whom this came from")]
    Forks(usize),
    /// All authors together have.
    #[error("chains of the space have forked {0} times, as often as a peer takes in")]
    Branches(usize),
    /// The space has its fill of authors.
    #[error("the space has {0} authors, as many as a peer takes in")]
    Authors(usize),
}

impl Refused {
    /// Whether every peer refuses the event for good. If not, it may be admitted later, or elsewhere.
    pub fn is_final(&self) -> bool {
        match self {
            Self::AwaitingParent { .. }
            | Self::Newer(_)
            | Self::Forks(_)
            | Self::Branches(_)
            | Self::Authors(_) => false,
            Self::Access(refusal) => refusal.is_final(),
            _ => true,
        }
    }

    /// Whether the event is in order and there is no room for it here.
    pub(crate) fn is_for_room(&self) -> bool {
        matches!(self, Self::Forks(_) | Self::Branches(_) | Self::Authors(_))
    }
}
