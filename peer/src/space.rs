//! The handle of a space.

use crate::changes::Changes;
use crate::core::Task;
use crate::entity::Entity;
use crate::error::Error;
use crate::log::{LogEntry, entry};
use crate::peer::{Peer, unexpected};
use crate::status::{Reason, ReceiptInfo, SpaceStatus, receipt_of};
use crate::transaction::Transaction;
use reknit_access::{PeerHint, Role, Ticket};
use reknit_engine::read::{self, Page};
use reknit_engine::store::{Durability, Reads};
use reknit_engine::{Input, MemberInfo, Reply, SpaceInfo, SpaceNo, Tx, TxError};
use reknit_net::{Multiaddr, Protocol};
use reknit_sync::Waiting;
use reknit_types::{DeviceId, EntityId, Name, SpaceId};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::interval;

/// A space: collections of entities shared by its members. Cheap to clone and safe to use from many tasks.
#[derive(Clone)]
pub struct Space {
    peer: Peer,
    no: SpaceNo,
    id: SpaceId,
}

impl Space {
    pub(crate) fn new(peer: Peer, no: SpaceNo, id: SpaceId) -> Self {
        Self { peer, no, id }
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(crate) fn no(&self) -> SpaceNo {
        self.no
    }

    /// Its id.
    pub fn id(&self) -> SpaceId {
        self.id
    }

    /// What people call it.
    pub fn name(&self) -> String {
        self.info().map(|info| info.name.clone()).unwrap_or_default()
    }

    /// What this device may do; `None` while it is joining.
    pub fn role(&self) -> Option<Role> {
        self.info().and_then(|info| info.role)
    }

    /// Everyone who is a member.
    pub fn members(&self) -> Vec<MemberInfo> {
        self.info().map(|info| info.members.clone()).unwrap_or_default()
    }

    fn info(&self) -> Option<Arc<SpaceInfo>> {
        self.peer.core().space_info(self.no)
    }

    /// Runs a transaction: it commits as one event, or not at all if `run` fails. Nobody else writes meanwhile, so keep
    /// it short; [`Self::begin`] is for those that wait for people.
    ///
    /// # Errors
    /// [`Error::Tx`] with what `run` returned; [`Error::NotPermitted`]; [`Error::Stopped`].
    pub async fn transact<R: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Tx<'_>) -> Result<R, TxError> + Send + 'static,
    ) -> Result<R, Error> {
        self.transact_with(self.peer.owner.durability, run).await
    }

