//! The part of the sync protocol that lives with one connection.

use super::{OpenStreams, SYNC_PROTOCOL, SyncStream};
use crate::limits;
use futures::channel::oneshot;
use libp2p::StreamProtocol;
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{ConnectionHandler, ConnectionHandlerEvent, StreamUpgradeError, SubstreamProtocol};
use reknit_types::DeviceId;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Where an opened stream, or the reason there is none, goes.
pub(crate) type OpenReply = oneshot::Sender<Result<SyncStream, OpenError>>;

/// Why a stream could not be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    NotConnected,
    Failed(String),
}

/// What the behaviour asks of a connection.
#[derive(Debug)]
pub(crate) enum Ask {
    Open(OpenReply),
    Keep(bool),
}

type Upgrade = ReadyUpgrade<StreamProtocol>;
type ToDo = ConnectionHandlerEvent<Upgrade, OpenReply, SyncStream>;

/// Opens and accepts the sync streams of one connection.
#[derive(Debug)]
pub(crate) struct Handler {
    device: DeviceId,
    keep: bool,
    open: Arc<OpenStreams>,
    todo: VecDeque<ToDo>,
    waker: Option<Waker>,
}

impl Handler {
    pub(crate) fn new(device: DeviceId, keep: bool, open: Arc<OpenStreams>) -> Self {
        Self { device, keep, open, todo: VecDeque::new(), waker: None }
    }

    fn is_full(&self) -> bool {
        // One holder is the behaviour, one is this handler; the rest are streams, and those asked for.
        Arc::strong_count(&self.open) + self.todo.len() >= limits::STREAMS_PER_CONNECTION_MAX + 2
    }

    fn push(&mut self, todo: ToDo) {
        self.todo.push_back(todo);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn on_open(&mut self, reply: OpenReply) {
        if self.is_full() {
            let full = "too many streams are open on this connection".to_owned();
            let _ = reply.send(Err(OpenError::Failed(full)));
            return;
        }
        let protocol = SubstreamProtocol::new(ReadyUpgrade::new(SYNC_PROTOCOL), reply)
            .with_timeout(limits::STREAM_OPEN_TIMEOUT);
        self.push(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Ask;
    type ToBehaviour = SyncStream;
    type InboundProtocol = Upgrade;
    type OutboundProtocol = Upgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = OpenReply;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol, Self::InboundOpenInfo> {
        SubstreamProtocol::new(ReadyUpgrade::new(SYNC_PROTOCOL), ())
    }

    fn connection_keep_alive(&self) -> bool {
        self.keep
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToDo> {
        match self.todo.pop_front() {
            Some(todo) => Poll::Ready(todo),
            None => {
                self.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn on_behaviour_event(&mut self, ask: Ask) {
        match ask {
            Ask::Open(reply) => self.on_open(reply),
            Ask::Keep(keep) => self.keep = keep,
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<
            '_,
            Self::InboundProtocol,
            Self::OutboundProtocol,
            Self::InboundOpenInfo,
            Self::OutboundOpenInfo,
        >,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol: stream, .. }) => {
                if self.is_full() {
                    tracing::debug!(device = %self.device, "resetting a sync stream: too many are open");
                    return;
                }
                let stream = SyncStream::new(self.device, stream, Arc::clone(&self.open));
                self.push(ConnectionHandlerEvent::NotifyBehaviour(stream));
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: stream,
                info: reply,
            }) => {
                // Whoever asked may have stopped waiting; the stream is then reset by its drop.
                let _ = reply.send(Ok(SyncStream::new(self.device, stream, Arc::clone(&self.open))));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, info: reply }) => {
                let _ = reply.send(Err(OpenError::Failed(reason(error))));
            }
            _ => {}
        }
    }
}

fn reason<E: std::fmt::Display>(error: StreamUpgradeError<E>) -> String {
    match error {
        StreamUpgradeError::Timeout => "it did not answer in time".to_owned(),
        StreamUpgradeError::Apply(error) => error.to_string(),
        StreamUpgradeError::NegotiationFailed => format!("it does not speak {SYNC_PROTOCOL}"),
        StreamUpgradeError::Io(error) => error.to_string(),
    }
}
