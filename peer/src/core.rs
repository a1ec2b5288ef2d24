//! What the handles of a peer share with its runtime.

use crate::clock::Clock;
use crate::error::Error;
use crate::events::PeerEvent;
use reknit_engine::store::{Reads, Store, StoreError};
use reknit_engine::{Committed, EngineError, Input, Reply, RequestId, SpaceInfo, SpaceNo};
use reknit_net::{Multiaddr, Net, Transport};
use reknit_types::DeviceId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// What is put into the runtime's inbox.
pub(crate) enum Task {
    /// For the engine.
    Input(Input),
    /// Remember where a device was last seen.
    Remember(DeviceId, Vec<Multiaddr>),
    /// Draw an identity for a long transaction.
    Identity(oneshot::Sender<(reknit_crdt::Identity, rand_chacha::ChaCha20Rng)>),
    /// Make every commit so far durable.
    Flush(oneshot::Sender<Result<(), Error>>),
}

/// A connection with another device.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub(crate) addr: Multiaddr,
    pub(crate) transport: Transport,
}

/// Shared by all handles and tasks of one peer.
pub(crate) struct Core {
    pub(crate) device: DeviceId,
    pub(crate) device_name: String,
    pub(crate) clock: Clock,
    pub(crate) inbox: mpsc::Sender<Task>,
    pub(crate) store: Arc<RwLock<Box<dyn Store>>>,
    pub(crate) net: Option<Net>,
    pub(crate) spaces: RwLock<BTreeMap<SpaceNo, Arc<SpaceInfo>>>,
    pub(crate) connections: RwLock<BTreeMap<DeviceId, Connection>>,
    pub(crate) mdns_problem: Mutex<Option<String>>,
    pub(crate) committed: broadcast::Sender<Arc<Committed>>,
    pub(crate) events: broadcast::Sender<PeerEvent>,
    /// The peer is to stop.
    pub(crate) stop: watch::Sender<bool>,
    /// The runtime has ended and the store is closed.
    pub(crate) ended: watch::Sender<bool>,
    pub(crate) failure: Mutex<Option<String>>,
    replies: Mutex<BTreeMap<RequestId, oneshot::Sender<Result<Reply, EngineError>>>>,
    requests: AtomicU64,
}

/// What a core is made of.
pub(crate) struct Parts {
    pub(crate) device: DeviceId,
    pub(crate) device_name: String,
    pub(crate) clock: Clock,
    pub(crate) inbox: mpsc::Sender<Task>,
    pub(crate) store: Arc<RwLock<Box<dyn Store>>>,
    pub(crate) net: Option<Net>,
}

impl Core {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { device, device_name, clock, inbox, store, net } = parts;
        Self {
            device,
            device_name,
            clock,
            inbox,
            store,
            net,
            spaces: RwLock::default(),
            connections: RwLock::default(),
            mdns_problem: Mutex::default(),
            committed: broadcast::channel(CHANGES_KEPT).0,
            events: broadcast::channel(EVENTS_KEPT).0,
            stop: watch::channel(false).0,
            ended: watch::channel(false).0,
            failure: Mutex::default(),
            replies: Mutex::default(),
            requests: AtomicU64::new(1),
        }
    }

    /// Puts a request into the inbox and waits for its reply. Dropping the future drops the reply, not the request.
    pub(crate) async fn ask(&self, input: impl FnOnce(RequestId) -> Input) -> Result<Reply, Error> {
        let request = RequestId(self.requests.fetch_add(1, Ordering::Relaxed));
        let (sender, reply) = oneshot::channel();
        locked(&self.replies).insert(request, sender);
        let pending = Pending { core: self, request };
        self.send(Task::Input(input(request))).await?;
        let reply = reply.await.map_err(|_| self.stopped())?;
        drop(pending);
        Ok(reply?)
    }

    /// Puts a task into the inbox. While there is room it is there after the first poll, so what one task of the app
    /// asks for first is done first; waiting for room is subject to the scheduler's whims.
    pub(crate) async fn send(&self, task: Task) -> Result<(), Error> {
        match self.inbox.try_send(task) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(task)) => self.inbox.send(task).await.map_err(|_| self.stopped()),
            Err(TrySendError::Closed(_)) => Err(self.stopped()),
        }
    }

    pub(crate) fn reply(&self, request: RequestId, reply: Result<Reply, EngineError>) {
        if let Some(sender) = locked(&self.replies).remove(&request) {
            // The one who asked may have gone.
            let _ = sender.send(reply);
        }
    }

    /// Nobody will be answered any more.
    pub(crate) fn drop_replies(&self) {
        locked(&self.replies).clear();
    }

    pub(crate) fn stopped(&self) -> Error {
        Error::Stopped(locked(&self.failure).clone())
    }

    /// A consistent view of the last commit.
    pub(crate) fn snapshot(&self) -> Result<Box<dyn Reads + Send + Sync>, Error> {
        match self.store.read().unwrap_or_else(PoisonError::into_inner).snapshot() {
            Err(StoreError::Closed) => Err(self.stopped()),
            snapshot => Ok(snapshot?),
        }
    }

    pub(crate) fn space_infos(&self) -> Vec<Arc<SpaceInfo>> {
        self.spaces.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn space_info(&self, no: SpaceNo) -> Option<Arc<SpaceInfo>> {
        self.spaces.read().unwrap_or_else(PoisonError::into_inner).get(&no).cloned()
    }

    /// Notes a connection. `true` if it is the first with the device.
    pub(crate) fn connect(&self, device: DeviceId, connection: Connection) -> bool {
        let mut connections = self.connections.write().unwrap_or_else(PoisonError::into_inner);
        connections.insert(device, connection).is_none()
    }

    pub(crate) fn disconnect(&self, device: &DeviceId) {
        self.connections.write().unwrap_or_else(PoisonError::into_inner).remove(device);
    }

    pub(crate) fn tell(&self, event: PeerEvent) {
        // Nobody may be listening.
        let _ = self.events.send(event);
    }
}

/// Forgets a request whose asker went away before the reply came.
struct Pending<'a> {
    core: &'a Core,
    request: RequestId,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if locked(&self.core.replies).remove(&self.request).is_some() {
            // A hint: when the inbox is full, the reply finds nobody.
            let _ = self.core.inbox.try_send(Task::Input(Input::Forget { request: self.request }));
        }
    }
}

/// A panic elsewhere does not take the data behind a lock with it.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes kept for a slow watcher before it is told how many it missed.
const CHANGES_KEPT: usize = 16_384;
const EVENTS_KEPT: usize = 1_024;
