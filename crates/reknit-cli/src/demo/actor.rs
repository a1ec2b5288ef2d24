//! One of the three peers: a `reknit up` in a process of its own, driven over its socket.

use super::record::{Receipts, Who};
use crate::assignment::Assignment;
use crate::calls::{Call, Find, Hello, Put, SpaceInfo, Stop, UntilConverged};
use crate::client::{Client, Reached};
use crate::exit::{Exit, Failure};
use crate::home::Home;
use crate::view::{EntityView, HappeningView, ReceiptView};
use reknit::{DeviceId, EntityId};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::watch;

/// A running peer.
pub(super) struct Actor {
    pub(super) who: Who,
    client: Client,
    child: Child,
    found: watch::Receiver<BTreeSet<DeviceId>>,
}

impl Actor {
    /// Creates a peer in a directory below `root` and runs it.
    pub(super) async fn start(root: &Path, who: Who, mdns: bool) -> Result<Self, Failure> {
        let home = Home::find(Some(root.join(who.name())))?;
        let created =
            reknit(&home)?.args(["init", "--json", "--name", who.name()]).stdout(Stdio::null()).status();
        let status = created.await.map_err(|cause| Failure::while_doing("starting reknit init", cause))?;
        if !status.success() {
            return Err(Failure::error(format!("reknit init ended with {status}")));
        }
        let mut up = reknit(&home)?;
        up.args(["up", "--json"]).stdout(Stdio::piped()).kill_on_drop(true);
        if !mdns {
            up.arg("--no-mdns");
        }
        let mut child = up.spawn().map_err(|cause| Failure::while_doing("starting reknit up", cause))?;
        let stdout = child.stdout.take().ok_or_else(|| Failure::error("reknit up has no stdout"))?;
        let mut lines = BufReader::new(stdout).lines();
        // Its first line says that it answers.
        next_happening(&mut lines).await?.ok_or_else(|| Failure::error("reknit up ended at once"))?;
        let Reached::Peer(client) = Client::reach(&home).await? else {
            return Err(Failure::new(Exit::Unreachable, format!("{} does not answer", who.name())));
        };
        let (finding, found) = watch::channel(BTreeSet::new());
        tokio::spawn(note_found(lines, finding));
        Ok(Self { who, client, child, found })
    }

    pub(super) async fn call<C: Call>(&self, call: C) -> Result<C::Reply, Failure> {
        self.client.call(&call).await.map_err(|failure| Failure {
            message: format!("{}: {}", self.who.name(), failure.message),
            ..failure
        })
    }

    /// The devices it has found by mDNS, as they become more.
    pub(super) fn found(&self) -> watch::Receiver<BTreeSet<DeviceId>> {
        self.found.clone()
    }

    /// Writes in the words of `reknit put`.
    pub(super) async fn put(&self, id: Option<EntityId>, words: &[&str]) -> Result<EntityView, Failure> {
        let assignments = words.iter().map(|word| Assignment::parse(word)).collect::<Result<_, _>>()?;
        let (collection, id) = (COLLECTION.to_owned(), id.map(|id| id.to_string()));
        Ok(self.call(Put { space: None, collection, id, assignments }).await?.entity)
    }

    /// The entity as this peer sees it.
    pub(super) async fn see(&self, id: EntityId) -> Result<EntityView, Failure> {
        self.call(Find { space: None, collection: COLLECTION.to_owned(), id: id.to_string() }).await
    }

    pub(super) async fn device(&self) -> Result<DeviceId, Failure> {
        Ok(self.call(Hello {}).await?.device)
    }

    /// Waits until everyone it is connected with has signed for what it has.
    pub(super) async fn until_converged(&self) -> Result<Vec<ReceiptView>, Failure> {
        self.call(UntilConverged { space: None, peers: 1, timeout_ms: CONVERGE_MS }).await
    }

    /// The same, with what it has then, and who of `devices`, in the order of [`Who::ALL`], signed for that.
    pub(super) async fn receipts(&self, devices: &[DeviceId]) -> Result<Receipts, Failure> {
        let signed = self.until_converged().await?;
        let space = self.call(SpaceInfo { space: None }).await?;
        let signs = |device: &DeviceId| {
            signed.iter().any(|receipt| receipt.device == *device && receipt.frontier == space.frontier)
        };
        let signers = Who::ALL.into_iter().zip(devices).filter(|(_, device)| signs(device));
        let signed_by = signers.map(|(who, _)| who.name()).collect();
        Ok(Receipts { who: self.who, events: space.events, frontier: space.frontier, signed_by })
    }

    /// Ends the process in order, or with force if it does not.
    pub(super) async fn stop(mut self) {
        let asked = self.call(Stop {}).await;
        let ended = tokio::time::timeout(STOP_PATIENCE, self.child.wait()).await;
        if asked.is_err() || ended.is_err() {
            // An error says that it has ended.
            let _ = self.child.kill().await;
        }
    }
}

/// This very program, on a home of its own and untouched by the user's settings.
fn reknit(home: &Home) -> Result<Command, Failure> {
    let program =
        std::env::current_exe().map_err(|cause| Failure::while_doing("finding this program", cause))?;
    let mut command = Command::new(program);
    command.arg("--home").arg(home.dir()).stdin(Stdio::null());
    for setting in ["REKNIT_SPACE", "REKNIT_LISTEN", "REKNIT_CLOCK_OFFSET_MS"] {
        command.env_remove(setting);
    }
    Ok(command)
}

async fn next_happening(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<Option<HappeningView>, Failure> {
    let line = lines.next_line().await.map_err(|cause| Failure::while_doing("listening to a peer", cause))?;
    line.map(|line| serde_json::from_str(&line))
        .transpose()
        .map_err(|cause| Failure::while_doing("understanding a peer", cause))
}

/// Listens until the process ends, so that it is never held up by what it says.
async fn note_found(mut lines: Lines<BufReader<ChildStdout>>, found: watch::Sender<BTreeSet<DeviceId>>) {
    while let Ok(Some(happening)) = next_happening(&mut lines).await {
        if happening.code == FOUND_BY_MDNS {
            found.send_modify(|found| found.extend(happening.device));
        }
    }
}

pub(super) const COLLECTION: &str = "picnics";
const FOUND_BY_MDNS: &str = "found_by_mdns";
const CONVERGE_MS: u64 = 20_000;
const STOP_PATIENCE: Duration = Duration::from_secs(3);
