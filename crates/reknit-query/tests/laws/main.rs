//! What must hold of queries, whatever the data: SQLite agrees, live results keep up, and what is not of the subset is refused.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod against_sqlite;
mod cases;
mod choices;
mod data;
mod live;
mod plans;
mod query;
mod refused;
mod sqlite;
mod term;
