//! End to end, and the shape of the workspace.

mod corpus;
mod lab;
mod shape;
