//! Where chance comes from: a seed that is printed, so that a failure can be had again.

use std::hash::{BuildHasher, RandomState};
use std::io::Write;

/// The seed in `REKNIT_SEED`, else a fresh one; said on stderr either way.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("REKNIT_SEED").ok().map(|text| text.parse().expect("REKNIT_SEED is a number"));
    let seed = given.unwrap_or_else(|| RandomState::new().hash_one("seed"));
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    writeln!(std::io::stderr(), "{test}: REKNIT_SEED={seed}").expect("stderr takes text");
    seed
}
