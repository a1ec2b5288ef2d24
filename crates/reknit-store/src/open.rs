use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use redb::{
    Database, DatabaseError, Error, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, StorageBackend,
    StorageError, TableDefinition, WriteTransaction, backends::FileBackend,
};
use reknit_engine::store::StoreError;
use thiserror::Error;

use crate::{
    disk::Disk,
    fault::{Guarded, from_io, guarded, meaning},
    journal::{self, FIRST_MARK, Journal, Mark},
    tables,
};

/// The version of the file format that this build reads and writes.
pub const FORMAT: u32 = 1;

/// The page cache of a store, unless its options say otherwise. At most half of it holds pages not yet written.
pub const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// How a store is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Most bytes of the file to keep in memory. Memory is taken as pages are read and written, not at once.
    pub cache_bytes: usize,
}

/// Why a store could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process, or another handle in this one, has the file open.
    #[error(
        "{} is in use by another process: stop the peer that runs on it, or send the command to that peer",
        path.display()
    )]
    AlreadyOpen {
        /// The file.
        path: PathBuf,
    },
    /// There is no file to read.
    #[error("{} does not exist: check the path, or create a peer there first", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a Reknit store: check the path; nothing in it was changed", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer version.
    #[error(
        "{} has format {found} and this version reads up to format {supported}: update Reknit; nothing in it was changed",
        path.display()
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        found: u32,
        /// The newest format that this build reads.
        supported: u32,
    },
    /// The file was not closed cleanly, and only an opening for writing may mend that.
    #[error("{} was not closed cleanly: start the peer once, which recovers it, then read it again", path.display())]
    NeedsRecovery {
        /// The file.
        path: PathBuf,
    },
    /// The disk or the file failed.
    #[error("{} could not be opened", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: StoreError,
    },
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_bytes: CACHE_BYTES }
    }
}

/// Opens the file at `path`, creating it and the folders above it if they are missing, for their owner only.
pub(crate) fn file(path: &Path) -> Result<Disk<FileBackend>, OpenError> {
    let file = create(path, |_| {}).map_err(|error| store(path, from_io(error)))?;
    Ok(Disk::new(FileBackend::new(file).map_err(|error| refusal(path, error))?))
}

/// Opens the file of the journal of the store at `path`, which lies beside it.
pub(crate) fn journal_file(path: &Path) -> Result<Journal, OpenError> {
    let beside = journal_path(path);
    let file = create(&beside, around_cache).or_else(|error| match error.kind() {
        // Not every file system can.
        ErrorKind::InvalidInput => create(&beside, |_| {}),
        _ => Err(error),
    });
    let file = file.map_err(|error| store(&beside, from_io(error)))?;
    Ok(Journal::new(Box::new(FileBackend::new(file).map_err(|error| refusal(&beside, error))?)))
}

/// Where the journal of the store at `path` lies: the same name with `.journal` after it.
pub(crate) fn journal_path(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".journal");
    beside.into()
}

/// Opens the database on `disk`, checks that it is ours, and begins a new one if there is nothing there.
pub(crate) fn database<B: StorageBackend>(
    path: &Path,
    disk: Disk<B>,
    options: Options,
) -> Result<Guarded<Database>, OpenError> {
    let mut builder = Database::builder();
    builder.set_cache_size(options.cache_bytes);
    let shown = path.to_path_buf();
    builder.set_repair_callback(move |session| {
        tracing::info!(path = %shown.display(), progress = session.progress(), "recovering the store");
    });
    guarded_open(path, || {
        let database = Guarded::new(builder.create_with_backend(disk).map_err(|error| refusal(path, error))?);
        match found(path, &begin(path, &*database)?)? {
            Found::Ours => {}
            Found::Nothing => begin_file(&database).map_err(|error| store(path, meaning(error)))?,
        }
        Ok(database)
    })
}

/// Brings `database` to the state that was acknowledged before it was closed or killed, and `journal` with it.
pub(crate) fn recover(path: &Path, database: &Database, journal: &mut Journal) -> Result<(), OpenError> {
    let failed = |error: StoreError| store(path, error);
    let base = mark(&begin(path, database)?).map_err(|error| failed(meaning(error)))?;
    let changes = journal.take_changes(base).map_err(failed)?;
    if changes.is_empty() {
        return Ok(());
    }
    tracing::info!(path = %path.display(), bytes = changes.len(), "recovering commits from the journal");
    let entries: Vec<_> = journal::entries(&changes).collect::<Result<_, _>>().map_err(failed)?;
    let next = journal.next_mark();
    guarded(|| {
        checkpoint(database, next, |transaction| tables::replay(transaction, entries)).map_err(meaning)
    })
    .map_err(failed)?;
    journal.restart(next);
    Ok(())
}

/// Makes what `write` writes, and every earlier commit, durable in the database as the base called `mark`.
pub(crate) fn checkpoint(
    database: &Database,
    mark: Mark,
    write: impl FnOnce(&WriteTransaction) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut transaction = database.begin_write()?;
    // A second fsync, and no scan of the whole file after a kill.
    transaction.set_quick_repair(true);
    write(&transaction)?;
    transaction.open_table(MARKS)?.insert(BASE_KEY, mark)?;
    Ok(transaction.commit()?)
}

