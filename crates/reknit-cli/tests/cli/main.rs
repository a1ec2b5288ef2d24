//! The command as people and scripts use it: real processes, temporary homes.
#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do fails the test")]

mod home;
mod running;

use crate::home::Home;
use serde_json::{Value as Json, json};
use std::fs;
use std::io::Write;
use std::process::Stdio;

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
    assert!(home.ok(&["doctor"]).contains("records read well"));
    assert_eq!(home.json(&["rm", "songs", &id])[0], id.as_str());
}

/// As an app would have it.
#[derive(reknit::Model)]
#[model(collection = "songs")]
struct Song {
    #[model(id = "ttl", index)]
    title: reknit::Register<String>,
    year: reknit::Register<Option<i32>>,
    #[model(default = 3)]
    stars: reknit::Register<u8>,
    next: reknit::Register<Option<reknit::Ref<Song>>>,
    plays: reknit::Counter,
}

#[tokio::test]
async fn what_apps_declare_is_shown_and_is_no_collection() {
    let home = Home::with_space("laptop");
    assert_eq!(home.json(&["schema"]), json!([]));
    let app = reknit::Peer::builder(home.dir.path().join("home/peer.redb")).offline().start().await.unwrap();
    app.spaces()[0].register::<Song>().await.unwrap();
    app.shutdown().await.unwrap();
    let id = home.put(&["songs", "ttl=Blue", "year:=1971"]);
    let declared = json!([{
        "collection": "songs",
        "fields": [
            { "id": "next", "name": "next", "kind": "register", "type": "reference", "references": "songs",
              "optional": true, "index": false },
            { "id": "plays", "name": "plays", "kind": "counter", "optional": false, "index": false },
            { "id": "stars", "name": "stars", "kind": "register", "type": "int", "default": 3, "optional": false,
              "index": false },
            { "id": "ttl", "name": "title", "kind": "register", "type": "text", "optional": false, "index": true },
            { "id": "year", "name": "year", "kind": "register", "type": "int", "optional": true, "index": false },
        ],
        "versions": 1,
        "conflicts": [],
    }]);
    assert_eq!(home.json(&["schema"]), declared);
    let shown = home.ok(&["schema", "songs"]);
    assert!(shown.starts_with("songs, 1 version\n"), "{shown}");
    assert!(shown.contains("register of references to songs"), "{shown}");
    let up = home.up();
    assert_eq!(home.json(&["schema"]), declared);
    drop(up);

    assert_eq!(home.json(&["ls"]), json!({ "songs": 1 }));
    assert_eq!(home.ok(&["export"]).lines().count(), 1);
    let (code, told) = home.fails(&["put", "reknit.schema", "title=Blue"]);
    assert!(code == 2 && told.contains("reserved"), "{code} {told}");
    let (code, told) = home.fails(&["schema", "films"]);
    assert!(code == 3 && told.contains("films"), "{code} {told}");
    assert_eq!(home.json(&["get", "songs", &id, "ttl"]), "Blue");
}

#[test]
fn a_query_is_answered_as_a_table_json_or_csv() {
    let home = Home::with_space("laptop");
    home.put(&["songs", "title=Blue, mostly", "year:=1971"]);
    home.put(&["songs", "title=Pirates", "year:=1981"]);
    let sql = "SELECT title, year + 1 AS later FROM songs WHERE year > ? ORDER BY year DESC";
    assert_eq!(
        home.json(&["query", sql, "1970"]),
        json!({ "columns": ["title", "later"], "rows": [["Pirates", 1982], ["Blue, mostly", 1972]] })
    );
    let named = "SELECT COUNT(*) FROM songs WHERE title = :wanted";
    assert_eq!(home.json(&["query", named, "wanted=Pirates"])["rows"], json!([[1]]));
    let shown = home.ok(&["query", sql, "1975"]);
    assert!(
        shown.starts_with("TITLE") && shown.contains("Pirates  1982") && !shown.contains("Blue"),
        "{shown}"
    );
    assert_eq!(
        home.ok(&["query", sql, "1970", "--csv"]),
        "title,later\r\nPirates,1982\r\n\"Blue, mostly\",1972\r\n"
    );
    assert!(home.ok(&["query", sql, "1970", "--explain"]).contains("read 2 rows by scan"));
    let (code, told) = home.fails(&["query", "SELECT title FROM songs WHERE"]);
    assert!(code == 2 && told.contains("line 1"), "{code} {told}");
    let (code, told) = home.fails(&["query", sql]);
    assert!(code == 2, "{code} {told}");
}

#[test]
fn an_open_query_says_what_it_finds_and_how_that_changes() {
    let home = Home::with_space("laptop");
    home.put(&["songs", "title=Blue"]);
    let up = home.up();
    let mut asked = home
        .command(&["query", "SELECT title FROM songs ORDER BY title", "--live", "-n", "3", "--json"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(asked.stdout.take().unwrap()));
    let mut next = || serde_json::from_str::<serde_json::Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next(), json!({ "step": "found", "columns": ["title"], "rows": [["Blue"]] }));
    assert_eq!(next(), json!({ "step": "current" }));
    home.put(&["songs", "title=Amelia"]);
    let news = next();
    assert_eq!(news["differences"], json!([{ "what": "inserted", "at": 0, "row": ["Amelia"] }]));
    assert_eq!(news["events"].as_array().unwrap().len(), 1);
    assert!(asked.wait().unwrap().success());
    drop(up);
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
fn completions_know_the_commands() {
    assert!(Home::empty().ok(&["completions", "bash"]).contains("doctor"));
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
