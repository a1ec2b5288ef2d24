//! A deterministic simulator of Reknit peers: the production engine over the production store, under virtual time.

pub mod clock;
