//! Journals of real peers: whatever happened to them, an engine that is fed the same comes to the same.

use anyhow::{Context, Result};
use reknit::{Error, JournalOptions, Peer, Role, Space};
use reknit_engine::journal::{End, Journal, Replayed, Story, replay};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(30);

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    fn journal(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.journal"))
    }

    async fn peer(&self, name: &str, options: JournalOptions) -> Result<Peer> {
        let store = self.folder.path().join(format!("{name}.redb"));
        let builder = Peer::builder(store).device_name(name).loopback();
        Ok(builder.journal(self.journal(name), options).start().await?)
    }
}

fn before(path: &Path) -> PathBuf {
    path.with_extension("journal.before")
}

fn replays(path: &Path) -> Result<Replayed> {
    let journal = Journal::decode(&std::fs::read(path)?)?;
    let replayed = replay(&journal)?;
    if let Some(difference) = &replayed.difference {
        anyhow::bail!("{difference}\nof {:#?}", journal.rounds[difference.round].steps);
    }
    assert_eq!(replayed.rounds, journal.rounds.len());
    Ok(replayed)
}

async fn write(space: &Space, text: &'static str) -> Result<()> {
    let id = reknit::EntityId::from_bytes([7; 16]);
    let edit = space.transact(move |tx| {
        let mut note = tx.entity("notes", id)?;
        note.text("body")?.push(text)?;
        note.document("meta")?.set("/last", text)?;
        note.add("edits", 1).map(drop)
    });
    Ok(edit.await?)
}

async fn until_equal(here: &Space, there: &Space) -> Result<()> {
    timeout(SOON, async {
        while here.status().await?.events != there.status().await?.events {
            here.until_converged().await?;
            there.until_converged().await?;
        }
        Ok(())
    })
    .await?
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journals_of_two_peers_that_part_and_meet_replay_bit_for_bit() -> Result<()> {
    let place = Place::new()?;
    let (a, b) = (
        place.peer("a", JournalOptions::default()).await?,
        place.peer("b", JournalOptions::default()).await?,
    );
    let here = a.create_space("home").await?;
    let there = timeout(SOON, b.join(&here.invite(Role::Writer, None).await?)).await??;
    write(&here, "one ").await?;
    until_equal(&here, &there).await?;
    b.pause_network().await;
    for _ in 0..20 {
        write(&here, "here ").await?;
        write(&there, "there ").await?;
    }
    let mut long = there.begin().await?;
    long.edit(|tx| tx.create("notes")?.set("title", "long").map(drop))?;
    long.commit().await?;
    b.resume_network().await;
    until_equal(&here, &there).await?;
    let events = here.status().await?.events;
    drop((here, there));
    // The journal of a peer that still runs replays as far as it is written.
    assert_eq!(replays(&place.journal("a"))?.end, End::Cut);
    a.shutdown().await?;
    b.shutdown().await?;
    for name in ["a", "b"] {
        let replayed = replays(&place.journal(name))?;
        assert_eq!(replayed.end, End::Ended);
        let [home] = replayed.spaces.as_slice() else { anyhow::bail!("one space, of {:?}", replayed.spaces) };
        assert_eq!((home.name.as_str(), home.events), ("home", events));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_journal_goes_on_in_another_file_and_both_replay() -> Result<()> {
    let place = Place::new()?;
    let a = place.peer("a", JournalOptions::default().bytes(20_000)).await?;
    let b = place.peer("b", JournalOptions::default()).await?;
    let here = a.create_space("home").await?;
    let there = timeout(SOON, b.join(&here.invite(Role::Writer, None).await?)).await??;
    for _ in 0..60 {
        write(&here, "here and there ").await?;
        write(&there, "there and here ").await?;
    }
    until_equal(&here, &there).await?;
    let events = here.status().await?.events;
    drop((here, there));
    a.shutdown().await?;
    b.shutdown().await?;
    let path = place.journal("a");
    let earlier = replays(&before(&path)).context("the file before")?;
    assert!(earlier.end == End::Ended && earlier.rounds > 0);
    assert_eq!(replays(&path)?.spaces[0].events, events);
    replays(&place.journal("b"))?;
    // What the last run left is kept for as long as this one.
    let again = place.peer("a", JournalOptions::default()).await?;
    again.shutdown().await?;
    assert_eq!(replays(&before(&path))?.spaces[0].events, events);
    Ok(())
}

#[tokio::test]
async fn a_redacted_journal_goes_on_without_ending_sessions() -> Result<()> {
    let place = Place::new()?;
    let peer = place.peer("a", JournalOptions::default().bytes(10_000).redacted()).await?;
    let space = peer.create_space("family affairs").await?;
    for _ in 0..60 {
        write(&space, "not for others").await?;
    }
    drop(space);
    peer.shutdown().await?;
    let path = place.journal("a");
    for path in [before(&path), path] {
        let bytes = std::fs::read(&path)?;
        for secret in ["family", "not for", "notes", "body"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        }
        let story = Story::decode(&bytes)?;
        assert!(story.end == End::Ended && story.lines > 0);
    }
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn a_journal_is_for_its_user_alone_and_one_that_cannot_be_begun_is_refused() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new()?;
    let peer = place.peer("a", JournalOptions::default()).await?;
    let mode = std::fs::metadata(place.journal("a"))?.permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    peer.shutdown().await?;
    let nowhere = place.folder.path().join("no such folder").join("journal");
    let refused = Peer::ephemeral().offline().journal(nowhere, JournalOptions::default()).start().await;
    assert!(matches!(refused.map(drop), Err(Error::Journal { .. })));
    Ok(())
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_peer_whose_next_journal_cannot_be_begun_goes_on_without() -> Result<()> {
    let place = Place::new()?;
    let peer = place.peer("a", JournalOptions::default().bytes(10_000)).await?;
    let space = peer.create_space("home").await?;
    // In the way of the next file.
    std::fs::create_dir(place.journal("a").with_extension("journal.next"))?;
    for _ in 0..60 {
        write(&space, "still here ").await?;
    }
    assert_eq!(space.list("notes")?.len(), 1);
    drop(space);
    peer.shutdown().await?;
    assert_eq!(replays(&place.journal("a"))?.end, End::Ended);
    Ok(())
}
