//! Writes until it is killed: `writer STORE ROUND`. Every line on stdout names an entity whose transaction was acknowledged as
//! durable.
//!
//! Each transaction does one and the same to three entities, so that a reader sees at once whether one of them took part of
//! a transaction: it creates an entity, adds one to a counter, and appends a letter to a text.

use std::env;
use std::error::Error;
use std::io::Write;

use reknit::{Durability, EntityId, Peer, Space, TxError};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut arguments = env::args().skip(1);
    let (Some(store), Some(round)) = (arguments.next(), arguments.next()) else {
        return Err("usage: writer STORE ROUND".into());
    };
    let round: i64 = round.parse()?;
    let peer = Peer::builder(store).offline().start().await?;
    let space = match peer.spaces().pop() {
        Some(space) => space,
        None => peer.create_space("crash").await?,
    };
    // Several at once, so that one flush to disk carries more than one of them.
    let writers: Vec<_> = (0..WRITERS).map(|_| tokio::spawn(write_for_ever(space.clone(), round))).collect();
    for writer in writers {
        writer.await??;
    }
    Ok(())
}

async fn write_for_ever(space: Space, round: i64) -> Result<(), Box<dyn Error + Send + Sync>> {
    loop {
        let id = space.transact_with(Durability::Durable, move |tx| write(tx, round)).await?;
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{id}")?;
        stdout.flush()?;
    }
}

fn write(tx: &mut reknit::Tx<'_>, round: i64) -> Result<EntityId, TxError> {
    let mut written = tx.create("written")?;
    let id = written.id();
    written.set("round", round)?;
    tx.entity("tally", EntityId::from_bytes([1; 16]))?.add("count", 1)?;
    tx.entity("tally", EntityId::from_bytes([2; 16]))?.text("letters")?.push("x")?;
    Ok(id)
}

const WRITERS: usize = 4;