    /// [`Self::transact`], waiting for the disk or not.
    ///
    /// # Errors
    /// As for [`Self::transact`].
    pub async fn transact_with<R: Send + 'static>(
        &self,
        durability: Durability,
        run: impl FnOnce(&mut Tx<'_>) -> Result<R, TxError> + Send + 'static,
    ) -> Result<R, Error> {
        let result = Arc::new(Mutex::new(None));
        let (slot, space) = (Arc::clone(&result), self.no);
        let run = Box::new(move |tx: &mut Tx<'_>| {
            let returned = run(tx)?;
            *crate::core::locked(&slot) = Some(returned);
            Ok(())
        });
        self.peer.core().ask(|request| Input::Transact { request, space, run, durability }).await?;
        let returned = crate::core::locked(&result).take();
        returned.ok_or_else(|| self.peer.core().stopped())
    }

    /// Begins a transaction that may take its time. It works on what is there now, and merges with what comes
    /// meanwhile when it commits.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Stopped`].
    pub async fn begin(&self) -> Result<Transaction, Error> {
        let (sender, identity) = oneshot::channel();
        self.peer.core().send(Task::Identity(sender)).await?;
        let (identity, rng) = identity.await.map_err(|_| self.peer.core().stopped())?;
        let reads = self.peer.core().snapshot()?;
        Ok(Transaction::new(self.clone(), reads, identity, rng))
    }

    /// What an entity holds; `None` if it was never seen here. A deleted entity says that it is.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Store`].
    pub fn get(&self, collection: &str, id: EntityId) -> Result<Option<Entity>, Error> {
        self.snapshot()?.get(collection, id)
    }

    /// The entities of a collection, those deleted left out, by time of creation.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Store`].
    pub fn list(&self, collection: &str) -> Result<Vec<Entity>, Error> {
        self.snapshot()?.scan(collection, Page::ALL)
    }

    /// A page of the entities of a collection.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Store`].
    pub fn scan(&self, collection: &str, page: Page) -> Result<Vec<Entity>, Error> {
        self.snapshot()?.scan(collection, page)
    }

    /// The names of all collections that ever held an entity, those that are Reknit's own left out.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn collections(&self) -> Result<Vec<Name>, Error> {
        self.snapshot()?.collections()
    }

    /// One consistent view of the space, unaffected by later commits. It pins disk space while it is held.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        Ok(Snapshot { reads: self.peer.core().snapshot()?.into(), space: self.clone() })
    }

    /// Every event committed from now on, local or not. Dropping the stream ends it.
    pub fn watch(&self) -> Changes {
        Changes::new(self.peer.core().committed.subscribe(), self.clone())
    }

    /// Invites others. The ticket holds the keys of the space: give it only to those you invite.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] if this device may not, or the role cannot be invited.
    pub async fn invite(&self, role: Role, ttl: Option<Duration>) -> Result<Ticket, Error> {
        let now_ms = self.peer.core().clock.now_ms();
        let ttl_ms = ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        let (space, expires_ms) = (self.no, ttl_ms.map(|ttl| now_ms.saturating_add(ttl)));
        let reply =
            self.peer.core().ask(|request| Input::Invite { request, space, role, expires_ms }).await?;
        let Reply::Ticket(mut ticket) = reply else { return Err(unexpected(&reply)) };
        let addresses = self.peer.addresses().await;
        let addrs = addresses.iter().take(TICKET_ADDRESSES_MAX).map(without_own_id).collect();
        ticket.peers.push(PeerHint { device: self.peer.id(), addrs });
        Ok(*ticket)
    }

    /// The newest events, the newest first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn log(&self, newest: usize) -> Result<Vec<LogEntry>, Error> {
        let Some(info) = self.info() else { return Err(self.peer.core().stopped()) };
        let reads = self.peer.core().snapshot()?;
        let events = read::newest_events(&*reads, &info, newest)?;
        Ok(events.iter().map(|event| entry(event, &info)).collect())
    }

    /// How the space stands.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn status(&self) -> Result<SpaceStatus, Error> {
        let status = self.inspect().await?;
        let mut shown = SpaceStatus::from(&*status);
        shown.name = self.name();
        Ok(shown)
    }

    /// Why another member may lack events that are here, or this device events that are elsewhere. Empty when all
    /// members have signed that they have exactly what is here.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn why(&self) -> Result<Vec<Reason>, Error> {
        Ok(self.inspect().await?.reasons.into_iter().map(Reason::from).collect())
    }

    /// The device's receipt for exactly what is here now.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn converged_with(&self, device: DeviceId) -> Result<Option<ReceiptInfo>, Error> {
        let status = self.inspect().await?;
        Ok(status.peers.iter().find(|peer| peer.device == device && peer.converged).and_then(receipt_of))
    }

    /// Waits until every connected member, and at least one, has signed for exactly what is here.
    ///
    /// # Errors
    /// [`Error::Stopped`].
    pub async fn until_converged(&self) -> Result<Vec<ReceiptInfo>, Error> {
        let mut pause = interval(CONVERGED_POLL);
        loop {
            pause.tick().await;
            let status = self.inspect().await?;
            let mut connected = status.peers.iter().filter(|peer| peer.connected).peekable();
            if connected.peek().is_some() && connected.all(is_equal_now) {
                let connected = status.peers.iter().filter(|peer| peer.connected);
                return Ok(connected.filter_map(receipt_of).collect());
            }
        }
    }

    /// Gives up a space that this device has not become a member of: the join under way ends, and what is here of the
    /// space is erased.
    ///
    /// # Errors
    /// [`Error::Refused`] if this device is a member; [`Error::Stopped`].
    pub async fn leave(self) -> Result<(), Error> {
        let space = self.no;
        self.peer.core().ask(|request| Input::Leave { request, space }).await.map(drop)
    }

    async fn inspect(&self) -> Result<Box<reknit_engine::SpaceStatus>, Error> {
        let space = self.no;
        match self.peer.core().ask(|request| Input::Inspect { request, space }).await? {
            Reply::Status(status) => Ok(status),
            other => Err(unexpected(&other)),
        }
    }
}

/// Whether a connected member has exactly what is here. Its last receipt alone does not tell: the member may have gone
/// on while it was away, so the session that is open now must have found the two equal.
fn is_equal_now(peer: &reknit_engine::PeerStatus) -> bool {
    peer.converged && peer.session.as_ref().is_some_and(|session| session.waiting == Waiting::Equal)
}

impl std::fmt::Debug for Space {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Space").field("id", &self.id).field("name", &self.name()).finish_non_exhaustive()
    }
}

/// One consistent view of a space. Cheap to clone.
#[derive(Clone)]
pub struct Snapshot {
    reads: Arc<dyn Reads + Send + Sync>,
    space: Space,
}

impl Snapshot {
    pub(crate) fn reads(&self) -> &dyn Reads {
        &*self.reads
    }

    pub(crate) fn no(&self) -> SpaceNo {
        self.space.no
    }

    /// What an entity holds; `None` if it was never seen here.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Store`].
    pub fn get(&self, collection: &str, id: EntityId) -> Result<Option<Entity>, Error> {
        let found = read::entity(&*self.reads, self.space.no, &Name::new(collection)?, id)?;
        Ok(found.map(Entity::from))
    }

    /// A page of the entities of a collection, by time of creation.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::Store`].
    pub fn scan(&self, collection: &str, page: Page) -> Result<Vec<Entity>, Error> {
        let found = read::entities(&*self.reads, self.space.no, &Name::new(collection)?, page)?;
        Ok(found.into_iter().map(Entity::from).collect())
    }

    /// The names of all collections that ever held an entity, those that are Reknit's own left out.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn collections(&self) -> Result<Vec<Name>, Error> {
        let mut names = read::collections(&*self.reads, self.space.no)?;
        names.retain(|name| !name.is_reserved());
        Ok(names)
    }
}

/// The hint names the device already, and a plain address travels in a few bytes.
fn without_own_id(address: &Multiaddr) -> String {
    let mut address = address.clone();
    if let Some(other) = address.pop().filter(|last| !matches!(last, Protocol::P2p(_))) {
        address.push(other);
    }
    address.to_string()
}

const TICKET_ADDRESSES_MAX: usize = 6;
const CONVERGED_POLL: Duration = Duration::from_millis(10);
