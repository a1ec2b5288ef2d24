//! The runtime: one thread that owns the engine, the clock and the store's writing end.
//!
//! It drains the inbox, lets the engine handle what came, commits once, and only then releases what follows. So many
//! transactions share one fsync, and nothing is acknowledged, sent or shown before it is committed.

use crate::core::{Core, Task};
use crate::error::Error;
use crate::events::{PeerEvent, space_id};
use crate::journal::Recorded;
use crate::streams::Streams;
use data_encoding::BASE32_NOPAD;
use reknit_engine::store::{Batch, Durability, Reads, Store, StoreError, Table};
use reknit_engine::{Commits, Effects, EngineError, Input, Ledger, Notice, Output};
use reknit_net::Multiaddr;
use reknit_types::{DeviceId, Writer};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

/// The runtime's own state.
pub(crate) struct Runtime {
    pub(crate) engine: Recorded,
    pub(crate) core: Arc<Core>,
    pub(crate) inbox: mpsc::Receiver<Task>,
    pub(crate) streams: Streams,
    pub(crate) publications: mpsc::Sender<([u8; 32], Vec<u8>)>,
    pub(crate) commits: Commits,
    /// What the times of commits are counted from.
    pub(crate) started: Instant,
}

/// The store, locked for each commit: whoever is told by it and reads at once waits for that commit alone.
struct Shared<'a>(&'a RwLock<Box<dyn Store>>);

impl Ledger for Shared<'_> {
    fn commit_then(
        &mut self,
        batch: Batch,
        durability: Durability,
        then: &mut dyn FnMut(),
    ) -> Result<(), StoreError> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).commit_then(batch, durability, then)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).flush()
    }
}

/// What a round answers once it is committed, besides the engine's outputs.
#[derive(Default)]
struct Answers {
    flushes: Vec<oneshot::Sender<Result<(), Error>>>,
    batch: Batch,
}

impl Runtime {
    /// Runs until the peer is told to stop or the store fails.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let outcome = loop {
            // The spaces that the store holds are made known first of all.
            let tasks = match self.next_tasks(&mut stop).await {
                Some(tasks) => tasks,
                None => break Ok(()),
            };
            if let Err(error) = self.round(tasks).and_then(|()| self.begin_journal_anew()) {
                self.engine.note_failed(&error);
                break Err(error);
            }
        };
        let flushed = self.flush();
        match outcome.and(flushed) {
            Ok(()) => self.tidy(),
            Err(error) => self.core.fail(error.to_string()),
        }
    }

    /// What came, and a tick when one is due: neither that nor the time to stop, which is `None`, waits for an inbox that
    /// is never empty. Cancel-safe in every branch: a task is either taken or still in the inbox.
    async fn next_tasks(&mut self, stop: &mut watch::Receiver<bool>) -> Option<Vec<Task>> {
        let due = self.next_wakeup();
        let first = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return None,
            () = sleep_until(due), if due <= Instant::now() => Task::Input(Input::Tick),
            task = self.inbox.recv() => task?,
            () = sleep_until(due) => Task::Input(Input::Tick),
        };
        let mut tasks = vec![first];
        while tasks.len() < TASKS_A_ROUND
            && let Ok(task) = self.inbox.try_recv()
        {
            tasks.push(task);
        }
        Some(tasks)
    }

    fn next_wakeup(&self) -> Instant {
        let now_ms = self.core.clock.now_ms();
        let engine_ms =
            self.engine.next_wakeup_ms().map_or(TICK_MS_MAX, |at| at.saturating_sub(now_ms).min(TICK_MS_MAX));
        let engine = Instant::now() + Duration::from_millis(engine_ms);
        self.commits.due().map_or(engine, |due| engine.min(self.started + due))
    }

    /// Handles tasks, commits what follows, and releases the rest.
    fn round(&mut self, tasks: Vec<Task>) -> Result<(), EngineError> {
        let mut answers = Answers::default();
        let mut tasks = tasks.into_iter().peekable();
        while tasks.peek().is_some() {
            self.part_of_round(&mut tasks, &mut answers)?;
        }
        let due = self.commits.due();
        if due.is_some_and(|due| !answers.flushes.is_empty() || due <= self.started.elapsed()) {
            self.flush()?;
        }
        for reply in answers.flushes {
            let _ = reply.send(Ok(()));
        }
        Ok(())
    }

    /// Handles as many tasks as one batch has room for, commits what follows, and releases the rest.
    fn part_of_round(
        &mut self,
        tasks: &mut impl Iterator<Item = Task>,
        answers: &mut Answers,
    ) -> Result<(), EngineError> {
        let now_ms = self.core.clock.now_ms();
        let mut effects = Effects::default();
        {
            let store = self.core.store.read().unwrap_or_else(PoisonError::into_inner);
            let reads: &dyn Reads = &**store;
            for task in tasks {
                match task {
                    Task::Input(input) => self.engine.handle(now_ms, input, reads, &mut effects)?,
                    Task::Remember(device, addrs) => remember(&mut answers.batch, &device, &addrs),
                    Task::Identity(reply) => drop(reply.send(self.engine.draw_identity())),
                    Task::Flush(reply) => answers.flushes.push(reply),
                }
                if self.engine.is_full(&effects) {
                    break;
                }
            }
            self.engine.settle(now_ms, reads, &mut effects)?;
        }
        effects.batch.append(std::mem::take(&mut answers.batch));
        self.commit_and_release(effects)?;
        self.engine.write_journal();
        Ok(())
    }

    /// When the journal is full, the next file begins with an image of the store, and with an engine that knows no more
    /// than the store: sessions end and begin anew.
    fn begin_journal_anew(&mut self) -> Result<(), EngineError> {
        if !self.engine.is_journal_full() {
            return Ok(());
        }
        let now_ms = self.core.clock.now_ms();
        let mut effects = Effects::default();
        let next = {
            let store = self.core.store.read().unwrap_or_else(PoisonError::into_inner);
            self.engine.retire(now_ms, &**store, &mut effects)?
        };
        self.commit_and_release(effects)?;
        let inputs = {
            let store = self.core.store.read().unwrap_or_else(PoisonError::into_inner);
            self.engine.replace(next, &**store)?
        };
        self.round(inputs.into_iter().map(Task::Input).collect())
    }

    /// Releases what follows once it is committed.
    #[tracing::instrument(level = "debug", name = "commit", skip_all, fields(puts = effects.batch.len(), durable = effects.durable))]
    fn commit_and_release(&mut self, effects: Effects) -> Result<(), EngineError> {
        let Self { core, streams, publications, commits, started, .. } = self;
        let exits = Exits { core, streams, publications };
        commits
            .commit(started.elapsed(), effects, &mut Shared(&core.store), &mut |output| exits.release(output))
    }

    fn flush(&mut self) -> Result<(), EngineError> {
        self.commits.flush(&mut Shared(&self.core.store))
    }

    /// Leaves a small file. That it could not be made smaller harms nothing.
    fn tidy(&mut self) {
        let mut store = self.core.store.write().unwrap_or_else(PoisonError::into_inner);
        let batch = self.engine.tidy(&**store);
        let packed = batch.and_then(|batch| Ok(store.commit(batch, Durability::Durable)?));
        if let Err(error) = packed.and_then(|()| Ok(store.tidy()?)) {
            tracing::debug!(%error, "the store was not tidied");
        }
    }
}

