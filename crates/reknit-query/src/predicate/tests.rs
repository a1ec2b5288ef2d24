use super::*;
use crate::memory::Record;
use crate::query::{Params, Query};
use crate::schema::Tables;
use reknit_types::Value;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn bound(sql: &str) -> Bound {
    Query::parse(sql).unwrap().bind(&Tables::default(), &Params::new()).unwrap()
}

fn candidates(index: &PredicateIndex, before: Option<i64>, after: Option<i64>) -> Vec<LiveId> {
    let record = |year: i64| -> Record { [(name("year"), Value::Int(year))].into() };
    let (before, after) = (before.map(record), after.map(record));
    let side = |record: &'static Option<Record>| match record {
        Some(record) => Side::Fields(record),
        None => Side::Absent,
    };
    let leak = |record: Option<Record>| -> &'static Option<Record> { Box::leak(Box::new(record)) };
    let change = RowChange {
        collection: &name("albums"),
        entity: EntityId::from_bytes([1; 16]),
        before: side(leak(before)),
        after: side(leak(after)),
        fields: &[name("year")],
    };
    index.candidates(&change).unwrap().into_iter().collect()
}

#[test]
fn a_change_finds_the_queries_whose_condition_it_meets() {
    let mut index = PredicateIndex::new();
    let queries = [
        "SELECT year FROM albums WHERE year = 1990",
        "SELECT year FROM albums WHERE year > 1995",
        "SELECT year FROM albums WHERE year IN (1980, 1990)",
        "SELECT year FROM albums",
        "SELECT title FROM albums",
        "SELECT year FROM artists WHERE year = 1990",
        "SELECT year FROM albums WHERE year = 1990 OR title = 'x'",
    ];
    for (id, sql) in queries.iter().enumerate() {
        index.add(id as LiveId, &bound(sql));
    }
    assert_eq!(candidates(&index, Some(1990), Some(1991)), [0, 2, 3, 6]);
    assert_eq!(candidates(&index, Some(1991), Some(2000)), [1, 3, 6]);
    assert_eq!(candidates(&index, None, Some(1980)), [2, 3, 4, 6]);
    index.remove(3);
    index.add(2, &bound("SELECT year FROM albums WHERE year = 1"));
    assert_eq!(candidates(&index, Some(1990), None), [0, 4, 6]);
    assert_eq!(index.len(), 6);
}

#[test]
fn what_is_not_known_finds_all_that_it_may_meet() {
    let mut index = PredicateIndex::new();
    index.add(1, &bound("SELECT year FROM albums WHERE year = 1990"));
    index.add(2, &bound("SELECT year FROM albums WHERE id = '00000000000000000000000000'"));
    let after = Record::new();
    let change = RowChange {
        collection: &name("albums"),
        entity: EntityId::from_bytes([1; 16]),
        before: Side::Unknown,
        after: Side::Fields(&after),
        fields: &[],
    };
    assert_eq!(index.candidates(&change).unwrap(), [1].into());
}

#[test]
fn a_query_that_is_taken_out_leaves_nothing_behind() {
    let mut index = PredicateIndex::new();
    for (id, condition) in ["year = 1", "year > 1", "id = 'x'", "title LIKE 'a%'", "1 = 1"].iter().enumerate()
    {
        index.add(id as LiveId, &bound(&format!("SELECT title FROM albums WHERE {condition}")));
    }
    (0..5).for_each(|id| index.remove(id));
    let watched = &index.collections[&name("albums")];
    assert!(watched.by_field.is_empty() && watched.by_id.is_empty());
    assert!(watched.unconditional.is_empty() && watched.all_unconditional.is_empty());
}
