//! What has come of a message that is not whole yet: on a slow link it is all that shows that the other side is there.

use crate::core::Task;
use futures::AsyncRead;
use reknit_engine::{Incoming, Input, LinkId};
use reknit_sync::limits::{ARRIVING_MS, PROGRESS_BYTES};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// The bytes of a stream, counted as they come.
pub(crate) struct Counted<R> {
    reading: R,
    came: Arc<AtomicU64>,
}

/// Reports to the engine what came of a stream, every few seconds.
pub(crate) struct Arrivals {
    inbox: mpsc::Sender<Task>,
    link: LinkId,
    came: Arc<AtomicU64>,
    next: Instant,
}

impl Arrivals {
    pub(crate) fn of<R>(inbox: mpsc::Sender<Task>, link: LinkId, reading: R) -> (Self, Counted<R>) {
        let came = Arc::new(AtomicU64::new(0));
        let arrivals = Self { inbox, link, came: Arc::clone(&came), next: Instant::now() + EVERY };
        (arrivals, Counted { reading, came })
    }

    /// Waits for `read`, and reports meanwhile. Not cancel-safe: what was read of a message is lost with it.
    pub(crate) async fn during<T>(&mut self, read: impl Future<Output = T>) -> T {
        tokio::pin!(read);
        loop {
            tokio::select! {
                biased;
                read = &mut read => return read,
                () = sleep_until(self.next) => self.report().await,
            }
        }
    }

    async fn report(&mut self) {
        self.next = Instant::now() + EVERY;
        if self.came.load(Ordering::Relaxed) < PROGRESS_BYTES {
            return;
        }
        let incoming = Incoming::Arriving { bytes: self.came.swap(0, Ordering::Relaxed) };
        // An error says that the peer stops, which ends the stream elsewhere.
        let _ = self.inbox.send(Task::Input(Input::Incoming { link: self.link, incoming })).await;
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Counted<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.reading).poll_read(context, buffer);
        if let Poll::Ready(Ok(bytes)) = read {
            self.came.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        read
    }
}

const EVERY: Duration = Duration::from_millis(ARRIVING_MS);

#[cfg(test)]
mod tests {
    use super::*;
    use futures::AsyncReadExt;
    use tokio::io::AsyncWriteExt;

    /// Of a stream on which something comes every second: what the engine is told while a message of `len` is read.
    async fn told(bytes_a_second: usize, len: usize) -> Vec<u64> {
        let (mut near, far) = tokio::io::duplex(1 << 20);
        let writer = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if near.write_all(&vec![7; bytes_a_second]).await.is_err() {
                    return;
                }
            }
        });
        let (inbox, mut tasks) = mpsc::channel(1_000);
        let (mut arrivals, mut reading) = Arrivals::of(inbox, LinkId(2), Duplex(far));
        let mut message = vec![0; len];
        arrivals.during(reading.read_exact(&mut message)).await.unwrap();
        writer.abort();
        let mut told = vec![];
        while let Ok(Task::Input(Input::Incoming { link, incoming })) = tasks.try_recv() {
            assert_eq!(link, LinkId(2));
            let Incoming::Arriving { bytes } = incoming else { panic!("{incoming:?}") };
            told.push(bytes);
        }
        told
    }

    /// The one kind of stream as the other.
    struct Duplex(tokio::io::DuplexStream);

    impl AsyncRead for Duplex {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            let mut filling = tokio::io::ReadBuf::new(buffer);
            let read = tokio::io::AsyncRead::poll_read(Pin::new(&mut self.0), context, &mut filling);
            read.map_ok(|()| filling.filled().len())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_arrives_slowly_is_reported_every_few_seconds() {
        let told = told(10_000, 100_000).await;
        assert!((4..=5).contains(&told.len()), "{told:?}");
        assert!(told.iter().all(|bytes| (10_000..=20_000).contains(bytes)), "{told:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn less_than_counts_as_progress_gathers_until_it_does() {
        let told = told(1_000, 40_000).await;
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told.iter().all(|bytes| *bytes >= PROGRESS_BYTES), "{told:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_arrives_at_once_is_not_reported() {
        let told = told(1 << 20, 1 << 20).await;
        assert!(told.is_empty(), "{told:?}");
    }
}