/// Where the outputs of a round go.
struct Exits<'a> {
    core: &'a Core,
    streams: &'a Streams,
    publications: &'a mpsc::Sender<([u8; 32], Vec<u8>)>,
}

impl Exits<'_> {
    fn release(&self, output: Output) {
        match output {
            Output::Reply { request, reply } => self.core.reply(request, reply),
            Output::Open { link, device, opening, context } => {
                self.streams.open(link, device, (opening, context));
            }
            Output::Accept { link, context } => self.streams.accept(link, context),
            Output::Send { link, message } => self.streams.send(link, message),
            Output::Close { link, reason } => self.streams.close(link, reason),
            // Gossip is a hint: what does not fit is not said.
            Output::Publish { topic, sealed } => drop(self.publications.try_send((topic, sealed))),
            Output::Notice(notice) => self.notify(notice),
        }
    }

    fn notify(&self, notice: Notice) {
        let core = self.core;
        let id = |space| space_id(core, space);
        match notice {
            Notice::Committed(committed) => drop(core.committed.send(committed)),
            Notice::Space(info) => {
                let (space, name, members) = (info.id, info.name.clone(), info.members.len());
                core.spaces.write().unwrap_or_else(PoisonError::into_inner).insert(info.no, info);
                core.tell(PeerEvent::SpaceChanged { space, name, members });
            }
            Notice::Left { space } => {
                let mut spaces = core.spaces.write().unwrap_or_else(PoisonError::into_inner);
                let Some(info) = spaces.remove(&space) else { return };
                core.tell(PeerEvent::SpaceLeft { space: info.id });
            }
            Notice::Converged { space, device, receipt } => {
                let Some(space) = id(space) else { return };
                core.tell(PeerEvent::Converged { space, device, frontier: digest_text(&receipt.digest) });
            }
            Notice::Held { space, from, until_ms } => {
                let Some(space) = id(space) else { return };
                core.tell(PeerEvent::Held { space, device: from, until_ms });
            }
            Notice::Refused { space, from, reason, dot } => {
                let Some(space) = id(space) else { return };
                tracing::info!(%from, ?dot, %reason, "an event was refused");
                core.tell(PeerEvent::Refused { space, device: from, reason: reason.to_string() });
            }
            Notice::Unlinked { space, device, why } => {
                let Some(space) = id(space) else { return };
                tracing::debug!(%device, %why, "a session ended");
                core.tell(PeerEvent::SessionEnded { space, device, reason: why.to_string() });
            }
        }
    }
}

/// A frontier digest as people read it.
pub(crate) fn digest_text(digest: &[u8; 32]) -> String {
    BASE32_NOPAD.encode(digest).to_ascii_lowercase()
}

fn remember(batch: &mut Batch, device: &DeviceId, addrs: &[Multiaddr]) {
    let mut writer = Writer::new();
    for addr in addrs.iter().take(ADDRESSES_KEPT) {
        writer.bytes(&addr.to_vec());
    }
    batch.put(Table::Known, device.as_bytes().to_vec(), writer.into_bytes());
}

const TASKS_A_ROUND: usize = 256;
const TICK_MS_MAX: u64 = 10_000;
const ADDRESSES_KEPT: usize = 8;
