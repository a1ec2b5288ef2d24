//! What is not of the subset is refused, with its place and what to write instead.

use proptest::prelude::*;
use reknit_query::{BindError, Params, ParseError, Query, Tables};
use reknit_types::{Name, Value};

fn tables() -> Tables {
    let name = |text| Name::new(text).unwrap();
    let mut tables = Tables::default();
    tables
        .field(name("albums"), name("title"))
        .field(name("albums"), name("year"))
        .field(name("albums"), name("tracks"))
        .reference(name("albums"), name("artist"), name("artists"))
        .field(name("artists"), name("name"))
        .field(name("artists"), name("year"));
    tables
}

fn refusal(sql: &str) -> ParseError {
    match Query::parse(sql) {
        Err(error) => error,
        Ok(query) => match query.bind(&tables(), &Params::new()) {
            Err(BindError::Meaning(error)) => error,
            other => panic!("{sql}\nis not refused: {other:?}"),
        },
    }
}

/// The query with `^` before the place, and a part of what is said.
const REFUSED: &[(&str, &str)] = &[
    ("^", "empty"),
    ("^UPDATE albums SET year = 1", "does not begin a query"),
    ("^WITH x AS (SELECT year FROM albums) SELECT year FROM x", "does not begin a query"),
    ("SELECT year FROM albums ^UNION SELECT year FROM artists", "UNION"),
    ("SELECT year FROM albums; ^SELECT year FROM albums", "one query at a time"),
    ("SELECT year ^FROM albums, artists", "JOIN .. ON"),
    ("SELECT year ^FROM (SELECT year FROM albums) x", "no collection"),
    ("SELECT year FROM ^shop.albums", "one name"),
    ("SELECT a.year FROM albums a CROSS JOIN ^artists b", "kind of join"),
    ("SELECT a.year FROM albums a RIGHT JOIN ^artists b ON a.artist = b.id", "kind of join"),
    ("SELECT a.year FROM albums a JOIN ^artists b USING (artist)", "needs a condition"),
    ("SELECT a.year FROM albums a JOIN artists b ON ^a.year > b.year", "needs an equality"),
    ("SELECT a.year FROM albums a JOIN artists b ON b.name = ^a.artist.name", "reference path in ON"),
    ("SELECT a.year FROM albums a JOIN ^artists a ON a.artist = a.id", "two collections are called a"),
    ("SELECT ^year FROM albums a JOIN artists b ON a.artist = b.id", "write a.year"),
    ("SELECT ^titel FROM albums", "id, title, year, tracks, artist"),
    ("SELECT ^artist.nam FROM albums", "artists has no field nam"),
    ("SELECT ^id.x FROM albums", "an id has no parts"),
    ("SELECT ^b.* FROM albums a", "no collection is called b"),
    ("SELECT title FROM albums WHERE ^year = (SELECT 1)", "a query inside a query"),
    ("SELECT title FROM albums WHERE ^year IN (SELECT year FROM artists)", "a query inside a query"),
    ("SELECT title FROM albums WHERE ^year < 3 < 4", "a comparison of a comparison"),
    ("SELECT title FROM albums WHERE ^year = 3 IS NULL", "a comparison of a comparison"),
    ("SELECT ^title || year * 2 FROM albums", "write parentheses"),
    ("^SELECT CAST(year AS TEXT) FROM albums", "conversion of types"),
    ("SELECT ^year::text FROM albums", "conversion of types"),
    ("SELECT ^tracks->'x' FROM albums", "not supported"),
    ("SELECT ^tracks[0] FROM albums", "write a path"),
    ("SELECT tracks^.1e5 FROM albums", "no part of a path"),
    ("SELECT ^RANDOM() FROM albums", "there is no function RANDOM"),
    ("SELECT ^SUM(year) OVER () FROM albums", "without FILTER, OVER"),
    ("SELECT ^COUNT(*) FILTER (WHERE year > 1) FROM albums", "without FILTER, OVER"),
    ("SELECT ^SUM(*) FROM albums", "does not take this"),
    ("SELECT ^SUM(year, year) FROM albums", "takes one argument"),
    ("SELECT SUM(^MAX(year)) FROM albums", "aggregate of an aggregate"),
    ("SELECT title FROM albums WHERE ^SUM(year) > 3", "HAVING"),
    ("SELECT ^title, COUNT(*) FROM albums", "neither grouped by nor aggregated"),
    ("SELECT ^*, COUNT(*) FROM albums", "name the keys"),
    ("SELECT title FROM albums HAVING ^year > 3", "HAVING without GROUP BY"),
    ("SELECT DISTINCT title FROM albums ORDER BY ^year", "not selected"),
    ("SELECT ^DISTINCT ON (title) title FROM albums", "DISTINCT ON"),
    ("SELECT title FROM albums ORDER BY ^3", "no column 3"),
    ("SELECT title FROM albums LIMIT 1^, 2", "not expected"),
    ("SELECT title FROM albums LIMIT -^1", "whole number"),
    ("SELECT title FROM albums ^FOR UPDATE", "FOR"),
    ("SELECT title FROM albums ^FETCH FIRST 3 ROWS ONLY", "LIMIT"),
    ("SELECT title FROM albums WHERE ^'x'", "no condition"),
    ("SELECT title FROM albums WHERE MATCH(title, ^year)", "constant text"),
    ("SELECT title FROM albums WHERE year = ^$1", "write ? or :name"),
    ("SELECT title FROM albums WHERE year = ^?1", "write ? or :name"),
    ("SELECT title FROM albums WHERE year = 1^abc", "runs into the number"),
    ("SELECT title FROM albums WHERE ^title SIMILAR TO 'x'", "LIKE"),
    ("SELECT title FROM albums WHERE title LIKE 'a' ESCAPE ^'ab'", ""),
    ("SELECT title FROM albums WHERE ^year & 1 = 1", "operator"),
    ("SELECT title FROM albums WHERE (^year, title) = (1, 'x')", "compare field by field"),
    ("SELECT title FROM untyped WHERE ^NOT", "word of the language"),
    ("SELECT title FROM untyped WHERE a = ^is", "word of the language"),
    ("SELECT ^n + 1 AS n, COUNT(*) FROM untyped GROUP BY x", "n is neither grouped by nor aggregated"),
    ("SELECT COUNT(*) AS n FROM untyped GROUP BY x HAVING n > 1 AND ^m > 1", "m is neither grouped by"),
    ("SELECT ^albums.title FROM albums a", "albums is called a here"),
    ("SELECT title\nFROM albums\nWHERE ^titel = 1", "no field titel"),
];

