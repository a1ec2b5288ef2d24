use std::{
    io::{self, ErrorKind},
    ops::{Deref, DerefMut},
    panic::{AssertUnwindSafe, catch_unwind},
};

use redb::Error;
use reknit_engine::store::StoreError;

/// What an error of redb means to the port.
pub(crate) fn meaning(error: impl Into<Error>) -> StoreError {
    match error.into() {
        Error::Io(error) => from_io(error),
        Error::Corrupted(what) => StoreError::Corrupt { what },
        Error::PreviousIo | Error::TransactionPoisoned => StoreError::Stopped,
        Error::DatabaseClosed => StoreError::Closed,
        Error::TransactionInProgress => StoreError::Busy { what: "a snapshot" },
        // Our tables have one type each, so the file says otherwise only if it was damaged.
        error @ (Error::TableTypeMismatch { .. }
        | Error::TableIsMultimap(_)
        | Error::TableIsNotMultimap(_)
        | Error::TypeDefinitionChanged { .. }
        | Error::TableDoesNotExist(_)) => StoreError::Corrupt { what: error.to_string() },
        error => StoreError::Io(error.to_string().into()),
    }
}

/// What an error of the file system means to the port.
pub(crate) fn from_io(error: io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::DiskFull(error.into()),
        ErrorKind::UnexpectedEof => StoreError::Corrupt { what: format!("the file is cut short: {error}") },
        _ => StoreError::Io(error.into()),
    }
}

/// Runs what touches pages of the file. redb checks a page's checksum only when it recovers, and panics on some pages
/// that it cannot explain: to us a damaged file is an outcome.
///
/// What is left behind is sound: redb poisons its own locks and transactions, so all that follows is an error too.
pub(crate) fn guarded<T>(touch: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(touch))
        .unwrap_or_else(|_| Err(StoreError::Corrupt { what: "a page holds what no page may".into() }))
}

/// Something of redb's that touches pages of the file when it is dropped too.
pub(crate) struct Guarded<T>(Option<T>);

impl<T> Guarded<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self(Some(inner))
    }
}

impl<T> Deref for Guarded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("only the drop takes it")
    }
}

impl<T> DerefMut for Guarded<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("only the drop takes it")
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        let inner = self.0.take();
        if let Err(damage) = guarded(|| {
            drop(inner);
            Ok(())
        }) {
            tracing::error!(%damage, "the store was not closed cleanly");
        }
    }
}
