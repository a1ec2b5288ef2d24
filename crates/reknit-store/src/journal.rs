use std::{
    io::{self, ErrorKind},
    ops::Range,
};

use redb::StorageBackend;
use reknit_engine::store::{Batch, Change, StoreError, Table};

use crate::fault::from_io;

/// Longest journal, in bytes. The commit that would pass it goes to the database itself, which empties the journal.
pub const JOURNAL_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Most bytes of fast commits kept at hand for the journal. Past it, the next durable commit goes to the database.
const PENDING_BYTES_MAX: usize = 256 * 1024;

/// What makes commits durable before the database is: one write and one fsync of adjacent bytes each.
///
/// The journal belongs to one durable state of the database, its *base*, and both carry the base's mark. It holds the
/// changes since, in order; applying them to the base again gives the state that was acknowledged. A journal whose
/// mark is not the database's is of an earlier base, or of another history, and says nothing.
///
/// ```text
/// journal = record*            from the start of the file; what follows is zeros, or of an earlier base
/// record  = mark 16 | check 16 | length u32 | change*      little-endian; a record is one durable commit and the
///                                                          fast ones before it
/// change  = table u8 | key length u16 | value length u32, all ones to delete | key | value
/// check   = BLAKE3 of the mark and of every change since the base, its first 16 bytes
/// ```
///
/// The bytes after the first 16 are the mark of the base that a checkpoint at that point makes.
///
/// Since `check` covers all that came before, a record that was torn ends the journal. Each record is synced before
/// the next is begun, so a later record behind one that does not check out is damage and not a torn end.
///
/// Whole blocks are written, from aligned memory, so that the file may be one that goes around the page cache. A block
/// that is not full is written again with the next record: what it had before stays as it was in every sector.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Box<dyn StorageBackend>,
    mark: Mark,
    /// Of the mark and all changes since the base.
    history: blake3::Hasher,
    /// Where the next record goes, in bytes from the start of the file.
    end: usize,
    /// What the block of `end` has before it.
    tail: Vec<u8>,
    /// The file is zeros, or records, up to here.
    bytes: usize,
    /// Changes since the last record. Nothing once they grew too long.
    pending: Option<Vec<u8>>,
}

/// Names a durable state of the database by the history that led to it.
pub(crate) type Mark = [u8; MARK_BYTES];

/// The mark of a database that has had no journal yet.
pub(crate) const FIRST_MARK: Mark = *b"reknit journal 1";

/// What became of a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Synced {
    /// All that was noted would survive a power loss.
    Done,
    /// The journal cannot take it, so the database has to.
    NoRoom,
}

/// A change as the journal keeps it.
pub(crate) type Entry<'a> = (Table, &'a [u8], Option<&'a [u8]>);

impl Journal {
    /// Takes the file, whatever is in it. It says nothing until it was [read](Self::take_changes) or
    /// [restarted](Self::restart).
    pub(crate) fn new(file: Box<dyn StorageBackend>) -> Self {
        Self {
            file,
            mark: [0; MARK_BYTES],
            history: blake3::Hasher::new(),
            end: 0,
            tail: Vec::new(),
            bytes: 0,
            pending: Some(Vec::new()),
        }
    }

    /// The changes since the base of this mark, for [`entries`]. Empty if there are none.
    pub(crate) fn take_changes(&mut self, base: Mark) -> Result<Vec<u8>, StoreError> {
        self.restart(base);
        let length = self.file.len().and_then(place).map_err(from_io)?.min(CONTENT_BYTES_MAX);
        let mut content = Blocks::with_room_for(length - length % BLOCK_BYTES);
        self.file.read(0, content.bytes_mut()).map_err(from_io)?;
        let content = content.bytes_mut();
        let mut changes = Vec::new();
        while let Some(record) =
            content.get(self.end..).and_then(Record::of).filter(|record| record.mark == base)
        {
            let mut history = self.history.clone();
            history.update(record.changes);
            if check(&history) != record.check {
                break;
            }
            self.history = history;
            changes.extend_from_slice(record.changes);
            self.end += HEAD_BYTES + record.changes.len();
        }
        self.bytes = content.len();
        if self.is_damaged(content) {
            return Err(StoreError::Corrupt { what: format!("the journal is damaged at byte {}", self.end) });
        }
        Ok(changes)
    }

