//! Starting a peer.

use crate::clock::Clock;
use crate::core::{Core, Parts, Task};
use crate::ending::Ending;
use crate::error::Error;
use crate::journal::{JournalOptions, Recorded};
use crate::model::tell_of_conflicts;
use crate::network::Network;
use crate::peer::Peer;
use crate::runtime::Runtime;
use crate::streams::Streams;
use rand::rngs::SysRng;
use rand::{SeedableRng, TryRng};
use rand_chacha::ChaCha20Rng;
use reknit_engine::store::{Batch, Durability, MemoryStore, Store, StoreError, Table};
use reknit_engine::{Commits, Config, Input};
use reknit_net::{Multiaddr, Net, NetConfig};
use reknit_store::{Options, RedbStore};
use reknit_types::DeviceKey;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// How to start a [`Peer`].
#[derive(Debug, Clone)]
pub struct PeerBuilder {
    file: Option<PathBuf>,
    device_name: Option<String>,
    listen: Option<Vec<Multiaddr>>,
    bootstrap: Vec<Multiaddr>,
    network: Reach,
    durability: Durability,
    clock_offset_ms: i64,
    journal: Option<(PathBuf, JournalOptions)>,
}

/// Whom a peer can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Everyone,
    Invited,
    Loopback,
    Nobody,
}

impl PeerBuilder {
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self {
            file,
            device_name: None,
            listen: None,
            bootstrap: vec![],
            network: Reach::Everyone,
            durability: Durability::Durable,
            clock_offset_ms: 0,
            journal: None,
        }
    }

    /// What people call this device. Kept in the store; without it the name of the last start, or "peer", counts.
    #[must_use]
    pub fn device_name(mut self, name: impl Into<String>) -> Self {
        self.device_name = Some(name.into());
        self
    }

    /// No network: the peer reads and writes its store, and that is all.
    #[must_use]
    pub fn offline(mut self) -> Self {
        self.network = Reach::Nobody;
        self
    }

    /// Reaches peers on this machine only, and does not look for any: they meet by ticket.
    #[must_use]
    pub fn loopback(mut self) -> Self {
        self.network = Reach::Loopback;
        self
    }

    /// Whether to look for peers on the local network, and to be found there. It does by default.
    #[must_use]
    pub fn mdns(mut self, mdns: bool) -> Self {
        if self.network == Reach::Everyone && !mdns {
            self.network = Reach::Invited;
        }
        self
    }

    /// Where to listen, instead of every interface and ports of the system's choosing.
    #[must_use]
    pub fn listen(mut self, addresses: Vec<Multiaddr>) -> Self {
        self.listen = Some(addresses);
        self
    }

    /// Bootstrap nodes through which members find each other beyond the local network.
    #[must_use]
    pub fn bootstrap(mut self, addresses: Vec<Multiaddr>) -> Self {
        self.bootstrap = addresses;
        self
    }

    /// What a commit waits for before it is acknowledged: [`Durability::Durable`] by default.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Shifts the peer's clock.
    #[must_use]
    pub fn clock_offset_ms(mut self, offset_ms: i64) -> Self {
        self.clock_offset_ms = offset_ms;
        self
    }

    /// Keeps a journal of all that the peer is fed in `file`, for a simulator to do it again: what stalls in the field
    /// becomes a test. It is for this user alone to read and holds **secrets**, unless it is redacted; see
    /// [`JournalOptions`].
    ///
    /// What is in `file` already becomes `file.before`. A journal that can no longer be written is given up with a
    /// warning, and the peer goes on.
    #[must_use]
    pub fn journal(mut self, file: impl Into<PathBuf>, options: JournalOptions) -> Self {
        self.journal = Some((file.into(), options));
        self
    }

    /// Starts the peer. Must be called within a tokio runtime, which then carries its network.
    ///
    /// # Errors
    /// [`Error::StoreInUse`], [`Error::StoreTooNew`] and [`Error::Open`] for the store, [`Error::Net`] for the network,
    /// [`Error::Journal`] for the journal.
    pub async fn start(self) -> Result<Peer, Error> {
        let store = self.open_store()?;
        self.start_on(store).await
    }

    async fn start_on(self, mut store: Box<dyn Store>) -> Result<Peer, Error> {
        let (device, device_name) = identify(&mut *store, self.device_name.as_deref())?;
        let config = Config { device: device.clone(), device_name: device_name.clone(), rng: fresh_rng() };
        let engine = Recorded::open(config, &*store, self.journal.as_ref())?;
        let (net, events) = match self.net_config(&device) {
            Some(config) => Net::start(config).await.map(|(net, events)| (Some(net), Some(events)))?,
            None => (None, None),
        };
        let (inbox, tasks) = mpsc::channel(INBOX_MAX);
        let core = Arc::new(Core::new(Parts {
            device: device.id(),
            device_name,
            clock: Clock::shifted(self.clock_offset_ms),
            inbox,
            store: Arc::new(RwLock::new(store)),
            net: net.clone(),
        }));
        let streams = Streams::new(Arc::clone(&core), Handle::current());
        let (publications, published) = mpsc::channel(PUBLICATIONS_MAX);
        let runtime = Runtime {
            engine,
            core: Arc::clone(&core),
            inbox: tasks,
            streams: streams.clone(),
            publications,
            commits: Commits::default(),
            started: Instant::now(),
        };
        spawn_runtime(runtime)?;
        first_round(&core).await?;
        tokio::spawn(tell_of_conflicts(Arc::clone(&core)));
        if let (Some(net), Some(events)) = (net, events) {
            tokio::spawn(Network::new(Arc::clone(&core), net, streams).run(events, published));
        }
        Ok(Peer::new(core, self.durability))
    }

    fn open_store(&self) -> Result<Box<dyn Store>, Error> {
        Ok(match &self.file {
            Some(file) => Box::new(RedbStore::open(file, Options::default())?),
            None => Box::new(MemoryStore::new()),
        })
    }

    fn net_config(&self, device: &DeviceKey) -> Option<NetConfig> {
        let seed = device.seed();
        let mut config = match self.network {
            Reach::Nobody => return None,
            Reach::Loopback => NetConfig::loopback(seed),
            Reach::Everyone | Reach::Invited => NetConfig::new(seed),
        };
        config.mdns &= self.network == Reach::Everyone;
        config.bootstrap = self.bootstrap.clone();
        if let Some(listen) = &self.listen {
            config.listen = listen.clone();
        }
        Some(config)
    }
}

