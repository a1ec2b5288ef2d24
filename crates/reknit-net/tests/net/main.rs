//! Real peers on loopback, through the public surface of the crate.

mod bootstrap;
mod dead;
mod nearby;
mod peers;
mod support;