    /// Takes note of a commit, for the next [sync](Self::sync).
    pub(crate) fn note(&mut self, batch: &Batch) {
        let fresh = &mut Vec::new();
        let changes = self.pending.as_mut().unwrap_or(fresh);
        let start = changes.len();
        for (table, key, change) in batch.iter() {
            encode(table, key, change, changes);
        }
        self.history.update(changes.get(start..).unwrap_or_default());
        if changes.len() > PENDING_BYTES_MAX {
            self.pending = None;
        }
    }

    /// Makes durable all that was noted, if there is room for it.
    pub(crate) fn sync(&mut self) -> io::Result<Synced> {
        let Some(pending) = &mut self.pending else { return Ok(Synced::NoRoom) };
        if pending.is_empty() {
            return Ok(Synced::Done);
        }
        let end = self.end + HEAD_BYTES + pending.len();
        if end > JOURNAL_BYTES_MAX {
            return Ok(Synced::NoRoom);
        }
        let length = u32::try_from(pending.len()).map_err(io::Error::other)?;
        let start = self.end - self.tail.len();
        let mut blocks = Blocks::with_room_for(end - start);
        blocks.fill([&self.tail, &self.mark, &check(&self.history), &length.to_le_bytes()[..], pending]);
        pending.clear();
        while self.bytes < end {
            self.grow()?;
        }
        let bytes = blocks.bytes_mut();
        self.file.write(start as u64, bytes)?;
        self.file.sync_data()?;
        self.tail = bytes.get(end - end % BLOCK_BYTES - start..end - start).unwrap_or_default().to_vec();
        self.end = end;
        Ok(Synced::Done)
    }

    /// The mark of the state that the database has once all that was noted is durable there.
    pub(crate) fn next_mark(&self) -> Mark {
        let mut mark = [0; MARK_BYTES];
        let mut output = self.history.finalize_xof();
        // The first bytes are the check of the last record, which must not pass for a record of the next base.
        output.set_position(MARK_BYTES as u64);
        output.fill(&mut mark);
        mark
    }

    /// Begins anew on a base that is durable in the database.
    pub(crate) fn restart(&mut self, base: Mark) {
        self.mark = base;
        self.history = blake3::Hasher::new();
        self.history.update(&base);
        self.end = 0;
        self.tail.clear();
        self.pending = Some(Vec::new());
    }

    /// Whether nothing was noted since the base.
    pub(crate) fn is_unused(&self) -> bool {
        self.end == 0 && self.pending.as_ref().is_some_and(Vec::is_empty)
    }

    /// Gives the room of the file back. Only after a [restart](Self::restart).
    pub(crate) fn empty(&mut self) -> io::Result<()> {
        if self.file.len()? > 0 {
            self.file.set_len(0)?;
        }
        self.bytes = 0;
        Ok(())
    }

    /// Zeros ahead of the records: an fsync of bytes that lengthen a file, or fill a hole of it, waits for the journal
    /// of the file system as well.
    fn grow(&mut self) -> io::Result<()> {
        let bytes = self.bytes + GROWTH_BYTES;
        if self.file.len()? < bytes as u64 {
            self.file.set_len(bytes as u64)?;
        }
        self.file.write(self.bytes as u64, Blocks::with_room_for(GROWTH_BYTES).bytes_mut())?;
        self.bytes = bytes;
        Ok(())
    }

    /// Whether a record of this base lies behind the end.
    fn is_damaged(&self, content: &[u8]) -> bool {
        let behind = content.get(self.end + 1..).unwrap_or_default();
        behind.windows(MARK_BYTES).any(|bytes| bytes == self.mark)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if let Err(error) = self.file.close() {
            tracing::warn!(%error, "the journal was not closed cleanly");
        }
    }
}

