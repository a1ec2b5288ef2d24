//! What can go wrong for an app.

use crate::model::ModelError;
use reknit_engine::store::StoreError;
use reknit_engine::{EngineError, TxError};
use reknit_net::NetError;
use reknit_query::{BindError, ParseError, QueryError};
use reknit_store::OpenError;
use reknit_types::NameError;
use std::path::PathBuf;
use thiserror::Error;

/// Why a peer could not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process has the store open.
    #[error("{} is in use by another process: stop the peer that runs on it, or send the command to that peer", path.display())]
    StoreInUse {
        /// The file.
        path: PathBuf,
    },
    /// The store was written by a newer version.
    #[error(
        "the store has format {found} and this version reads up to format {known}: update Reknit; nothing was changed"
    )]
    StoreTooNew {
        /// The format of the file.
        found: u32,
        /// The newest format known.
        known: u32,
    },
    /// The store could not be opened.
    #[error(transparent)]
    Open(OpenError),
    /// The store failed. The peer has stopped; start it again once the cause is mended.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No space goes by this name or id.
    #[error("there is no space {0:?} here: list the spaces, or join it with a ticket")]
    NoSuchSpace(String),
    /// Several spaces go by this name or id.
    #[error("{text:?} could be any of {candidates:?}: give more of the id")]
    AmbiguousSpace {
        /// What was asked for.
        text: String,
        /// The ids it could mean.
        candidates: Vec<String>,
    },
    /// This device may read the space and not write it.
    #[error("this device may not write here: {0}")]
    NotPermitted(String),
    /// The transaction was not committed.
    #[error(transparent)]
    Tx(TxError),
    /// What is stored and what the app's models say do not fit together.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Not a name for a collection or field.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The network failed.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A query is not of the language.
    #[error(transparent)]
    QueryText(#[from] ParseError),
    /// A query asks for what there is not, or its parameters do not fit.
    #[error(transparent)]
    QueryParameters(#[from] BindError),
    /// A query could not be run to its end.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The journal could not be begun.
    #[error("the journal {} cannot be written: {cause}; choose another file, or start without a journal", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: std::io::Error,
    },
    /// The peer was started without a network.
    #[error("this peer runs offline: start it with a network for this")]
    Offline,
    /// The peer has stopped.
    #[error("the peer has stopped{}", .0.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    Stopped(Option<String>),
    /// The engine refused.
    #[error("{0}")]
    Refused(String),
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::AlreadyOpen { path } => Self::StoreInUse { path },
            OpenError::NewerFormat { found, supported, .. } => Self::StoreTooNew { found, known: supported },
            other => Self::Open(other),
        }
    }
}

impl From<TxError> for Error {
    fn from(error: TxError) -> Self {
        match error {
            TxError::Caller(error) => match error.downcast::<ModelError>() {
                Ok(error) => Self::Model(*error),
                Err(error) => Self::Tx(TxError::Caller(error)),
            },
            other => Self::Tx(other),
        }
    }
}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Store(error) => Self::Store(error),
            EngineError::Tx(error) => error.into(),
            EngineError::NotPermitted(refusal) => Self::NotPermitted(refusal.to_string()),
            other => Self::Refused(other.to_string()),
        }
    }
}
