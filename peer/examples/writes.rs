//! Measures local writes, one after the other, each on disk before the next:
//! `cargo run --release -p reknit --example writes [folder]`.

use std::{env, error::Error, fs, path::PathBuf, time::Instant};

use reknit::{EntityId, Peer, Space};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os().nth(1).map_or_else(env::temp_dir, PathBuf::from).join("reknit-writes");
    let peer = Peer::builder(folder.join("peer.redb")).mdns(false).loopback().start().await?;
    let space = peer.create_space("writes").await?;
    for _ in 0..ROUNDS {
        let mut ids = Vec::new();
        let mut times = Vec::new();
        let start = Instant::now();
        for number in 0..WRITES {
            let began = Instant::now();
            let id = write(&space, ids.get(number % ENTITIES).copied(), number / ENTITIES).await?;
            times.push(began.elapsed());
            if number < ENTITIES {
                ids.push(id);
            }
        }
        let rate = times.len() as f64 / start.elapsed().as_secs_f64();
        times.sort();
        let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
        println!("{rate:.0} writes/s, p50 {:.1?}, p99 {:.1?}", at(50), at(99));
    }
    drop(space);
    peer.shutdown().await?;
    Ok(fs::remove_dir_all(&folder)?)
}

/// Sets one field to 100 bytes.
async fn write(space: &Space, known: Option<EntityId>, field: usize) -> Result<EntityId, reknit::Error> {
    space
        .transact(move |tx| {
            let mut entity = match known {
                Some(id) => tx.entity("items", id)?,
                None => tx.create("items")?,
            };
            entity.set(&format!("field{field}"), "v".repeat(100))?;
            Ok(entity.id())
        })
        .await
}

const ROUNDS: usize = 3;
const WRITES: usize = 3_000;
const ENTITIES: usize = 500;
