//! What comes back from a query.

use crate::cursor::Cursor;
use reknit_types::Value;
use std::fmt;

/// The result of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The rows, each with a value a column.
    pub rows: Vec<Vec<Value>>,
    /// Where the page ended, if a `LIMIT` ended it: what lies behind may be asked for with this.
    pub end: Option<Cursor>,
    /// What it took.
    pub reads: Reads,
}

/// How much a query read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reads {
    /// Rows of the collection of `FROM` that a scan went over.
    pub scanned: u64,
    /// Entries of indexes, those for joins included.
    pub entries: u64,
    /// Entities of the collection of `FROM` that were read by their ids.
    pub fetched: u64,
    /// Entities of other collections, by joins and reference paths.
    pub joined: u64,
    /// Rows that passed `WHERE` and all joins.
    pub passed: u64,
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scanned, entries, fetched, joined, passed } = self;
        write!(
            f,
            "read {scanned} rows by scan, {entries} index entries, {fetched} rows by id, {joined} rows by joins; {passed} passed"
        )
    }
}
