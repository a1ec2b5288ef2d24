//! What an open query says.

use reknit::{Difference, LiveStep, Value};
use serde::{Deserialize, Serialize};

/// A step of an open query.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub(crate) enum LiveView {
    Found { columns: Vec<String>, rows: Vec<Vec<Value>> },
    Current,
    Changed { differences: Vec<DifferenceView>, events: Vec<String> },
    Failed { error: String },
}

/// How a result changed. Places count from 0, each in the rows as the steps before have left them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(crate) enum DifferenceView {
    Inserted { at: usize, row: Vec<Value> },
    Updated { at: usize, row: Vec<Value> },
    Removed { at: usize },
    Moved { from: usize, to: usize, row: Vec<Value> },
}

impl From<Result<LiveStep, reknit::Error>> for LiveView {
    fn from(step: Result<LiveStep, reknit::Error>) -> Self {
        match step {
            Ok(LiveStep::Found { columns, rows }) => Self::Found { columns, rows },
            Ok(LiveStep::Current) => Self::Current,
            Ok(LiveStep::Changed { differences, events }) => Self::Changed {
                differences: differences.into_iter().map(DifferenceView::from).collect(),
                events: events.into_iter().map(|event| event.id.to_string()).collect(),
            },
            Err(error) => Self::Failed { error: error.to_string() },
        }
    }
}

impl From<Difference> for DifferenceView {
    fn from(difference: Difference) -> Self {
        match difference {
            Difference::Inserted { at, row, .. } => Self::Inserted { at, row },
            Difference::Updated { at, row, .. } => Self::Updated { at, row },
            Difference::Removed { at, .. } => Self::Removed { at },
            Difference::Moved { from, to, row, .. } => Self::Moved { from, to, row },
        }
    }
}
