//! What an engine was fed, written down so that it can be fed again.
//!
//! An engine is a function of its store, its generator of chance and its inputs. A journal holds all three: an image of
//! the store, where the generator stood, and then, round by round, every input in order and a digest of all that came of
//! it. [`replay`] opens an engine over the image, feeds it the same, and compares bit for bit.
//!
//! ```text
//! journal = "reknit journal\n" version u8 record*
//! record  = length u32 | check 8 | body             little-endian
//! body    = opening                                 once, first: key, name, chance, numbers given out
//!         | entry: table u8, key, value | image end: how many entries
//!         | step: an input                          then, for a transaction, what its body did and where chance stood
//!         | settled: a digest of the batch and of every output | failed: why
//!         | ended                                   the journal was closed in order
//! check   = the first 8 bytes of BLAKE3 over the check before and the body
//! ```
//!
//! Every record is checked together with all before it: one that was changed, taken out or put elsewhere is noticed. The
//! process that writes a journal may die at any moment, so that the last record is torn; what is before it counts.
//!
//! The body of a transaction is code. What stands for it is what it did, and which rows and fields it took from the
//! engine: doing that again has the same effect on all that the engine keeps. Times are those that the engine was given.
//!
//! A journal holds **secrets**: the key of the device, the keys of its spaces, tickets, and everything written. Whoever
//! has it can pose as the device. A *redacted* one holds none, see [`Recorder::redacted`]: hashes cover what is written, so
//! it cannot be fed to an engine. It tells in order what came and what followed (who was connected, every message of every
//! session with counts, sizes and places in chains), how spaces stood at the end of a round, once a second at most, and why
//! peers were not equal. [`Story`] reads it.
//!
//! ```text
//! redacted = "reknit journal\n" version u8 record*, with other bodies: device first, then line | standing | wakeup
//! ```

mod input;
mod opening;
mod outcome;
mod read;
mod recorder;
mod records;
mod redacted;
mod replay;
mod story;

pub use input::Noted;
pub use opening::Opening;
pub use outcome::{Outcome, Told};
pub use read::{End, Journal, Round, RoundEnd, Step};
pub use recorder::Recorder;
pub use redacted::{Line, Standing};
pub use replay::{Difference, Replayed, replay};
pub use story::{Space, Story, Stream};

use crate::error::EngineError;
use reknit_types::DecodeError;
use thiserror::Error;

/// Why bytes are not a journal, or it cannot be replayed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Something else altogether.
    #[error("this is not a journal: `reknit up --journal FILE` writes one")]
    NotAJournal,
    /// Written by a newer version.
    #[error("this journal has format {found} and this version reads up to {known}: update it")]
    Newer {
        /// The format of the file.
        found: u8,
        /// The newest format known.
        known: u8,
    },
    /// It was redacted.
    #[error("the journal is redacted: it tells what happened, and cannot be fed to an engine")]
    Redacted,
    /// It was not redacted.
    #[error("the journal is not redacted: replay it")]
    NotRedacted,
    /// It ends before the first round.
    #[error(
        "the journal ends, at byte {at}, before its image of the store does: the peer had only just begun it"
    )]
    NoImage {
        /// Bytes that are whole.
        at: usize,
    },
    /// Its beginning does not decode.
    #[error("the journal's beginning is damaged: {0}")]
    Damaged(#[from] DecodeError),
    /// The image is not that of a store.
    #[error("no engine opens over the journal's image of the store: {0}")]
    Image(#[from] EngineError),
}

/// The first bytes of every journal.
pub(crate) const MAGIC: &[u8] = b"reknit journal\n";
pub(crate) const VERSION: u8 = 1;

/// Longest record, in bytes: an entry of the image, or the inputs with a frame.
pub const RECORD_BYTES_MAX: usize = 2 * crate::store::VALUE_BYTES_MAX;

pub(crate) const TAG_OPENING: u8 = 1;
pub(crate) const TAG_ENTRY: u8 = 2;
pub(crate) const TAG_IMAGE_END: u8 = 3;
pub(crate) const TAG_INPUT: u8 = 4;
pub(crate) const TAG_HANDLED: u8 = 5;
pub(crate) const TAG_IDENTITY: u8 = 6;
pub(crate) const TAG_SETTLED: u8 = 7;
pub(crate) const TAG_FAILED: u8 = 8;
pub(crate) const TAG_ENDED: u8 = 9;
pub(crate) const TAG_REDACTED: u8 = 10;
pub(crate) const TAG_LINE: u8 = 11;
pub(crate) const TAG_STANDING: u8 = 12;
pub(crate) const TAG_WAKEUP: u8 = 13;

#[cfg(test)]
mod tests;
