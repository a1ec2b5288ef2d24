//! Reknit: an entity of registers in one space; B joins with a ticket, over QUIC.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, Result};
use futures::{FutureExt, StreamExt, future::BoxFuture};
use reknit::{
    Change, EntityId, FieldValue, Peer, PeerEvent, Role as MemberRole, Snapshot, Space, Ticket, Value,
};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, task::JoinHandle};

use super::{Name, Options, Role, System};
use crate::{
    checker::Checker,
    work::{Edit, Splice},
};

pub(super) const NAME: Name = Name {
    id: "reknit",
    package: "reknit",
    setup: "an entity of registers in one space, the defaults (every commit is on disk before it is acknowledged or \
            sent) but no mDNS; the other side is told the entity ids out of band. Every event is signed and verified, \
            encrypted, and kept",
};

pub(crate) struct Reknit {
    peer: Peer,
    space: Mutex<Option<Space>>,
    entities: Arc<Entities>,
    role: Role,
    watch: bool,
    watching: Mutex<Option<JoinHandle<()>>>,
    converged: watch::Receiver<u64>,
    /// How often it had converged when the last connect began.
    converged_before: Mutex<u64>,
    page: Mutex<Option<EntityId>>,
    spliced: AtomicU64,
    /// Commits of the text that are not acknowledged yet: they share fsyncs.
    commits: tokio::sync::Mutex<VecDeque<BoxFuture<'static, Result<()>>>>,
}

/// Entities by their number in the work.
struct Entities {
    ids: Mutex<BTreeMap<u32, EntityId>>,
    numbers: Mutex<BTreeMap<EntityId, u32>>,
    checker: Arc<Checker>,
}

#[derive(Serialize, Deserialize)]
struct Invite {
    ticket: String,
    entities: BTreeMap<u32, String>,
}

impl System for Reknit {
    async fn open(options: Options) -> Result<Self> {
        let peer = Peer::builder(options.dir.join("peer.redb")).mdns(false);
        let peer = if options.ip.is_loopback() { peer.loopback() } else { peer };
        let peer = peer.start().await?;
        let mut space = peer.spaces().into_iter().next();
        if space.is_none() && options.role == Role::A {
            space = Some(peer.create_space("bench").await?);
        }
        let (ids, numbers) = Default::default();
        let converged = count_receipts(&peer);
        Ok(Self {
            peer,
            space: Mutex::new(space),
            entities: Arc::new(Entities { ids, numbers, checker: options.checker }),
            role: options.role,
            watch: options.watch,
            watching: Mutex::default(),
            converged,
            converged_before: Mutex::default(),
            page: Mutex::default(),
            spliced: AtomicU64::new(0),
            commits: tokio::sync::Mutex::default(),
        })
    }

    async fn apply(&self, edit: &Edit) -> Result<()> {
        let (field, value) = (field_name(edit.field), edit.value.clone());
        let known = self.entities.id(edit.entity);
        let id = self
            .space()?
            .transact(move |tx| {
                let mut entity = match known {
                    Some(id) => tx.entity(ITEMS, id)?,
                    None => tx.create(ITEMS)?,
                };
                entity.set(&field, value)?;
                Ok(entity.id())
            })
            .await?;
        if known.is_none() {
            self.entities.insert(edit.entity, id);
        }
        Ok(())
    }

    async fn read(&self, entity: u32, field: u8) -> Result<Option<String>> {
        let Some(id) = self.entities.id(entity) else { return Ok(None) };
        field_of(&self.space()?.snapshot()?, id, field)
    }

    async fn invite(&self) -> Result<String> {
        let space = self.space()?;
        if self.watch {
            self.follow(&space);
        }
        let ticket = space.invite(MemberRole::Writer, None).await?.to_string();
        let entities =
            lock(&self.entities.ids).iter().map(|(number, id)| (*number, id.to_string())).collect();
        Ok(serde_json::to_string(&Invite { ticket, entities })?)
    }

    async fn connect(&self, invite: &str) -> Result<()> {
        *lock(&self.converged_before) = *self.converged.borrow();
        let mut events = self.peer.events();
        if lock(&self.space).is_some() {
            self.peer.resume_network().await;
            while let Some(event) = events.next().await {
                if matches!(event, PeerEvent::PeerConnected { .. }) {
                    return Ok(());
                }
            }
            anyhow::bail!("the peer stopped");
        }
        let invite: Invite = serde_json::from_str(invite)?;
        for (number, id) in invite.entities {
            self.entities.insert(number, id.parse().context("not an entity id")?);
        }
        let ticket: Ticket = invite.ticket.parse()?;
        let space = self.peer.join(&ticket).await?;
        if self.watch {
            self.follow(&space);
        }
        *lock(&self.space) = Some(space);
        Ok(())
    }

    async fn disconnect(&self) -> Result<()> {
        self.peer.pause_network().await;
        Ok(())
    }

    async fn known_equal(&self) -> Result<bool> {
        let before = match self.role {
            Role::A => *self.converged.borrow(),
            Role::B => *lock(&self.converged_before),
        };
        self.converged.clone().wait_for(|count| *count > before).await?;
        Ok(true)
    }

    async fn locate(&self, entity: u32) -> Result<String> {
        Ok(self.entities.id(entity).context("no such entity")?.to_string())
    }

    async fn read_located(&self, locator: &str, field: u8) -> Result<Option<String>> {
        let id = locator.parse().context("not an entity id")?;
        field_of(&self.space()?.snapshot()?, id, field)
    }