/// The device's key and name: those in the store, or new ones, which are stored first.
fn identify(store: &mut dyn Store, name: Option<&str>) -> Result<(DeviceKey, String), Error> {
    let stored_key = store.get(Table::Meta, DEVICE_KEY)?;
    let stored_name = store.get(Table::Meta, DEVICE_NAME)?.and_then(|name| String::from_utf8(name).ok());
    let seed = stored_key.as_deref().map(device_seed).transpose()?;
    let device =
        seed.map_or_else(|| DeviceKey::generate(&mut fresh_rng()), |seed| DeviceKey::from_seed(&seed));
    let device_name =
        name.map(str::to_owned).or_else(|| stored_name.clone()).unwrap_or_else(|| "peer".to_owned());
    if seed.is_none() || stored_name.as_ref() != Some(&device_name) {
        let mut batch = Batch::new();
        batch.put(Table::Meta, DEVICE_KEY, device.seed().to_vec());
        batch.put(Table::Meta, DEVICE_NAME, device_name.as_bytes().to_vec());
        store.commit(batch, Durability::Durable)?;
    }
    Ok((device, device_name))
}

/// A device is its key: with another one in its place, this peer would be a stranger to all its spaces.
fn device_seed(stored: &[u8]) -> Result<[u8; 32], StoreError> {
    let what = || format!("the device key has {} bytes", stored.len());
    stored.try_into().map_err(|_| StoreError::Corrupt { what: what() })
}

/// A generator seeded by the system, fresh for every start.
fn fresh_rng() -> ChaCha20Rng {
    let mut seed = [0; 32];
    SysRng.try_fill_bytes(&mut seed).expect("the system has randomness");
    ChaCha20Rng::from_seed(seed)
}

fn spawn_runtime(runtime: Runtime) -> Result<(), Error> {
    let stop = runtime.core.stop.subscribe();
    let ending = Ending::new(Arc::clone(&runtime.core));
    let clock = Builder::new_current_thread().enable_time().build();
    let clock = clock.map_err(|error| Error::Stopped(Some(error.to_string())))?;
    std::thread::Builder::new()
        .name("reknit".to_owned())
        .spawn(move || {
            // Goes last, when the inbox is closed and nothing more can be asked.
            let _ending = ending;
            clock.block_on(runtime.run(stop));
        })
        .map_err(|error| Error::Stopped(Some(error.to_string())))?;
    Ok(())
}

/// Lets the engine tell what the store holds, before anybody asks.
async fn first_round(core: &Core) -> Result<(), Error> {
    core.send(Task::Input(Input::Tick)).await?;
    let (sender, reply) = oneshot::channel();
    core.send(Task::Flush(sender)).await?;
    reply.await.map_err(|_| core.stopped())?
}

const DEVICE_KEY: &[u8] = b"device key";
const DEVICE_NAME: &[u8] = b"device name";
const INBOX_MAX: usize = 1_024;
const PUBLICATIONS_MAX: usize = 256;

#[cfg(test)]
mod tests;
