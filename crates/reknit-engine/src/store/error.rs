use thiserror::Error;

/// What lies under a [`StoreError`].
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a store could not do what was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk has no room for the batch. Nothing of it was written.
    #[error("the disk is full: free some space, then reopen the store")]
    DiskFull(#[source] Cause),
    /// The disk or the file system failed.
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
    /// The store was opened for reading only.
    #[error("the store is open for reading only: open it for writing to change it")]
    ReadOnly,
}
