//! Disks that lose power, fill up, fail, decay and are restored from backups, under the production store.
//!
//! A [`SimulatedDisk`] has the two files of a [`RedbStore`] and outlives the stores opened on it. What goes wrong, it
//! draws from its seed: the same seed and the same operations give the same accidents.
//!
//! # What a power loss leaves
//!
//! Of each sector of [`SECTOR_BYTES`] bytes: what was there at the last sync, or what any later write made of it. Which,
//! each sector has for itself, so writes are lost, torn and reordered; in some accidents all that was written up to a
//! moment is there, in some nothing. Of a file's length likewise: what was beyond it is gone, and where it grew without
//! being written it has zeros. What was synced is there.
//!
//! # What it costs
//!
//! Content is kept in pages that nothing changes once they are written, so images, and the memory of what a page was before,
//! share them. A write copies the bytes that it is given, a sync forgets what was kept for it, a crash costs what was not synced.

mod accident;
mod file;

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use redb::StorageBackend;
use reknit_store::{OpenError, Options, RedbStore};

use accident::Reached;
use file::{File, Moment, PAGE_BYTES, Room};

pub use accident::SECTOR_BYTES;

/// A disk with the files of one store. Clones are the same disk.
#[derive(Clone)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

/// How a process ends that does not get to close its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// As by `kill -9`: what it wrote is there, though not on the platter.
    Process,
    /// The device goes off: what was not synced may be lost.
    Power,
}

/// What goes wrong with operations from some moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No room, as `ENOSPC`: no file becomes longer, and no part of one that was never written can be. What has room is
    /// written as before. A write that needs room for its end only leaves its beginning.
    Full,
    /// The next sync fails, as `EIO`, and the only one: the system takes what it could not write for written, and syncs after
    /// that succeed without writing it. Some of it is on the platter. Reads show it, or they show what is on the platter.
    SyncFails,
    /// Nothing works, as `EIO`, reads included.
    Broken,
}

/// One of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileName {
    /// The file of redb.
    Store,
    /// The journal beside it.
    Journal,
}

/// Where a bit changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flip {
    /// The file.
    pub file: FileName,
    /// The byte, from the start of the file.
    pub byte: u64,
    /// The bit, from the lowest.
    pub bit: u32,
}

/// What a disk has done so far, and how full it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Writes, changes of length and syncs, those included that failed. What [`SimulatedDisk::fail`] counts.
    pub operations: u64,
    /// Syncs that succeeded.
    pub syncs: u64,
    /// Bytes given to writes that succeeded.
    pub written_bytes: u64,
    /// Length of the file of redb.
    pub store_bytes: u64,
    /// Length of the journal.
    pub journal_bytes: u64,
}

/// What both files have on the platter at one moment: a backup, or a device's disk to be copied. Cheap to take and to keep.
#[derive(Clone)]
pub struct Image(Arc<Files>);

#[derive(Clone, Default)]
struct Files {
    store: File,
    journal: File,
}

struct State {
    files: Files,
    fault: Option<Pending>,
    capacity_bytes: Option<u64>,
    /// Counts openings and what ends them. Handles of another opening have no disk.
    opening: u64,
    /// Files of this opening that are not closed.
    open_files: u8,
    /// Changes so far.
    moment: Moment,
    counters: Counters,
    chance: ChaCha8Rng,
}

#[derive(Clone, Copy)]
struct Pending {
    fault: Fault,
    /// Operations that still succeed.
    left: u64,
}

impl SimulatedDisk {
    /// An empty disk whose accidents are drawn from `rng_seed`.
    pub fn new(rng_seed: u64) -> Self {
        Self::with_files(rng_seed, Files::default())
    }

    /// A disk with a copy of what another had, as when a device is cloned.
    pub fn from_image(rng_seed: u64, image: &Image) -> Self {
        Self::with_files(rng_seed, (*image.0).clone())
    }

    /// Opens the store on the disk as it is now, with the options of production.
    ///
    /// # Errors
    /// As for [`RedbStore::open`]: [`OpenError::AlreadyOpen`] while an earlier store is open and has not crashed.
    pub fn open(&self) -> Result<RedbStore, OpenError> {
        let [store, journal] = self.handles()?;
        RedbStore::on_backend(NAME, store, journal, Options::default())
    }

