//! Sync streams: `/reknit/sync/1` over the connections with a device.
//!
//! Not `libp2p-stream`: that resets an inbound stream whenever its consumer is not waiting at that moment, keeps an entry for
//! every connection there ever was, picks a connection at random, and dials by itself. Here a stream is opened on the
//! connection the router prefers, inbound streams are counted and never dropped once accepted, and connections with known
//! devices are kept alive.

mod behaviour;
mod handler;

pub(crate) use behaviour::{Behaviour, Event};
pub(crate) use handler::{OpenError, OpenReply};

use futures::{AsyncRead, AsyncWrite};
use libp2p::{Stream, StreamProtocol};
use reknit_types::DeviceId;
use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The protocol spoken on a sync stream.
pub(crate) const SYNC_PROTOCOL: StreamProtocol = StreamProtocol::new("/reknit/sync/1");

/// One sync stream with a device: reads and writes are those of `futures::io`.
///
/// Opening one costs no round trip: the protocol is named in the first packet. So the other side learns of the stream when
/// the first bytes are flushed, and a side that does not speak the protocol shows as an error of the first read.
/// Dropping it without `close` resets it.
#[derive(Debug)]
pub struct SyncStream {
    device: DeviceId,
    stream: Stream,
    /// An error was reported. The stream below panics when it is used after a failed negotiation.
    failed: bool,
    _open: Arc<OpenStreams>,
}

/// Held by every open stream of one connection: how many hold it is how many are open.
#[derive(Debug, Default)]
pub(crate) struct OpenStreams;

impl SyncStream {
    pub(crate) fn new(device: DeviceId, stream: Stream, open: Arc<OpenStreams>) -> Self {
        Self { device, stream, failed: false, _open: open }
    }

    /// The device at the other end, proved by the connection's handshake.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// Polls the stream, unless it has failed before.
    fn poll_sound<T>(
        &mut self,
        poll: impl FnOnce(Pin<&mut Stream>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.failed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let polled = poll(Pin::new(&mut self.stream));
        self.failed = matches!(polled, Poll::Ready(Err(_)));
        polled
    }
}

impl AsyncRead for SyncStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_sound(|stream| stream.poll_read(cx, buf))
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_sound(|stream| stream.poll_read_vectored(cx, bufs))
    }
}

impl AsyncWrite for SyncStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_sound(|stream| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_sound(|stream| stream.poll_write_vectored(cx, bufs))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_sound(|stream| stream.poll_flush(cx))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_sound(|stream| stream.poll_close(cx))
    }
}
