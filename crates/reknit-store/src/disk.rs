use std::{
    io,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use redb::{BackendError, StorageBackend};

/// A storage back end that keeps count of its length and mends a file whose creation was cut off.
///
/// redb writes its magic number last when it creates a file, and refuses a file without it. A process killed in
/// between would so leave a file that nothing opens. Such a file holds nothing, so it is emptied and begun again.
/// This happens in the first call of `len`, which redb makes with the file locked.
#[derive(Debug)]
pub(crate) struct Disk<B> {
    below: B,
    bytes: Arc<AtomicU64>,
    opened: AtomicBool,
}

impl<B: StorageBackend> Disk<B> {
    pub(crate) fn new(below: B) -> Self {
        Self { below, bytes: Arc::default(), opened: AtomicBool::new(false) }
    }

    /// The length of the file, kept up to date.
    pub(crate) fn bytes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes)
    }

    fn holds_nothing(&self, bytes: u64) -> io::Result<bool> {
        if bytes == 0 || bytes > NEWBORN_BYTES_MAX {
            return Ok(false);
        }
        let mut content = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
        self.below.read(0, &mut content)?;
        let zero = |part: Option<&[u8]>| part.is_none_or(|part| part.iter().all(|byte| *byte == 0));
        Ok(zero(content.get(..MAGIC_BYTES)) && zero(content.get(HEADER_BYTES..)))
    }
}

impl<B: StorageBackend> StorageBackend for Disk<B> {
    fn len(&self) -> io::Result<u64> {
        let mut bytes = self.below.len()?;
        if !self.opened.swap(true, Relaxed) && self.holds_nothing(bytes)? {
            self.below.set_len(0)?;
            bytes = 0;
        }
        self.bytes.store(bytes, Relaxed);
        Ok(bytes)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.below.read(offset, out)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.below.set_len(bytes)?;
        self.bytes.store(bytes, Relaxed);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.below.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.below.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.below.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.query_lock_range(start, end)
    }
}

/// redb's magic number (its design document, "Super-header").
const MAGIC_BYTES: usize = 9;

/// redb's header: of a new file, all that is not zero.
const HEADER_BYTES: usize = 512;

/// A file longer than this was past its creation. redb creates files of a little over 1 MiB.
const NEWBORN_BYTES_MAX: u64 = 8 * 1024 * 1024;