    /// Ends the process that has the disk open. What it does afterwards fails and changes nothing, so its store may be
    /// dropped at any time. Faults stay.
    ///
    /// To crash in the middle of a commit, let the disk [fail](Self::fail) as [`Fault::Broken`] there first.
    pub fn crash(&self, how: Crash) {
        let mut state = self.state();
        state.end_opening();
        if how == Crash::Power {
            state.lose_power();
        }
    }

    /// Lets `after_operations` more writes, changes of length and syncs succeed, and then none that the fault concerns, until
    /// the disk is [mended](Self::mend). Replaces an earlier fault.
    pub fn fail(&self, fault: Fault, after_operations: u64) {
        self.state().fault = Some(Pending { fault, left: after_operations });
    }

    /// Bounds the length of both files together: what would make it longer fails as `ENOSPC`.
    pub fn limit(&self, capacity_bytes: Option<u64>) {
        self.state().capacity_bytes = capacity_bytes;
    }

    /// Ends the fault and the limit: room was made, or the cable is back.
    pub fn mend(&self) {
        let mut state = self.state();
        (state.fault, state.capacity_bytes) = (None, None);
    }

    /// Whether a fault or a limit was set and is not mended.
    pub fn ails(&self) -> bool {
        let state = self.state();
        state.fault.is_some() || state.capacity_bytes.is_some()
    }

    /// Flips one bit on the platter, in a page that is not all zeros; `None` if there is no such page. An open store may
    /// have the page in memory and never see it.
    pub fn flip_bit(&self) -> Option<Flip> {
        let State { files, chance, .. } = &mut *self.state();
        let synced = files.synced();
        let pages: Vec<_> = [FileName::Store, FileName::Journal]
            .into_iter()
            .flat_map(|name| synced.get(name).pages_in_use().map(move |page| (name, page)))
            .collect();
        let (name, page) = *pages.get(chance.random_range(0..pages.len().max(1)))?;
        let start = page * PAGE_BYTES;
        let end = usize::try_from(synced.get(name).length()).ok()?.min(start + PAGE_BYTES);
        let (byte, bit) = (chance.random_range(start..end), chance.random_range(0..u8::BITS));
        files.get_mut(name).flip(byte, bit);
        Some(Flip { file: name, byte: byte as u64, bit })
    }

    /// What the platter has for sure: what was synced.
    pub fn image(&self) -> Image {
        Image(Arc::new(self.state().files.synced()))
    }

    /// Puts an older image back: a backup is restored. Ends the process that has the disk open.
    pub fn restore(&self, image: &Image) {
        let mut state = self.state();
        state.end_opening();
        state.files = (*image.0).clone();
    }

    /// What the disk has done so far.
    pub fn counters(&self) -> Counters {
        let state = self.state();
        let (store_bytes, journal_bytes) = (state.files.store.length(), state.files.journal.length());
        Counters { store_bytes, journal_bytes, ..state.counters }
    }

    fn handles(&self) -> Result<[Handle; 2], OpenError> {
        let mut state = self.state();
        if state.open_files > 0 {
            return Err(OpenError::AlreadyOpen { path: NAME.into() });
        }
        state.opening += 1;
        state.open_files = 2;
        let opening = state.opening;
        let handle = |file| Handle { disk: self.clone(), file, opening, is_closed: AtomicBool::new(false) };
        Ok([handle(FileName::Store), handle(FileName::Journal)])
    }

