//! End to end, and the shape of the workspace.

mod binaries;
mod corpus;
mod crash;
mod lab;
mod misuse;
mod network;
mod peer;
mod readme;
mod seed;
mod shape;
