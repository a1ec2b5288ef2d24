//! What happened, and how far peers are apart.

use super::{Call, Host, pick};
use crate::exit::{Exit, Failure};
use crate::view::{EventView, ReasonView, ReceiptView, StatusView};
use futures::StreamExt;
use reknit::Space;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// All about the peer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Status {}

impl Call for Status {
    const PATH: &'static str = "/v1/status";
    type Reply = StatusView;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        StatusView::of(host).await
    }
}

/// The newest events of a space, newest first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Log {
    pub(crate) space: Option<String>,
    pub(crate) newest: usize,
}

impl Call for Log {
    const PATH: &'static str = "/v1/log";
    type Reply = Vec<EventView>;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        let space = pick::space(host.peer(), self.space.as_deref())?;
        let most = usize::try_from(LOG_ENTRIES_MAX).unwrap_or(usize::MAX);
        let entries = space.log(self.newest.min(most))?;
        Ok(entries.into_iter().map(EventView::from).collect())
    }
}

/// Why peers lack events of a space.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Why {
    pub(crate) space: Option<String>,
}

impl Call for Why {
    const PATH: &'static str = "/v1/why";
    type Reply = Vec<ReasonView>;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        let space = pick::space(host.peer(), self.space.as_deref())?;
        reasons(&space).await
    }
}

async fn reasons(space: &Space) -> Result<Vec<ReasonView>, Failure> {
    Ok(space.why().await?.into_iter().map(ReasonView::from).collect())
}

/// Waits until every connected member, and at least `peers` of them, signed that they have what this peer has.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct UntilConverged {
    pub(crate) space: Option<String>,
    pub(crate) peers: usize,
    pub(crate) timeout_ms: u64,
}

impl Call for UntilConverged {
    const PATH: &'static str = "/v1/until-converged";
    type Reply = Vec<ReceiptView>;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        let space = pick::space(host.peer(), self.space.as_deref())?;
        let timeout = Duration::from_millis(self.timeout_ms);
        match tokio::time::timeout(timeout, receipts(host, &space, self.peers)).await {
            Ok(receipts) => receipts,
            Err(_) => Err(not_converged(&space, self.peers).await?),
        }
    }
}

async fn receipts(host: &Host, space: &Space, peers: usize) -> Result<Vec<ReceiptView>, Failure> {
    let mut events = Box::pin(host.peer().events());
    loop {
        let receipts = space.until_converged().await?;
        if receipts.len() >= peers {
            return Ok(receipts.into_iter().map(ReceiptView::from).collect());
        }
        // Too few are connected: whatever happens next may be that another one is.
        if events.next().await.is_none() {
            return Err(Failure::error("the peer is shutting down"));
        }
    }
}

async fn not_converged(space: &Space, peers: usize) -> Result<Failure, Failure> {
    let mut message = format!("{} did not converge in time", space.name());
    for reason in reasons(space).await? {
        message.push_str(&format!("\n  {}", reason.text));
    }
    let connected = space.status().await?.peers.iter().filter(|link| link.connected).count();
    if connected < peers {
        message.push_str(&format!(
            "\n  {connected} of the members are connected and {peers} are waited for: start `reknit up` on another"
        ));
    }
    Ok(Failure::new(Exit::NotConverged, message))
}

/// Events in one answer.
pub(crate) const LOG_ENTRIES_MAX: i64 = 10_000;
