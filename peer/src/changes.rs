//! Watching a space.

use crate::ending::UntilEnded;
use crate::space::Space;
use crate::status::EventRef;
use futures::Stream;
use reknit_engine::{Committed, What};
use reknit_types::{EntityId, Name};
use serde::Serialize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

/// What was committed to a space, event by event. Ends when the peer stops.
pub struct Changes {
    stream: UntilEnded<BroadcastStream<Arc<Committed>>>,
    space: Space,
}

/// One thing a watcher is told.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// An event was committed: all of it is readable now.
    Committed {
        /// The event.
        event: EventRef,
        /// What people call its author.
        author_name: Option<String>,
        /// When it was written, by its author's clock, in milliseconds since the Unix epoch.
        stamp_ms: u64,
        /// Whether this device wrote it, since it was started.
        local: bool,
        /// What it did, to collections that are Reknit's own left out.
        entities: Vec<EntityChange>,
    },
    /// The watcher was so slow that it missed this many events of this peer. What it shows may be out of date: read it again.
    Missed {
        /// How many.
        events: u64,
    },
}

/// What an event did to an entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntityChange {
    /// The collection it lives in.
    pub collection: Name,
    /// The entity.
    pub id: EntityId,
    /// Fields that were edited.
    pub fields: Vec<Name>,
    /// What else happened to it.
    pub what: ChangeKind,
}

/// What an event did to an entity as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was created.
    Created,
    /// Its fields were edited.
    Updated,
    /// It was deleted.
    Deleted,
    /// It was restored.
    Restored,
}

impl Changes {
    pub(crate) fn new(receiver: broadcast::Receiver<Arc<Committed>>, space: Space) -> Self {
        let ended = space.peer().core().ended.subscribe();
        Self { stream: UntilEnded::new(BroadcastStream::new(receiver), ended), space }
    }

    fn change(&self, committed: &Committed) -> Change {
        let author = committed.event.author;
        let name = self.space.members().into_iter().find(|member| member.device == author);
        Change::Committed {
            event: EventRef::from(&committed.event),
            author_name: name.map(|member| member.name),
            stamp_ms: committed.stamp.ms(),
            local: committed.local,
            entities: shown(&committed.changes),
        }
    }
}

impl Stream for Changes {
    type Item = Change;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Change>> {
        loop {
            match futures::ready!(Pin::new(&mut self.stream).poll_next(context)) {
                None => return Poll::Ready(None),
                Some(Err(BroadcastStreamRecvError::Lagged(events))) => {
                    return Poll::Ready(Some(Change::Missed { events }));
                }
                Some(Ok(committed)) if committed.space == self.space.no() => {
                    return Poll::Ready(Some(self.change(&committed)));
                }
                Some(Ok(_)) => {}
            }
        }
    }
}

fn shown(changes: &[reknit_engine::EntityChange]) -> Vec<EntityChange> {
    changes.iter().filter(|change| !change.collection.is_reserved()).map(EntityChange::from).collect()
}

impl From<&reknit_engine::EntityChange> for EntityChange {
    fn from(change: &reknit_engine::EntityChange) -> Self {
        let what = match change.what {
            What::Created => ChangeKind::Created,
            What::Updated => ChangeKind::Updated,
            What::Deleted => ChangeKind::Deleted,
            What::Restored => ChangeKind::Restored,
        };
        Self { collection: change.collection.clone(), id: change.id, fields: change.fields.clone(), what }
    }
}
