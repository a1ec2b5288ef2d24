//! Open queries: whatever happens, what they said adds up to what the query finds.

use anyhow::{Result, bail};
use futures::StreamExt;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reknit::{EntityId, Live, LiveStep, Params, Peer, Role, Space, Value};
use std::time::Duration;
use tokio::time::timeout;

type Rows = Vec<Vec<Value>>;

const QUERIES: [&str; 5] = [
    "SELECT id, title, year FROM albums ORDER BY year DESC NULLS LAST, id LIMIT 5",
    "SELECT id, title FROM albums WHERE year > 3 ORDER BY id",
    "SELECT year, COUNT(*), SUM(plays) FROM albums GROUP BY year ORDER BY year",
    "SELECT id, liner FROM albums WHERE MATCH(liner, 'rain') ORDER BY id",
    "SELECT DISTINCT year FROM albums ORDER BY year",
];

/// Edits an album in one of the ways there are.
async fn edit(space: &Space, rng: &mut StdRng) -> Result<()> {
    let id = EntityId::from_bytes([rng.random_range(1..12); 16]);
    let (what, number) = (rng.random_range(0..8), rng.random_range(0..8i64));
    let edited = space.transact(move |tx| {
        let mut album = tx.entity("albums", id)?;
        match what {
            0 => album.delete(),
            1 => album.restore(),
            2 => album.set("title", format!("t{number}")).map(drop),
            3 => album.add("plays", number).map(drop),
            4 => album.text("liner")?.push("rain ").map(drop),
            5 => album.set("year", Value::Null).map(drop),
            _ => album.set("year", number).map(drop),
        }
    });
    match edited.await {
        Ok(()) | Err(reknit::Error::Tx(reknit::TxError::Deleted(_))) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Reads an open query until what it said is what the query finds.
async fn follow(live: &mut Live, rows: &mut Rows, wanted: impl Fn() -> Result<Rows>) -> Result<()> {
    loop {
        if *rows == wanted()? {
            return Ok(());
        }
        match timeout(Duration::from_secs(10), live.next()).await? {
            Some(Ok(LiveStep::Found { rows: found, .. })) => *rows = found,
            Some(Ok(LiveStep::Current)) => {}
            Some(Ok(LiveStep::Changed { differences, events })) => {
                assert!(!differences.is_empty() && !events.is_empty());
                for difference in differences {
                    assert!(difference.clone().apply(rows), "{difference:?} does not fit {rows:?}");
                }
            }
            Some(Err(error)) => return Err(error.into()),
            None => bail!("the query ended"),
        }
    }
}

#[tokio::test]
async fn differences_add_up_to_what_the_query_finds() -> Result<()> {
    let peer = Peer::ephemeral().offline().start().await?;
    let space = peer.create_space("music").await?;
    let mut rng = StdRng::seed_from_u64(7);
    for _ in 0..10 {
        edit(&space, &mut rng).await?;
    }
    let mut open = vec![];
    for sql in QUERIES {
        open.push((sql, space.live(sql, &Params::new())?, Rows::new()));
    }
    for round in 0..150 {
        // Some rounds bring many events, of which a slow consumer sees the sum.
        for _ in 0..if round % 10 == 0 { 20 } else { 1 } {
            edit(&space, &mut rng).await?;
        }
        for (sql, live, rows) in &mut open {
            follow(live, rows, || Ok(space.query(sql, &Params::new())?.rows)).await?;
        }
    }
    peer.shutdown().await?;
    assert!(open[0].1.next().await.is_none(), "it ends with its peer");
    Ok(())
}

#[tokio::test]
async fn an_open_query_says_that_it_is_current_before_it_has_news() -> Result<()> {
    let peer = Peer::ephemeral().offline().start().await?;
    let space = peer.create_space("music").await?;
    let mut live = space.live("SELECT title FROM albums", &Params::new())?;
    space.transact(|tx| tx.create("albums")?.set("title", "Blue").map(drop)).await?;
    let found = live.next().await.expect("it goes on")?;
    assert_eq!(found, LiveStep::Found { columns: vec!["title".to_owned()], rows: vec![vec!["Blue".into()]] });
    assert_eq!(live.next().await.expect("it goes on")?, LiveStep::Current);
    space.transact(|tx| tx.create("films")?.set("title", "Gold").map(drop)).await?;
    space.transact(|tx| tx.create("albums")?.set("title", "Hejira").map(drop)).await?;
    let LiveStep::Changed { differences, .. } = live.next().await.expect("it goes on")? else {
        bail!("news")
    };
    assert_eq!(differences.len(), 1);
    peer.shutdown().await?;
    Ok(())
}

#[tokio::test]
async fn what_another_peer_writes_is_news_here() -> Result<()> {
    let start = |name: &str| Peer::ephemeral().device_name(name).loopback().start();
    let (one, other) = (start("one").await?, start("other").await?);
    let space = one.create_space("music").await?;
    let ticket = space.invite(Role::Writer, None).await?;
    let there = other.join(&ticket).await?;
    let mut rng = StdRng::seed_from_u64(8);
    let (mut live, mut rows) = (there.live(QUERIES[0], &Params::new())?, Rows::new());
    for _ in 0..30 {
        edit(&space, &mut rng).await?;
    }
    follow(&mut live, &mut rows, || Ok(space.query(QUERIES[0], &Params::new())?.rows)).await?;
    one.shutdown().await?;
    other.shutdown().await?;
    Ok(())
}
