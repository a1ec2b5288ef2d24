//! How many rows a second a full scan looks at.
//!
//! `cargo run --release -p reknit-query --example scan`
//!
//! Rows lie in memory as decoded registers, so this measures what the query costs, not what reading a store costs.

use reknit_query::{
    Bound, Datum, Fields, Lookup, Params, Query, Row, Scan, Source, SourceError, Tables, Visit, VisitEntry,
};
use reknit_types::{EntityId, Name, Value};
use std::time::Instant;

const ROWS: u32 = 1_000_000;

/// Rows as a store would hand them out: the fields that were asked for, each at its slot.
struct Rows {
    names: Vec<Name>,
    rows: Vec<(EntityId, Vec<Value>)>,
}

struct Slots<'r> {
    id: EntityId,
    values: &'r [Value],
    slots: &'r [usize],
}

impl Row for Slots<'_> {
    fn id(&self) -> EntityId {
        self.id
    }

    fn value(&self, slot: usize) -> Result<Datum<'_>, SourceError> {
        Ok(Datum::borrowed(&self.values[self.slots[slot]]))
    }
}

impl Source for Rows {
    fn scan(&self, scan: &Scan<'_>, visit: &mut Visit<'_>) -> Result<(), SourceError> {
        let slot = |field: &Name| self.names.iter().position(|name| name == field).expect("a known field");
        let slots: Vec<usize> = scan.fields.names.iter().map(slot).collect();
        for (id, values) in &self.rows {
            if visit(&Slots { id: *id, values, slots: &slots }).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn entity<'s>(&'s self, _: &'s Fields, _: EntityId) -> Result<Option<Box<dyn Row + 's>>, SourceError> {
        Err(SourceError::new("this source only scans"))
    }

    fn index(&self, _: &Lookup<'_>, _: &mut VisitEntry<'_>) -> Result<(), SourceError> {
        Err(SourceError::new("this source has no index"))
    }
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a valid name")
}

fn rows() -> Rows {
    let names = ["title", "year", "rating", "done", "genre"].map(name).to_vec();
    let row = |nth: u32| {
        let mixed = nth.wrapping_mul(2_654_435_761);
        let mut id = [0; 16];
        id[12..].copy_from_slice(&nth.to_be_bytes());
        let values = vec![
            Value::Text(format!("Album number {mixed}")),
            Value::Int(i64::from(1960 + mixed % 60)),
            Value::Float(f64::from(mixed % 50) / 10.0),
            Value::Bool(mixed.is_multiple_of(3)),
            Value::Text(["jazz", "soul", "rock", "folk"][(mixed % 4) as usize].to_owned()),
        ];
        (EntityId::from_bytes(id), values)
    };
    Rows { names, rows: (0..ROWS).map(row).collect() }
}

fn main() {
    let source = rows();
    let mut schema = Tables::default();
    for field in &source.names {
        schema.field(name("albums"), field.clone());
    }
    let queries = [
        "SELECT COUNT(*) FROM albums",
        "SELECT COUNT(*) FROM albums WHERE year = 1999",
        "SELECT COUNT(*) FROM albums WHERE year BETWEEN 1970 AND 1979 AND rating >= 4 AND NOT done",
        "SELECT COUNT(*) FROM albums WHERE genre IN ('jazz', 'soul') AND title LIKE 'Album number 12%'",
        "SELECT COUNT(*) FROM albums WHERE title LIKE '%99%' OR year * 2 + 1 > 4030",
        "SELECT title, year FROM albums WHERE rating > 4.8",
        "SELECT title FROM albums ORDER BY rating DESC, title LIMIT 10",
        "SELECT genre, COUNT(*), AVG(rating), MAX(year) FROM albums GROUP BY genre",
    ];
    for sql in queries {
        let bound: Bound =
            Query::parse(sql).expect("a query").bind(&schema, &Params::new()).expect("it fits");
        let plan = bound.plan(&[]);
        let best = (0..3)
            .map(|_| {
                let start = Instant::now();
                let answer = plan.run(&source).expect("it runs");
                (start.elapsed(), answer.rows.len())
            })
            .min()
            .expect("three runs");
        let rate = f64::from(ROWS) / best.0.as_secs_f64() / 1e6;
        println!("{rate:6.1} million rows/s, {:7} rows found  {sql}", best.1);
    }
}
