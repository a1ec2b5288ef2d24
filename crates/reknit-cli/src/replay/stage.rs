//! The peers of a replay, all in this process, each with a store of its own, connected over loopback.

use crate::clock::precise;
use crate::exit::{Exit, Failure};
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use indicatif::ProgressBar;
use reknit::{Durability, EntityId, Multiaddr, Peer, PeerEvent, Role, Space, Ticket};
use reknit_traces::{Part, Patch, Trace};
use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::Duration;
use tempfile::TempDir;

/// How many play.
#[derive(Debug, Clone, Copy)]
pub(super) struct Team {
    pub(super) authors: usize,
    /// Peers that carry or follow, and do not write.
    pub(super) readers: usize,
}

/// Everybody, and the text they share.
pub(super) struct Stage {
    pub(super) authors: Vec<Player>,
    pub(super) readers: Vec<Player>,
    entity: EntityId,
    /// Holds the stores.
    _root: TempDir,
}

/// One peer.
pub(super) struct Player {
    pub(super) name: String,
    pub(super) peer: Peer,
    pub(super) space: Space,
    store: PathBuf,
    address: Multiaddr,
}

impl Stage {
    /// Starts the peers, lets all join one space, and creates the text. All are connected.
    pub(super) async fn set(team: Team, durability: Durability, start: &str) -> Result<Self, Failure> {
        let root = tempfile::Builder::new()
            .prefix("reknit-replay-")
            .tempdir()
            .map_err(|cause| Failure::while_doing("making a directory for the stores", cause))?;
        let first = start_peer(root.path(), "author-0", durability).await?;
        let space = first.create_space("replay").await?;
        let text = start.to_owned();
        let entity = space
            .transact(move |tx| {
                let mut entity = tx.create(COLLECTION)?;
                entity.text(FIELD)?.push(&text)?;
                Ok(entity.id())
            })
            .await?;
        let writers = space.invite(Role::Writer, None).await?;
        let carriers = space.invite(Role::Reader, None).await?;
        let mut authors = vec![Player::new(root.path(), "author-0".to_owned(), first, space).await?];
        for number in 1..team.authors {
            authors.push(join(root.path(), format!("author-{number}"), durability, &writers).await?);
        }
        let mut readers = Vec::new();
        for number in 0..team.readers {
            readers.push(join(root.path(), format!("reader-{number}"), Durability::Fast, &carriers).await?);
        }
        let mut stage = Self { authors, readers, entity, _root: root };
        stage.gather().await?;
        Ok(stage)
    }

    fn everybody(&self) -> impl Iterator<Item = &Player> {
        self.authors.iter().chain(&self.readers)
    }

    /// Cuts everybody off from everybody.
    pub(super) async fn scatter(&self) {
        for player in self.everybody() {
            player.peer.pause_network().await;
        }
    }

    /// Connects everybody with the first author until all are equal.
    pub(super) async fn gather(&mut self) -> Result<(), Failure> {
        for player in self.everybody() {
            player.peer.resume_network().await;
        }
        // Twice: what the last one brings, the first ones have to learn.
        for _ in 0..2 {
            for player in self.everybody().skip(1) {
                self.until_equal(player, &self.authors[0]).await?;
            }
        }
        Ok(())
    }

    /// Lets two who are cut off meet: they are connected until they are equal.
    pub(super) async fn meet(&self, one: Part, other: Part) -> Result<(), Failure> {
        let (one, other) = (self.player(one), self.player(other));
        tokio::join!(one.peer.resume_network(), other.peer.resume_network());
        self.until_equal(one, other).await?;
        tokio::join!(one.peer.pause_network(), other.peer.pause_network());
        Ok(())
    }

    fn player(&self, part: Part) -> &Player {
        match part {
            Part::Author(number) => &self.authors[number],
            Part::Courier(number) => &self.readers[number],
        }
    }

    /// Connects two, and waits until they have the same events.
    async fn until_equal(&self, one: &Player, other: &Player) -> Result<(), Failure> {
        let meeting = async {
            let mut events = one.peer.events();
            one.peer.connect(other.address.clone()).await?;
            while one.frontier().await? != other.frontier().await? {
                // Any word about convergence is a reason to look again.
                while !matches!(events.next().await, Some(PeerEvent::Converged { .. }) | None) {}
            }
            Ok(())
        };
        tokio::time::timeout(MEETING_TIMEOUT, meeting).await.unwrap_or_else(|_| {
            let (one, other) = (&one.name, &other.name);
            let took = precise(MEETING_TIMEOUT);
            Err(Failure::new(Exit::NotConverged, format!("{one} and {other} were not equal within {took}")))
        })
    }

