//! Peers that run while commands are given, alone and with others.

use crate::home::{Home, REKNIT, Running, signal, until};
use serde_json::json;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

#[test]
fn commands_speak_with_the_running_peer_and_a_killed_one_leaves_no_trace() {
    let home = Home::with_space("laptop");
    let up = home.up();
    let socket = home.dir.path().join("home/peer.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let id = home.put(&["songs", "title=Blue"]);
    assert_eq!(home.json(&["get", "songs", &id, "title"]), "Blue");
    assert!(home.json(&["status"])["network"]["addresses"][0].as_str().unwrap().contains("127.0.0.1"));
    let (code, words) = home.fails(&["up"]);
    assert!(code == 4 && words.contains(&up.0.id().to_string()), "{code} {words}");
    let (code, words) = home.fails(&["get", "songs", "01JD0000000000000000000000"]);
    assert!(code == 3 && words.contains("01JD"), "{code} {words}");

    drop(up);
    assert!(socket.exists(), "a killed peer cannot clean up");
    assert_eq!(home.json(&["get", "songs", &id, "title"]), "Blue");
    drop(home.up());
}

#[test]
fn a_peer_keeps_a_journal_when_told_to() {
    let home = Home::with_space("laptop");
    let journal = home.dir.path().join("journal");
    let up = home.up_with(&["--journal", journal.to_str().unwrap(), "--journal-redact"]);
    home.put(&["songs", "title=Blue"]);
    drop(up);
    let bytes = fs::read(&journal).unwrap();
    assert!(bytes.starts_with(b"reknit journal\n") && !bytes.windows(4).any(|window| window == b"Blue"));
    assert_eq!(fs::metadata(&journal).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(home.fails(&["up", "--journal-redact"]).0, 2);
}

#[test]
fn a_peer_that_is_asked_to_end_takes_its_socket_along() {
    let home = Home::with_space("laptop");
    let mut up = home.up();
    let kill = Command::new("kill").arg(up.0.id().to_string()).status().unwrap();
    assert!(kill.success() && up.0.wait().unwrap().success());
    assert!(!home.dir.path().join("home/peer.sock").exists());
}

#[test]
fn an_edit_keeps_what_others_write_meanwhile() {
    let home = Home::with_space("laptop");
    let _up = home.up();
    let id = home.put(&["notes", "body@=hello world\n"]);
    let editor = script(
        &home,
        &format!("'{REKNIT}' put notes {id} 'body@=oh, hello world\n' && sed -i 's/world/Mars/' \"$1\""),
    );
    let edited = home.command(&["edit", "notes", &id, "body"]).env("VISUAL", &editor).output().unwrap();
    assert!(edited.status.success(), "{}", String::from_utf8_lossy(&edited.stderr));
    assert_eq!(home.json(&["get", "notes", &id, "body"]), "oh, hello Mars\n");

    let refused = home.command(&["edit", "notes", &id, "body"]).env("VISUAL", "false").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(home.json(&["get", "notes", &id, "body"]), "oh, hello Mars\n");
}

/// An editor.
fn script(home: &Home, words: &str) -> PathBuf {
    let file = home.dir.path().join("editor.sh");
    fs::write(&file, format!("#!/bin/sh\n{words}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
    file
}

#[test]
fn two_peers_share_by_ticket_and_say_when_they_are_equal() {
    let (ada, ben) = (Home::with_space("Ada"), Home::peer("Ben"));
    let (code, words) = ada.fails(&["sync", "--timeout", "200ms"]);
    assert!(code == 5 && words.contains("did not converge"), "{code} {words}");

    let _ada_up = ada.up();
    let id = ada.put(&["songs", "title=Blue"]);
    let invite = ada.json(&["invite", "--role", "writer"]);
    let joined = ben.json(&["join", invite["ticket"].as_str().unwrap()]);
    assert_eq!((&joined["name"], &joined["role"]), (&json!("music"), &json!("writer")));
    assert_eq!(ben.json(&["get", "songs", &id, "title"]), "Blue");

    let _ben_up = ben.up();
    let mut watch = ada.command(&["watch", "songs", "-n", "1", "--json"]);
    let watching = watch.stdout(Stdio::piped()).spawn().unwrap();
    until("the watcher hears of it", || {
        ben.ok(&["put", "songs", &id, "plays+=1"]);
        ada.json(&["get", "songs", &id])["fields"]["plays"].as_i64() > Some(0)
    });
    let heard = String::from_utf8(watching.wait_with_output().unwrap().stdout).unwrap();
    assert!(heard.contains("\"author_name\":\"Ben\"") && heard.contains("plays"), "{heard}");

    let receipts = ada.json(&["sync", "--until", "converged"]);
    assert_eq!(receipts[0]["frontier"], ada.json(&["space", "info"])["frontier"]);
    assert_eq!(ada.json(&["space", "info"])["frontier"], ben.json(&["space", "info"])["frontier"]);
    assert_eq!(ada.json(&["why"]), json!([]));
}

#[test]
fn a_reader_is_told_that_it_may_not_write() {
    let (ada, ben) = (Home::with_space("Ada"), Home::peer("Ben"));
    let _up = ada.up();
    let invite = ada.json(&["invite", "--role", "reader"]);
    ben.ok(&["join", invite["ticket"].as_str().unwrap()]);
    let (code, words) = ben.fails(&["put", "songs", "title=Mine"]);
    assert!(code == 6 && words.contains("may not write"), "{code} {words}");
}

#[test]
fn the_demo_ends_with_three_equal_peers() {
    let home = Home::empty();
    let picture = home.dir.path().join("demo.svg");
    let outcome = home.json(&["demo", "--no-mdns", "--svg", picture.to_str().unwrap()]);
    assert_eq!(outcome["equal"], true);
    assert_eq!(outcome["healed"]["fields"]["plan"], "Sunday picnic at the harbour. Bring a kite!");
    assert_eq!(outcome["healed"]["fields"]["guests"], 6);
    let frontiers: Vec<_> = (0..3).map(|one| &outcome["receipts"][one]["frontier"]).collect();
    assert!(frontiers.iter().all(|frontier| *frontier == frontiers[0]));
    assert!(fs::read_to_string(picture).unwrap().starts_with("<svg"));
}

#[test]
fn whoever_stops_reading_ends_no_peer_and_a_full_disk_is_an_error() {
    let home = Home::with_space("laptop");
    let id = home.put(&["songs", "title=Blue"]);
    let full = || Stdio::from(fs::File::options().write(true).open("/dev/full").unwrap());
    for words in
        [&["get", "songs", id.as_str()][..], &["export"], &["ls", "--json"], &["completions", "bash"]]
    {
        let output = home.command(words).stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
        let output = output.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("writing to"), "{words:?}");
    }
    let nobody = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    let status = home.command(&["ls"]).stdout(nobody()).status().unwrap();
    assert!(status.success(), "{status}");

    // A peer that cannot tell anybody what happens goes on.
    let up = home.command(&["up", "--json", "--no-mdns"]).stdout(nobody()).stderr(full()).spawn().unwrap();
    let mut up = Running(up);
    let socket = home.dir.path().join("home/peer.sock");
    until("it answers", || UnixStream::connect(&socket).is_ok());
    for name in ["one", "two"] {
        home.ok(&["space", "new", name]);
    }
    assert!(up.0.try_wait().unwrap().is_none(), "the peer is up");
    signal("TERM", &up);
    assert!(up.0.wait().unwrap().success());
}

#[test]
fn a_peer_that_hangs_is_said_to() {
    let home = Home::with_space("laptop");
    let up = home.up();
    signal("STOP", &up);
    let (code, words) = home.fails(&["up"]);
    let checks = home.run(&["doctor", "--json"]);
    signal("CONT", &up);
    assert!(code == 4 && words.contains("does not answer"), "{code} {words}");
    assert_eq!(checks.status.code(), Some(1));
    let held = format!("process {} ", up.0.id());
    let checks = String::from_utf8_lossy(&checks.stdout).into_owned();
    assert!(checks.contains(&held) && checks.contains("does not answer"), "{checks}");
}

#[test]
fn a_watcher_whose_peer_stops_is_told() {
    let home = Home::with_space("laptop");
    let mut up = home.up();
    let mut watch = home.command(&["watch", "--json"]);
    let mut watching = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let (heard, hears) = std::sync::mpsc::sync_channel(1);
    // It reads to the end: a watcher whom nobody reads ends as well.
    std::thread::spawn(move || lines.for_each(|line| drop(heard.try_send(line))));
    until("the watcher listens", || {
        home.put(&["songs", "title=Blue"]);
        hears.try_recv().is_ok()
    });
    signal("TERM", &up);
    assert!(up.0.wait().unwrap().success());
    let output = watching.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&output.stderr).contains("stopped"), "{output:?}");
}

#[test]
fn an_edit_that_cannot_be_committed_keeps_what_was_written() {
    let home = Home::with_space("laptop");
    let mut up = home.up();
    let id = home.put(&["notes", "body@=hello"]);
    let (pid, socket) = (up.0.id(), home.dir.path().join("home/peer.sock"));
    let words = format!(
        "echo 'a day of work' > \"$1\"; kill {pid}; while [ -e '{}' ]; do sleep 0.05; done",
        socket.display()
    );
    let editor = script(&home, &words);
    let edited = home.command(&["edit", "notes", &id, "body"]).env("VISUAL", &editor).output().unwrap();
    let told = String::from_utf8(edited.stderr).unwrap();
    assert_eq!(edited.status.code(), Some(7), "{told}");
    let kept = told.split_whitespace().find(|word| word.contains("/reknit-")).unwrap().trim_end_matches(':');
    assert_eq!(fs::read_to_string(kept).unwrap(), "a day of work\n");
    assert!(up.0.wait().unwrap().success());
    home.ok(&["edit", "notes", &id, "body", "--from", kept]);
    assert_eq!(home.json(&["get", "notes", &id, "body"]), "a day of work");
    fs::remove_dir_all(PathBuf::from(kept).parent().unwrap()).unwrap();
}

#[test]
fn a_space_that_nobody_lets_one_into_can_be_given_up() {
    let (ada, ben) = (Home::with_space("Ada"), Home::peer("Ben"));
    let up = ada.up();
    let ticket = ada.json(&["invite"])["ticket"].as_str().unwrap().to_owned();
    drop(up);
    let _up = ben.up();
    let (code, words) = ben.fails(&["join", &ticket, "--timeout", "300ms"]);
    assert!(code == 7 && words.contains("join again"), "{code} {words}");
    assert_eq!(ben.json(&["why"])[0]["code"], "joining");
    assert_eq!(ben.json(&["space", "leave"])["name"], "music");
    assert_eq!(ben.json(&["space", "list"]), json!([]));
    let (code, words) = ada.fails(&["space", "leave"]);
    assert!(code == 1 && words.contains("member"), "{code} {words}");
}
