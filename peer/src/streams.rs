//! Sync streams: frames of bytes on one side, messages of sessions on the other.
//!
//! Each stream has a task that writes and one that reads. Readers do the heavy work before the inbox: they decompress
//! frames, hash their events and check signatures, so the engine is given verified events only.

use crate::arrivals::Arrivals;
use crate::core::{Core, Task};
use futures::io::ReadHalf;
use futures::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use reknit_engine::{Incoming, Input, LinkContext, LinkId};
use reknit_net::SyncStream;
use reknit_sync::limits::{ADMISSION_BYTES_MAX, MESSAGE_BYTES_MAX};
use reknit_sync::{CloseReason, Message, Opening};
use reknit_types::DeviceId;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};
use tracing::Instrument;

/// The streams of a peer, by the names the engine knows them under.
#[derive(Clone)]
pub(crate) struct Streams {
    core: Arc<Core>,
    handle: Handle,
    table: Arc<Mutex<BTreeMap<LinkId, Sending>>>,
    inbound: Arc<AtomicU64>,
}

/// The sending end of a stream.
struct Sending {
    queue: mpsc::Sender<Outgoing>,
    /// Says why the stream ends at once. Dropping it leaves what is queued [`DRAIN_TIMEOUT`] to go out.
    cut: oneshot::Sender<&'static str>,
    /// Given to the reader of an inbound stream once the engine accepts it.
    accepted: Option<oneshot::Sender<LinkContext>>,
}

/// The other end of a [`Sending`]: what the stream's task writes.
struct Outlet {
    outgoing: mpsc::Receiver<Outgoing>,
    cut: oneshot::Receiver<&'static str>,
}

fn sending(accepted: Option<oneshot::Sender<LinkContext>>) -> (Sending, Outlet) {
    let (queue, outgoing) = mpsc::channel(OUTGOING_MAX);
    let (cut, is_cut) = oneshot::channel();
    (Sending { queue, cut, accepted }, Outlet { outgoing, cut: is_cut })
}

enum Outgoing {
    Message(Message),
    Close,
}

impl Streams {
    pub(crate) fn new(core: Arc<Core>, handle: Handle) -> Self {
        Self { core, handle, table: Arc::default(), inbound: Arc::new(AtomicU64::new(1)) }
    }

    /// Opens a stream to a connected device.
    pub(crate) fn open(&self, link: LinkId, device: DeviceId, (opening, context): (Opening, LinkContext)) {
        let (sending, outlet) = sending(None);
        self.insert(link, sending);
        let streams = self.clone();
        let task = async move {
            let why = match streams.opened(device).await {
                Ok(stream) => streams.run(link, stream, (Some(opening), outlet), context).await,
                Err(why) => why,
            };
            streams.ended(link, why).await;
        };
        self.handle.spawn(task.instrument(tracing::debug_span!("stream", link = link.0, %device)));
    }

    async fn opened(&self, device: DeviceId) -> Result<SyncStream, String> {
        let net = self.core.net.as_ref().ok_or("this peer runs offline")?;
        match timeout(OPENING_TIMEOUT, net.open_stream(device)).await {
            Ok(opened) => opened.map_err(|error| error.to_string()),
            Err(_) => Err("the stream could not be opened in time".to_owned()),
        }
    }

    /// Takes a stream that a device opened: reads what it says first and asks the engine.
    pub(crate) fn take_inbound(&self, stream: SyncStream) {
        let link = LinkId(self.inbound.fetch_add(2, Ordering::Relaxed));
        let span = tracing::debug_span!("stream", link = link.0, device = %stream.device());
        let streams = self.clone();
        self.handle.spawn(async move { streams.serve(link, stream).await }.instrument(span));
    }

    async fn serve(&self, link: LinkId, mut stream: SyncStream) {
        let device = stream.device();
        let opening = match timeout(OPENING_TIMEOUT, read_opening(&mut stream)).await {
            Ok(Ok(opening)) => opening,
            Ok(Err(error)) => return tracing::debug!(%error, "a stream began badly"),
            Err(_) => return tracing::debug!("a stream stayed silent"),
        };
        let (accepted, context) = oneshot::channel();
        let (sending, outlet) = sending(Some(accepted));
        self.insert(link, sending);
        // An error says that the peer stops, as the engine's silence would.
        let _ = self.core.send(Task::Input(Input::Opened { link, device, opening })).await;
        let mut stop = self.core.stop.subscribe();
        let why = tokio::select! {
            context = context => match context {
                Ok(context) => self.run(link, stream, (None, outlet), context).await,
                Err(_) => self.refuse(stream, outlet).await,
            },
            () = stopped(&mut stop) => STOPS.to_owned(),
        };
        self.ended(link, why).await;
    }

