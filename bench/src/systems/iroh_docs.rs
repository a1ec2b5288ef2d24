//! iroh-docs: a field is an entry of one document replica, its value a blob; gossip and set reconciliation over QUIC.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result, anyhow};
use futures::{Stream, StreamExt};
use iroh::{Endpoint, EndpointAddr, endpoint::presets, protocol::Router};
use iroh_blobs::{ALPN as BLOBS_ALPN, BlobsProtocol, Hash, store::fs::FsStore};
use iroh_docs::{
    ALPN as DOCS_ALPN, AuthorId, ContentStatus, DocTicket, NamespaceId,
    api::{
        Doc,
        protocol::{AddrInfoOptions, ShareMode},
    },
    engine::LiveEvent,
    protocol::Docs,
    store::Query,
};
use iroh_gossip::{ALPN as GOSSIP_ALPN, net::Gossip};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
};

use super::{Name, Options, Role, System};
use crate::{
    checker::Checker,
    work::{Edit, Key, Splice},
};

pub(super) const NAME: Name = Name {
    id: "iroh-docs",
    package: "iroh-docs",
    setup: "an entry a field in one document, `FsStore` blobs and persistent docs, direct addresses, no relay. \
            Each author's latest entry of a key is kept, not its history",
};

pub(crate) struct IrohDocs {
    endpoint: Endpoint,
    router: Router,
    blobs: FsStore,
    docs: Docs,
    author: AuthorId,
    doc: Mutex<Option<Doc>>,
    options: Options,
    following: Mutex<Option<JoinHandle<()>>>,
    /// How many syncs have finished well.
    synced: watch::Sender<u64>,
    /// How many had when the last connect began.
    synced_before: Mutex<u64>,
}

impl System for IrohDocs {
    async fn open(options: Options) -> Result<Self> {
        let endpoint = Endpoint::builder(presets::Minimal).bind_addr((options.ip, 0))?.bind().await?;
        let blobs = FsStore::load(options.dir.join("blobs")).await.map_err(|error| anyhow!("{error}"))?;
        let gossip = Gossip::builder().spawn(endpoint.clone());
        let docs = Docs::persistent(options.dir.clone())
            .spawn(endpoint.clone(), (*blobs).clone(), gossip.clone())
            .await?;
        let router = Router::builder(endpoint.clone())
            .accept(BLOBS_ALPN, BlobsProtocol::new(&blobs, None))
            .accept(GOSSIP_ALPN, gossip)
            .accept(DOCS_ALPN, docs.clone())
            .spawn();
        let author = docs.author_default().await?;
        Ok(Self {
            endpoint,
            router,
            blobs,
            docs,
            author,
            doc: Mutex::default(),
            options,
            following: Mutex::default(),
            synced: watch::Sender::new(0),
            synced_before: Mutex::default(),
        })
    }

    async fn apply(&self, edit: &Edit) -> Result<()> {
        let doc = self.doc_or_create().await?;
        doc.set_bytes(self.author, key(edit.entity, edit.field), edit.value.clone()).await?;
        Ok(())
    }

    async fn read(&self, entity: u32, field: u8) -> Result<Option<String>> {
        self.read_from(&self.doc()?, entity, field).await
    }

    async fn invite(&self) -> Result<String> {
        let doc = self.doc_or_create().await?;
        // A hub that listens: it takes part in gossip and answers syncs.
        self.follow(&doc, Vec::new()).await?;
        let ticket = doc.share(ShareMode::Write, AddrInfoOptions::Id).await?;
        let mut address = EndpointAddr::new(self.endpoint.id());
        for socket in self.endpoint.bound_sockets() {
            address = address.with_ip_addr(socket);
        }
        Ok(DocTicket::new(ticket.capability, vec![address]).to_string())
    }

    async fn connect(&self, invite: &str) -> Result<()> {
        let ticket: DocTicket = invite.parse().map_err(|error| anyhow!("{error}"))?;
        let known = lock(&self.doc).clone();
        let doc = match known {
            Some(doc) => doc,
            None => self.docs.import_namespace(ticket.capability).await?,
        };
        *lock(&self.doc) = Some(doc.clone());
        self.follow(&doc, ticket.nodes).await
    }

    async fn disconnect(&self) -> Result<()> {
        self.doc()?.leave().await
    }

    async fn known_equal(&self) -> Result<bool> {
        let before = match self.options.role {
            Role::A => *self.synced.borrow(),
            Role::B => *lock(&self.synced_before),
        };
        self.synced.subscribe().wait_for(|count| *count > before).await?;
        Ok(true)
    }

    async fn locate(&self, entity: u32) -> Result<String> {
        Ok(format!("{} {entity}", self.doc()?.id()))
    }

