//! samod: an entity is an automerge document in its file storage; TCP between the two repositories.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, Result, anyhow};
use automerge::{
    Automerge, AutomergeError, ObjId, ObjType, ROOT, ReadDoc,
    transaction::{Transactable, Transaction},
};
use futures::{FutureExt, StreamExt, future::BoxFuture};
use samod::{
    AcceptorHandle, BackoffConfig, DialError, Dialer, DialerHandle, DocHandle, DocumentId, Repo, Transport,
    Url, storage::TokioFilesystemStorage,
};
use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::AbortHandle,
};

use super::{Name, Options, System};
use crate::{
    checker::Checker,
    work::{Edit, Splice},
};

pub(super) const NAME: Name = Name {
    id: "samod",
    package: "samod",
    setup: "a document an entity, `TokioFilesystemStorage`, TCP with no delay; the other side is told the document ids \
            out of band. A write returns when it is in memory and is stored later, so its rate is taken until `stop` returns",
};

pub(crate) struct Samod {
    repo: Repo,
    address: SocketAddr,
    accepting: AbortHandle,
    docs: Arc<Docs>,
    dialer: Mutex<Option<DialerHandle>>,
    text: Mutex<Option<(DocHandle, ObjId)>>,
}

struct Docs {
    by_entity: Mutex<BTreeMap<u32, DocHandle>>,
    watch: bool,
    checker: Arc<Checker>,
}

#[derive(Serialize, Deserialize)]
struct Invite {
    address: SocketAddr,
    documents: BTreeMap<u32, String>,
}

impl System for Samod {
    async fn open(options: Options) -> Result<Self> {
        let storage = TokioFilesystemStorage::new(&options.dir);
        let repo = Repo::build_tokio().with_storage(storage).load().await;
        let listener = TcpListener::bind((options.ip, 0)).await?;
        let address = listener.local_addr()?;
        let acceptor = repo.make_acceptor(Url::parse(&format!("tcp://{address}"))?)?;
        let accepting = tokio::spawn(accept(listener, acceptor)).abort_handle();
        let docs = Docs { by_entity: Mutex::default(), watch: options.watch, checker: options.checker };
        Ok(Self {
            repo,
            address,
            accepting,
            docs: Arc::new(docs),
            dialer: Mutex::default(),
            text: Mutex::default(),
        })
    }

    async fn apply(&self, edit: &Edit) -> Result<()> {
        match self.docs.get(edit.entity) {
            Some(document) => document.with_document(|document| put(document, edit)),
            None => {
                let mut document = Automerge::new();
                put(&mut document, edit)?;
                self.docs.insert(edit.entity, self.repo.create(document).await?);
                Ok(())
            }
        }
    }

    async fn read(&self, entity: u32, field: u8) -> Result<Option<String>> {
        Ok(self.docs.get(entity).and_then(|document| read(&document, field)))
    }

    async fn invite(&self) -> Result<String> {
        let documents = lock(&self.docs.by_entity)
            .iter()
            .map(|(entity, document)| (*entity, document.document_id().to_string()))
            .collect();
        Ok(serde_json::to_string(&Invite { address: self.address, documents })?)
    }

    async fn connect(&self, invite: &str) -> Result<()> {
        let invite: Invite = serde_json::from_str(invite)?;
        let dialer = self.repo.dial(BackoffConfig::default(), Arc::new(NoDelay(invite.address)))?;
        dialer.established().await.map_err(|error| anyhow!("{error}"))?;
        *lock(&self.dialer) = Some(dialer);
        let missing: Vec<_> = {
            let known = lock(&self.docs.by_entity);
            invite.documents.into_iter().filter(|(entity, _)| !known.contains_key(entity)).collect()
        };
        tokio::spawn(find_all(self.repo.clone(), self.docs.clone(), missing));
        Ok(())
    }

    async fn disconnect(&self) -> Result<()> {
        lock(&self.dialer).take().context("not connected")?.close();
        Ok(())
    }

    async fn known_equal(&self) -> Result<bool> {
        let connection = lock(&self.dialer).as_ref().and_then(DialerHandle::connection_id);
        // Only the side that dialled knows its connection by name.
        let Some(connection) = connection else { return Ok(false) };
        let documents: Vec<DocHandle> = lock(&self.docs.by_entity).values().cloned().collect();
        let each = documents.into_iter().map(|document| async move {
            document.they_have_our_changes(connection).await;
            document.we_have_their_changes(connection).await;
        });
        futures::future::join_all(each).await;
        Ok(true)
    }

