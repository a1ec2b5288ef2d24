//! Reknit end to end: real processes, real networks, real faults. The tests are in `tests/`.

/// The README, for the sake of its snippets: they compile, or the tests fail.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
