use std::{
    io,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use redb::{BackendError, StorageBackend};

/// A storage back end that keeps count of its length, mends a file whose creation was cut off, and can be turned off.
///
/// redb writes its magic number last when it creates a file, and refuses a file without it. A process killed in
/// between would so leave a file that nothing opens. Such a file holds nothing, so it is emptied and begun again.
/// This happens in the first call of `len`, which redb makes with the file locked.
#[derive(Debug)]
pub(crate) struct Disk<B> {
    below: B,
    bytes: Arc<AtomicU64>,
    opened: AtomicBool,
    switch: Switch,
}

/// Turns a [`Disk`] off for good: whatever redb still writes then fails, as if the process had ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Switch(Arc<AtomicBool>);

impl Switch {
    pub(crate) fn turn_off(&self) {
        self.0.store(true, Relaxed);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Relaxed) { Err(io::Error::other("the store has stopped")) } else { Ok(()) }
    }
}

impl<B: StorageBackend> Disk<B> {
    pub(crate) fn new(below: B) -> Self {
        Self { below, bytes: Arc::default(), opened: AtomicBool::new(false), switch: Switch::default() }
    }

    /// What turns this disk off.
    pub(crate) fn switch(&self) -> Switch {
        self.switch.clone()
    }

    /// The length of the file, kept up to date.
    pub(crate) fn bytes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes)
    }

    fn holds_nothing(&self, bytes: u64) -> io::Result<bool> {
        if bytes == 0 || bytes > NEWBORN_BYTES_MAX {
            return Ok(false);
        }
        let is_zero = |start: u64, end: u64| -> io::Result<bool> {
            let length = end.min(bytes).saturating_sub(start);
            let mut part = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            self.below.read(start.min(bytes), &mut part)?;
            Ok(part.iter().all(|byte| *byte == 0))
        };
        Ok(is_zero(0, MAGIC_BYTES)? && is_zero(HEADER_BYTES, bytes)?)
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
        self.switch.check()?;
        self.below.set_len(bytes)?;
        self.bytes.store(bytes, Relaxed);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.switch.check()?;
        self.below.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.switch.check()?;
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
const MAGIC_BYTES: u64 = 9;

/// redb's header: of a new file, all that is not zero.
const HEADER_BYTES: u64 = 512;

/// A file longer than this was past its creation. redb creates files of a little over 1 MiB.
const NEWBORN_BYTES_MAX: u64 = 8 * 1024 * 1024;
