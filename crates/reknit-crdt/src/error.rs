//! Why a delta has no effect, and why a saved state does not load.

use reknit_types::{CrdtKind, DecodeError};
use thiserror::Error;

/// A delta is void: stored with its event, without effect at any peer. The state is as it was before.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Void {
    /// The delta does not decode.
    #[error("the delta does not decode: {0}")]
    Shape(#[from] DecodeError),
    /// The delta holds what the library that merges it refuses.
    #[error("the delta does not merge: {0}")]
    Refused(String),
    /// The delta uses an identity that is not derived from its author and place.
    #[error("the delta uses an identity that is not its author's")]
    Identity,
}

/// A saved state does not load. Rebuild it from the log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The bytes are not what was saved.
    #[error("the saved {0} is damaged; rebuild it from the log")]
    Damaged(CrdtKind),
    /// The bytes do not decode.
    #[error("the saved {kind} does not decode ({error}); rebuild it from the log")]
    Shape {
        /// The kind of field.
        kind: CrdtKind,
        /// What is wrong with the bytes.
        error: DecodeError,
    },
}
