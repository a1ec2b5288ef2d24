use thiserror::Error;

/// What lies under a [`StoreError`].
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a store could not do what was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk has no room for the batch. After reopening, the batch is there as a whole or not at all.
    #[error("the disk is full: free some space, then reopen the store")]
    DiskFull(#[source] Cause),
    /// The disk or the file system failed. After reopening, a batch that met this is there as a whole or not at all.
    #[error(
        "the store's file could not be read or written: check the disk and its permissions, then reopen the store"
    )]
    Io(#[source] Cause),
    /// The file does not hold what was written to it.
    #[error(
        "the store's file is damaged ({what}): restore it from a backup, or start a new store and sync it again"
    )]
    Corrupt {
        /// What was found to be wrong.
        what: String,
    },
    /// A key, a value or a batch is over its limit. Nothing was written.
    #[error("{what} of {bytes} bytes is over the limit of {max}: write less at a time")]
    TooLarge {
        /// Which limit: a key, a value, or a batch.
        what: &'static str,
        /// The size asked for.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// An earlier commit failed.
    #[error(
        "an earlier commit failed, so the store takes no more: reopen it, which rebuilds from what is on disk"
    )]
    Stopped,
    /// The store was closed while a snapshot of it was still in use.
    #[error("the store was closed: open it again to read it")]
    Closed,
    /// Something still in use is in the way.
    #[error("the store cannot do this while {what} is in use: drop it first")]
    Busy {
        /// What is in the way.
        what: &'static str,
    },
}