    /// Says why a stream is not accepted, and ends it.
    async fn refuse(&self, stream: SyncStream, mut outlet: Outlet) -> String {
        let (reading, mut writing) = stream.split();
        drop(reading);
        let _ = timeout(CLOSING_TIMEOUT, write_all(&mut writing, None, &mut outlet.outgoing)).await;
        "it was not accepted".to_owned()
    }

    async fn run(
        &self,
        link: LinkId,
        stream: SyncStream,
        (opening, outlet): (Option<Opening>, Outlet),
        context: LinkContext,
    ) -> String {
        let (reading, mut writing) = stream.split();
        let mut stop = self.core.stop.subscribe();
        let reader = self.handle.spawn(read_all(Arc::clone(&self.core), link, reading, context));
        let abort = reader.abort_handle();
        let why = tokio::select! {
            why = pump(&mut writing, opening, outlet, DRAIN_TIMEOUT) => why,
            read = reader => match read {
                Ok(Ok(())) => "the other side ended it".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            },
            () = stopped(&mut stop) => STOPS.to_owned(),
        };
        abort.abort();
        let _ = timeout(CLOSING_TIMEOUT, writing.close()).await;
        why
    }

    /// The engine accepts an inbound stream.
    pub(crate) fn accept(&self, link: LinkId, context: LinkContext) {
        let accepted =
            crate::core::locked(&self.table).get_mut(&link).and_then(|sending| sending.accepted.take());
        if let Some(accepted) = accepted {
            let _ = accepted.send(context);
        }
    }

    /// Queues a message. A stream whose queue is full is ended: its reader has stopped reading.
    pub(crate) fn send(&self, link: LinkId, message: Message) {
        let mut table = crate::core::locked(&self.table);
        let Some(sending) = table.get(&link) else { return };
        if sending.queue.try_send(Outgoing::Message(message)).is_err()
            && let Some(sending) = table.remove(&link)
        {
            // An error says that the stream has ended by itself.
            let _ = sending.cut.send(TOO_SLOW);
        }
    }

    /// Ends a stream once everything queued is out.
    pub(crate) fn close(&self, link: LinkId, reason: CloseReason) {
        if let Some(sending) = crate::core::locked(&self.table).remove(&link) {
            tracing::debug!(link = link.0, %reason, "a stream is ended");
            let _ = sending.queue.try_send(Outgoing::Close);
        }
    }

    fn insert(&self, link: LinkId, sending: Sending) {
        crate::core::locked(&self.table).insert(link, sending);
    }

    async fn ended(&self, link: LinkId, why: String) {
        crate::core::locked(&self.table).remove(&link);
        // A peer that stops wants no news of its streams.
        let _ = self.core.send(Task::Input(Input::Closed { link, why })).await;
    }
}

/// Waits until the peer is told to stop.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Writes what is queued until that ends or is cut short; why it did.
async fn pump(
    writing: &mut (impl AsyncWrite + Unpin),
    opening: Option<Opening>,
    Outlet { mut outgoing, cut }: Outlet,
    drain: Duration,
) -> String {
    let given_up = async {
        match cut.await {
            Ok(why) => why,
            Err(_) => {
                sleep(drain).await;
                "this side ended it, and the other did not read the rest"
            }
        }
    };
    tokio::select! {
        written = write_all(writing, opening, &mut outgoing) => match written {
            Ok(()) => "this side ended it".to_owned(),
            Err(error) => error.to_string(),
        },
        why = given_up => why.to_owned(),
    }
}

async fn write_all(
    writing: &mut (impl AsyncWrite + Unpin),
    opening: Option<Opening>,
    outgoing: &mut mpsc::Receiver<Outgoing>,
) -> io::Result<()> {
    if let Some(opening) = opening {
        write_one(writing, &opening.encode()).await?;
    }
    while let Some(first) = outgoing.recv().await {
        let mut next = Some(first);
        // What is queued goes out together; the flush comes when there is nothing more to add.
        while let Some(one) = next {
            match one {
                Outgoing::Message(message) => write_one(writing, &message.encode()).await?,
                Outgoing::Close => return writing.close().await,
            }
            next = outgoing.try_recv().ok();
        }
        writing.flush().await?;
    }
    writing.close().await
}