/// Opens the file at `path` for reading only.
pub(crate) fn reader(path: &Path, options: Options) -> Result<Guarded<ReadOnlyDatabase>, OpenError> {
    guarded_open(path, || {
        let database = Database::builder()
            .set_cache_size(options.cache_bytes)
            .open_read_only(path)
            .map_err(|error| refusal(path, error))?;
        let database = Guarded::new(database);
        match found(path, &begin(path, &*database)?)? {
            Found::Ours => Ok(database),
            Found::Nothing => Err(OpenError::NotAStore { path: path.into() }),
        }
    })
}

fn begin(path: &Path, database: &impl ReadableDatabase) -> Result<ReadTransaction, OpenError> {
    database.begin_read().map_err(|error| store(path, meaning(error)))
}

pub(crate) fn store(path: &Path, source: StoreError) -> OpenError {
    OpenError::Store { path: path.into(), source }
}

fn guarded_open<T>(path: &Path, open: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    match guarded(|| Ok(open())) {
        Ok(opened) => opened,
        Err(damage) => Err(store(path, damage)),
    }
}

enum Found {
    Ours,
    Nothing,
}

fn found(path: &Path, transaction: &ReadTransaction) -> Result<Found, OpenError> {
    let failed = |error: Error| store(path, meaning(error));
    match format(transaction).map_err(failed)? {
        Some(1..=FORMAT) => Ok(Found::Ours),
        Some(found) if found > FORMAT => {
            Err(OpenError::NewerFormat { path: path.into(), found, supported: FORMAT })
        }
        Some(_) => Err(OpenError::NotAStore { path: path.into() }),
        None if holds_tables(transaction).map_err(failed)? => Err(OpenError::NotAStore { path: path.into() }),
        None => Ok(Found::Nothing),
    }
}

fn format(transaction: &ReadTransaction) -> Result<Option<u32>, Error> {
    match transaction.open_table(ABOUT) {
        Ok(about) => Ok(redb::ReadableTable::get(&about, FORMAT_KEY)?.map(|version| version.value())),
        Err(redb::TableError::Storage(error)) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

fn holds_tables(transaction: &ReadTransaction) -> Result<bool, Error> {
    Ok(transaction.list_tables()?.next().is_some() || transaction.list_multimap_tables()?.next().is_some())
}

fn mark(transaction: &ReadTransaction) -> Result<Mark, Error> {
    match transaction.open_table(MARKS) {
        Ok(marks) => Ok(redb::ReadableTable::get(&marks, BASE_KEY)?.map_or(FIRST_MARK, |mark| mark.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(FIRST_MARK),
        Err(error) => Err(error.into()),
    }
}

/// The version and the tables in one commit: a file has all of them or none.
fn begin_file(database: &Database) -> Result<(), Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(ABOUT)?.insert(FORMAT_KEY, FORMAT)?;
    tables::create(&transaction)?;
    Ok(transaction.commit()?)
}

fn refusal(path: &Path, error: DatabaseError) -> OpenError {
    let path = path.to_path_buf();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::AlreadyOpen { path },
        DatabaseError::RepairAborted => OpenError::NeedsRecovery { path },
        // No release of ours ever wrote redb's older formats.
        DatabaseError::UpgradeRequired(_) => OpenError::NotAStore { path },
        DatabaseError::Storage(StorageError::Io(error)) => match error.kind() {
            ErrorKind::NotFound => OpenError::Missing { path },
            ErrorKind::InvalidData => OpenError::NotAStore { path },
            _ => OpenError::Store { path, source: from_io(error) },
        },
        error => OpenError::Store { path, source: meaning(error) },
    }
}

fn create(path: &Path, how: fn(&mut OpenOptions)) -> io::Result<File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        private_folders().create(folder)?;
    }
    let is_new = !path.try_exists()?;
    let mut options = private_file();
    how(&mut options);
    let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
    if is_new {
        sync_folder(folder.unwrap_or(Path::new(".")))?;
    }
    Ok(file)
}

#[cfg(unix)]
fn private_folders() -> DirBuilder {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
}

#[cfg(not(unix))]
fn private_folders() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    builder
}

#[cfg(unix)]
fn private_file() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(not(unix))]
fn private_file() -> OpenOptions {
    OpenOptions::new()
}

/// Writes go to the disk and not by way of the page cache: an fsync then has nothing to look for.
#[cfg(target_os = "linux")]
fn around_cache(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.custom_flags(libc::O_DIRECT);
}

#[cfg(not(target_os = "linux"))]
fn around_cache(_: &mut OpenOptions) {}

/// The name of a new file is durable only once its folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

const ABOUT: TableDefinition<'static, &'static str, u32> = TableDefinition::new("reknit");
const FORMAT_KEY: &str = "format";
const MARKS: TableDefinition<'static, &'static str, Mark> = TableDefinition::new("journal");
const BASE_KEY: &str = "base";
