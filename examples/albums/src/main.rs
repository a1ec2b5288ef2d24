//! A record collection for the terminal: typed models and references in a Reknit space.
//!
//! ```text
//! cargo run -p albums -- FILE add ARTIST TITLE YEAR     a record, and its artist if there is none of this name yet
//! cargo run -p albums -- FILE list                      all records, by artist
//! cargo run -p albums -- FILE play TITLE                counts how often it was played
//! cargo run -p albums -- FILE note TITLE WORDS          a line for its liner notes
//! cargo run -p albums -- --check                        two of these on this machine share a collection, and agree
//! ```

mod models;

use anyhow::{Context, Result, bail, ensure};
use models::{Album, AlbumView, Artist, Form};
use reknit::{ModelTx, Peer, Ref, Role, Space};
use std::io::Write;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--check"] => check().await,
        [file, command @ ..] => {
            let peer = Peer::builder(*file).offline().start().await?;
            let space = match peer.spaces().first() {
                Some(space) => space.clone(),
                None => peer.create_space("records").await?,
            };
            let answer = obey(&space, command).await;
            peer.shutdown().await?;
            say(&answer?)
        }
        [] => bail!("usage: albums FILE add|list|play|note .. | albums --check"),
    }
}

async fn obey(space: &Space, command: &[&str]) -> Result<String> {
    match command {
        ["add", artist, title, year] => add(space, artist, title, year.parse().context("a year")?).await,
        ["list"] => list(space).await,
        ["play", title] => {
            let album = find(space, title)?;
            space.transact(move |tx| tx.edit(album)?.plays().add(1)).await?;
            list(space).await
        }
        ["note", title, words] => {
            let (album, line) = (find(space, title)?, format!("{words}\n"));
            space.transact(move |tx| tx.edit(album)?.liner().push(&line)).await?;
            Ok(space.view(album)?.context("it was just edited")?.liner()?)
        }
        _ => bail!("no such command: {}", command.join(" ")),
    }
}

/// A record, and its artist unless there is one of this name: both or neither, in one transaction.
async fn add(space: &Space, artist: &str, title: &str, year: i32) -> Result<String> {
    let known = space.models::<Artist>()?;
    let known = known.iter().find(|known| known.name().is_ok_and(|name| name == artist));
    let known = known.map(|known| known.reference());
    let (name, title) = (artist.to_owned(), title.to_owned());
    let album = space.transact(move |tx| {
        let artist = match known {
            Some(artist) => artist,
            None => tx.insert(&Artist { name: name.into() })?,
        };
        tx.insert(&Album::new(title, year, artist))
    });
    Ok(album.await?.to_string())
}

async fn list(space: &Space) -> Result<String> {
    let mut lines = vec![];
    for album in space.models::<Album>()? {
        lines.push(line(&album).await?);
    }
    lines.sort();
    Ok(if lines.is_empty() { "no records yet".to_owned() } else { lines.join("\n") })
}

async fn line(album: &AlbumView) -> Result<String> {
    let artist = album.artist().load().await?.name()?;
    let (title, year, plays) = (album.title()?, album.year()?, album.plays()?);
    let form = match album.form()? {
        Form::Record => "",
        Form::Tape => ", tape",
        Form::Download { .. } => ", download",
    };
    Ok(format!("{artist}: {title} ({year}{form}), played {plays} times"))
}

fn find(space: &Space, title: &str) -> Result<Ref<Album>> {
    let albums = space.models::<Album>()?;
    let found = albums.iter().find(|album| album.title().is_ok_and(|known| known == title));
    Ok(found.with_context(|| format!("no record is called {title:?}"))?.reference())
}

/// Two of these on this machine share a collection, edit it while they are apart, and check that they agree.
async fn check() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let start = |name: &str| Peer::builder(folder.path().join(name)).device_name(name).loopback().start();
    let (ada, ben) = (start("ada").await?, start("ben").await?);
    let here = ada.create_space("records").await?;
    add(&here, "Nina Simone", "Pastel Blues", 1965).await?;
    add(&here, "Nina Simone", "Wild Is the Wind", 1966).await?;
    ensure!(here.models::<Artist>()?.len() == 1, "an artist is written down once");
    let there = ben.join(&here.invite(Role::Writer, None).await?).await?;

    ben.pause_network().await;
    obey(&here, &["play", "Pastel Blues"]).await?;
    obey(&there, &["play", "Pastel Blues"]).await?;
    let tape = find(&there, "Wild Is the Wind")?;
    there.transact(move |tx| tx.edit(tape)?.form().set(Form::Tape)).await?;
    obey(&here, &["note", "Wild Is the Wind", "Side B is the better one."]).await?;
    ben.resume_network().await;

    let wanted = "Nina Simone: Pastel Blues (1965), played 2 times\n\
                  Nina Simone: Wild Is the Wind (1966, tape), played 0 times";
    let agree = async {
        while list(&here).await? != wanted || list(&there).await? != wanted {
            tokio::try_join!(here.until_converged(), there.until_converged())?;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, agree).await.context("the two do not agree in time")??;
    ensure!(here.schema()? == there.schema()?, "both know the same of the collections");
    say(wanted)?;
    ada.shutdown().await?;
    Ok(ben.shutdown().await?)
}

fn say(words: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{}", words.trim_end())?)
}

const PATIENCE: Duration = Duration::from_secs(20);
