use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use redb::{Database, ReadOnlyDatabase, ReadableDatabase, StorageBackend};
use reknit_engine::store::{Batch, Direction, Durability, KeyRange, Reads, Store, StoreError, Table, Visit};

use crate::{
    disk::{Disk, Switch},
    fault::{Guarded, from_io, guarded, meaning},
    journal::{Journal, Synced},
    open::{self, OpenError, Options},
    tables::{self, Tables},
};

/// Most bytes of fast commits that may wait for a durable one. The fast commit that passes it is made durable.
pub const FAST_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A file up to this size is compacted before it is closed, if at least one part in so many is unused.
const TIDY_BYTES_MAX: u64 = 64 * 1024 * 1024;
const TIDY_UNUSED_PART: u64 = 4;

/// The store of a peer: a redb file that no other process may open meanwhile, and the journal beside it.
///
/// Dropping it leaves all in the redb file, ready for an opening that needs no recovery, and the journal empty.
/// Snapshots still held then answer [`StoreError::Closed`].
pub struct RedbStore {
    database: Guarded<Database>,
    path: PathBuf,
    bytes: Arc<AtomicU64>,
    switch: Switch,
    journal: Journal,
    /// The state of the last commit, opened by the first read after it. Never held across a commit, which could
    /// then not reuse the pages it frees.
    last: OnceLock<Tables>,
    writing: Writing,
}

/// A store opened for reading only, by any number of processes while none writes.
pub struct RedbReader {
    tables: Tables,
    path: PathBuf,
    /// Closes the file when it goes, and with it the tables.
    _database: Guarded<ReadOnlyDatabase>,
}

/// How large a store is. All in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Length of the file.
    pub file_bytes: u64,
    /// Keys and values.
    pub live_bytes: u64,
    /// What the trees need beside them: branches, page headers, and room left in pages.
    pub tree_bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    Open { fast_bytes: usize },
    Stopped,
}

impl RedbStore {
    /// Opens the store at `path`, or creates it, and the folders above it, for their owner only.
    ///
    /// # Errors
    /// [`OpenError`], each with what to do about it. Nothing in a file that is refused is changed.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let file = open::file(path)?;
        Self::on_disk(path, file, open::journal_file(path)?, options)
    }

    /// Opens the store on two files of the caller's, or creates it there: those of a simulated disk, say.
    ///
    /// # Errors
    /// As for [`RedbStore::open`]; `name` stands for the path in them.
    pub fn on_backend(
        name: impl AsRef<Path>,
        file: impl StorageBackend,
        journal: impl StorageBackend,
        options: Options,
    ) -> Result<Self, OpenError> {
        Self::on_disk(name.as_ref(), Disk::new(file), Journal::new(Box::new(journal)), options)
    }

    /// Opens the store at `path` for reading only, beside other readers but not beside a writer.
    ///
    /// # Errors
    /// As for [`RedbStore::open`], and [`OpenError::Missing`] and [`OpenError::NeedsRecovery`].
    pub fn read_only(path: impl AsRef<Path>, options: Options) -> Result<RedbReader, OpenError> {
        let path = path.as_ref();
        let database = open::reader(path, options)?;
        let tables = last_commit(&*database).map_err(|error| open::store(path, error))?;
        Ok(RedbReader { tables, path: path.into(), _database: database })
    }

    /// Where the store is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How large the store is. Visits every page.
    ///
    /// # Errors
    /// As for [`Reads::with`].
    pub fn stats(&self) -> Result<Stats, StoreError> {
        Stats::of(self.last()?, self.bytes.load(Relaxed))
    }

    /// Moves what is live to the front of the file and cuts off the rest; `false` if nothing could be moved. Takes
    /// a few passes over the file, and blocks meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while a snapshot is held, which harms nothing; else as for [`Store::commit`].
    pub fn compact(&mut self) -> Result<bool, StoreError> {
        self.settle()?;
        self.last.take();
        match guarded(|| self.database.compact().map_err(meaning)) {
            Ok(compacted) => Ok(compacted),
            Err(busy @ StoreError::Busy { .. }) => Err(busy),
            Err(error) => Err(self.stop(error)),
        }
    }

    fn on_disk<B: StorageBackend>(
        path: &Path,
        disk: Disk<B>,
        mut journal: Journal,
        options: Options,
    ) -> Result<Self, OpenError> {
        let (bytes, switch) = (disk.bytes(), disk.switch());
        let database = open::database(path, disk, options)?;
        open::recover(path, &database, &mut journal)?;
        tracing::debug!(path = %path.display(), bytes = bytes.load(Relaxed), "opened the store");
        Ok(Self {
            database,
            path: path.into(),
            bytes,
            switch,
            journal,
            last: OnceLock::new(),
            writing: Writing::Open { fast_bytes: 0 },
        })
    }

    fn last(&self) -> Result<&Tables, StoreError> {
        match self.last.get() {
            Some(last) => Ok(last),
            None => {
                let tables = last_commit(&*self.database)?;
                Ok(self.last.get_or_init(|| tables))
            }
        }
    }

    /// Commits to the database, to last as long as this process. What makes it durable is the journal.
    fn write(&self, batch: &Batch) -> Result<(), redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(redb::Durability::None)?;
        tables::write(&transaction, batch)?;
        Ok(transaction.commit()?)
    }

    /// Commits to the database durably, with all that came before, and begins the journal anew.
    fn checkpoint(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mark = self.journal.next_mark();
        guarded(|| {
            open::checkpoint(&self.database, mark, |transaction| tables::write(transaction, batch))
                .map_err(meaning)
        })?;
        self.journal.restart(mark);
        self.writing = Writing::Open { fast_bytes: 0 };
        Ok(())
    }

    fn on_commit(
        &mut self,
        batch: &Batch,
        durability: Durability,
        then: &mut dyn FnMut(),
    ) -> Result<(), StoreError> {
        let Writing::Open { fast_bytes } = self.writing else { return Err(StoreError::Stopped) };
        batch.check()?;
        self.journal.note(batch);
        let (synced, fast_bytes) = match durability {
            Durability::Durable => (self.journal.sync().map_err(from_io)?, 0),
            Durability::Fast => {
                let fast_bytes = fast_bytes + FAST_COMMIT_BYTES + batch.bytes();
                (if fast_bytes > FAST_BYTES_MAX { Synced::NoRoom } else { Synced::Done }, fast_bytes)
            }
        };
        match (synced, durability) {
            (Synced::NoRoom, _) => {
                self.checkpoint(batch)?;
                then();
                return Ok(());
            }
            (Synced::Done, Durability::Durable) => {
                then();
                guarded(|| self.write(batch).map_err(meaning))?;
            }
            (Synced::Done, Durability::Fast) => {
                guarded(|| self.write(batch).map_err(meaning))?;
                then();
            }
        }
        self.writing = Writing::Open { fast_bytes };
        Ok(())
    }

    /// Leaves nothing in the journal that the database does not have.
    fn settle(&mut self) -> Result<(), StoreError> {
        match self.writing {
            Writing::Open { .. } if self.journal.is_unused() => Ok(()),
            Writing::Open { .. } => self.checkpoint(&Batch::new()).map_err(|error| self.stop(error)),
            Writing::Stopped => Err(StoreError::Stopped),
        }
    }

    /// From here on the database must not become durable: it may have some of what the journal has not, and the
    /// journal's changes would then go on top of later ones.
    fn stop(&mut self, error: StoreError) -> StoreError {
        self.switch.turn_off();
        tracing::error!(path = %self.path.display(), %error, "the store takes no more commits until it is reopened");
        self.writing = Writing::Stopped;
        error
    }
}

