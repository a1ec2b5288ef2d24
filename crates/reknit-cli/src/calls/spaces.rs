//! Creating, joining and describing spaces.

use super::{Call, Host, pick};
use crate::exit::{Exit, Failure};
use crate::view::SpaceView;
use reknit::{Role, SpaceId, Ticket};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// All spaces of the peer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spaces {}

impl Call for Spaces {
    const PATH: &'static str = "/v1/spaces";
    type Reply = Vec<SpaceView>;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        let mut spaces = Vec::new();
        for space in host.peer().spaces() {
            spaces.push(SpaceView::of(&space).await?);
        }
        Ok(spaces)
    }
}

/// Creates a space.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SpaceNew {
    pub(crate) name: String,
}

impl Call for SpaceNew {
    const PATH: &'static str = "/v1/space/new";
    type Reply = SpaceView;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        if host.peer().spaces().iter().any(|space| space.name() == self.name) {
            return Err(Failure::error(format!("there is a space named {:?} already", self.name)));
        }
        SpaceView::of(&host.peer().create_space(&self.name).await?).await
    }
}

/// One space, with its members.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SpaceInfo {
    pub(crate) space: Option<String>,
}

impl Call for SpaceInfo {
    const PATH: &'static str = "/v1/space/info";
    type Reply = SpaceView;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        SpaceView::of(&pick::space(host.peer(), self.space.as_deref())?).await
    }
}

/// Gives up a space that is still being joined.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SpaceLeave {
    pub(crate) space: Option<String>,
}

/// The space that was given up.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SpaceLeft {
    pub(crate) id: SpaceId,
    pub(crate) name: String,
}

impl Call for SpaceLeave {
    const PATH: &'static str = "/v1/space/leave";
    type Reply = SpaceLeft;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        let space = pick::space(host.peer(), self.space.as_deref())?;
        let left = SpaceLeft { id: space.id(), name: space.name() };
        space.leave().await?;
        Ok(left)
    }
}

/// Invites others into a space.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Invite {
    pub(crate) space: Option<String>,
    pub(crate) role: String,
    pub(crate) expires_ms: Option<u64>,
}

/// A ticket, in its two spellings.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct InviteReply {
    pub(crate) space: String,
    pub(crate) role: String,
    pub(crate) ticket: String,
    pub(crate) qr_text: String,
    /// At how many addresses the ticket says that a member can be reached.
    pub(crate) addresses: usize,
}

impl Call for Invite {
    const PATH: &'static str = "/v1/invite";
    type Reply = InviteReply;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        let space = pick::space(host.peer(), self.space.as_deref())?;
        let role: Role = self.role.parse().map_err(|cause| Failure::usage(format!("{cause}")))?;
        let ticket = space.invite(role, self.expires_ms.map(Duration::from_millis)).await?;
        Ok(InviteReply {
            space: space.name(),
            role: role.to_string(),
            qr_text: ticket.to_qr_text(),
            addresses: ticket.peers.iter().map(|hint| hint.addrs.len()).sum(),
            ticket: ticket.to_string(),
        })
    }
}

/// Joins a space and fetches its history.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Join {
    pub(crate) ticket: String,
    pub(crate) timeout_ms: u64,
}

impl Call for Join {
    const PATH: &'static str = "/v1/join";
    type Reply = SpaceView;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        let ticket: Ticket = self.ticket.parse().map_err(|cause| Failure::usage(format!("{cause}")))?;
        let joining = host.peer().join(&ticket);
        let space = tokio::time::timeout(Duration::from_millis(self.timeout_ms), joining).await.map_err(|_| {
            Failure::new(
                Exit::Unreachable,
                "no member of the space was reached in time: check that one of them runs `reknit up` and can be \
                 reached from here, then join again",
            )
        })??;
        SpaceView::of(&space).await
    }
}
