//! Reknit end to end: real processes, real networks, real faults. The tests are in `tests/`.
