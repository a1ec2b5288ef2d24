//! The handle of a peer.

use crate::builder::PeerBuilder;
use crate::core::{Core, Task, locked};
use crate::ending::UntilEnded;
use crate::error::Error;
use crate::events::PeerEvent;
use crate::network::transport_text;
use crate::space::Space;
use crate::status::{NetworkStatus, PeerInfo, PeerStatus};
use futures::Stream;
use reknit_access::Ticket;
use reknit_engine::store::Durability;
use reknit_engine::{Input, Reply, SpaceNo};
use reknit_net::{Multiaddr, Net, device_of};
use reknit_types::{DeviceId, SpaceId};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::BroadcastStream;

/// A peer: one full node with its own store. Cheap to clone; when the last handle (of the peer or a space) is dropped,
/// the peer stops. [`Peer::shutdown`] stops it and waits until it has.
#[derive(Clone)]
pub struct Peer {
    pub(crate) owner: Arc<Owner>,
}

/// Held by every handle of a peer.
pub(crate) struct Owner {
    pub(crate) core: Arc<Core>,
    pub(crate) durability: Durability,
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Nobody can use the peer any more.
        self.core.stop.send_replace(true);
    }
}

impl Peer {
    /// A peer over the store in `file`, which is created with the folders above it if it is not there.
    pub fn builder(file: impl Into<PathBuf>) -> PeerBuilder {
        PeerBuilder::new(Some(file.into()))
    }

    /// A peer whose store is in memory and gone with it: for tests and trials.
    pub fn ephemeral() -> PeerBuilder {
        PeerBuilder::new(None)
    }

    pub(crate) fn new(core: Arc<Core>, durability: Durability) -> Self {
        Self { owner: Arc::new(Owner { core, durability }) }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.owner.core
    }

    /// This device.
    pub fn id(&self) -> DeviceId {
        self.core().device
    }

    /// What people call this device.
    pub fn device_name(&self) -> String {
        self.core().device_name.clone()
    }

    /// Founds a space.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] if the name is too long or empty; [`Error::Stopped`].
    pub async fn create_space(&self, name: &str) -> Result<Space, Error> {
        let name = name.to_owned();
        match self.core().ask(|request| Input::Create { request, name }).await? {
            Reply::Space(no) => self.space_numbered(no),
            other => Err(unexpected(&other)),
        }
    }

    /// Becomes a member of a space: reaches one of the peers that the ticket names, or any member, fetches the history
    /// and writes the join. Waits as long as it takes; a join under way goes on after a restart.
    ///
    /// # Errors
    /// [`Error::Offline`]; [`Error::NotPermitted`] if the invite has expired or is not valid; [`Error::Stopped`].
    pub async fn join(&self, ticket: &Ticket) -> Result<Space, Error> {
        self.net()?;
        let ticket = Box::new(ticket.clone());
        match self.core().ask(|request| Input::Join { request, ticket }).await? {
            Reply::Space(no) => self.space_numbered(no),
            other => Err(unexpected(&other)),
        }
    }

    /// Every space this peer holds.
    pub fn spaces(&self) -> Vec<Space> {
        self.core().space_infos().into_iter().map(|info| Space::new(self.clone(), info.no, info.id)).collect()
    }

    /// The space with this id.
    pub fn space(&self, id: SpaceId) -> Option<Space> {
        self.spaces().into_iter().find(|space| space.id() == id)
    }

    /// The space with this name, or whose id begins so.
    ///
    /// # Errors
    /// [`Error::NoSuchSpace`] and [`Error::AmbiguousSpace`].
    pub fn space_named(&self, text: &str) -> Result<Space, Error> {
        let spaces = self.spaces();
        let named: Vec<_> = spaces.iter().filter(|space| space.name() == text).collect();
        let by_id =
            || spaces.iter().filter(|space| !text.is_empty() && space.id().to_string().starts_with(text));
        let found: Vec<&Space> = if named.is_empty() { by_id().collect() } else { named };
        match found.as_slice() {
            [] => Err(Error::NoSuchSpace(text.to_owned())),
            [space] => Ok((*space).clone()),
            several => Err(Error::AmbiguousSpace {
                text: text.to_owned(),
                candidates: several.iter().map(|space| space.id().to_string()).collect(),
            }),
        }
    }

    /// Where this device can be dialled, each address ending in its `/p2p/`. Empty when offline.
    pub async fn addresses(&self) -> Vec<Multiaddr> {
        match &self.core().net {
            Some(net) => net.addresses().await,
            None => vec![],
        }
    }

    /// Stays connected to the device that an address names at its end, in `/p2p/`.
    ///
    /// # Errors
    /// [`Error::Offline`], and [`Error::Net`] if the address names no device.
    pub async fn connect(&self, address: Multiaddr) -> Result<(), Error> {
        let net = self.net()?;
        let named = address.iter().filter_map(|part| match part {
            reknit_net::Protocol::P2p(peer) => device_of(&peer),
            _ => None,
        });
        let device = named.last().ok_or_else(|| reknit_net::NetError::BadAddress(address.clone()))?;
        Ok(net.know(device, vec![address]).await?)
    }

