//! The query language of Reknit: a subset of SQL, from its text to rows, and from one result to the next.
//!
//! The crate reads no store, clock or source of randomness. Rows come from a [`Source`], which the caller implements over
//! one state of its data; nothing here waits or holds a lock. It never changes data: there is only `SELECT`.
//!
//! Read [`Query`] and [`Source`] first.
//!
//! ```
//! use reknit_query::{IndexInfo, Memory, Params, Query, Tables};
//! use reknit_types::{EntityId, Name, Value};
//!
//! let name = |text| Name::new(text).unwrap();
//! let mut albums = Memory::new();
//! albums.add_index(IndexInfo {
//!     name: "by_year".to_owned(),
//!     collection: name("albums"),
//!     fields: vec![name("year").into()],
//! });
//! for (nth, year) in [1959, 1965, 1971].into_iter().enumerate() {
//!     let record = [(name("year"), Value::Int(year))].into();
//!     albums.put(&name("albums"), EntityId::from_bytes([nth as u8; 16]), Some(record));
//! }
//! let mut schema = Tables::default();
//! schema.field(name("albums"), name("year"));
//!
//! let query = Query::parse("SELECT year FROM albums WHERE year > ? ORDER BY year DESC LIMIT 1").unwrap();
//! let plan = query.bind(&schema, &Params::new().with(1960)).unwrap().plan(&albums.indexes());
//! let answer = plan.run(&albums).unwrap();
//! assert_eq!(answer.rows, [[Value::Int(1971)]]);
//! assert_eq!(plan.explain().trim_start(), "limit 1\n  filter by 1 conditions\n    index by_year: year from .., backwards, in order\n");
//! ```
//!
//! # The language
//!
//! ```text
//! SELECT [DISTINCT] column, ..   FROM collection [[AS] alias]
//!     [[INNER | LEFT] JOIN collection [alias] ON condition] ..
//!     [WHERE condition] [GROUP BY term, ..] [HAVING condition]
//!     [ORDER BY term [ASC | DESC] [NULLS FIRST | LAST], ..] [LIMIT n] [OFFSET n]
//! ```
//!
//! * **Columns**: terms, with `AS name` if need be; `*` and `a.*`, where the [`Schema`] knows the fields; `id` is the
//!   entity itself.
//! * **Terms**: fields; constants `1`, `1.5`, `'text'`, `X'00ff'`, `TRUE`, `NULL`; parameters `?` and `:name`;
//!   `+ - * / % ||`; `CASE`; `LOWER UPPER LENGTH ABS COALESCE NULLIF`.
//! * **Paths**: `tracks.0.title` leads into a document, `artist.name` to another entity if the schema says that `artist` is a
//!   reference: as a left join does, so an entity that is not there gives null. Paths may go on: `artist.label.name`.
//! * **Conditions**: `= <> != < <= > >=`, `AND OR NOT`, `[NOT] IN (..)`, `[NOT] BETWEEN`, `IS [NOT] NULL`, `IS [NOT] TRUE`,
//!   `IS [NOT] DISTINCT FROM`, `[NOT] LIKE`, `[NOT] ILIKE`, with `ESCAPE`. Logic is SQL's, with unknown.
//! * **`MATCH(field, 'words')`**: every word occurs in the text as a word, in any order, upper and lower case alike. A word is
//!   a run of letters and digits. Without a word to look for nothing matches.
//! * **Aggregates**: `COUNT(*)`, `COUNT SUM MIN MAX AVG` of a term, each with `DISTINCT` if need be.
//! * **Joins** need an equality between a field (or the id) of the new collection and those before it; further conditions may
//!   be added with `AND`.
//! * Names are as they are written, upper and lower case apart; in `"quotes"` they may be anything.
//!
//! Everything else is refused, with its place and what to write instead; so are comparisons of comparisons (`a < b < c`) and
//! `||` beside arithmetic without parentheses, which databases group differently.
//!
//! **Every result has one order.** Rows that `ORDER BY` leaves equal, and all rows without it, are ordered by the ids of
//! their entities (downwards where the last key is `DESC`); groups by their keys, distinct rows by their values. So a
//! [`Cursor`] always knows where to go on, and an index never changes what is found.
//!
//! # Where it differs from SQLite
//!
//! Values compare as in SQLite: null, then numbers, text, bytes; booleans are the numbers 1 and 0; whole numbers and floats
//! compare exactly; whole numbers that overflow become floats; division by zero is null. Then there are lists and maps, in
//! that order, and a reference is the text of its id. The differences, all meant:
//!
//! * **Nothing is converted.** An operator on a value of a kind that it is not for gives null: `'5' + 1`, `12 LIKE '1%'`,
//!   `LENGTH(12)`, text as a condition. `SUM` and `AVG` leave such values out. Only `||` takes numbers as they are written.
//! * `LIKE` tells upper and lower case apart, `ILIKE` does not, in any script; so for `LOWER` and `UPPER`.
//! * Floats are finite: what would be infinite is null. `SUM` that overflows is a float and no error, as is `ABS`.
//! * Floats in text (`'' || 0.1`) are written with as many digits as it takes, not with 15.
//! * What `SELECT`, `HAVING` or `ORDER BY` names beside groups must be grouped by or aggregated.
//! * A text longer than 1 MiB that an operator would make is null.
//!
//! `tests/laws` runs random queries here and in SQLite; a difference outside this list is a bug.

mod aggregate;
mod answer;
mod bound;
mod compile;
mod cursor;
mod datum;
mod error;
mod exec;
mod expr;
pub mod key;
mod lexer;
pub mod limits;
mod live;
mod memory;
mod order;
mod parse;
mod plan;
mod predicate;
mod query;
mod schema;
mod source;
mod syntax;

pub use answer::{Answer, Reads};
pub use bound::{Bound, Dependency};
pub use cursor::Cursor;
pub use datum::{Datum, Step};
pub use error::{BindError, ParseError, Position, QueryError, SourceError};
pub use live::{Changed, Difference, LiveResult};
pub use memory::{Memory, MemoryRow, Record};
pub use plan::Plan;
pub use predicate::{FieldValues, LiveId, PredicateIndex, RowChange, Side};
pub use query::{Params, Query};
pub use schema::{Schema, Tables};
pub use source::{
    Direction, FieldPath, Fields, IndexInfo, KeyRange, Lookup, Row, Scan, Source, Visit, VisitEntry,
};
