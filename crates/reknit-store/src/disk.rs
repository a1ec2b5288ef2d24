use std::{
    io,
    ops::Bound,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use redb::{BackendError, StorageBackend};

/// A storage back end that keeps count of its length, mends a file whose creation was cut off, and can be turned off.
///
/// redb writes its magic number last when it creates a file, and refuses a file without it. A process killed in
/// between would so leave a file that nothing opens. Such a file holds nothing, so it is emptied and begun again.
/// This happens in the first call of `len`, which redb makes with the file locked.
///
/// After a failed sync, systems take for written what they could not write: reads show it from the page cache, and no
/// later sync writes it. redb commits in one phase while it compacts, and would, opened again, believe a header that
/// names pages which go with the next power loss. So the header of the last good sync is put back.
#[derive(Debug)]
pub(crate) struct Disk<B> {
    below: B,
    header: Mutex<Header>,
    bytes: Arc<AtomicU64>,
    opened: AtomicBool,
    switch: Switch,
}

/// The first bytes of the file. Empty until there are some.
#[derive(Debug, Default)]
struct Header {
    written: Vec<u8>,
    synced: Vec<u8>,
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
        Self {
            below,
            header: Mutex::default(),
            bytes: Arc::default(),
            opened: AtomicBool::new(false),
            switch: Switch::default(),
        }
    }

    /// What turns this disk off.
    pub(crate) fn switch(&self) -> Switch {
        self.switch.clone()
    }

    /// The length of the file, kept up to date.
    pub(crate) fn bytes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.bytes)
    }

    fn with_header(&self, then: impl FnOnce(&mut Header)) {
        then(&mut self.header.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// As far as the disk still works. What failed is reported in any case.
    fn put_header_back(&self) {
        self.with_header(|header| {
            if !header.synced.is_empty() && header.synced != header.written {
                let outcome = self.below.write(0, &header.synced).and_then(|()| self.below.sync_data());
                if let Err(error) = outcome {
                    tracing::warn!(%error, "could not put the header of the last good sync back");
                }
            }
        });
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
        if !self.opened.swap(true, Relaxed) {
            if self.holds_nothing(bytes)? {
                self.below.set_len(0)?;
                bytes = 0;
            }
            let mut header = vec![0; if bytes < HEADER_BYTES { 0 } else { HEADER_PLACE }];
            self.below.read(0, &mut header)?;
            self.with_header(|kept| *kept = Header { written: header.clone(), synced: header });
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
        let outcome = self.below.sync_data();
        match &outcome {
            Ok(()) => self.with_header(|header| header.synced.clone_from(&header.written)),
            Err(_) => self.put_header_back(),
        }
        outcome
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.switch.check()?;
        self.below.write(offset, data)?;
        // redb writes its header as a whole.
        if offset == 0 {
            let header = data.get(..HEADER_PLACE).unwrap_or(data);
            self.with_header(|kept| kept.written = header.to_vec());
        }
        Ok(())
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
const HEADER_PLACE: usize = 512;

/// A file longer than this was past its creation. redb creates files of a little over 1 MiB.
const NEWBORN_BYTES_MAX: u64 = 8 * 1024 * 1024;