    /// How the peer stands.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn status(&self) -> Result<PeerStatus, Error> {
        let mut spaces = vec![];
        for space in self.spaces() {
            spaces.push(space.status().await?);
        }
        let core = self.core();
        let network = match &core.net {
            None => None,
            Some(net) => {
                let (bytes_sent, bytes_received) = net.wire_bytes();
                let addresses = net.addresses().await.iter().map(ToString::to_string).collect();
                let mdns_problem = locked(&core.mdns_problem).clone();
                Some(NetworkStatus { addresses, mdns_problem, bytes_sent, bytes_received })
            }
        };
        Ok(PeerStatus {
            device: core.device,
            name: core.device_name.clone(),
            now_ms: core.clock.now_ms(),
            network,
            peers: self.connected_peers(),
            spaces,
        })
    }

    /// The devices that are connected now.
    fn connected_peers(&self) -> Vec<PeerInfo> {
        let core = self.core();
        let infos = core.space_infos();
        let names: BTreeMap<DeviceId, &str> = infos
            .iter()
            .flat_map(|info| info.members.iter().map(|member| (member.device, member.name.as_str())))
            .collect();
        let connections = core.connections.read().unwrap_or_else(PoisonError::into_inner);
        connections
            .iter()
            .map(|(device, connection)| PeerInfo {
                device: *device,
                name: names.get(device).map(|name| (*name).to_owned()),
                address: connection.addr.to_string(),
                transport: transport_text(connection.transport).to_owned(),
            })
            .collect()
    }

    /// Cuts this peer off: ends every connection, and neither makes nor takes any until [`Self::resume_network`].
    pub async fn pause_network(&self) {
        if let Some(net) = &self.core().net {
            net.pause().await;
        }
    }

    /// Comes back after [`Self::pause_network`].
    pub async fn resume_network(&self) {
        if let Some(net) = &self.core().net {
            net.resume().await;
        }
    }

    /// What happens to the peer from now on, until it stops. A consumer that falls far behind misses the oldest;
    /// dropping the stream ends it.
    pub fn events(&self) -> impl Stream<Item = PeerEvent> + Send + Unpin + use<> {
        let events = BroadcastStream::new(self.core().events.subscribe());
        UntilEnded::new(events.filter_map(Result::ok), self.core().ended.subscribe())
    }

    /// Reads every record of the store and checks that it is one that a peer writes; how many there are. This blocks for as
    /// long as reading the whole store takes.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Refused`], which names the first record that is not; [`Error::Stopped`].
    pub fn check_store(&self) -> Result<u64, Error> {
        Ok(reknit_engine::check_store(&*self.core().snapshot()?)?)
    }

    /// Makes every commit so far durable, those of others included.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Stopped`].
    pub async fn flush(&self) -> Result<(), Error> {
        let (sender, reply) = oneshot::channel();
        self.core().send(Task::Flush(sender)).await?;
        reply.await.map_err(|_| self.core().stopped())?
    }

    /// Stops the peer and waits until its store is closed, a few seconds at most. Other handles then answer
    /// [`Error::Stopped`], and the store can be opened again even while they are held.
    ///
    /// # Errors
    /// [`Error::Stopped`] with what had failed, if the peer did not end well or in time.
    pub async fn shutdown(self) -> Result<(), Error> {
        let core = Arc::clone(self.core());
        core.stop.send_replace(true);
        let mut ended = core.ended.subscribe();
        let in_time = timeout(SHUTDOWN_TIMEOUT, ended.wait_for(|ended| *ended)).await.is_ok();
        if let Some(net) = core.net.clone() {
            let _ = timeout(SHUTDOWN_TIMEOUT, net.shutdown()).await;
        }
        let late = || format!("it did not close its store within {} s", SHUTDOWN_TIMEOUT.as_secs());
        let failure = locked(&core.failure).clone().or_else(|| (!in_time).then(late));
        failure.map_or(Ok(()), |why| Err(Error::Stopped(Some(why))))
    }

    pub(crate) fn net(&self) -> Result<&Net, Error> {
        self.core().net.as_ref().ok_or(Error::Offline)
    }

    fn space_numbered(&self, no: SpaceNo) -> Result<Space, Error> {
        let info = self.core().space_info(no).ok_or_else(|| self.core().stopped())?;
        Ok(Space::new(self.clone(), no, info.id))
    }
}

/// The engine answered another question: a defect, told as such.
pub(crate) fn unexpected(reply: &Reply) -> Error {
    Error::Refused(format!("an answer to another question: {reply:?}"))
}

const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);