impl Reads for RedbStore {
    fn with(&self, table: Table, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, StoreError> {
        self.last()?.with(table, key, visit)
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange<'_>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.last()?.scan(table, range, direction, visit)
    }
}

impl Store for RedbStore {
    fn commit(&mut self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        self.commit_then(batch, durability, &mut || {})
    }

    /// What the journal has is durable, so `then` need not wait for the database.
    fn commit_then(
        &mut self,
        batch: Batch,
        durability: Durability,
        then: &mut dyn FnMut(),
    ) -> Result<(), StoreError> {
        self.last.take();
        self.on_commit(&batch, durability, then).map_err(|error| self.stop(error))
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        match self.writing {
            Writing::Open { fast_bytes: 0 } => Ok(()),
            Writing::Open { .. } => match self.journal.sync() {
                Ok(Synced::Done) => {
                    self.writing = Writing::Open { fast_bytes: 0 };
                    Ok(())
                }
                Ok(Synced::NoRoom) => self.checkpoint(&Batch::new()).map_err(|error| self.stop(error)),
                Err(error) => Err(self.stop(from_io(error))),
            },
            Writing::Stopped => Err(StoreError::Stopped),
        }
    }

    /// Compacts a small file of which a good part is unused. A large one would take long; that is left to
    /// [`RedbStore::compact`].
    fn tidy(&mut self) -> Result<(), StoreError> {
        self.settle()?;
        // Before the statistics, which visit every page.
        if self.bytes.load(Relaxed) > TIDY_BYTES_MAX {
            return Ok(());
        }
        let Stats { file_bytes, live_bytes, tree_bytes } = self.stats()?;
        let used = live_bytes + tree_bytes;
        if file_bytes < used + used / TIDY_UNUSED_PART {
            return Ok(());
        }
        match self.compact() {
            Ok(_) | Err(StoreError::Busy { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn snapshot(&self) -> Result<Box<dyn Reads + Send + Sync>, StoreError> {
        Ok(Box::new(last_commit(&*self.database)?))
    }
}

impl RedbReader {
    /// How large the store is. Visits every page.
    ///
    /// # Errors
    /// As for [`Reads::with`].
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let file_bytes = std::fs::metadata(&self.path).map_err(from_io)?.len();
        Stats::of(&self.tables, file_bytes)
    }
}

impl Reads for RedbReader {
    fn with(&self, table: Table, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, StoreError> {
        self.tables.with(table, key, visit)
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange<'_>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.tables.scan(table, range, direction, visit)
    }
}

impl Stats {
    fn of(tables: &Tables, file_bytes: u64) -> Result<Self, StoreError> {
        let mut stats = Self { file_bytes, live_bytes: 0, tree_bytes: 0 };
        for tree in tables.stats()? {
            stats.live_bytes += tree.stored_bytes();
            stats.tree_bytes += tree.metadata_bytes() + tree.fragmented_bytes();
        }
        Ok(stats)
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        self.last.take();
        // A failure stopped the store and was logged; the journal then has what the database lacks.
        if matches!(self.writing, Writing::Open { .. })
            && self.settle().is_ok()
            && let Err(error) = self.journal.empty()
        {
            tracing::warn!(path = %self.path.display(), %error, "could not give back the room of the journal");
        }
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore")
            .field("path", &self.path)
            .field("writing", &self.writing)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RedbReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbReader").field("path", &self.path).finish_non_exhaustive()
    }
}

fn last_commit(database: &impl ReadableDatabase) -> Result<Tables, StoreError> {
    guarded(|| Tables::open(&database.begin_read().map_err(meaning)?).map_err(meaning))
}

/// What redb remembers of a fast commit, beside its bytes, until a durable one: a few freed and allocated pages.
const FAST_COMMIT_BYTES: usize = 512;
