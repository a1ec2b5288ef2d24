//! The README's tour of the command, run as it stands.

use crate::binaries;
use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn the_tour_of_the_command_runs_as_written() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let script = shell_blocks(&readme);
    assert!(script.contains("reknit --home phone sync"), "the tour lost its heart");
    let reknit = binaries::reknit();
    let folder = tempfile::tempdir().unwrap();
    let path = format!("{}:{}", reknit.parent().unwrap().display(), std::env::var("PATH").unwrap());
    // Loopback only: the tour must not depend on the network of the machine that tests it.
    let listen = "export REKNIT_LISTEN=/ip4/127.0.0.1/udp/0/quic-v1\n";
    let output = Command::new("timeout")
        .args(["120", "bash", "-e", "-m", "-c", &format!("{listen}{script}")])
        .current_dir(folder.path())
        .env("PATH", path)
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "the tour failed:\n{out}\n{err}");
    assert!(out.contains("- milk and bread"), "the phone's edit did not reach the laptop:\n{out}\n{err}");
}

/// Everything between ```` ```sh ```` and ```` ``` ````, in order.
fn shell_blocks(text: &str) -> String {
    let mut script = String::new();
    let mut inside = false;
    for line in text.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside => {
                script.push_str(line);
                script.push('\n');
            }
            _ => {}
        }
    }
    script
}
