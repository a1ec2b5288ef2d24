//! End to end, and the shape of the workspace.

mod shape;
