//! Guards the shape of the workspace: who may depend on whom and on what, how long a file may grow, what no file says.

mod edges;
mod purity;
mod sources;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the checkout").to_path_buf()
}

/// A member of the workspace as `cargo metadata` tells it.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) dev: bool,
}

impl Member {
    pub(crate) fn manifest(&self) -> String {
        std::fs::read_to_string(self.folder.join("Cargo.toml")).expect("a member has a manifest")
    }
}

pub(crate) fn members() -> Vec<Member> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    metadata["packages"].as_array().expect("packages").iter().map(member).collect()
}

fn member(package: &Value) -> Member {
    let manifest = PathBuf::from(text(&package["manifest_path"]));
    Member {
        name: text(&package["name"]),
        folder: manifest.parent().expect("a manifest lies in a folder").to_path_buf(),
        dependencies: package["dependencies"]
            .as_array()
            .expect("dependencies")
            .iter()
            .map(dependency)
            .collect(),
    }
}

fn dependency(entry: &Value) -> Dependency {
    Dependency { name: text(&entry["name"]), dev: entry["kind"] == "dev" }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}
