//! The redb store against the rules of its port, bad files, bad disks and sudden ends.

mod conformance;
mod crash;
mod kill;
mod open;
