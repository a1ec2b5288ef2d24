//! Recorded editing sessions, in the formats of the public editing-traces data sets, and a plan by which peers make them
//! again: every transaction on exactly the history that its author had seen.
//!
//! It reads files and plans meetings. It knows nothing of peers, and never carries a plan out: that is up to who holds
//! the peers, the `replay` command with real ones and the simulator with simulated ones.
//!
//! Read [`Trace`] first, and then [`Plan`].
//!
//! ```
//! use reknit_traces::{Plan, Step, Trace};
//!
//! // Author 1 writes behind what author 0 wrote.
//! let json = br#"{"kind": "concurrent", "endContent": "ab", "txns": [
//!     {"parents": [], "agent": 0, "patches": [[0, 0, "a"]]},
//!     {"parents": [0], "agent": 1, "patches": [[1, 0, "b"]]}]}"#;
//! let trace = Trace::parse("ab", json, None).unwrap();
//! let plan = Plan::of(&trace).unwrap();
//! assert!(matches!(plan.steps[..], [Step::Write { .. }, Step::Meet { .. }, Step::Write { .. }]));
//! ```

mod plan;
mod trace;

pub use plan::{Part, Plan, Step};
pub use trace::{Patch, Trace, TraceError, Transaction};
