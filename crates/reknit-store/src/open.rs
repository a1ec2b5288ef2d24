use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use redb::{
    Database, DatabaseError, Error, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, StorageBackend,
    StorageError, TableDefinition, backends::FileBackend,
};
use reknit_engine::store::StoreError;
use thiserror::Error;

use crate::{
    disk::Disk,
    fault::{Guarded, from_io, guarded, meaning},
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
    /// What a kill costs the next opening.
    pub recovery: Recovery,
}

/// What a kill, as opposed to a close, costs the next opening, and what sparing that costs each durable commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// The next opening reads the whole file. Commits cost nothing more.
    Scan,
    /// The next opening costs what it costs after a close. Each durable commit costs a second fsync and about
    /// twice the CPU.
    Quick,
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
        Self { cache_bytes: CACHE_BYTES, recovery: Recovery::Scan }
    }
}

/// Opens the file at `path`, creating it and the folders above it if they are missing, for their owner only.
pub(crate) fn file(path: &Path) -> Result<Disk<FileBackend>, OpenError> {
    let file = create(path).map_err(|error| store(path, from_io(error)))?;
    Ok(Disk::with_holes_filled(FileBackend::new(file).map_err(|error| refusal(path, error))?))
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

fn create(path: &Path) -> io::Result<File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        private_folders().create(folder)?;
    }
    let is_new = !path.try_exists()?;
    let file = private_file().read(true).write(true).create(true).truncate(false).open(path)?;
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
