//! A disk that is full.

use std::path::Path;
use std::process::Command;

use crate::lab::skip;
use crate::peer::Peer;

/// Bytes of a disk that a peer fills soon, and that it can work on again.
const SMALL: &str = "size=6m";
const LARGE: &str = "size=64m";

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(disk) = Disk::mount(folder.path()) else {
        return skip("mounting a small disk is not permitted here (it needs CAP_SYS_ADMIN)");
    };
    let mut ada = Peer::in_folder(folder.path(), "ada");
    ada.run(&["space", "new", "garden"]);
    ada.up();
    let mut written = Vec::new();
    let text = format!("body={}", "x".repeat(60_000));
    let failed = loop {
        match ada.try_run(&["put", "notes", "new", &text, &format!("nth:={}", written.len())]) {
            Ok(answer) => written.push(answer["entity"]["id"].as_str().expect("an id").to_owned()),
            Err(failed) => break failed,
        }
        assert!(written.len() < 10_000, "the disk never fills");
    };
    assert!(!failed.message.contains("panicked"), "{failed:?}");
    assert!(failed.message.contains("space") || failed.message.contains("full"), "it says why: {failed:?}");
    assert!(!written.is_empty());

    let (status, said) = ada.ended();
    assert_eq!(status.code(), Some(1), "a peer that has stopped does not go on as if it ran: {said}");
    assert!(said.contains("space") || said.contains("full"), "it says why: {said}");

    disk.grow();
    ada.up();
    for id in &written {
        ada.run(&["get", "notes", id]);
    }
    ada.create_entity("notes", &["title=There is room again"]);
    ada.down();
}

/// A disk in memory, mounted as long as this lives.
struct Disk<'a> {
    at: &'a Path,
}

impl<'a> Disk<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        mount(&["-t", "tmpfs", "-o", SMALL, "none"], at).then_some(Self { at })
    }

    fn grow(&self) {
        assert!(mount(&["-o", &format!("remount,{LARGE}")], self.at), "a disk in memory can grow");
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        // Lazily, since a peer of a failed test may still be dying.
        let _ = Command::new("umount").arg("--lazy").arg(self.at).output();
    }
}

fn mount(options: &[&str], at: &Path) -> bool {
    Command::new("mount").args(options).arg(at).output().is_ok_and(|output| output.status.success())
}
