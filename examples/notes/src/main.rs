//! A small notes app for the terminal that embeds a Reknit peer.
//!
//! ```text
//! cargo run -p notes -- notes.redb      a prompt; `help` lists the commands
//! cargo run -p notes -- notes.redb < commands.txt
//! cargo run -p notes -- --check         two of these apps on this machine share a note, and check that they agree
//! ```
//!
//! A note is an entity of the collection `notes` with a register, its title, and a text, its body. Whatever other
//! devices write shows up between two prompts.

use anyhow::{Context, Result, bail, ensure};
use futures::StreamExt;
use reknit::{Change, ChangeKind, Entity, Peer, PeerBuilder, Role, Space, Ticket};
use std::io::{BufRead, Write};
use std::time::Duration;
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("--check") => check().await,
        Some(file) => converse(Peer::builder(file).device_name(user())).await,
        None => bail!("usage: notes FILE | notes --check"),
    }
}

/// The app: a peer, and the space its notes are in.
struct Notes {
    peer: Peer,
    space: Space,
}

impl Notes {
    /// The notes of the only space; the first time, a space of one's own.
    async fn open(builder: PeerBuilder) -> Result<Self> {
        let peer = builder.start().await?;
        let space = match peer.spaces().first() {
            Some(space) => space.clone(),
            None => peer.create_space("notes").await?,
        };
        Ok(Self { peer, space })
    }

    /// Carries out one line, and returns what to show.
    async fn obey(&mut self, line: &str) -> Result<String> {
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        Ok(match word {
            "" | "#" => String::new(),
            "help" => HELP.to_owned(),
            "list" => self.list()?,
            "show" => show(&self.find(rest)?),
            "new" => self.create(rest).await?,
            "append" => self.append(rest).await?,
            "edit" => self.edit(rest).await?,
            "delete" => self.delete(rest).await?,
            "invite" => self.space.invite(Role::Writer, Some(WEEK)).await?.to_string(),
            "join" => self.join(rest).await?,
            _ => bail!("no such command: {word}; try help"),
        })
    }

    fn list(&self) -> Result<String> {
        let notes = self.space.list("notes")?;
        let lines: Vec<_> =
            notes.iter().map(|note| format!("{}  {}", note.id, text(note, "title"))).collect();
        Ok(if lines.is_empty() { "no notes yet".to_owned() } else { lines.join("\n") })
    }

    /// The note whose id ends so: the ends of ids differ more than their beginnings, which are times.
    fn find(&self, end: &str) -> Result<Entity> {
        let end = end.trim().to_ascii_uppercase();
        let mut notes = self.space.list("notes")?;
        notes.retain(|note| !end.is_empty() && note.id.to_string().ends_with(&end));
        ensure!(notes.len() < 2, "several notes end in {end}");
        notes.pop().with_context(|| format!("no note ends in {end:?}"))
    }

    async fn create(&self, title: &str) -> Result<String> {
        let title = title.to_owned();
        let create = self.space.transact(move |tx| {
            let mut note = tx.create("notes")?;
            note.set("title", title)?.text("body")?;
            Ok(note.id())
        });
        Ok(create.await?.to_string())
    }

    async fn append(&self, rest: &str) -> Result<String> {
        let (note, words) = rest.split_once(' ').context("append NOTE WORDS")?;
        let (id, line) = (self.find(note)?.id, format!("{words}\n"));
        self.space.transact(move |tx| tx.entity("notes", id)?.text("body")?.push(&line).map(|_| ())).await?;
        Ok(show(&self.find(note)?))
    }

    /// Only what differs is edited, so that two people can change different words of one line.
    async fn edit(&self, rest: &str) -> Result<String> {
        let (note, change) = rest.split_once(' ').context("edit NOTE OLD => NEW")?;
        let (old, new) = change.split_once(" => ").context("edit NOTE OLD => NEW")?;
        let (id, old, new) = (self.find(note)?.id, old.to_owned(), new.to_owned());
        let edit = self.space.transact(move |tx| {
            let mut note = tx.entity("notes", id)?;
            let mut body = note.text("body")?;
            let whole = body.read()?.replacen(&old, &new, 1);
            body.replace(&whole).map(|_| ())
        });
        edit.await?;
        Ok(show(&self.find(note)?))
    }

