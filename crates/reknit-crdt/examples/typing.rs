//! How fast text is edited, merged, saved and loaded.
//!
//! `cargo run --release -p reknit-crdt --example typing [trace.json.gz]`
//!
//! Without a trace, a document of 100,000 characters is typed with some jumps and corrections. A trace is
//! `{"endContent": "..", "txns": [{"patches": [[position, delete, "insert"], ..]}, ..]}`, gzipped.

use flate2::read::GzDecoder;
use reknit_crdt::{Crdt, Edit, Identity, Origin, Place, Text};
use reknit_types::{DeviceId, EntityId, EventId, Name, Stamp};
use std::fs::File;
use std::time::{Duration, Instant};

struct Patch {
    position: usize,
    delete: usize,
    insert: String,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (patches, end) = match std::env::args().nth(1) {
        Some(path) => recorded(&path)?,
        None => (synthetic(), None),
    };
    let name = Name::new("body")?;
    let place = Place { entity: EntityId::from_bytes([1; 16]), field: &name };
    let author = DeviceId::from_bytes([1; 32]);

    let mut text = Text::new();
    text.open(&place, &Identity { author, nonce: 7 });
    let mut deltas = Vec::with_capacity(patches.len());
    let typed = timed(|| -> Result<(), reknit_crdt::TextError> {
        for patch in &patches {
            text.splice(patch.position, patch.delete, &patch.insert)?;
            deltas.extend(text.take_delta());
        }
        Ok(())
    });
    typed.1?;
    report("edits with a delta each", patches.len(), typed.0);
    if let Some(end) = end {
        assert!(text.to_string() == end, "the trace ends with its text");
    }
    let bytes: usize = deltas.iter().map(Vec::len).sum();
    println!("{:>12.1} bytes a delta", bytes as f64 / deltas.len() as f64);

    let origin = Origin { author, stamp: Stamp::from_u128(1), event: EventId::from_bytes([0; 32]) };
    let edits: Vec<Edit<'_>> = deltas.iter().map(|delta| Edit { origin, delta }).collect();
    let mut bulk = Text::new();
    report("deltas merged in bulk", edits.len(), timed(|| bulk.apply_all(&place, &edits)).0);
    assert!(bulk.to_string() == text.to_string(), "whoever merges the deltas has the same text");

    let mut single = Text::new();
    let some = edits.len().min(20_000);
    let one_by_one =
        timed(|| edits.iter().take(some).all(|edit| single.apply(&place, &edit.origin, edit.delta).is_ok()));
    assert!(one_by_one.1);
    report("deltas merged one at a time", some, one_by_one.0);

    let (took, saved) = timed(|| text.save());
    println!("{:>12} bytes saved, in {took:?}", saved.len());
    let (took, loaded) = timed(|| Text::load(&saved));
    println!("{:>12} characters loaded, in {took:?}", loaded?.len());
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

fn report(what: &str, count: usize, took: Duration) {
    println!("{:>12.0} {what} a second ({count} in {took:?})", count as f64 / took.as_secs_f64());
}

fn recorded(path: &str) -> Result<(Vec<Patch>, Option<String>), Box<dyn std::error::Error>> {
    let trace: serde_json::Value = serde_json::from_reader(GzDecoder::new(File::open(path)?))?;
    let txns = trace["txns"].as_array().ok_or("a trace has txns")?;
    let patches = txns.iter().filter_map(|txn| txn["patches"].as_array()).flatten().map(|patch| Patch {
        position: patch[0].as_u64().unwrap_or(0) as usize,
        delete: patch[1].as_u64().unwrap_or(0) as usize,
        insert: patch[2].as_str().unwrap_or("").to_owned(),
    });
    Ok((patches.collect(), trace["endContent"].as_str().map(str::to_owned)))
}

/// Words typed with a correction now and then, and a jump every two hundred characters.
fn synthetic() -> Vec<Patch> {
    let mut patches = Vec::new();
    let (mut len, mut at, mut seed) = (0usize, 0usize, 1u64);
    while len < 100_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let dice = (seed >> 33) as usize;
        if dice.is_multiple_of(200) {
            at = dice % (len + 1);
        }
        if dice.is_multiple_of(9) && at > 0 {
            at -= 1;
            len -= 1;
            patches.push(Patch { position: at, delete: 1, insert: String::new() });
        } else {
            let letter = char::from(b'a' + (dice % 26) as u8);
            patches.push(Patch { position: at, delete: 0, insert: letter.to_string() });
            at += 1;
            len += 1;
        }
    }
    patches
}