/// Zeros for whole blocks, at an address that writing around the page cache asks for.
struct Blocks {
    memory: Vec<u8>,
    range: Range<usize>,
}

impl Blocks {
    fn with_room_for(bytes: usize) -> Self {
        let bytes = bytes.next_multiple_of(BLOCK_BYTES);
        let memory = vec![0; bytes + BLOCK_BYTES];
        let start = memory.as_ptr().align_offset(BLOCK_BYTES).min(BLOCK_BYTES);
        Self { memory, range: start..start + bytes }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.range.clone()).unwrap_or_default()
    }

    /// Puts these parts one after the other at the front.
    fn fill<const N: usize>(&mut self, parts: [&[u8]; N]) {
        let mut rest = self.bytes_mut();
        for part in parts {
            let (place, after) = rest.split_at_mut(part.len());
            place.copy_from_slice(part);
            rest = after;
        }
    }
}

struct Record<'a> {
    mark: Mark,
    check: Mark,
    changes: &'a [u8],
}

impl<'a> Record<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let (mark, rest) = bytes.split_first_chunk()?;
        let (check, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        Some(Self { mark: *mark, check: *check, changes: rest.get(..length)? }).filter(|_| length > 0)
    }
}

/// The changes of a journal, in the order in which they were made.
pub(crate) fn entries(mut changes: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, StoreError>> {
    std::iter::from_fn(move || {
        if changes.is_empty() {
            return None;
        }
        let entry = split_entry(&mut changes);
        if entry.is_none() {
            changes = &[];
        }
        Some(entry.ok_or_else(|| StoreError::Corrupt {
            what: "the journal has a change that nothing wrote".into(),
        }))
    })
}

fn encode(table: Table, key: &[u8], change: &Change, out: &mut Vec<u8>) {
    let value = match change {
        Change::Put(value) => Some(value),
        Change::Delete => None,
    };
    let key_bytes = u16::try_from(key.len()).expect("the batch was checked");
    let value_bytes =
        value.map_or(DELETED, |value| u32::try_from(value.len()).expect("the batch was checked"));
    out.push(table.number());
    out.extend_from_slice(&key_bytes.to_le_bytes());
    out.extend_from_slice(&value_bytes.to_le_bytes());
    out.extend_from_slice(key);
    out.extend_from_slice(value.map(Vec::as_slice).unwrap_or_default());
}

fn split_entry<'a>(changes: &mut &'a [u8]) -> Option<Entry<'a>> {
    let (number, rest) = changes.split_first()?;
    let (key_bytes, rest) = rest.split_first_chunk()?;
    let (value_bytes, rest) = rest.split_first_chunk()?;
    let (key, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*key_bytes)))?;
    let (value, rest) = match u32::from_le_bytes(*value_bytes) {
        DELETED => (None, rest),
        bytes => {
            rest.split_at_checked(usize::try_from(bytes).ok()?).map(|(value, rest)| (Some(value), rest))?
        }
    };
    let table = Table::ALL.into_iter().find(|table| table.number() == *number)?;
    *changes = rest;
    Some((table, key, value))
}

fn check(history: &blake3::Hasher) -> Mark {
    let mut mark = [0; MARK_BYTES];
    history.finalize_xof().fill(&mut mark);
    mark
}

fn place(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(|_| ErrorKind::FileTooLarge.into())
}

const MARK_BYTES: usize = 16;
const HEAD_BYTES: usize = 2 * MARK_BYTES + size_of::<u32>();
const DELETED: u32 = u32::MAX;
/// What is written at once: no smaller than the blocks of any disk that is written around the page cache.
const BLOCK_BYTES: usize = 4096;
const GROWTH_BYTES: usize = 256 * 1024;
/// What is read of a journal file: as much as one of ours ever holds.
const CONTENT_BYTES_MAX: usize = JOURNAL_BYTES_MAX + GROWTH_BYTES;
