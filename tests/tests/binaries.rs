//! The programs under test, built once a run in the profile of the tests: a no-op where `cargo test --workspace` did it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::shape::root;

/// The `reknit` command.
pub(crate) fn reknit() -> PathBuf {
    folder().join("reknit")
}

/// The `reknit-bootstrap` command.
pub(crate) fn bootstrap() -> PathBuf {
    folder().join("reknit-bootstrap")
}

/// Where cargo puts them: two folders above this very test binary.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let this = std::env::current_exe().expect("a test knows its own binary");
        let folder = this.ancestors().nth(2).expect("test binaries lie in deps/ of a profile").to_path_buf();
        build(&folder);
        folder
    })
}

fn build(folder: &Path) {
    let profile = folder.file_name().unwrap_or_default().to_string_lossy();
    let profile = if profile == "debug" { "dev" } else { &*profile };
    // From the root and without naming packages, so that features are those of `cargo test --workspace`, and nothing is built twice.
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "build",
        "--quiet",
        "--locked",
        "--bin",
        "reknit",
        "--bin",
        "reknit-bootstrap",
        "--profile",
        profile,
    ]);
    cargo.arg("--target-dir").arg(folder.parent().expect("a profile lies in the target folder"));
    let status = cargo.current_dir(root()).status().expect("cargo runs");
    assert!(status.success(), "the programs under test do not build");
}
