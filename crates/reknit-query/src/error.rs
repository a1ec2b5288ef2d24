//! What can go wrong with a query, and what to write instead.

use crate::limits::{CURSOR_BYTES_MAX, GROUPS_MAX, INDEX_IDS_MAX, JOIN_ROWS_MAX, ROWS_BYTES_MAX, ROWS_MAX};
use std::fmt;
use thiserror::Error;

/// A place in the text of a query, both from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// The text is no query of the supported subset.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{at}: {reason}{}{}", if self.instead.is_empty() { "" } else { "; " }, self.instead)]
pub struct ParseError {
    /// Where.
    pub at: Position,
    /// Why.
    pub reason: String,
    /// What to write instead; empty where nothing would do.
    pub instead: String,
}

impl ParseError {
    pub(crate) fn new(at: Position, reason: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { at, reason: reason.into(), instead: instead.into() }
    }
}

/// A query does not fit its parameters or the schema.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The query asks for what the schema does not have, or for what cannot be.
    #[error(transparent)]
    Meaning(#[from] ParseError),
    /// A named parameter has no value.
    #[error("the query asks for :{0}, which has no value")]
    MissingNamed(String),
    /// Too few or too many values for the `?`s.
    #[error("the query has {wanted} parameters written '?' and {given} values were given")]
    Positional {
        /// How many the query has.
        wanted: usize,
        /// How many were given.
        given: usize,
    },
    /// A value was given for a name that the query does not have.
    #[error("the query has no parameter :{0}")]
    UnknownNamed(String),
    /// A value that no query can hold.
    #[error("the value of a parameter is no finite number")]
    NotFinite,
    /// A value where only a whole number from 0 makes sense.
    #[error("{0} takes a whole number from 0")]
    NotACount(&'static str),
}

/// What the source of the data says when it cannot answer.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct SourceError(#[from] pub Box<dyn std::error::Error + Send + Sync>);

impl SourceError {
    /// An error with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }
}

/// A query could not be run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The data could not be read.
    #[error("the data could not be read: {0}")]
    Source(#[from] SourceError),
    /// The result, or what must be sorted for it, is too large.
    #[error("the query collects more than {ROWS_MAX} rows; add a LIMIT or a narrower WHERE")]
    TooManyRows,
    /// The result, or what must be sorted for it, is too large.
    #[error("the query collects more than {ROWS_BYTES_MAX} bytes; add a LIMIT or select fewer fields")]
    TooManyBytes,
    /// There are too many groups.
    #[error("the query forms more than {GROUPS_MAX} groups or distinct rows; add a narrower WHERE")]
    TooManyGroups,
    /// A joined collection is too large to hold.
    #[error("a joined collection has more than {JOIN_ROWS_MAX} rows; give the joined field an index")]
    JoinTooLarge,
    /// An index range is too large to hold.
    #[error("an index range holds more than {INDEX_IDS_MAX} entries; add a narrower WHERE or an ORDER BY")]
    RangeTooLarge,
    /// The order keys of a row are too long for a cursor.
    #[error(
        "the ORDER BY keys of a row take {0} bytes, a cursor {CURSOR_BYTES_MAX}; order by shorter fields"
    )]
    CursorTooLong(usize),
    /// The cursor is of another query.
    #[error("the cursor belongs to another query, or to other parameters; start again without it")]
    ForeignCursor,
    /// The bytes are no cursor.
    #[error("this is no cursor; pass on the one that came with the page before")]
    NoCursor,
}
