//! The runtime: one thread that owns the engine, the clock and the store's writing end.
//!
//! It drains the inbox, lets the engine handle what came, commits once, and only then releases what follows. So many
//! transactions share one fsync, and nothing is acknowledged, sent or shown before it is committed.

use crate::core::{Core, Task};
use crate::error::Error;
use crate::events::{PeerEvent, space_id};
use crate::streams::Streams;
use data_encoding::BASE32_NOPAD;
use reknit_engine::store::{Batch, Durability, Reads, Table};
use reknit_engine::{Effects, Engine, EngineError, Input, Notice, Output};
use reknit_net::Multiaddr;
use reknit_types::{DeviceId, Writer};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

/// The runtime's own state.
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) core: Arc<Core>,
    pub(crate) inbox: mpsc::Receiver<Task>,
    pub(crate) streams: Streams,
    pub(crate) publications: mpsc::Sender<([u8; 32], Vec<u8>)>,
    /// Fast commits that wait for their fsync.
    pub(crate) unflushed: Option<Unflushed>,
}

/// Fast commits that the disk may not have.
#[derive(Clone, Copy)]
pub(crate) struct Unflushed {
    since: Instant,
    /// Events of this device are among them. None of them may leave it before the fsync: a crash would make the device
    /// write others under the same numbers.
    own: bool,
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
            if let Err(error) = self.round(tasks) {
                break Err(error);
            }
        };
        let flushed = self.flush();
        if let Err(error) = outcome.and(flushed) {
            self.core.fail(error.to_string());
        }
        self.tidy();
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
        self.unflushed.map_or(engine, |unflushed| engine.min(unflushed.since + FLUSH_AFTER))
    }

    /// Handles tasks, commits what follows, and releases the rest.
    fn round(&mut self, tasks: Vec<Task>) -> Result<(), EngineError> {
        let mut answers = Answers::default();
        let mut tasks = tasks.into_iter().peekable();
        while tasks.peek().is_some() {
            self.part_of_round(&mut tasks, &mut answers)?;
        }
        let overdue = self.unflushed.is_some_and(|unflushed| unflushed.since.elapsed() >= FLUSH_AFTER);
        if self.unflushed.is_some() && (overdue || !answers.flushes.is_empty()) {
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
        self.commit_and_release(effects)
    }

    /// Releases what follows once it is committed.
    #[tracing::instrument(level = "debug", name = "commit", skip_all, fields(puts = effects.batch.len(), durable = effects.durable))]
    fn commit_and_release(&mut self, effects: Effects) -> Result<(), EngineError> {
        let Effects { batch, mut outputs, durable, own } = effects;
        if batch.is_empty() {
            return self.release(outputs);
        }
        let core = Arc::clone(&self.core);
        let mut store = core.store.write().unwrap_or_else(PoisonError::into_inner);
        if durable {
            // The store stays locked until it can be read as well: whoever is told and reads at once waits for that.
            let mut released = Ok(());
            store.commit_then(batch, Durability::Durable, &mut || {
                self.unflushed = None;
                released = self.release(std::mem::take(&mut outputs));
            })?;
            return released;
        }
        store.commit(batch, Durability::Fast)?;
        drop(store);
        let earlier = self.unflushed.unwrap_or_else(|| Unflushed { since: Instant::now(), own: false });
        self.unflushed = Some(Unflushed { own: earlier.own || own, ..earlier });
        self.release(outputs)
    }

    fn flush(&mut self) -> Result<(), EngineError> {
        self.core.store.write().unwrap_or_else(PoisonError::into_inner).flush()?;
        self.unflushed = None;
        Ok(())
    }

    /// Leaves a small file. That it could not be made smaller harms nothing.
    fn tidy(&mut self) {
        if let Err(error) = self.core.store.write().unwrap_or_else(PoisonError::into_inner).tidy() {
            tracing::debug!(%error, "the store was not tidied");
        }
    }

    /// What stays on this device first: handles look spaces up by themselves, so what is known of a space is in place
    /// before any reply speaks of it. What leaves it waits until its own events are on disk.
    fn release(&mut self, outputs: Vec<Output>) -> Result<(), EngineError> {
        let (spaces, others): (Vec<_>, Vec<_>) =
            outputs.into_iter().partition(|output| matches!(output, Output::Notice(Notice::Space(_))));
        let (staying, leaving): (Vec<_>, Vec<_>) = spaces
            .into_iter()
            .chain(others)
            .partition(|output| matches!(output, Output::Notice(_) | Output::Reply { .. }));
        staying.into_iter().for_each(|output| self.release_one(output));
        if !leaving.is_empty() && self.unflushed.is_some_and(|unflushed| unflushed.own) {
            self.flush()?;
        }
        leaving.into_iter().for_each(|output| self.release_one(output));
        Ok(())
    }

    fn release_one(&self, output: Output) {
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
        let core = &self.core;
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
/// Remote events are committed at once and fsynced in groups: they can be fetched again.
const FLUSH_AFTER: Duration = Duration::from_millis(500);
const ADDRESSES_KEPT: usize = 8;