    async fn locate(&self, entity: u32) -> Result<String> {
        Ok(self.docs.get(entity).context("no such entity")?.document_id().to_string())
    }

    async fn read_located(&self, locator: &str, field: u8) -> Result<Option<String>> {
        let id: DocumentId = locator.parse().map_err(|error| anyhow!("{error}"))?;
        let document = self.repo.find(id).await?;
        Ok(document.and_then(|document| read(&document, field)))
    }

    async fn splice(&self, edit: &[Splice]) -> Result<bool> {
        let (document, text) = self.text_document().await?;
        document.with_document(|document| {
            transact(document, |transaction| {
                for splice in edit {
                    let delete = isize::try_from(splice.delete).unwrap_or(isize::MAX);
                    transaction.splice_text(&text, splice.at, delete, &splice.insert)?;
                }
                Ok(())
            })
        })?;
        Ok(true)
    }

    async fn text(&self) -> Result<String> {
        let (document, text) = self.text_document().await?;
        Ok(document.with_document(|document| document.text(&text))?)
    }

    async fn stop(self) -> Result<()> {
        self.accepting.abort();
        self.repo.stop().await;
        Ok(())
    }
}

impl Samod {
    async fn text_document(&self) -> Result<(DocHandle, ObjId)> {
        if let Some(found) = lock(&self.text).clone() {
            return Ok(found);
        }
        let mut document = Automerge::new();
        let text =
            transact(&mut document, |transaction| transaction.put_object(ROOT, "text", ObjType::Text))?;
        let found = (self.repo.create(document).await?, text);
        *lock(&self.text) = Some(found.clone());
        Ok(found)
    }
}

impl Docs {
    fn get(&self, entity: u32) -> Option<DocHandle> {
        lock(&self.by_entity).get(&entity).cloned()
    }

    fn insert(self: &Arc<Self>, entity: u32, document: DocHandle) {
        lock(&self.by_entity).insert(entity, document.clone());
        if self.watch {
            let checker = self.checker.clone();
            tokio::spawn(async move {
                let mut changes = Box::pin(document.changes());
                check(&checker, entity, &document);
                while changes.next().await.is_some() {
                    check(&checker, entity, &document);
                }
            });
        }
    }
}

fn check(checker: &Checker, entity: u32, document: &DocHandle) {
    for field in checker.wanted(entity) {
        if let Some(value) = read(document, field) {
            checker.seen(entity, field, &value);
        }
    }
}

async fn find_all(repo: Repo, docs: Arc<Docs>, missing: Vec<(u32, String)>) {
    let permits = Arc::new(Semaphore::new(FINDS));
    for (entity, id) in missing {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let Ok(id) = id.parse::<DocumentId>() else { continue };
        let (found, docs) = (repo.find(id), docs.clone());
        tokio::spawn(async move {
            if let Ok(Some(document)) = found.await {
                docs.insert(entity, document);
            }
            drop(permit);
        });
    }
}

async fn accept(listener: TcpListener, acceptor: AcceptorHandle) {
    while let Ok((stream, _)) = listener.accept().await {
        if stream.set_nodelay(true).is_ok() {
            let _ = acceptor.accept_tokio_io(stream);
        }
    }
}

fn put(document: &mut Automerge, edit: &Edit) -> Result<()> {
    transact(document, |transaction| transaction.put(ROOT, format!("f{}", edit.field), edit.value.as_str()))
}

fn transact<R>(
    document: &mut Automerge,
    change: impl FnOnce(&mut Transaction<'_>) -> Result<R, AutomergeError>,
) -> Result<R> {
    document.transact(change).map(|success| success.result).map_err(|failure| failure.error.into())
}

fn read(document: &DocHandle, field: u8) -> Option<String> {
    document.with_document(|document| match document.get(ROOT, format!("f{field}")) {
        Ok(Some((value, _))) => value.as_str().map(ToOwned::to_owned),
        _ => None,
    })
}

/// The dialer of the crate leaves Nagle's delay on.
struct NoDelay(SocketAddr);

impl Dialer for NoDelay {
    type Error = Infallible;

    fn url(&self) -> Url {
        Url::parse(&format!("tcp://{}", self.0)).expect("an address makes a url")
    }

    fn connect(&self) -> BoxFuture<'static, Result<Transport, DialError<Infallible>>> {
        let address = self.0;
        async move {
            let stream = TcpStream::connect(address).await.map_err(DialError::transient)?;
            stream.set_nodelay(true).map_err(DialError::transient)?;
            Ok(Transport::from_tokio_io(stream))
        }
        .boxed()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Documents that are looked for at a time.
const FINDS: usize = 1_000;
