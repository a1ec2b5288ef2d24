//! The query language of Reknit: a subset of SQL, from its text to rows and to differences between results.
//!
//! The crate never reads a store, a clock or a source of randomness. Rows come from a [`Source`], which the caller
//! implements over one state of its data.
//!
//! Read [`Query`] and [`Source`] first.

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