    /// Has an author make transactions, one event each, in order, without waiting for one before handing in the next.
    pub(super) async fn write(
        &self,
        author: usize,
        trace: &Trace,
        transactions: &[usize],
        bar: &ProgressBar,
    ) -> Result<(), Failure> {
        let mut under_way = FuturesOrdered::new();
        for place in transactions {
            if under_way.len() >= UNDER_WAY_MAX {
                under_way.next().await.transpose()?;
                bar.inc(1);
            }
            let mut edit = Box::pin(self.edit(author, trace.transactions[*place].patches.clone()));
            // The first poll hands it in, since there is room.
            match futures::poll!(&mut edit) {
                Poll::Ready(done) => {
                    done?;
                    bar.inc(1);
                }
                Poll::Pending => under_way.push_back(edit),
            }
        }
        while let Some(done) = under_way.next().await {
            done?;
            bar.inc(1);
        }
        Ok(())
    }

    async fn edit(&self, author: usize, patches: Vec<Patch>) -> Result<(), reknit::Error> {
        let (space, entity) = (&self.authors[author].space, self.entity);
        let edit = space.transact(move |tx| {
            let mut entity = tx.entity(COLLECTION, entity)?;
            let mut text = entity.text(FIELD)?;
            let splice =
                |Patch(position, deleted, inserted)| text.splice(position, deleted, &inserted).map(drop);
            patches.into_iter().try_for_each(splice)
        });
        edit.await
    }

    /// The text at everybody, by name.
    pub(super) fn texts(&self) -> Result<Vec<(String, String)>, Failure> {
        let read = |player: &Player| {
            let entity = player.space.get(COLLECTION, self.entity)?;
            let value = entity.as_ref().and_then(|entity| entity.field(FIELD));
            match value {
                Some(reknit::FieldValue::Text(text)) => Ok((player.name.clone(), text.clone())),
                _ => Err(Failure::error(format!("{} has no text", player.name))),
            }
        };
        self.everybody().map(read).collect()
    }

    pub(super) async fn strike(self) -> Result<(), Failure> {
        for player in self.authors.into_iter().chain(self.readers) {
            player.peer.shutdown().await?;
        }
        Ok(())
    }
}

impl Player {
    async fn new(root: &Path, name: String, peer: Peer, space: Space) -> Result<Self, Failure> {
        let address = peer.addresses().await.into_iter().next();
        let address = address.ok_or_else(|| Failure::error(format!("{name} listens nowhere")))?;
        Ok(Self { store: store_file(root, &name), name, peer, space, address })
    }

    /// Names the set of events that it has.
    async fn frontier(&self) -> Result<String, Failure> {
        Ok(self.space.status().await?.frontier)
    }

    pub(super) fn store_bytes(&self) -> u64 {
        std::fs::metadata(&self.store).map_or(0, |metadata| metadata.len())
    }
}

async fn join(root: &Path, name: String, durability: Durability, ticket: &Ticket) -> Result<Player, Failure> {
    let peer = start_peer(root, &name, durability).await?;
    let space = peer.join(ticket).await?;
    Player::new(root, name, peer, space).await
}

async fn start_peer(root: &Path, name: &str, durability: Durability) -> Result<Peer, Failure> {
    let loopback = LOOPBACK.parse().map_err(|cause| Failure::while_doing("reading an address", cause))?;
    let builder = Peer::builder(store_file(root, name)).device_name(name).durability(durability);
    Ok(builder.loopback().listen(vec![loopback]).start().await?)
}

fn store_file(root: &Path, name: &str) -> PathBuf {
    root.join(format!("{name}.redb"))
}

const COLLECTION: &str = "texts";
const FIELD: &str = "content";
/// TCP: peers meet thousands of times, and its first connection is the faster one.
const LOOPBACK: &str = "/ip4/127.0.0.1/tcp/0";
/// Fewer than a peer's inbox holds.
const UNDER_WAY_MAX: usize = 512;
const MEETING_TIMEOUT: Duration = Duration::from_secs(30);