async fn write_one(writing: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let len = u32::try_from(bytes.len()).map_err(|_| io::Error::other("a message beyond 4 GiB"))?;
    let mut whole = Vec::with_capacity(4 + bytes.len());
    whole.extend_from_slice(&len.to_be_bytes());
    whole.extend_from_slice(bytes);
    writing.write_all(&whole).await
}

async fn read_opening(stream: &mut SyncStream) -> io::Result<Opening> {
    let bytes = read_one(stream, OPENING_BYTES_MAX).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Opening::decode(&bytes).map_err(|error| io::Error::other(error.to_string()))
}

async fn read_all(
    core: Arc<Core>,
    link: LinkId,
    reading: ReadHalf<SyncStream>,
    context: LinkContext,
) -> io::Result<()> {
    let (mut arrivals, mut reading) = Arrivals::of(core.inbox.clone(), link, reading);
    while let Some(bytes) = arrivals.during(read_one(&mut reading, MESSAGE_BYTES_MAX)).await? {
        let incoming = if bytes.len() < INLINE_BYTES_MAX {
            Incoming::prepare(&bytes, &context)
        } else {
            let context = context.clone();
            tokio::task::spawn_blocking(move || Incoming::prepare(&bytes, &context))
                .await
                .map_err(io::Error::other)?
        };
        let sent = core.send(Task::Input(Input::Incoming { link, incoming })).await;
        if sent.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// One length-prefixed message; `None` at the end of the stream.
async fn read_one(reading: &mut (impl AsyncReadExt + Unpin), limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut len = [0; 4];
    match reading.read_exact(&mut len).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let len = u32::from_be_bytes(len) as usize;
    if len > limit {
        return Err(io::Error::other(format!("a message of {len} bytes, more than the {limit} allowed")));
    }
    // Grows as bytes arrive: a length alone costs the sender nothing, so it must not cost memory here.
    let mut bytes = Vec::with_capacity(len.min(READ_AHEAD));
    let mut limited = reading.take(len as u64);
    limited.read_to_end(&mut bytes).await?;
    if bytes.len() == len { Ok(Some(bytes)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

const OUTGOING_MAX: usize = 4_096;
const OPENING_BYTES_MAX: usize = ADMISSION_BYTES_MAX + 128;
/// Frames below this are verified where they are read; handing them to a worker would take longer.
const INLINE_BYTES_MAX: usize = 16 * 1024;
const READ_AHEAD: usize = 64 * 1024;
const OPENING_TIMEOUT: Duration = Duration::from_secs(10);
const CLOSING_TIMEOUT: Duration = Duration::from_secs(2);
/// What is queued when a stream is ended has so long to go out.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
const TOO_SLOW: &str = "the other side reads too slowly: its queue is full";
const STOPS: &str = "the peer stops";

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    /// The writing end of a stream whose other side reads nothing.
    struct Stuck;

    impl AsyncWrite for Stuck {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    async fn streams() -> (crate::Peer, Streams) {
        let peer = crate::Peer::ephemeral().offline().start().await.unwrap();
        let streams = Streams::new(Arc::clone(peer.core()), Handle::current());
        (peer, streams)
    }

    #[tokio::test]
    async fn a_stream_whose_queue_is_full_ends_at_once_and_says_why() {
        let (_peer, streams) = streams().await;
        let (sending, outlet) = sending(None);
        let link = LinkId(2);
        streams.insert(link, sending);
        for _ in 0..=OUTGOING_MAX {
            streams.send(link, Message::Close(CloseReason::Leaving));
        }
        let why = timeout(DRAIN_TIMEOUT, pump(&mut Stuck, None, outlet, DRAIN_TIMEOUT * 2)).await;
        assert_eq!(why.as_deref(), Ok(TOO_SLOW));
        assert!(crate::core::locked(&streams.table).is_empty());
    }

    #[tokio::test]
    async fn a_stream_that_is_ended_does_not_wait_for_ever_to_be_read() {
        let (_peer, streams) = streams().await;
        let (sending, outlet) = sending(None);
        let link = LinkId(2);
        streams.insert(link, sending);
        streams.send(link, Message::Close(CloseReason::Leaving));
        streams.close(link, CloseReason::Leaving);
        let why = timeout(DRAIN_TIMEOUT, pump(&mut Stuck, None, outlet, Duration::ZERO)).await;
        assert!(why.is_ok_and(|why| why.contains("did not read")));
    }
}
