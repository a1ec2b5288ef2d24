//! Peers over loopback, in one process: what an app may rely on.

use anyhow::Result;
use futures::StreamExt;
use reknit::{Change, Error, FieldValue, Peer, Role, Space, TxError};
use std::time::Duration;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

async fn peer(name: &str) -> Result<Peer> {
    Ok(Peer::ephemeral().device_name(name).loopback().start().await?)
}

/// Two peers that share a space.
async fn pair() -> Result<(Peer, Space, Peer, Space)> {
    let (a, b) = (peer("a").await?, peer("b").await?);
    let here = a.create_space("home").await?;
    let ticket = here.invite(Role::Writer, None).await?;
    let there = timeout(SOON, b.join(&ticket)).await??;
    Ok((a, here, b, there))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_joins_and_both_see_each_others_writes() -> Result<()> {
    let (_a, here, _b, there) = pair().await?;
    let note = here
        .transact(|tx| {
            let mut note = tx.create("notes")?;
            note.set("title", "shared")?.add("stars", 2)?;
            note.text("body")?.push("hello")?;
            note.document("meta")?.set("/tags", serde_json::json!(["x"]))?;
            Ok(note.id())
        })
        .await?;
    timeout(SOON, here.until_converged()).await??;
    there
        .transact(move |tx| {
            let mut note = tx.entity("notes", note)?;
            note.add("stars", 3)?.text("body")?.push(" world")?;
            Ok(())
        })
        .await?;
    timeout(SOON, there.until_converged()).await??;
    let seen = here.get("notes", note)?.expect("it was created here");
    assert_eq!(seen.field("stars"), Some(&FieldValue::Counter(5)));
    assert_eq!(seen.field("body"), Some(&FieldValue::Text("hello world".to_owned())));
    assert_eq!(Some(seen), there.get("notes", note)?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_heals() -> Result<()> {
    let (a, here, b, there) = pair().await?;
    let id = here
        .transact(|tx| {
            let mut note = tx.create("notes")?;
            note.text("body")?.push("base ")?;
            Ok(note.id())
        })
        .await?;
    timeout(SOON, here.until_converged()).await??;
    b.pause_network().await;
    for (space, text) in [(&here, "here "), (&there, "there ")] {
        space
            .transact(move |tx| {
                tx.entity("notes", id)?.text("body")?.push(text)?;
                Ok(())
            })
            .await?;
    }
    b.resume_network().await;
    let receipts = timeout(SOON, async {
        loop {
            let (ours, theirs) = (here.until_converged().await?, there.until_converged().await?);
            if ours[0].frontier == theirs[0].frontier
                && here.status().await?.events == there.status().await?.events
            {
                return Ok::<_, Error>((ours, theirs));
            }
        }
    })
    .await??;
    assert_eq!(receipts.0[0].frontier, receipts.1[0].frontier);
    assert_eq!(here.list("notes")?, there.list("notes")?);
    let text = here.get("notes", id)?.and_then(|note| note.field("body").map(ToString::to_string));
    assert_eq!(text.map(|text| text.len()), Some("base here there ".len()));
    drop(a);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_sees_remote_commits() -> Result<()> {
    let (_a, here, _b, there) = pair().await?;
    let mut changes = there.watch();
    here.transact(|tx| tx.create("notes")?.set("title", "news").map(|_| ())).await?;
    let seen = timeout(SOON, async {
        while let Some(change) = changes.next().await {
            if let Change::Committed { local: false, entities, .. } = change
                && entities.iter().any(|entity| entity.collection.as_str() == "notes")
            {
                return true;
            }
        }
        false
    })
    .await?;
    assert!(seen);
    Ok(())
}

#[tokio::test]
async fn an_aborted_or_panicking_transaction_leaves_nothing() -> Result<()> {
    let peer = Peer::ephemeral().offline().start().await?;
    let space = peer.create_space("home").await?;
    let aborted = space
        .transact(|tx| {
            tx.create("notes")?.set("title", "no")?;
            Err::<(), _>(TxError::abort("changed my mind"))
        })
        .await;
    assert!(matches!(aborted, Err(Error::Tx(TxError::Aborted(_)))));
    let panicked = space.transact(|_| -> Result<(), TxError> { panic!("a bug in the app") }).await;
    assert!(matches!(panicked, Err(Error::Tx(TxError::Panicked))));
    assert!(space.list("notes")?.is_empty());
    space.transact(|tx| tx.create("notes")?.set("title", "yes").map(|_| ())).await?;
    assert_eq!(space.list("notes")?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_long_transaction_keeps_what_came_meanwhile() -> Result<()> {
    let peer = Peer::ephemeral().offline().start().await?;
    let space = peer.create_space("home").await?;
    let id = space
        .transact(|tx| {
            let mut note = tx.create("notes")?;
            note.text("body")?.push("one two")?;
            Ok(note.id())
        })
        .await?;
    let mut long = space.begin().await?;
    space
        .transact(move |tx| {
            tx.entity("notes", id)?.text("body")?.insert(0, "zero ")?;
            Ok(())
        })
        .await?;
    long.edit(|tx| {
        let mut note = tx.entity("notes", id)?;
        assert_eq!(note.text("body")?.read()?, "one two");
        note.text("body")?.replace("one two three")?;
        Ok(())
    })?;
    long.commit().await?;
    let body = space.get("notes", id)?.and_then(|note| note.field("body").map(ToString::to_string));
    assert_eq!(body.as_deref(), Some("zero one two three"));
    Ok(())
}

#[tokio::test]
async fn a_store_in_use_is_refused_and_reopens_after_shutdown() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("peer.redb");
    let peer = Peer::builder(&file).offline().device_name("laptop").start().await?;
    let space = peer.create_space("home").await?;
    space.transact(|tx| tx.create("notes")?.set("title", "kept").map(|_| ())).await?;
    assert!(matches!(Peer::builder(&file).offline().start().await, Err(Error::StoreInUse { .. })));
    let id = peer.id();
    drop(space);
    peer.shutdown().await?;
    let again = Peer::builder(&file).offline().start().await?;
    assert_eq!((again.id(), again.device_name()), (id, "laptop".to_owned()));
    assert_eq!(again.space_named("home")?.list("notes")?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn commits_keep_the_order_in_which_one_task_asked_for_them() -> Result<()> {
    let peer = Peer::ephemeral().offline().start().await?;
    let space = peer.create_space("home").await?;
    let id = space.transact(|tx| Ok(tx.create("notes")?.id())).await?;
    let mut waiting = vec![];
    // More than the scheduler lets one task do at a stretch.
    for at in 0..600 {
        let space = space.clone();
        let mut commit = Box::pin(async move {
            space
                .transact(move |tx| {
                    tx.entity("notes", id)?.text("body")?.insert(at, if at % 10 == 0 { "|" } else { "." })?;
                    Ok(())
                })
                .await
        });
        if futures::poll!(&mut commit).is_pending() {
            waiting.push(commit);
        }
    }
    futures::future::try_join_all(waiting).await?;
    let body = space.get("notes", id)?.and_then(|note| note.field("body").map(ToString::to_string));
    assert_eq!(body, Some("|.........".repeat(60)));
    Ok(())
}

#[tokio::test]
async fn streams_end_with_the_peer_after_showing_all_that_was_committed() -> Result<()> {
    let peer = Peer::ephemeral().offline().start().await?;
    let space = peer.create_space("home").await?;
    let (changes, events) = (space.watch(), peer.events());
    for _ in 0..3 {
        space.transact(|tx| tx.create("notes")?.set("title", "x").map(drop)).await?;
    }
    peer.shutdown().await?;
    assert_eq!(timeout(SOON, changes.count()).await?, 3);
    timeout(SOON, events.count()).await?;
    Ok(())
}

#[tokio::test]
async fn a_handle_that_is_still_held_keeps_no_store_open() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("peer.redb");
    let peer = Peer::builder(&file).offline().start().await?;
    let space = peer.create_space("home").await?;
    let other = peer.clone();
    peer.shutdown().await?;
    assert!(matches!(space.list("notes"), Err(Error::Stopped(None))));
    let again = Peer::builder(&file).offline().start().await?;
    assert_eq!(again.spaces().len(), 1);
    assert!(matches!(space.status().await, Err(Error::Stopped(None))));
    // Whoever stops it once more is told the same.
    other.shutdown().await?;
    again.shutdown().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_whose_writers_never_pause_stops_when_told_to() -> Result<()> {
    let peer = Peer::ephemeral().offline().start().await?;
    let space = peer.create_space("home").await?;
    let writers = futures::future::join_all((0..300).map(|_| {
        let space = space.clone();
        async move {
            let write = || space.transact(|tx| tx.create("notes")?.set("title", "x").map(drop));
            while write().await.is_ok() {}
        }
    }));
    let writing = tokio::spawn(writers);
    // The last of a first round of writes is in.
    space.transact(|tx| tx.create("notes")?.set("title", "x").map(drop)).await?;
    peer.shutdown().await?;
    timeout(SOON, writing).await??;
    Ok(())
}
