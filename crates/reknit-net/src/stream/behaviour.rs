//! The part of the sync protocol that sees all connections.

use super::handler::{Ask, Handler, OpenReply};
use super::{OpenStreams, SyncStream};
use crate::device::device_of;
use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use thiserror::Error;

/// Something happened on a sync stream's behalf.
#[derive(Debug)]
pub(crate) enum Event {
    /// The other side opened a stream.
    Inbound(SyncStream),
}

/// Opens sync streams, accepts them, and keeps connections with known devices alive.
#[derive(Debug, Default)]
pub(crate) struct Behaviour {
    kept: BTreeSet<PeerId>,
    connections: BTreeMap<ConnectionId, (PeerId, Arc<OpenStreams>)>,
    todo: VecDeque<ToSwarm<Event, Ask>>,
    waker: Option<Waker>,
}

/// The peer's id holds no Ed25519 key.
#[derive(Debug, Error)]
#[error("the peer id holds no Ed25519 key, so it names no device")]
pub(crate) struct NoDevice;

impl Behaviour {
    /// Opens a stream on `connection`. The reply is dropped if the connection ends first.
    pub(crate) fn open(&mut self, peer_id: PeerId, connection: ConnectionId, reply: OpenReply) {
        self.notify(peer_id, connection, Ask::Open(reply));
    }

    /// Whether connections with `peer` live on when nothing uses them.
    pub(crate) fn keep(&mut self, peer: PeerId, keep: bool) {
        let changed = if keep { self.kept.insert(peer) } else { self.kept.remove(&peer) };
        if !changed {
            return;
        }
        let connections: Vec<_> =
            self.connections.iter().filter(|(_, (owner, _))| *owner == peer).map(|(id, _)| *id).collect();
        for connection in connections {
            self.notify(peer, connection, Ask::Keep(keep));
        }
    }

    /// How many sync streams are open on `connection`, in both directions.
    pub(crate) fn open_streams(&self, connection: ConnectionId) -> usize {
        // The behaviour and the handler hold one each.
        self.connections.get(&connection).map_or(0, |(_, open)| Arc::strong_count(open).saturating_sub(2))
    }

    fn notify(&mut self, peer_id: PeerId, connection: ConnectionId, event: Ask) {
        self.todo.push_back(ToSwarm::NotifyHandler {
            peer_id,
            handler: NotifyHandler::One(connection),
            event,
        });
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn handler(&mut self, id: ConnectionId, peer: PeerId) -> Result<Handler, ConnectionDenied> {
        let device = device_of(&peer).ok_or_else(|| ConnectionDenied::new(NoDevice))?;
        let open = Arc::new(OpenStreams);
        self.connections.insert(id, (peer, Arc::clone(&open)));
        Ok(Handler::new(device, self.kept.contains(&peer), open))
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handler(id, peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handler(id, peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(closed) => {
                self.connections.remove(&closed.connection_id);
            }
            // Another behaviour may refuse a connection after this one made a handler for it.
            FromSwarm::ListenFailure(failure) => {
                self.connections.remove(&failure.connection_id);
            }
            FromSwarm::DialFailure(failure) => {
                self.connections.remove(&failure.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, stream: THandlerOutEvent<Self>) {
        self.todo.push_back(ToSwarm::GenerateEvent(Event::Inbound(stream)));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        match self.todo.pop_front() {
            Some(todo) => Poll::Ready(todo),
            None => {
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
