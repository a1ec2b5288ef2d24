use super::*;
use crate::events::PeerEvent;
use futures::StreamExt;
use reknit_engine::store::{Direction, KeyRange, Reads, Visit};
use std::time::Duration;
use tokio::time::timeout;

/// A store in memory that panics when a commit holds what it was told to fear.
struct Fearful {
    inner: MemoryStore,
    commits_left: usize,
}

impl Reads for Fearful {
    fn with(&self, table: Table, key: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<bool, StoreError> {
        self.inner.with(table, key, visit)
    }

    fn scan(
        &self,
        table: Table,
        range: KeyRange<'_>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        self.inner.scan(table, range, direction, visit)
    }
}

impl Store for Fearful {
    fn commit(&mut self, batch: Batch, durability: Durability) -> Result<(), StoreError> {
        self.commits_left = self.commits_left.checked_sub(1).expect("a defect, made for this test");
        self.inner.commit(batch, durability)
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        self.inner.flush()
    }

    fn snapshot(&self) -> Result<Box<dyn Reads + Send + Sync>, StoreError> {
        self.inner.snapshot()
    }
}

#[tokio::test]
async fn a_panic_of_the_runtime_ends_the_peer_and_leaves_nobody_waiting() {
    // One for the device's key, one for the space.
    let store = Fearful { inner: MemoryStore::new(), commits_left: 2 };
    let peer = PeerBuilder::new(None).offline().start_on(Box::new(store)).await.unwrap();
    let space = peer.create_space("home").await.unwrap();
    let (mut events, mut changes) = (peer.events(), space.watch());
    let soon = async {
        let asked = space.transact(|tx| tx.create("notes")?.set("title", "x").map(drop)).await;
        assert!(matches!(asked, Err(Error::Stopped(_))), "{asked:?}");
        assert!(changes.next().await.is_none());
        let mut last = None;
        while let Some(event) = events.next().await {
            last = Some(event);
        }
        assert!(matches!(last, Some(PeerEvent::Failed { .. })), "{last:?}");
        let asked = space.begin().await.map(drop);
        assert!(matches!(asked, Err(Error::Stopped(Some(_)))), "{asked:?}");
        assert!(matches!(peer.shutdown().await, Err(Error::Stopped(Some(_)))));
    };
    timeout(Duration::from_secs(20), soon).await.expect("nobody waits for a peer that is gone");
}

#[tokio::test]
async fn a_damaged_device_key_is_refused_and_kept_as_it_is() {
    let mut store = MemoryStore::new();
    let mut batch = Batch::new();
    batch.put(Table::Meta, DEVICE_KEY, b"too short".to_vec());
    store.commit(batch, Durability::Durable).unwrap();
    let refused = identify(&mut store, Some("laptop")).map(drop);
    assert!(matches!(refused, Err(Error::Store(StoreError::Corrupt { .. }))), "{refused:?}");
    assert_eq!(store.get(Table::Meta, DEVICE_KEY).unwrap().as_deref(), Some(&b"too short"[..]));
}
