//! What a command can ask of a peer. Each question is a struct and names its answer's type; [`Host`] executes it. A
//! running peer answers over its socket (`server.rs`), otherwise the command opens the store and answers itself
//! (`door.rs`): the same code either way.

mod drafts;
mod entities;
mod history;
mod network;
mod pick;
mod query;
mod schema;
mod spaces;
mod streams;

pub(crate) use drafts::{Begin, Begun, Cancel, Commit, Drafts};
pub(crate) use entities::{
    Collections, Find, List, NewEntity, PAGE_ENTITIES_MAX, Put, Remove, Restore, Write,
};
pub(crate) use history::{LOG_ENTRIES_MAX, Log, Status, UntilConverged, Why};
pub(crate) use network::{Hello, Pause, Resume, Stop};
pub(crate) use query::{Found, LiveQuery, Query};
pub(crate) use schema::Schema;
pub(crate) use spaces::{Invite, InviteReply, Join, SpaceInfo, SpaceLeave, SpaceNew, Spaces};
pub(crate) use streams::{Happenings, Watch};

use crate::exit::Failure;
use futures::Stream;
use reknit::{DeviceId, Peer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// A question with one answer.
pub(crate) trait Call: Serialize + DeserializeOwned + Send + 'static {
    /// Where the server answers it.
    const PATH: &'static str;
    /// The answer.
    type Reply: Serialize + DeserializeOwned + Send + 'static;

    fn execute(self, host: &Host) -> impl Future<Output = Result<Self::Reply, Failure>> + Send;
}

/// A question with answers as long as somebody listens.
pub(crate) trait Follow: Serialize + DeserializeOwned + Send + 'static {
    /// Where the server answers it.
    const PATH: &'static str;
    /// One answer.
    type Item: Serialize + DeserializeOwned + Send + 'static;

    fn follow(self, host: &Host) -> Result<impl Stream<Item = Self::Item> + Send + 'static, Failure>;
}

/// A peer, and what commands have under way on it.
pub(crate) struct Host {
    peer: Peer,
    store: PathBuf,
    drafts: Arc<Mutex<Drafts>>,
    /// Somebody asked the peer to stop.
    stop: Notify,
}

impl Host {
    /// `store` is the peer's file.
    pub(crate) fn new(peer: Peer, store: PathBuf) -> Self {
        Self { peer, store, drafts: Arc::default(), stop: Notify::new() }
    }

    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(crate) fn store_bytes(&self) -> u64 {
        std::fs::metadata(&self.store).map_or(0, |metadata| metadata.len())
    }

    /// What people call a device: its name in a space of ours, or the beginning of its id.
    pub(crate) fn name_of(peer: &Peer, device: DeviceId) -> String {
        let members = peer.spaces().into_iter().flat_map(|space| space.members());
        let named = members.into_iter().find(|member| member.device == device);
        named.map_or_else(|| device.short(), |member| member.name)
    }

    pub(crate) fn drafts(&self) -> &Arc<Mutex<Drafts>> {
        &self.drafts
    }

    pub(crate) fn stop(&self) -> &Notify {
        &self.stop
    }
}
