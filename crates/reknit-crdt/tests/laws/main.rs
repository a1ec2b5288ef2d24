//! The laws that all four kinds of field obey, whatever their peers and networks do.
//!
//! A script lets three devices edit, hear of each other, save, load and be restored from backups. What must then hold
//! does not depend on the kind, so every law is one function that is run for each.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

mod honest;
mod hostile;
mod world;
