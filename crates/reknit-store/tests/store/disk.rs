//! A disk in memory that fills up, fails and loses power on purpose.

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
    /// What a power loss cannot take.
    synced: Vec<u8>,
    /// What reads see.
    current: Vec<u8>,
    /// Changes since the last sync, in order.
    unsynced: Vec<Change>,
    /// Writes and length changes until the fault strikes, and goes on striking.
    until_fault: Option<(u64, Fault)>,
    /// The handle that may still act. A power loss leaves earlier ones without a disk.
    epoch: u64,
    chance: ChaCha8Rng,
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

/// One opening of the disk.
#[derive(Debug)]
pub(crate) struct Handle {
    disk: SimulatedDisk,
    epoch: u64,
}

impl SimulatedDisk {
    /// An empty disk whose accidents are drawn from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            synced: Vec::new(),
            current: Vec::new(),
            unsynced: Vec::new(),
            until_fault: None,
            epoch: 0,
            chance: ChaCha8Rng::seed_from_u64(seed),
        })))
    }

    /// Opens a store on the disk as it is now.
    pub(crate) fn open(&self) -> Result<RedbStore, OpenError> {
        RedbStore::on_backend("a simulated disk", self.handle(), Options::default())
    }

    /// A back end on this disk.
    pub(crate) fn handle(&self) -> Handle {
        Handle { disk: self.clone(), epoch: self.state().epoch }
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
        let State { synced, unsynced, chance, .. } = &mut *state;
        let mut after = std::mem::take(synced);
        for change in std::mem::take(unsynced) {
            match change {
                Change::Length(bytes) if chance.random_bool(0.5) => after.resize(bytes, 0),
                Change::Length(_) => {}
                Change::Write(offset, data) => tear(&mut after, offset, &data, chance),
            }
        }
        state.synced = after.clone();
        state.current = after;
        state.until_fault = None;
        state.epoch += 1;
    }

    /// The bytes as they are now.
    pub(crate) fn content(&self) -> Vec<u8> {
        self.state().current.clone()
    }

    /// A disk with these bytes on it.
    pub(crate) fn with_content(content: Vec<u8>) -> Self {
        let disk = Self::new(0);
        disk.state().synced = content.clone();
        disk.state().current = content;
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

impl State {
    fn change(&mut self, change: Change) -> io::Result<()> {
        if let Some((left, fault)) = &mut self.until_fault {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => return Err(fault.error()),
            }
        }
        change.apply(&mut self.current)?;
        self.unsynced.push(change);
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
        Ok(self.state()?.current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let (state, start) = (self.state()?, place(offset)?);
        let end = start.checked_add(out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(state.current.get(start..end).ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.state()?.change(Change::Length(place(bytes)?))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state()?;
        if let Some((0, fault)) = state.until_fault {
            return Err(fault.error());
        }
        let state = &mut *state;
        for change in state.unsynced.drain(..) {
            change.apply(&mut state.synced)?;
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.state()?.change(Change::Write(place(offset)?, data.to_vec()))
    }
}

fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(io::Error::other)
}

const SECTOR_BYTES: usize = 512;
