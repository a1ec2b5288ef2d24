//! Which way a query takes, and that it reads no more than that way needs.

use crate::data::{name, path};
use reknit_query::{Answer, IndexInfo, LiveResult, Memory, Params, Plan, PredicateIndex, Query, Tables};
use reknit_types::{EntityId, Value};

const ROWS: u32 = 2_000;

fn entity(nth: u32) -> EntityId {
    EntityId::from_bytes(u128::from(nth).to_be_bytes())
}

/// Albums of 40 years and 50 shelves, each with one of 100 artists.
fn albums() -> (Memory, Tables) {
    let (mut memory, mut tables) = (Memory::new(), Tables::default());
    for nth in 0..ROWS {
        let fields = [
            ("title", Value::Text(format!("title {:04}", (nth * 7) % ROWS))),
            ("year", Value::Int(i64::from(nth % 40))),
            ("shelf", Value::Int(i64::from(nth / 40))),
            ("artist", Value::Ref(entity(10_000 + nth % 100))),
        ];
        let record = fields.into_iter().map(|(field, value)| (name(field), value)).collect();
        memory.put(&name("albums"), entity(nth), Some(record));
    }
    for nth in 0..100 {
        let record = [(name("name"), Value::Text(format!("artist {nth}")))].into();
        memory.put(&name("artists"), entity(10_000 + nth), Some(record));
    }
    for fields in [&["title"][..], &["year"], &["shelf"], &["artist"], &["shelf", "title"]] {
        let fields: Vec<_> = fields.iter().map(|field| path(field)).collect();
        let by: Vec<_> = fields.iter().map(ToString::to_string).collect();
        memory.add_index(IndexInfo { name: by.join("_"), collection: name("albums"), fields });
    }
    let by_name = vec![path("name")];
    memory.add_index(IndexInfo { name: "name".to_owned(), collection: name("artists"), fields: by_name });
    tables.reference(name("albums"), name("artist"), name("artists"));
    for field in ["title", "year", "shelf"] {
        tables.field(name("albums"), name(field));
    }
    tables.field(name("artists"), name("name"));
    (memory, tables)
}

fn run(sql: &str) -> (Plan, Answer) {
    let (memory, tables) = albums();
    let plan = Query::parse(sql).unwrap().bind(&tables, &Params::new()).unwrap().plan(&memory.indexes());
    let answer = plan.run(&memory).unwrap();
    (plan, answer)
}

/// A query, what its plan says of the access, how many rows it finds, and how many it may read.
const PLANS: &[(&str, &str, usize, u64)] = &[
    ("SELECT year FROM albums WHERE title = 'title 0007'", "index title: title = ..", 1, 1),
    ("SELECT year FROM albums WHERE title IN ('title 0007', 'title 0008', 'x')", "title = one of 3", 2, 2),
    ("SELECT year FROM albums WHERE title = 'title 0007' OR title = 'title 0008'", "title = one of 2", 2, 2),
    ("SELECT year FROM albums WHERE title LIKE 'title 00%'", "index title: title in a range", 100, 100),
    ("SELECT year FROM albums WHERE title LIKE 'title 000_'", "index title: title in a range", 10, 10),
    (
        "SELECT year FROM albums WHERE title >= 'title 0100' AND title < 'title 0110'",
        "title in a range",
        10,
        10,
    ),
    (
        "SELECT year FROM albums WHERE shelf = 3 AND title LIKE 'title 0%'",
        "shelf = .., title in a range",
        23,
        23,
    ),
    ("SELECT title FROM albums WHERE year = 3 AND shelf = 4", "intersection of index year", 1, 50),
    ("SELECT title FROM albums WHERE year = 3", "index year: year = ..", 50, 50),
    ("SELECT title FROM albums ORDER BY title LIMIT 5", "index title: all, in order", 5, 6),
    ("SELECT title FROM albums ORDER BY title DESC LIMIT 5", "index title: all, backwards, in order", 5, 6),
    ("SELECT title FROM albums WHERE year > 20 ORDER BY title LIMIT 5", "index title: all, in order", 5, 30),
    (
        "SELECT title FROM albums WHERE shelf = 7 ORDER BY title DESC LIMIT 3",
        "shelf_title: shelf = .., backwards, in order",
        3,
        4,
    ),
    ("SELECT title FROM albums ORDER BY shelf, year LIMIT 5", "index shelf: all, in order", 5, 41),
    ("SELECT title FROM albums LIMIT 5", "scan albums", 5, 5),
    ("SELECT title FROM albums ORDER BY id DESC LIMIT 5", "scan albums, backwards", 5, 5),
    ("SELECT title FROM albums WHERE id = '00000000000000000000000007'", "1 entities of albums by id", 1, 1),
    ("SELECT title FROM albums WHERE year = NULL", "0 entities", 0, 0),
    ("SELECT title FROM albums WHERE year = 3 AND year = 4", "0 entities", 0, 0),
    ("SELECT title FROM albums WHERE year + 1 = 3", "scan albums", 50, 2_000),
    (
        "SELECT title FROM albums WHERE artist.name = 'artist 7'",
        "name = .. of artists, then index artist",
        20,
        20,
    ),
    (
        "SELECT a.title FROM albums a JOIN artists b ON a.artist = b.id AND b.name = 'artist 7'",
        "name = .. of artists, then index artist",
        20,
        20,
    ),
    ("SELECT title FROM albums WHERE artist.name IS NULL", "scan albums", 0, 2_000),
    (
        "SELECT COUNT(*) FROM albums WHERE title BETWEEN 'title 0100' AND 'title 0104'",
        "title in a range",
        1,
        5,
    ),
];