    fn with_files(rng_seed: u64, files: Files) -> Self {
        Self(Arc::new(Mutex::new(State {
            files,
            fault: None,
            capacity_bytes: None,
            opening: 0,
            open_files: 0,
            moment: 0,
            counters: Counters::default(),
            chance: ChaCha8Rng::seed_from_u64(rng_seed),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that failed elsewhere while it held the disk is no reason to fail here too.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Image {
    /// A disk's content made by hand.
    pub fn of_bytes(store: &[u8], journal: &[u8]) -> Self {
        Self(Arc::new(Files { store: File::of_bytes(store), journal: File::of_bytes(journal) }))
    }

    /// The bytes of one file.
    pub fn bytes(&self, file: FileName) -> Vec<u8> {
        self.0.get(file).bytes()
    }
}

impl Files {
    fn get(&self, name: FileName) -> &File {
        match name {
            FileName::Store => &self.store,
            FileName::Journal => &self.journal,
        }
    }

    fn get_mut(&mut self, name: FileName) -> &mut File {
        match name {
            FileName::Store => &mut self.store,
            FileName::Journal => &mut self.journal,
        }
    }

    fn synced(&self) -> Self {
        Self { store: self.store.synced(), journal: self.journal.synced() }
    }
}

impl State {
    fn end_opening(&mut self) {
        self.opening += 1;
        self.open_files = 0;
    }

    fn lose_power(&mut self) {
        let Self { files: Files { store, journal }, moment, chance, .. } = self;
        let oldest = store.oldest_unsynced().into_iter().chain(journal.oldest_unsynced()).min();
        let reached = Reached::draw(oldest.unwrap_or(*moment), *moment, chance);
        store.lose_power(reached, chance);
        journal.lose_power(reached, chance);
    }

    /// The fault that has struck, if any.
    fn struck(&self) -> Option<Fault> {
        self.fault.filter(|pending| pending.left == 0).map(|pending| pending.fault)
    }

    /// Counts an operation, and says what it meets.
    fn begin_operation(&mut self) -> io::Result<Option<Fault>> {
        self.counters.operations += 1;
        self.moment += 1;
        let struck = self.struck();
        if let Some(pending) = &mut self.fault {
            pending.left = pending.left.saturating_sub(1);
        }
        if struck == Some(Fault::Broken) { Err(broken()) } else { Ok(struck) }
    }

    /// Refuses a length that there is no room for.
    fn check_room(&self, name: FileName, length: u64, struck: Option<Fault>) -> io::Result<()> {
        let Files { store, journal } = &self.files;
        let growth = length.saturating_sub(self.files.get(name).length());
        let all = store.length().saturating_add(journal.length()).saturating_add(growth);
        let is_over = self.capacity_bytes.is_some_and(|capacity| all > capacity);
        if growth > 0 && (is_over || struck == Some(Fault::Full)) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

/// One opening of a file.
struct Handle {
    disk: SimulatedDisk,
    file: FileName,
    opening: u64,
    is_closed: AtomicBool,
}

impl Handle {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.opening != self.opening {
            return Err(io::Error::other("the power is off"));
        }
        if self.is_closed.load(Relaxed) {
            return Err(io::Error::other("the file was closed"));
        }
        Ok(state)
    }

    fn reading(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state()?;
        if state.struck() == Some(Fault::Broken) { Err(broken()) } else { Ok(state) }
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.reading()?.files.get(self.file).length())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.reading()?.files.get(self.file).read(offset, out)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.state()?;
        let struck = state.begin_operation()?;
        state.check_room(self.file, bytes, struck)?;
        let at = state.moment;
        state.files.get_mut(self.file).set_length(at, bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state()?;
        let fails = state.begin_operation()? == Some(Fault::SyncFails);
        let State { files, fault, counters, chance, .. } = &mut *state;
        let file = files.get_mut(self.file);
        if fails {
            *fault = None;
            file.fail_sync(chance);
            return Err(io::Error::other("the device did not write"));
        }
        file.sync();
        counters.syncs += 1;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state()?;
        let struck = state.begin_operation()?;
        state.check_room(self.file, offset.saturating_add(data.len() as u64), struck)?;
        let room = if struck == Some(Fault::Full) { Room::None } else { Room::Left };
        let at = state.moment;
        state.files.get_mut(self.file).write(at, offset, data, room)?;
        state.counters.written_bytes += data.len() as u64;
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        if !self.is_closed.swap(true, Relaxed) && state.opening == self.opening {
            state.open_files -= 1;
        }
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

impl fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimulatedDisk").field(&self.counters()).finish()
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Files { store, journal } = &*self.0;
        f.debug_struct("Image").field("store", &store.length()).field("journal", &journal.length()).finish()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("file", &self.file).field("opening", &self.opening).finish()
    }
}

fn broken() -> io::Error {
    io::Error::other("the device does not answer")
}

/// Stands for the path in errors.
const NAME: &str = "a simulated disk";

#[cfg(test)]
mod tests;
