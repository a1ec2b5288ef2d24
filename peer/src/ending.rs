//! How a peer ends: what its handles and streams find then.

use crate::core::{Core, locked};
use crate::events::PeerEvent;
use futures::{FutureExt, Stream};
use reknit_engine::store::{Batch, Durability, KeyRange, Reads, Store, StoreError, Table, Visit};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::watch;

/// Held by the runtime's thread outside of everything the runtime owns. When it goes, in order or by a panic, nobody
/// waits for the peer any more and its store is closed.
pub(crate) struct Ending {
    core: Arc<Core>,
}

impl Ending {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.core.fail("its runtime panicked, which is a defect: start the peer again".to_owned());
        }
        self.core.drop_replies();
        *self.core.store.write().unwrap_or_else(PoisonError::into_inner) = Box::new(Closed);
        self.core.stop.send_replace(true);
        self.core.ended.send_replace(true);
    }
}

impl Core {
    /// Notes why the peer ends and tells those who listen.
    pub(crate) fn fail(&self, reason: String) {
        tracing::error!(%reason, "the peer stops");
        *locked(&self.failure) = Some(reason.clone());
        self.tell(PeerEvent::Failed { reason });
    }
}

/// In the place of a store that is closed.
struct Closed;

impl Reads for Closed {
    fn with(&self, _: Table, _: &[u8], _: &mut dyn FnMut(&[u8])) -> Result<bool, StoreError> {
        Err(StoreError::Closed)
    }

    fn scan(
        &self,
        _: Table,
        _: KeyRange<'_>,
        _: reknit_engine::store::Direction,
        _: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }
}

impl Store for Closed {
    fn commit(&mut self, _: Batch, _: Durability) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    fn snapshot(&self) -> Result<Box<dyn Reads + Send + Sync>, StoreError> {
        Err(StoreError::Closed)
    }
}

/// A stream that shows everything that was said before the peer ended, and then ends too.
pub(crate) struct UntilEnded<S> {
    stream: S,
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
    has_ended: bool,
}

impl<S> UntilEnded<S> {
    pub(crate) fn new(stream: S, mut ended: watch::Receiver<bool>) -> Self {
        let ended = async move {
            // An error means that the sender is gone, which is an end as well.
            let _ = ended.wait_for(|ended| *ended).await;
        };
        Self { stream, ended: Box::pin(ended), has_ended: false }
    }
}

impl<S: Stream + Unpin> Stream for UntilEnded<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        // First of all: what is not in the stream after the end was seen never comes.
        if !self.has_ended {
            self.has_ended = self.ended.poll_unpin(context).is_ready();
        }
        match Pin::new(&mut self.stream).poll_next(context) {
            Poll::Pending if self.has_ended => Poll::Ready(None),
            polled => polled,
        }
    }
}