#[test]
fn each_query_takes_the_way_that_reads_least() {
    let mut wrong = vec![];
    for (sql, access, found, read) in PLANS {
        let (plan, answer) = run(sql);
        let rows = answer.reads.scanned + answer.reads.fetched;
        if !plan.explain().contains(access) || answer.rows.len() != *found || rows > *read {
            let told = plan.explain_run(&answer.reads);
            wrong.push(format!("{sql}\n{told}{} rows, not {found}, of {read}", answer.rows.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_join_against_a_reference_uses_its_index() {
    let sql =
        "SELECT b.name, a.title FROM artists b JOIN albums a ON a.artist = b.id WHERE b.name = 'artist 7'";
    let (plan, answer) = run(sql);
    assert!(plan.explain().contains("albums joined by index artist on artist"), "{}", plan.explain());
    assert_eq!((answer.rows.len(), answer.reads.joined), (20, 20));
}

#[test]
fn later_pages_cost_what_the_first_one_did() {
    let (memory, tables) = albums();
    for sql in ["SELECT title FROM albums ORDER BY title LIMIT 10", "SELECT title FROM albums LIMIT 10"] {
        let plan = Query::parse(sql).unwrap().bind(&tables, &Params::new()).unwrap().plan(&memory.indexes());
        let mut answer = plan.run(&memory).unwrap();
        let mut pages = 1;
        while let Some(end) = answer.end {
            answer = plan.run_after(&memory, &end).unwrap();
            let rows = answer.reads.scanned + answer.reads.fetched;
            assert!(rows <= 12, "{sql}: {}", answer.reads);
            pages += 1;
            assert!(pages < 1_000, "{sql} never ends");
        }
        assert_eq!(pages, 201);
    }
}

#[test]
fn a_cursor_of_another_query_is_refused() {
    let (memory, tables) = albums();
    let plan = |sql: &str| Query::parse(sql).unwrap().bind(&tables, &Params::new()).unwrap().plan(&[]);
    let end = plan("SELECT title FROM albums LIMIT 1").run(&memory).unwrap().end.unwrap();
    assert!(plan("SELECT year FROM albums LIMIT 1").run_after(&memory, &end).is_err());
}

#[test]
fn what_a_peer_keeps_may_move_between_its_threads() {
    fn may_move<T: Send>() {}
    may_move::<LiveResult>();
    may_move::<PredicateIndex>();
    may_move::<Plan>();
}

/// An index does not tell texts apart that agree for long; the query must.
#[test]
fn long_texts_that_agree_for_long_are_told_apart() {
    let (mut memory, mut tables) = (Memory::new(), Tables::default());
    tables.field(name("albums"), name("title"));
    let title = |end: &str| format!("{}{end}", "x".repeat(600));
    for (nth, end) in ["a", "c", "b", "", "aa", "b"].into_iter().enumerate() {
        let record = [(name("title"), Value::Text(title(end)))].into();
        memory.put(&name("albums"), entity(nth as u32), Some(record));
    }
    let fields = vec![path("title")];
    memory.add_index(IndexInfo { name: "title".to_owned(), collection: name("albums"), fields });
    for condition in
        ["= ?", "< ?", "<= ?", "> ?", ">= ?", "IN (?)", "BETWEEN ? AND 'y'", "IS NOT DISTINCT FROM ?"]
    {
        for order in ["", "ORDER BY title", "ORDER BY title DESC LIMIT 2"] {
            let sql = format!("SELECT title FROM albums WHERE title {condition} {order}");
            for end in ["", "a", "b", "c", "bb"] {
                let params = Params::new().with(Value::Text(title(end)));
                let bound = Query::parse(&sql).unwrap().bind(&tables, &params).unwrap();
                let with = bound.plan(&memory.indexes()).run(&memory).unwrap().rows;
                assert_eq!(with, bound.plan(&[]).run(&memory).unwrap().rows, "{sql} {end}");
            }
        }
    }
}
