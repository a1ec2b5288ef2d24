//! What a change costs when many live queries are open: finding those it may affect, and bringing them up to date.
//!
//! `cargo run --release -p reknit-query --example watchers`

use reknit_query::{
    Changed, IndexInfo, LiveResult, Memory, Params, PredicateIndex, Query, Record, RowChange, Side, Tables,
};
use reknit_types::{EntityId, Name, Value};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const ROWS: u32 = 100_000;
const QUERIES: u64 = 10_000;
const CHANGES: u32 = 2_000;

fn name(text: &str) -> Name {
    Name::new(text).expect("a valid name")
}

fn entity(nth: u32) -> EntityId {
    let mut id = [0; 16];
    id[12..].copy_from_slice(&nth.to_be_bytes());
    EntityId::from_bytes(id)
}

/// Every change moves an album to another shelf, and to another place in its order.
fn record(mixed: u32) -> Record {
    let fields = [
        ("title", Value::Text(format!("Album number {mixed}"))),
        ("shelf", Value::Int(i64::from(mixed % 5_000))),
        ("year", Value::Int(i64::from(1960 + mixed % 60))),
    ];
    fields.into_iter().map(|(field, value)| (name(field), value)).collect()
}

fn mixed(nth: u32) -> u32 {
    nth.wrapping_mul(2_654_435_761) >> 3
}

fn query(id: u64) -> (&'static str, Params) {
    let shelf = i64::try_from(id % 5_000).expect("a small number");
    let params = Params::new().with(shelf);
    match id % 3 {
        0 => ("SELECT title, year FROM albums WHERE shelf = ? ORDER BY year DESC LIMIT 10", params),
        1 => {
            let sql = "SELECT id, title FROM albums WHERE shelf >= ? AND shelf < ? AND title LIKE 'Album number 9%' LIMIT 5";
            (sql, params.with(shelf + 10))
        }
        _ => ("SELECT id, title FROM albums WHERE shelf = ? AND year > 1990", params),
    }
}

fn main() {
    let albums = name("albums");
    let mut memory = Memory::new();
    let mut schema = Tables::default();
    for field in ["title", "shelf", "year"] {
        schema.field(albums.clone(), name(field));
    }
    (0..ROWS).for_each(|nth| drop(memory.put(&albums, entity(nth), Some(record(mixed(nth))))));
    for field in ["shelf", "title"] {
        let fields = vec![name(field).into()];
        memory.add_index(IndexInfo { name: format!("by_{field}"), collection: albums.clone(), fields });
    }
    let mut index = PredicateIndex::new();
    let mut live = BTreeMap::new();
    for id in 0..QUERIES {
        let (sql, params) = query(id);
        let bound = Query::parse(sql).expect("a query").bind(&schema, &params).expect("it fits");
        index.add(id, &bound);
        let plan = bound.plan(&memory.indexes());
        live.insert(id, LiveResult::open(plan, &memory).expect("it runs"));
    }
    let (mut finding, mut updating) = (vec![], vec![]);
    let (mut candidates, mut differences) = (0, 0);
    for nth in 0..CHANGES {
        let id = entity(mixed(nth) % ROWS);
        let after = record(mixed(nth + ROWS));
        let before = memory.put(&albums, id, Some(after.clone())).expect("it was there");
        let start = Instant::now();
        let change = RowChange {
            collection: &albums,
            entity: id,
            before: Side::Fields(&before),
            after: Side::Fields(&after),
            fields: &[name("title"), name("shelf"), name("year")],
        };
        let found = index.candidates(&change).expect("memory reads");
        finding.push(start.elapsed());
        candidates += found.len();
        let changed = [Changed { collection: albums.clone(), entity: id }];
        let start = Instant::now();
        for query in &found {
            let live = live.get_mut(query).expect("an open query");
            differences += live.update(&memory, &changed).expect("it updates").len();
        }
        updating.push(start.elapsed());
    }
    println!("{QUERIES} live queries over {ROWS} rows, {CHANGES} changes");
    let each = |count: usize| count / CHANGES as usize;
    println!("{} candidates a change, {differences} differences in all", each(candidates));
    report("finding the candidates", finding);
    report("updating them all", updating);
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times[times.len() * part / 100];
    println!("{what}: median {:?}, 99 of 100 within {:?}", at(50), at(99));
}
