//! A disk of two files in memory that fills up, fails and loses power on purpose.

use std::{
    io::{self, ErrorKind},
    sync::{Arc, Mutex, MutexGuard},
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use redb::StorageBackend;
use reknit_store::{OpenError, Options, RedbStore};

/// A disk that outlives the stores opened on it. Writes not yet synced are kept apart until they are.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    store: Content,
    journal: Content,
    /// Writes and length changes until the fault strikes, and goes on striking.
    until_fault: Option<(u64, Fault)>,
    /// The handle that may still act. A power loss leaves earlier ones without a disk.
    epoch: u64,
    chance: ChaCha8Rng,
}

#[derive(Clone, Debug, Default)]
struct Content {
    /// What a power loss cannot take.
    synced: Vec<u8>,
    /// What reads see.
    current: Vec<u8>,
    /// Changes since the last sync, in order.
    unsynced: Vec<Change>,
}

/// The files of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Store,
    Journal,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No room, as `ENOSPC`.
    Full,
    /// A broken device, as `EIO`.
    Broken,
}

/// One opening of a file.
#[derive(Debug)]
pub(crate) struct Handle {
    disk: SimulatedDisk,
    name: Name,
    epoch: u64,
}

impl SimulatedDisk {
    /// An empty disk whose accidents are drawn from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            store: Content::default(),
            journal: Content::default(),
            until_fault: None,
            epoch: 0,
            chance: ChaCha8Rng::seed_from_u64(seed),
        })))
    }

    /// Opens a store on the disk as it is now.
    pub(crate) fn open(&self) -> Result<RedbStore, OpenError> {
        let (store, journal) = (self.handle(Name::Store), self.handle(Name::Journal));
        RedbStore::on_backend("a simulated disk", store, journal, Options::default())
    }

    fn handle(&self, name: Name) -> Handle {
        Handle { disk: self.clone(), name, epoch: self.state().epoch }
    }

    /// Lets `operations` more succeed, then none.
    pub(crate) fn fail_after(&self, operations: u64, fault: Fault) {
        self.state().until_fault = Some((operations, fault));
    }

    /// Ends the fault: room was made, or the cable is back.
    pub(crate) fn mend(&self) {
        self.state().until_fault = None;
    }

    /// Cuts the power. Of what was not synced, any part may have reached the disk: in any order, torn at sectors.
    pub(crate) fn lose_power(&self) {
        let mut state = self.state();
        let State { store, journal, chance, .. } = &mut *state;
        store.lose_power(chance);
        journal.lose_power(chance);
        state.until_fault = None;
        state.epoch += 1;
    }

    /// The bytes of a file as they are now.
    pub(crate) fn content(&self, name: Name) -> Vec<u8> {
        self.state().file(name).current.clone()
    }

    /// A disk with these bytes on it.
    pub(crate) fn with_content(store: Vec<u8>, journal: Vec<u8>) -> Self {
        let disk = Self::new(0);
        for (name, content) in [(Name::Store, store), (Name::Journal, journal)] {
            let mut state = disk.state();
            let file = state.file(name);
            (file.synced, file.current) = (content.clone(), content);
        }
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds the disk")
    }
}

fn tear(after: &mut Vec<u8>, offset: usize, data: &[u8], chance: &mut ChaCha8Rng) {
    let whole = chance.random_bool(0.3);
    for (index, sector) in data.chunks(SECTOR_BYTES).enumerate() {
        if whole || chance.random_bool(0.5) {
            let start = offset + index * SECTOR_BYTES;
            let end = start + sector.len();
            after.resize(after.len().max(end), 0);
            after[start..end].copy_from_slice(sector);
        }
    }
}

impl Content {
    fn lose_power(&mut self, chance: &mut ChaCha8Rng) {
        for change in std::mem::take(&mut self.unsynced) {
            match change {
                Change::Length(bytes) if chance.random_bool(0.5) => self.synced.resize(bytes, 0),
                Change::Length(_) => {}
                Change::Write(offset, data) => tear(&mut self.synced, offset, &data, chance),
            }
        }
        self.current = self.synced.clone();
    }
}

impl State {
    fn file(&mut self, name: Name) -> &mut Content {
        match name {
            Name::Store => &mut self.store,
            Name::Journal => &mut self.journal,
        }
    }

    fn change(&mut self, name: Name, change: Change) -> io::Result<()> {
        if let Some((left, fault)) = &mut self.until_fault {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => return Err(fault.error()),
            }
        }
        let file = self.file(name);
        change.apply(&mut file.current)?;
        file.unsynced.push(change);
        Ok(())
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Length(bytes) => content.resize(*bytes, 0),
            Self::Write(offset, data) => {
                let place = content.get_mut(*offset..offset + data.len());
                place.ok_or(ErrorKind::UnexpectedEof)?.copy_from_slice(data);
            }
        }
        Ok(())
    }
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::Full => ErrorKind::StorageFull.into(),
            Self::Broken => io::Error::other("the device does not answer"),
        }
    }
}

impl Handle {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        if state.epoch == self.epoch { Ok(state) } else { Err(io::Error::other("the power is off")) }
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state()?.file(self.name).current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (mut state, start) = (self.state()?, place(offset)?);
        let end = start.checked_add(out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(state.file(self.name).current.get(start..end).ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.state()?.change(self.name, Change::Length(place(bytes)?))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state()?;
        if let Some((0, fault)) = state.until_fault {
            return Err(fault.error());
        }
        let file = state.file(self.name);
        for change in file.unsynced.drain(..) {
            change.apply(&mut file.synced)?;
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.state()?.change(self.name, Change::Write(place(offset)?, data.to_vec()))
    }
}

fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(io::Error::other)
}

const SECTOR_BYTES: usize = 512;