    async fn delete(&self, note: &str) -> Result<String> {
        let id = self.find(note)?.id;
        self.space.transact(move |tx| tx.entity("notes", id)?.delete()).await?;
        Ok(format!("deleted {id}"))
    }

    /// From here on the notes are those of the space joined.
    async fn join(&mut self, ticket: &str) -> Result<String> {
        self.space = self.peer.join(&ticket.parse::<Ticket>()?).await?;
        Ok(format!("joined {}", self.space.name()))
    }
}

/// A person's reading of what happened to the space, if it happened elsewhere.
fn news(change: Change) -> Option<String> {
    let Change::Committed { local: false, author_name, entities, .. } = change else { return None };
    let who = author_name.unwrap_or_else(|| "somebody".to_owned());
    let lines: Vec<_> = entities
        .iter()
        .map(|entity| {
            let did = match entity.what {
                ChangeKind::Created => "wrote",
                ChangeKind::Updated => "changed",
                ChangeKind::Deleted => "deleted",
                ChangeKind::Restored => "restored",
            };
            format!("* {who} {did} {}", entity.id)
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn show(note: &Entity) -> String {
    format!("{}\n{}", text(note, "title"), text(note, "body"))
}

fn text(note: &Entity, field: &str) -> String {
    note.field(field).map(ToString::to_string).unwrap_or_default()
}

/// Obeys stdin line by line, and shows what others do meanwhile.
async fn converse(builder: PeerBuilder) -> Result<()> {
    let mut notes = Notes::open(builder).await?;
    let mut lines = stdin_lines();
    let mut changes = notes.space.watch();
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => {
                    let answer = notes.obey(&line).await.unwrap_or_else(|error| format!("! {error:#}"));
                    say(&answer)?;
                    if line.starts_with("join") {
                        changes = notes.space.watch();
                    }
                }
                None => break,
            },
            Some(change) = changes.next() => say(&news(change).unwrap_or_default())?,
        }
    }
    Ok(notes.peer.shutdown().await?)
}

/// Two apps on this machine, each with its own store, share a note.
async fn check() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let start =
        |name: &str| Notes::open(Peer::builder(folder.path().join(name)).device_name(name).loopback());
    let (mut ada, mut ben) = (start("ada").await?, start("ben").await?);
    let note = ada.obey("new Groceries").await?;
    ada.obey(&format!("append {note} bread and tea")).await?;
    let ticket = ada.obey("invite").await?;
    ben.obey(&format!("join {ticket}")).await?;
    tokio::try_join!(async { ada.obey(&format!("edit {note} tea => green tea")).await }, async {
        ben.obey(&format!("edit {note} bread => rye bread")).await
    })?;
    let agree = async {
        let wanted = "Groceries\nrye bread and green tea\n";
        let mut changes = futures::stream::select(ada.space.watch(), ben.space.watch());
        while show(&ada.find(&note)?) != wanted || show(&ben.find(&note)?) != wanted {
            changes.next().await.context("a peer stopped")?;
        }
        anyhow::Ok(show(&ben.find(&note)?))
    };
    say(&tokio::time::timeout(PATIENCE, agree).await.context("the two do not agree in time")??)?;
    ada.peer.shutdown().await?;
    Ok(ben.peer.shutdown().await?)
}

/// Reads stdin on a thread of its own, since a terminal cannot be read without blocking.
fn stdin_lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

fn say(words: &str) -> Result<()> {
    if !words.is_empty() {
        writeln!(std::io::stdout(), "{words}")?;
    }
    Ok(())
}

fn user() -> String {
    std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned())
}

const HELP: &str = "\
list                     all notes
show NOTE                one note; the last few letters of its id will do
new TITLE                a new note
append NOTE WORDS        a line at its end
edit NOTE OLD => NEW     other words in place of some
delete NOTE              gone, here and everywhere
invite                   a ticket for somebody else
join TICKET              the notes of somebody else";
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
const PATIENCE: Duration = Duration::from_secs(20);