#[test]
fn what_is_not_of_the_subset_is_refused_where_it_stands() {
    let mut wrong = vec![];
    for (marked, told) in REFUSED {
        let sql = marked.replace('^', "");
        let error = refusal(&sql);
        let before = &marked[..marked.find('^').unwrap()];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|char| *char != '\n').count() + 1;
        let is_there = (error.at.line as usize, error.at.column as usize) == (line, column);
        if !is_there || !error.to_string().contains(told) {
            wrong.push(format!("{marked}\n  {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_name_of_a_column_is_not_taken_for_a_field_that_nobody_knows() {
    let query = Query::parse("SELECT year + 1 AS next FROM untyped WHERE next > 3").unwrap();
    assert!(matches!(query.bind(&Tables::default(), &Params::new()), Err(BindError::Meaning(_))));
    let query = Query::parse("SELECT untyped.next AS next FROM untyped WHERE next > 3").unwrap();
    assert!(query.bind(&Tables::default(), &Params::new()).is_ok());
}

#[test]
fn parameters_must_fit() {
    let bind = |sql: &str, params: Params| Query::parse(sql).unwrap().bind(&tables(), &params);
    let sql = "SELECT title FROM albums WHERE year = ? AND title = :name LIMIT :n";
    let good = Params::new().with(1).with_named("name", "x").with_named("n", 3);
    assert!(bind(sql, good.clone()).is_ok());
    assert_eq!(bind(sql, good.clone().with(2)).unwrap_err(), BindError::Positional { wanted: 1, given: 2 });
    assert_eq!(
        bind(sql, good.clone().with_named("o", 1)).unwrap_err(),
        BindError::UnknownNamed("o".to_owned())
    );
    let missing = Params::new().with(1).with_named("n", 3);
    assert_eq!(bind(sql, missing).unwrap_err(), BindError::MissingNamed("name".to_owned()));
    assert_eq!(bind(sql, good.clone().with_named("n", -1)).unwrap_err(), BindError::NotACount("LIMIT"));
    let infinite = good.with_named("name", Value::Float(f64::INFINITY));
    assert_eq!(bind(sql, infinite).unwrap_err(), BindError::NotFinite);
}

#[test]
fn what_is_too_large_is_refused_by_name() {
    let nested = format!("SELECT {}year{} FROM albums", "(".repeat(300), ")".repeat(300));
    assert!(refusal(&nested).reason.contains("nest deeper"));
    let negated = format!("SELECT title FROM albums WHERE {} year", "NOT ".repeat(3_000));
    assert!(refusal(&negated).at.column < 200);
    let long = format!("SELECT title FROM albums WHERE {}", vec!["year = 1"; 300].join(" OR "));
    assert!(refusal(&long).reason.contains("operators"));
    let list = format!("SELECT title FROM albums WHERE year IN ({})", vec!["1"; 5_000].join(", "));
    assert!(refusal(&list).reason.contains("5000 values"));
    let text = format!("SELECT title FROM albums WHERE title = '{}'", "x".repeat(70_000));
    assert!(refusal(&text).reason.contains("bytes"));
    let path = format!("SELECT tracks{} FROM albums", ".0".repeat(40));
    assert!(refusal(&path).reason.contains("parts"));
    let row = format!("SELECT {} FROM albums WHERE {}", vec!["year"; 255].join(" OR "), "year");
    assert!(Query::parse(&row).is_ok());
    let sum = format!("SELECT {} FROM albums", vec!["year"; 200].join(" + "));
    assert!(refusal(&sum).reason.contains("nest deeper"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn no_text_makes_the_parser_fall(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..24)) {
        let sql = format!("SELECT {}", words.join(" "));
        if let Ok(query) = Query::parse(&sql) {
            let params = (0..query.positional()).fold(Params::new(), |params, _| params.with(1));
            let _ = query.bind(&tables(), &params);
        }
    }

    #[test]
    fn no_bytes_make_the_parser_fall(text in "\\PC{0,80}") {
        let _ = Query::parse(&text);
        let _ = Query::parse(&format!("SELECT {text} FROM albums"));
    }
}

const WORDS: &[&str] = &[
    "SELECT", "FROM", "WHERE", "albums", "artists", "a", "year", "title", "tracks", ".0", ".", "0", "1.5",
    "'x'", "(", ")", ",", "*", "=", "<", "AND", "OR", "NOT", "IN", "IS", "NULL", "LIKE", "BETWEEN", "CASE",
    "WHEN", "THEN", "END", "GROUP BY", "ORDER BY", "HAVING", "LIMIT", "JOIN", "LEFT", "ON", "AS", "COUNT(",
    "SUM(", "?", ":n", "||", "-", "DISTINCT", "\"q\"", "MATCH(", "ESCAPE", "UNION", "--", "/*", ";", "::",
    "[", "]", "$1", "X'00'", "{", "INTERVAL",
];