    async fn read_located(&self, locator: &str, field: u8) -> Result<Option<String>> {
        let (namespace, entity) = locator.split_once(' ').context("no entity")?;
        let namespace: NamespaceId = namespace.parse().map_err(|error| anyhow!("{error}"))?;
        let doc = self.docs.open(namespace).await?.context("no such document")?;
        self.read_from(&doc, entity.parse()?, field).await
    }

    async fn splice(&self, _edit: &[Splice]) -> Result<bool> {
        Ok(false)
    }

    async fn text(&self) -> Result<String> {
        Ok(String::new())
    }

    async fn stop(self) -> Result<()> {
        if let Some(following) = lock(&self.following).take() {
            following.abort();
        }
        self.router.shutdown().await?;
        // The router has stopped it already; this waits where it has not.
        let _ = self.blobs.shutdown().await;
        Ok(())
    }
}

impl IrohDocs {
    fn doc(&self) -> Result<Doc> {
        lock(&self.doc).clone().context("no document")
    }

    async fn doc_or_create(&self) -> Result<Doc> {
        if let Ok(doc) = self.doc() {
            return Ok(doc);
        }
        anyhow::ensure!(self.options.role == Role::A, "the document is A's");
        let created = self.docs.create().await?;
        Ok(lock(&self.doc).get_or_insert(created).clone())
    }

    /// Subscribes first, so that nothing is missed, then syncs with these peers.
    async fn follow(&self, doc: &Doc, peers: Vec<EndpointAddr>) -> Result<()> {
        *lock(&self.synced_before) = *self.synced.borrow();
        let follower = Follower {
            blobs: self.blobs.clone(),
            checker: self.options.checker.clone(),
            watch: self.options.watch,
            synced: self.synced.clone(),
            pending: HashMap::new(),
            ready: HashSet::new(),
            reads: Arc::new(Semaphore::new(READS)),
        };
        let events = doc.subscribe().await?;
        let following = tokio::spawn(follower.run(events));
        if let Some(before) = lock(&self.following).replace(following) {
            before.abort();
        }
        doc.start_sync(peers).await
    }

    async fn read_from(&self, doc: &Doc, entity: u32, field: u8) -> Result<Option<String>> {
        let query = Query::single_latest_per_key().key_exact(key(entity, field));
        let Some(entry) = doc.get_one(query).await? else { return Ok(None) };
        let bytes = self.blobs.get_bytes(entry.content_hash()).await?;
        Ok(Some(String::from_utf8(bytes.to_vec())?))
    }
}

/// Turns the events of a document into values that the checker sees once their content is here.
struct Follower {
    blobs: FsStore,
    checker: Arc<Checker>,
    watch: bool,
    synced: watch::Sender<u64>,
    pending: HashMap<Hash, Key>,
    ready: HashSet<Hash>,
    reads: Arc<Semaphore>,
}

impl Follower {
    async fn run(mut self, mut events: impl Stream<Item = Result<LiveEvent>> + Unpin) {
        while let Some(Ok(event)) = events.next().await {
            match event {
                LiveEvent::SyncFinished(event) if event.result.is_ok() => {
                    self.synced.send_modify(|count| *count += 1);
                }
                LiveEvent::InsertRemote { entry, content_status, .. } if self.watch => {
                    let Some(key) = parse_key(entry.key()) else { continue };
                    let hash = entry.content_hash();
                    if content_status == ContentStatus::Complete || self.ready.remove(&hash) {
                        self.read(hash, key).await;
                    } else {
                        self.pending.insert(hash, key);
                    }
                }
                LiveEvent::ContentReady { hash } if self.watch => match self.pending.remove(&hash) {
                    Some(key) => self.read(hash, key).await,
                    None => {
                        self.ready.insert(hash);
                    }
                },
                _ => {}
            }
        }
    }

    /// Reads overlap: one at a time would be slower than the sync itself.
    async fn read(&self, hash: Hash, (entity, field): Key) {
        if !self.checker.wants(entity, field) {
            return;
        }
        let Ok(permit) = self.reads.clone().acquire_owned().await else { return };
        let (blobs, checker) = (self.blobs.clone(), self.checker.clone());
        tokio::spawn(async move {
            let bytes = blobs.get_bytes(hash).await;
            drop(permit);
            if let Some(value) = bytes.ok().and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()) {
                checker.seen(entity, field, &value);
            }
        });
    }
}

fn key(entity: u32, field: u8) -> String {
    format!("{entity}/f{field}")
}

fn parse_key(key: &[u8]) -> Option<Key> {
    let (entity, field) = std::str::from_utf8(key).ok()?.split_once("/f")?;
    Some((entity.parse().ok()?, field.parse().ok()?))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Blobs that are read at a time.
const READS: usize = 64;
