//! The command as people and scripts use it: real processes, temporary homes.
#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do fails the test")]

use serde_json::{Value as Json, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const REKNIT: &str = env!("CARGO_BIN_EXE_reknit");

/// A home directory, with a peer once it is initialised.
struct Home {
    dir: TempDir,
}

impl Home {
    fn empty() -> Self {
        Self { dir: tempfile::Builder::new().prefix("rk").tempdir().unwrap() }
    }

    /// A peer that listens on the loopback only.
    fn peer(name: &str) -> Self {
        let home = Self::empty();
        home.ok(&["init", "--name", name, "--listen", "/ip4/127.0.0.1/tcp/0"]);
        home
    }

    /// A peer with a space.
    fn with_space(name: &str) -> Self {
        let home = Self::peer(name);
        home.ok(&["space", "new", "music"]);
        home
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(REKNIT);
        command.args(words).env("REKNIT_HOME", self.dir.path().join("home")).env_remove("REKNIT_SPACE");
        command.env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Stdout of a command that succeeds.
    fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "reknit {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The answer of a command that succeeds.
    fn json(&self, words: &[&str]) -> Json {
        let text = self.ok(&[words, &["--json"]].concat());
        let line = text.lines().last().unwrap();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{words:?}: {error}: {line}"))
    }

    /// The exit code and stderr of a command that fails.
    fn fails(&self, words: &[&str]) -> (i32, String) {
        let output = self.run(words);
        assert!(!output.status.success(), "reknit {words:?} succeeds");
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    /// Creates an entity, and returns its id.
    fn put(&self, words: &[&str]) -> String {
        let done = self.json(&[&["put"], words].concat());
        done["entity"]["id"].as_str().unwrap().to_owned()
    }

    /// Runs the peer, and returns once it answers.
    fn up(&self) -> Running {
        let mut child = self.command(&["up", "--json", "--no-mdns"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first: Json = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(first["code"], "up");
        std::thread::spawn(move || lines.for_each(drop));
        Running(child)
    }
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Looks again and again, since what is waited for is another process.
fn until(what: &str, so: impl Fn() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < Duration::from_secs(30), "waited in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn what_is_put_can_be_read_changed_removed_and_restored() {
    let home = Home::with_space("laptop");
    let id =
        home.put(&["songs", "title=Blue", "year:=1971", "plays+=2", "body@=one two", "meta/label:=\"Oslo\""]);
    home.ok(&["put", "songs", &id, "plays-=1", "body@+= three", "meta/label:=", "meta/sales+=5"]);
    let song = home.json(&["get", "songs", &id]);
    let fields = json!({
        "title": "Blue", "year": 1971, "plays": 1, "body": "one two three", "meta": {"sales": 5},
    });
    assert_eq!(song["fields"], fields);
    assert_eq!(song["kinds"]["body"], "text");
    assert_eq!(home.ok(&["get", "songs", &id, "body"]), "one two three\n");

    assert!(home.ok(&["ls"]).contains("songs"));
    assert!(home.ok(&["ls", "songs"]).contains("Blue"));
    home.ok(&["rm", "songs", &id]);
    assert!(!home.ok(&["ls", "songs"]).contains("Blue"));
    assert!(home.ok(&["ls", "songs", "--deleted"]).contains("(deleted)"));
    home.ok(&["restore", "songs", &id]);
    assert_eq!(home.json(&["get", "songs", &id])["fields"], fields);
}

#[test]
fn a_prefix_names_an_entity_unless_several_begin_so() {
    let home = Home::with_space("laptop");
    let (one, two) = (home.put(&["songs", "title=One"]), home.put(&["songs", "title=Two"]));
    let differ = one.chars().zip(two.chars()).take_while(|(one, two)| one == two).count() + 1;
    assert_eq!(home.json(&["get", "songs", &one[..differ]])["id"], one.as_str());
    let (code, words) = home.fails(&["get", "songs", "0"]);
    assert_eq!(code, 2);
    assert!(words.contains(&one) && words.contains(&two), "{words}");
}

#[test]
fn what_is_wrong_has_an_exit_code_and_says_what_to_do() {
    let empty = Home::empty();
    let (code, words) = empty.fails(&["ls"]);
    assert!(code == 3 && words.contains("reknit init"), "{code} {words}");

    let home = Home::peer("laptop");
    let (code, words) = home.fails(&["ls"]);
    assert!(code == 3 && words.contains("reknit space new"), "{code} {words}");
    home.ok(&["space", "new", "music"]);
    let id = home.put(&["songs", "title=Blue"]);
    let nobody = "01JD0000000000000000000000";
    for (words, code, says) in [
        (vec!["frobnicate"], 2, "unrecognized"),
        (vec!["put", "songs"], 2, "ASSIGNMENT"),
        (vec!["put", "songs", "new"], 2, "nothing to write"),
        (vec!["put", "songs", &id, "plays+=many"], 2, "whole number"),
        (vec!["put", "songs", &id, "title+=1"], 2, "register"),
        (vec!["put", "songs", &id, "meta/a/b=1"], 1, "/a/b"),
        (vec!["get", "songs", nobody], 3, nobody),
        (vec!["get", "songs", &id, "rating"], 3, "title"),
        (vec!["ls", "--space", "garden"], 3, "garden"),
        (vec!["join", "reknit1oops"], 2, "ticket"),
        (vec!["init"], 1, "already"),
        (vec!["space", "new", "music"], 1, "already"),
        (vec!["sync", "--timeout", "soon"], 2, "30s"),
        (vec!["import", "/nowhere.jsonl"], 3, "/nowhere.jsonl"),
        (vec!["export", "films"], 3, "films"),
        (vec!["replay", "/nowhere.json.gz"], 3, "/nowhere.json.gz"),
    ] {
        let (found, told) = home.fails(&words);
        assert_eq!(found, code, "{words:?}: {told}");
        assert!(told.contains(says), "{words:?}: {told}");
    }
    let (_, told) = home.fails(&["get", "songs", nobody, "--json"]);
    assert_eq!(serde_json::from_str::<Json>(&told).unwrap()["error"]["exit"], "not_found");
    assert!(home.ok(&["--help"]).contains("Exit codes:"));
}

#[test]
fn every_answer_is_json_when_asked_for() {
    let home = Home::with_space("laptop");
    let id = home.put(&["songs", "title=Blue"]);
    assert_eq!(home.json(&["status"])["name"], "laptop");
    assert_eq!(home.json(&["space", "list"])[0]["name"], "music");
    assert_eq!(home.json(&["space", "info"])["members"][0]["role"], "admin");
    assert!(home.json(&["log"])["parents"].is_array());
    assert!(home.json(&["why"]).is_array());
    assert_eq!(home.json(&["ls"])["songs"], 1);
    assert_eq!(home.json(&["ls", "songs"])[0]["id"], id.as_str());
    assert!(home.json(&["invite"])["ticket"].as_str().unwrap().starts_with("reknit1"));
    assert_eq!(home.json(&["doctor"])[0]["health"], "well");
    assert_eq!(home.json(&["rm", "songs", &id])[0], id.as_str());
}

#[test]
fn the_log_draws_what_happened() {
    let home = Home::with_space("laptop");
    home.put(&["songs", "title=Blue"]);
    let log = home.ok(&["log"]);
    let lines: Vec<_> = log.lines().collect();
    assert!(lines[0].starts_with('●') && lines[0].contains("laptop") && lines[0].contains("title"), "{log}");
    assert!(lines[1].contains("found \"music\""), "{log}");
}

#[test]
fn an_export_can_be_imported_elsewhere() {
    let (one, two) = (Home::with_space("one"), Home::with_space("two"));
    one.put(&["songs", "title=Blue", "plays+=7", "body@=la la", "meta/a:=[1,2]"]);
    let gone = one.put(&["songs", "title=Gone"]);
    one.ok(&["rm", "songs", &gone]);
    let file = one.dir.path().join("export.jsonl");
    let file = file.to_str().unwrap();
    assert_eq!(one.json(&["export", "--deleted", "-o", file])["entities"], 2);
    assert_eq!(one.ok(&["export", "songs"]).lines().count(), 1);
    // Twice: importing what is there already changes nothing.
    for _ in 0..2 {
        assert_eq!(two.json(&["import", file])["entities"], 2);
        assert_eq!(two.json(&["ls", "songs", "--deleted"]), one.json(&["ls", "songs", "--deleted"]));
    }
}

#[test]
fn an_import_touches_only_what_differs_in_a_document() {
    let home = Home::with_space("laptop");
    let id =
        home.put(&["songs", "meta/sales+=5", "meta/words@=la la", "meta/gone:=1", "meta/a~1b:={\"c\":1}"]);
    let exported = home.ok(&["export"]);
    let file = home.dir.path().join("export.jsonl");
    let changed = exported.replace("\"sales\":5", "\"sales\":7").replace("la la", "la la la");
    fs::write(&file, changed.replace("\"gone\":1,", "").replace("\"c\":1", "\"c\":2")).unwrap();
    home.ok(&["import", file.to_str().unwrap()]);
    let meta = json!({"sales": 7, "words": "la la la", "a/b": {"c": 2}});
    assert_eq!(home.json(&["get", "songs", &id, "meta"]), meta);
    // What is no counter any more cannot be counted up.
    home.ok(&["put", "songs", &id, "meta/sales+=1"]);
    assert_eq!(home.json(&["get", "songs", &id, "meta"])["sales"], 8);
}

#[test]
fn plain_json_lines_go_into_a_collection() {
    let home = Home::with_space("laptop");
    let lines: String = (0..300).map(|number| format!("{{\"number\": {number}}}\n")).collect();
    let import = |text: &str| {
        let mut command = home.command(&["import", "--into", "rows", "--batch", "7", "--json"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    assert!(import(&lines).status.success());
    assert_eq!(home.json(&["ls"])["rows"], 300);
    let output = import("{\"number\": 1}\nnonsense\n");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 2"));
}

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
fn a_peer_that_is_asked_to_end_takes_its_socket_along() {
    let home = Home::with_space("laptop");
    let mut up = home.up();
    let kill = Command::new("kill").arg(up.0.id().to_string()).status().unwrap();
    assert!(kill.success() && up.0.wait().unwrap().success());
    assert!(!home.dir.path().join("home/peer.sock").exists());
}

#[tokio::test]
async fn a_store_in_use_is_said_to_be_so() {
    let home = Home::with_space("laptop");
    // This process holds the store and answers at no socket.
    let holder =
        reknit::Peer::builder(home.dir.path().join("home/peer.redb")).offline().start().await.unwrap();
    let (code, words) = home.fails(&["put", "songs", "title=Blue"]);
    assert!(code == 4 && words.contains("another process"), "{code} {words}");
    let (code, _) = home.fails(&["up"]);
    assert_eq!(code, 4);
    let checks = home.run(&["doctor", "--json"]);
    assert_eq!(checks.status.code(), Some(1));
    let held = format!("process {} ", std::process::id());
    assert!(String::from_utf8_lossy(&checks.stdout).contains(&held));
    holder.shutdown().await.unwrap();
    home.put(&["songs", "title=Blue"]);
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
fn traces_of_both_formats_are_replayed_and_checked() {
    let home = Home::empty();
    let replay = |name: &str, trace: Json| {
        let file = home.dir.path().join(name);
        fs::write(&file, trace.to_string()).unwrap();
        home.run(&["replay", file.to_str().unwrap(), "--json"])
    };
    let typed = json!([{"patches": [[0, 0, "hé"]]}, {"patches": [[2, 0, "?"]]}, {"patches": [[2, 1, "!"]]}]);
    let output = replay("typed.json", json!({"startContent": "", "endContent": "hé!", "txns": typed}));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["all_match"], &report["edits"]), (&json!(true), &json!(3)));
    let output = replay("wrong.json", json!({"startContent": "", "endContent": "no", "txns": typed}));
    assert_eq!(output.status.code(), Some(1));

    // Author 1 sees the first edit only while author 0 has made two, and then both see all.
    let txns = json!([
        {"parents": [], "agent": 0, "patches": [[0, 0, "one"]]},
        {"parents": [0], "agent": 0, "patches": [[0, 0, "zero "]]},
        {"parents": [0], "agent": 1, "patches": [[3, 0, " two"]]},
        {"parents": [1, 2], "agent": 1, "patches": [[12, 0, " three"]]},
        {"parents": [1, 2], "agent": 0, "patches": [[0, 1, "Z"]]},
    ]);
    let trace =
        json!({"kind": "concurrent", "numAgents": 2, "endContent": "Zero one two three", "txns": txns});
    let output = replay("shared.json", trace);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
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
fn completions_know_the_commands() {
    assert!(Home::empty().ok(&["completions", "bash"]).contains("doctor"));
}

/// Sends a signal to a process of ours.
fn signal(name: &str, running: &Running) {
    let sent = Command::new("kill").args(["-s", name]).arg(running.0.id().to_string()).status().unwrap();
    assert!(sent.success());
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
fn programs_are_told_in_json_what_people_are_told_in_words() {
    let home = Home::with_space("laptop");
    let (code, told) = home.fails(&["frobnicate", "--json"]);
    assert_eq!(code, 2);
    assert_eq!(serde_json::from_str::<Json>(&told).unwrap()["error"]["exit"], "usage", "{told}");
    let script = home.json(&["completions", "bash"]);
    assert!(script["script"].as_str().unwrap().contains("doctor"));
    let invited = home.run(&["invite", "--json"]);
    let warned: Json = serde_json::from_slice(&invited.stderr).unwrap();
    assert!(warned["warning"].as_str().unwrap().contains("reknit up"));

    let lines: String = (0..120).map(|number| format!("{{\"number\": {number}}}\n")).collect();
    let file = home.dir.path().join("rows.jsonl");
    fs::write(&file, lines).unwrap();
    home.ok(&["import", "--into", "rows", file.to_str().unwrap()]);
    assert_eq!(home.json(&["ls", "rows"]).as_array().unwrap().len(), 120);
    let cut = home.run(&["ls", "rows", "-n", "7", "--json"]);
    assert!(String::from_utf8_lossy(&cut.stderr).contains("there may be more"));
    let (code, told) = home.fails(&["log", "-n", "10001"]);
    assert!(code == 2 && told.contains("10000"), "{told}");
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
