//! How fast documents are edited, merged, saved and loaded.
//!
//! `cargo run --release -p reknit-crdt --example documents [changes]`

use reknit_crdt::{Crdt, Document, DocumentError, Edit, Identity, Origin, Place};
use reknit_types::{DeviceId, EntityId, EventId, Name, Stamp};
use serde_json::json;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let changes: usize = std::env::args().nth(1).map_or(Ok(20_000), |count| count.parse())?;
    let name = Name::new("board")?;
    let place = Place { entity: EntityId::from_bytes([1; 16]), field: &name };
    let author = DeviceId::from_bytes([1; 32]);

    let mut document = Document::new();
    document.open(&place, &Identity { author, nonce: 7 });
    document.set("", &json!({"tasks": [], "votes": {"$counter": 0}, "settings": {}}))?;
    document.set_text("/notes", "")?;
    let mut deltas = Vec::with_capacity(changes);
    let (took, edited) = timed(|| -> Result<(), DocumentError> {
        for number in 0..changes {
            edit(&mut document, number)?;
            deltas.extend(document.take_delta());
        }
        Ok(())
    });
    edited?;
    report("edits with a delta each", changes, took);
    let bytes: usize = deltas.iter().map(Vec::len).sum();
    println!("{:>12.1} bytes a delta", bytes as f64 / deltas.len() as f64);

    let origin = Origin { author, stamp: Stamp::from_u128(1), event: EventId::from_bytes([0; 32]) };
    let edits: Vec<Edit<'_>> = deltas.iter().map(|delta| Edit { origin, delta }).collect();
    let mut bulk = Document::new();
    report("deltas merged in bulk", edits.len(), timed(|| bulk.apply_all(&place, &edits)).0);
    assert!(bulk.to_json() == document.to_json(), "whoever merges the deltas has the same document");

    let mut single = Document::new();
    let some = edits.len().min(2_000);
    let one_by_one =
        timed(|| edits.iter().take(some).all(|edit| single.apply(&place, &edit.origin, edit.delta).is_ok()));
    assert!(one_by_one.1, "honest deltas merge");
    report("deltas merged one at a time", some, one_by_one.0);

    let (took, saved) = timed(|| document.save());
    println!("{:>12} bytes saved, in {took:?}", saved.len());
    let (took, loaded) = timed(|| Document::load(&saved));
    loaded?;
    println!("{:>12} loaded, in {took:?}", "");
    Ok(())
}

fn edit(document: &mut Document, number: usize) -> Result<(), DocumentError> {
    match number % 5 {
        0 => document.insert("/tasks/0", &json!({"title": format!("task {number}"), "done": false})),
        1 => document.set("/tasks/0/done", &json!(true)),
        2 => document.increment("/votes", 1),
        3 => document.set(&format!("/settings/{}", number % 100), &json!(number)),
        _ => document.splice_text("/notes", number / 5, 0, "x"),
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed(), result)
}

fn report(what: &str, count: usize, took: Duration) {
    println!("{:>12.0} {what} a second ({count} in {took:?})", count as f64 / took.as_secs_f64());
}
