//! The way of events to their owner, with a rule for each kind when the owner is slow.

use crate::event::NetEvent;
use crate::limits;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Events on their way. What does not fit the channel waits here; while anything waits, the swarm is not polled, so no more
/// than one swarm event's worth ever does.
#[derive(Debug)]
pub(crate) struct Outbox {
    sender: mpsc::Sender<NetEvent>,
    waiting: VecDeque<NetEvent>,
    gossip_dropped: Arc<AtomicU64>,
}

impl Outbox {
    pub(crate) fn new(sender: mpsc::Sender<NetEvent>, gossip_dropped: Arc<AtomicU64>) -> Self {
        Self { sender, waiting: VecDeque::new(), gossip_dropped }
    }

    /// An event that must arrive.
    pub(crate) fn push(&mut self, event: NetEvent) {
        self.waiting.push_back(event);
        self.flush();
    }

    /// An event that may be lost: dropped when the owner is behind.
    pub(crate) fn push_hint(&mut self, event: NetEvent) {
        if self.waiting.is_empty() && self.sender.capacity() > limits::EVENTS_KEPT_FOR_LINKS {
            self.push(event);
        } else {
            self.gossip_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_blocked(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Waits until there is room. Cancel-safe; a closed channel counts as room, for what is sent is then nobody's concern.
    pub(crate) async fn room(sender: mpsc::Sender<NetEvent>) {
        drop(sender.reserve().await);
    }

    pub(crate) fn sender(&self) -> mpsc::Sender<NetEvent> {
        self.sender.clone()
    }

    /// Moves as much as there is room for.
    pub(crate) fn flush(&mut self) {
        while let Some(event) = self.waiting.pop_front() {
            match self.sender.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => {
                    self.waiting.push_front(event);
                    return;
                }
                // The owner lets go of its events before the network: nobody is left to be told.
                Err(TrySendError::Closed(_)) => self.waiting.clear(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use reknit_types::DeviceId;

    fn gossip() -> NetEvent {
        NetEvent::Gossip { topic: [0; 32], from: DeviceId::from_bytes([0; 32]), data: Bytes::new() }
    }

    #[tokio::test]
    async fn slow_owner_loses_gossip_and_nothing_else() {
        let (sender, mut receiver) = mpsc::channel(limits::EVENTS_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let mut outbox = Outbox::new(sender, Arc::clone(&dropped));
        for _ in 0..limits::EVENTS_MAX {
            outbox.push_hint(gossip());
        }
        let kept = limits::EVENTS_MAX - limits::EVENTS_KEPT_FOR_LINKS;
        assert_eq!(dropped.load(Ordering::Relaxed), (limits::EVENTS_MAX - kept) as u64);
        for _ in 0..limits::EVENTS_MAX {
            outbox.push(NetEvent::NetworkChanged);
        }
        assert!(outbox.is_blocked());
        let mut changes = 0;
        while outbox.is_blocked() || !receiver.is_empty() {
            changes += usize::from(matches!(receiver.recv().await, Some(NetEvent::NetworkChanged)));
            outbox.flush();
        }
        assert_eq!(changes, limits::EVENTS_MAX);
    }
}
