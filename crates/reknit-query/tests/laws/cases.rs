//! Cases picked by hand, in the manner of sqllogictest: a query and its rows. Each runs in SQLite as well, unless it is one
//! of the differences.

use reknit_query::{Memory, Params, Query, Tables};
use reknit_types::{EntityId, Name, Value};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

/// `query`, then `----`, then a row a line with `|` between values; a blank line ends a case. `query ours` is not asked of
/// SQLite, `query order` compares rows as sets.
const CASES: &str = include_str!("cases.txt");

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// The table of the cases: `t(a, b, c)`, whole numbers and text with nulls.
const ROWS: &[(Option<i64>, Option<i64>, Option<&str>)] = &[
    (Some(1), Some(10), Some("one")),
    (Some(2), Some(20), Some("two")),
    (Some(3), None, Some("three")),
    (None, Some(40), Some("four")),
    (Some(5), Some(10), None),
    (Some(2), Some(-7), Some("Two")),
    (None, None, None),
];

fn ours() -> (Memory, Tables) {
    let (mut memory, mut tables) = (Memory::new(), Tables::default());
    for field in ["a", "b", "c"] {
        tables.field(name("t"), name(field));
    }
    for (nth, (a, b, c)) in ROWS.iter().enumerate() {
        let values = [("a", a.map(Value::Int)), ("b", b.map(Value::Int)), ("c", c.map(Value::from))];
        let record = values.into_iter().filter_map(|(field, value)| Some((name(field), value?)));
        let mut id = [0; 16];
        id[15] = nth as u8;
        memory.put(&name("t"), EntityId::from_bytes(id), Some(record.collect()));
    }
    (memory, tables)
}

fn theirs() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch("PRAGMA case_sensitive_like = ON; CREATE TABLE t (a, b, c)").unwrap();
    for row in ROWS {
        connection.execute("INSERT INTO t VALUES (?, ?, ?)", *row).unwrap();
    }
    connection
}

fn written(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(value) => i64::from(*value).to_string(),
        Value::Float(value) => format!("{value:?}"),
        other => other.to_string(),
    }
}

#[test]
fn every_case_gives_the_rows_that_it_says() {
    let ((memory, tables), connection) = (ours(), theirs());
    let mut count = 0;
    for case in CASES.split("\n\n").filter(|case| case.starts_with("query")) {
        let (head, body) = case.split_once('\n').unwrap();
        let (sql, rows) = body.split_once("----").unwrap();
        let mut wanted: Vec<String> = rows.trim_matches('\n').lines().map(str::to_owned).collect();
        let bound = Query::parse(sql).unwrap_or_else(|error| panic!("{sql}\n{error}"));
        let bound = bound.bind(&tables, &Params::new()).unwrap_or_else(|error| panic!("{sql}\n{error}"));
        let answer = bound.plan(&[]).run(&memory).unwrap();
        let mut found: Vec<String> =
            answer.rows.iter().map(|row| row.iter().map(written).collect::<Vec<_>>().join("|")).collect();
        if head.contains("order") {
            wanted.sort();
            found.sort();
        }
        assert_eq!(found, wanted, "{sql}");
        if !head.contains("ours") {
            let mut oracle = ask(&connection, sql);
            if head.contains("order") {
                oracle.sort();
            }
            assert_eq!(oracle, wanted, "SQLite: {sql}");
        }
        count += 1;
    }
    assert!(count > 60, "only {count} cases were found");
}

fn ask(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let values: rusqlite::Result<Vec<String>> = (0..columns)
            .map(|column| {
                Ok(match row.get_ref(column)? {
                    ValueRef::Null => "NULL".to_owned(),
                    ValueRef::Integer(value) => value.to_string(),
                    ValueRef::Real(value) => format!("{value:?}"),
                    ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
                })
            })
            .collect();
        values.map(|values| values.join("|"))
    });
    rows.unwrap().map(Result::unwrap).collect()
}
