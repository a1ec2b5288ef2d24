//! The way to the peer: over the socket of a running one, or by opening its store.

use crate::calls::{Call, Follow, Host};
use crate::client::{Client, Reached};
use crate::exit::Failure;
use crate::home::{Home, Reach, Start};
use futures::StreamExt;
use futures::stream::BoxStream;
use tracing::Instrument;

/// A peer to ask.
pub(crate) enum Door {
    /// It runs in another process.
    Running(Client),
    /// It runs in this one, for as long as the command does.
    Opened(Box<Host>),
}

impl Door {
    /// Asks the running peer, or starts one here.
    pub(crate) async fn open(home: &Home, reach: Reach) -> Result<Self, Failure> {
        home.must_exist()?;
        if let Reached::Peer(client) = Client::reach(home).await? {
            return Ok(Self::Running(client));
        }
        let peer = home.start(&Start::new(home.config()?, reach)).await?;
        Ok(Self::Opened(Box::new(Host::new(peer, home.store()))))
    }

    /// Whether the peer goes on when this command ends.
    pub(crate) fn is_running(&self) -> bool {
        matches!(self, Self::Running(_))
    }

    pub(crate) async fn call<C: Call>(&self, call: C) -> Result<C::Reply, Failure> {
        match self {
            Self::Running(client) => client.call(&call).await,
            Self::Opened(host) => {
                call.execute(host).instrument(tracing::debug_span!("call", path = C::PATH)).await
            }
        }
    }

    pub(crate) async fn follow<F: Follow>(
        &self,
        follow: F,
    ) -> Result<BoxStream<'static, Result<F::Item, Failure>>, Failure> {
        match self {
            Self::Running(client) => client.follow(&follow).await,
            Self::Opened(host) => Ok(follow.follow(host)?.map(Ok).boxed()),
        }
    }

    /// Leaves. A peer that was started here is shut down.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        match self {
            Self::Running(_) => Ok(()),
            Self::Opened(host) => Ok(host.peer().clone().shutdown().await?),
        }
    }
}