    async fn splice(&self, edit: &[Splice]) -> Result<bool> {
        self.spliced.fetch_add(1, Ordering::Relaxed);
        let (space, edit) = (self.space()?, edit.to_vec());
        let Some(id) = *lock(&self.page) else {
            let id = space.transact(move |tx| {
                let mut page = tx.create(PAGES)?;
                splice_all(&mut page.text(TEXT)?, &edit)?;
                Ok(page.id())
            });
            *lock(&self.page) = Some(id.await?);
            return Ok(true);
        };
        // Unconstrained, so that tokio's budget for a task does not hold the first poll back.
        let mut commit = tokio::task::unconstrained(async move {
            let run =
                move |tx: &mut reknit::Tx<'_>| splice_all(&mut tx.entity(PAGES, id)?.text(TEXT)?, &edit);
            anyhow::Ok(space.transact(run).await?)
        })
        .boxed();
        let mut commits = self.commits.lock().await;
        // The first poll puts it into the peer's queue, so commits keep their order.
        match futures::poll!(&mut commit) {
            std::task::Poll::Ready(done) => done?,
            std::task::Poll::Pending => commits.push_back(commit),
        }
        if commits.len() >= COMMITS_IN_FLIGHT
            && let Some(oldest) = commits.pop_front()
        {
            oldest.await?;
        }
        Ok(true)
    }

    async fn settle(&self) -> Result<()> {
        for commit in self.commits.lock().await.drain(..) {
            commit.await?;
        }
        let (events, spliced) = (self.space()?.status().await?.events, self.spliced.load(Ordering::Relaxed));
        anyhow::ensure!(events >= spliced, "{spliced} edits gave {events} events");
        Ok(())
    }

    async fn text(&self) -> Result<String> {
        let Some(id) = *lock(&self.page) else { return Ok(String::new()) };
        let page = self.space()?.get(PAGES, id)?.context("the page is gone")?;
        Ok(page.field(TEXT).map(ToString::to_string).unwrap_or_default())
    }

    async fn stop(self) -> Result<()> {
        let watching = lock(&self.watching).take();
        if let Some(watching) = watching {
            watching.abort();
        }
        Ok(self.peer.shutdown().await?)
    }
}

impl Reknit {
    fn space(&self) -> Result<Space> {
        lock(&self.space).clone().context("no space")
    }

    /// Watches first and then reads what is there already.
    fn follow(&self, space: &Space) {
        let mut changes = space.watch().ready_chunks(CHANGES_A_READ);
        let (space, entities) = (space.clone(), self.entities.clone());
        let watching = tokio::spawn(async move {
            entities.check_all(&space);
            while let Some(changes) = changes.next().await {
                entities.check(&space, &changes);
            }
        });
        if let Some(before) = lock(&self.watching).replace(watching) {
            before.abort();
        }
    }
}

impl Entities {
    fn id(&self, number: u32) -> Option<EntityId> {
        lock(&self.ids).get(&number).copied()
    }

    fn insert(&self, number: u32, id: EntityId) {
        lock(&self.ids).insert(number, id);
        lock(&self.numbers).insert(id, number);
    }

    fn check(&self, space: &Space, changes: &[Change]) {
        let mut touched = BTreeSet::new();
        for change in changes {
            match change {
                Change::Committed { entities, .. } => touched.extend(entities.iter().map(|entity| entity.id)),
                Change::Missed { .. } => return self.check_all(space),
            }
        }
        let Ok(snapshot) = space.snapshot() else { return };
        for id in touched {
            let number = lock(&self.numbers).get(&id).copied();
            if let Some(number) = number {
                self.check_one(&snapshot, number, id);
            }
        }
    }

    fn check_all(&self, space: &Space) {
        let Ok(snapshot) = space.snapshot() else { return };
        let all = lock(&self.ids).clone();
        for (number, id) in all {
            self.check_one(&snapshot, number, id);
        }
    }

    fn check_one(&self, snapshot: &Snapshot, number: u32, id: EntityId) {
        let wanted = self.checker.wanted(number);
        if wanted.is_empty() {
            return;
        }
        let Ok(Some(entity)) = snapshot.get(ITEMS, id) else { return };
        for field in wanted {
            if let Some(FieldValue::Register(Value::Text(value))) = entity.field(&field_name(field)) {
                self.checker.seen(number, field, value);
            }
        }
    }
}

/// Counts the receipts of the other side, from now on.
fn count_receipts(peer: &Peer) -> watch::Receiver<u64> {
    let (count, converged) = watch::channel(0);
    let mut events = peer.events();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if matches!(event, PeerEvent::Converged { .. }) {
                count.send_modify(|count| *count += 1);
            }
        }
    });
    converged
}

fn field_of(snapshot: &Snapshot, id: EntityId, field: u8) -> Result<Option<String>> {
    let Some(entity) = snapshot.get(ITEMS, id)? else { return Ok(None) };
    Ok(entity.field(&field_name(field)).map(ToString::to_string))
}

fn splice_all(text: &mut reknit::TextMut<'_, '_>, edit: &[Splice]) -> Result<(), reknit::TxError> {
    for splice in edit {
        text.splice(splice.at, splice.delete, &splice.insert)?;
    }
    Ok(())
}

fn field_name(field: u8) -> String {
    format!("f{field}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const ITEMS: &str = "items";
const PAGES: &str = "pages";
const TEXT: &str = "text";
const CHANGES_A_READ: usize = 1_024;
const COMMITS_IN_FLIGHT: usize = 256;
