//! End to end, and the shape of the workspace.

mod binaries;
mod corpus;
mod lab;
mod network;
mod peer;
mod shape;
