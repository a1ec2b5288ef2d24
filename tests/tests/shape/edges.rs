//! Arrows go one way, and a pure crate depends on nothing that waits, draws or touches the world.

use std::collections::{BTreeMap, BTreeSet};

use super::members;

/// For each crate of the workspace, those of the workspace that it may use.
const EDGES: &[(&str, &[&str])] = &[
    ("reknit-types", &[]),
    ("reknit-crdt", &["reknit-types"]),
    ("reknit-query", &["reknit-types"]),
    ("reknit-access", &["reknit-types"]),
    ("reknit-sync", &["reknit-types"]),
    ("reknit-engine", &["reknit-types", "reknit-crdt", "reknit-query", "reknit-access", "reknit-sync"]),
    ("reknit-store", &["reknit-types", "reknit-engine"]),
    ("reknit-net", &["reknit-types"]),
    ("reknit-derive", &[]),
    (
        "reknit",
        &[
            "reknit-types",
            "reknit-crdt",
            "reknit-derive",
            "reknit-query",
            "reknit-access",
            "reknit-sync",
            "reknit-engine",
            "reknit-store",
            "reknit-net",
        ],
    ),
    (
        "reknit-sim",
        &[
            "reknit-types",
            "reknit-crdt",
            "reknit-access",
            "reknit-sync",
            "reknit-engine",
            "reknit-store",
            "reknit-traces",
        ],
    ),
    ("reknit-traces", &[]),
    ("reknit-cli", &["reknit", "reknit-traces"]),
    ("reknit-bootstrap", &["reknit-types", "reknit-net"]),
];

/// Edges that only tests have. cargo allows a circle of those.
const DEV_EDGES: &[(&str, &str)] = &[("reknit-store", "reknit-sim")];

/// What the pure crates may use from outside the workspace. Nothing here opens a file, a socket, a thread or a clock.
const PURE: &[(&str, &[&str])] = &[
    (
        "reknit-types",
        &[
            "blake3",
            "chacha20",
            "data-encoding",
            "ed25519-dalek",
            "rand",
            "serde",
            "thiserror",
            "ulid",
            "zeroize",
        ],
    ),
    (
        "reknit-crdt",
        &["automerge", "blake3", "data-encoding", "imara-diff", "serde_json", "thiserror", "yrs"],
    ),
    ("reknit-query", &["sqlparser", "thiserror"]),
    ("reknit-access", &["blake3", "data-encoding", "rand", "thiserror", "zeroize"]),
    ("reknit-sync", &["blake3", "thiserror", "zstd"]),
    ("reknit-engine", &["blake3", "rand", "rand_chacha", "serde_json", "thiserror", "tracing"]),
];

/// What the tests and examples of the pure crates may use besides.
const PURE_DEV: &[&str] = &["flate2", "proptest", "rand", "rand_chacha", "rusqlite", "serde_json"];

#[test]
fn arrows_between_crates_go_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    let members = members();
    let ours: BTreeSet<String> = members.iter().map(|member| member.name.clone()).collect();
    let mut wrong = Vec::new();
    for member in &members {
        // Examples are what a user would write, so they see what a user sees; the end-to-end tests may see all.
        let may = match allowed.get(member.name.as_str()) {
            Some(may) => may,
            None if member.name == "reknit-tests" => continue,
            None => &["reknit", "reknit-sim"][..],
        };
        for dependency in &member.dependencies {
            let name = dependency.name.as_str();
            let dev = dependency.dev && DEV_EDGES.contains(&(member.name.as_str(), name));
            if ours.contains(name) && !dev && !may.contains(&name) {
                wrong.push(format!("{} -> {}", member.name, dependency.name));
            }
        }
    }
    assert!(wrong.is_empty(), "edges that ARCHITECTURE.md does not have: {wrong:?}");
}

#[test]
fn pure_crates_use_only_what_is_listed() {
    let pure: BTreeMap<&str, &[&str]> = PURE.iter().copied().collect();
    let mut wrong = Vec::new();
    for member in members() {
        let Some(listed) = pure.get(member.name.as_str()) else { continue };
        for dependency in &member.dependencies {
            let name = dependency.name.as_str();
            let dev = dependency.dev && PURE_DEV.contains(&name);
            if !name.starts_with("reknit") && !dev && !listed.contains(&name) {
                wrong.push(format!("{} -> {name}", member.name));
            }
        }
    }
    assert!(wrong.is_empty(), "dependencies a pure crate must not have: {wrong:?}");
}

#[test]
fn every_listed_crate_exists() {
    let names: BTreeSet<String> = members().into_iter().map(|member| member.name).collect();
    for (name, _) in EDGES {
        assert!(names.contains(*name), "{name} is listed but not in the workspace");
    }
}

#[test]
fn versions_and_lints_come_from_the_workspace() {
    let mut wrong = Vec::new();
    for member in members() {
        let manifest = member.manifest();
        if !manifest.contains("[lints]\nworkspace = true") {
            wrong.push(format!("{}: does not inherit the workspace's lints", member.name));
        }
        wrong.extend(own_versions(&manifest).map(|line| format!("{}: {line}", member.name)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Lines of the dependency sections that do not take their version from the workspace.
fn own_versions(manifest: &str) -> impl Iterator<Item = &str> {
    let mut in_dependencies = false;
    manifest.lines().filter(move |line| {
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]");
            return false;
        }
        in_dependencies && line.contains('=') && !line.contains("workspace = true")
    })
}
