//! How a command ends: one exit code for each kind of failure, and what it says to people.

use reknit::{Error, TxError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::process::ExitCode;

/// What the exit code says. `reknit --help` prints [`CODES_HELP`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Exit {
    /// 1: something failed, and no code below says it better.
    Error,
    /// 2: the command line is wrong.
    Usage,
    /// 3: no such home, space, collection, entity or field.
    NotFound,
    /// 4: another process holds the store.
    StoreInUse,
    /// 5: the wait was over before the peers were equal.
    NotConverged,
    /// 6: this device's role in the space does not allow it.
    NotAllowed,
    /// 7: nobody who could answer was reached.
    Unreachable,
    /// 0: whoever read what was printed has read enough (`reknit log | head`).
    ReaderGone,
}

impl Exit {
    /// The number the process ends with.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::ReaderGone => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::StoreInUse => 4,
            Self::NotConverged => 5,
            Self::NotAllowed => 6,
            Self::Unreachable => 7,
        }
    }
}

/// Why a command did not do what it was asked. It crosses the socket, so a command fails the same way with and
/// without a running peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// Its kind.
    pub(crate) exit: Exit,
    /// What is wrong and what to do, for people.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self::new(Exit::Error, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, message)
    }

    /// Says first what was being done when `cause` came up.
    pub(crate) fn while_doing(what: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Self::error(format!("{what}: {cause}"))
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit.code())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match &error {
            Error::NoSuchSpace(_) => Exit::NotFound,
            Error::StoreInUse { .. } => Exit::StoreInUse,
            Error::NotPermitted(_) => Exit::NotAllowed,
            Error::AmbiguousSpace { .. }
            | Error::Name(_)
            | Error::QueryText(_)
            | Error::QueryParameters(_)
            | Error::Tx(
                TxError::Name(_) | TxError::Reserved(_) | TxError::KindMismatch { .. } | TxError::Deleted(_),
            ) => Exit::Usage,
            _ => Exit::Error,
        };
        Self::new(exit, error.to_string())
    }
}

/// The part of `--help` about exit codes.
pub(crate) const CODES_HELP: &str = "\
Exit codes:
  0  it is done
  1  it failed
  2  the command line is wrong
  3  no such home, space, collection, entity or field
  4  another process holds the store
  5  the wait was over before the peers were equal
  6  this device's role in the space does not allow it
  7  nobody who could answer was reached";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_in_the_help() {
        let all = [
            Exit::Error,
            Exit::Usage,
            Exit::NotFound,
            Exit::StoreInUse,
            Exit::NotConverged,
            Exit::NotAllowed,
            Exit::Unreachable,
        ];
        for exit in all {
            assert!(CODES_HELP.contains(&format!("\n  {}  ", exit.code())), "{exit:?}");
        }
    }

    #[test]
    fn a_failure_survives_the_socket() {
        let failure = Failure::not_found("no entity starts with 01J");
        let json = serde_json::to_string(&failure).unwrap();
        assert_eq!(json, r#"{"exit":"not_found","message":"no entity starts with 01J"}"#);
        assert_eq!(serde_json::from_str::<Failure>(&json).unwrap(), failure);
    }
}
