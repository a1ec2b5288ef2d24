//! The command `reknit-sim`, as people and pipelines use it.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// Small enough for many runs of it in a debug build.
const SMALL: &str = r#"
name = "small"
about = "Two peers who part and meet."
peers = 2
seconds = 4

[[people]]
work = "registers"
per_second = 1

[[at]]
time = 1
actions = [{ partition = [[0], [1]] }]
"#;

/// Nobody converges within a millisecond of the heal, and most of this is not needed to show that.
const HOPELESS: &str = r#"
name = "hopeless"
about = "A budget that cannot be met."
peers = 4
seconds = 6

[[people]]
work = "counters"
per_second = 2
burst = 2

[[people]]
at = [3]
work = "registers"
per_second = 1

[[at]]
time = 1
actions = [{ jump = [2, 500] }, { drift = [1, 40] }]

[[at]]
time = 2
actions = [{ partition = [[0, 1], [2, 3]] }]

[budget]
time = 0.001
"#;

fn sim(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reknit-sim"));
    command
        .current_dir(folder)
        .env_remove("REKNIT_SIM_TRACES")
        .args(words)
        .output()
        .expect("the command starts")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

/// A folder with a scenario in `x.toml`.
fn folder(scenario: &str) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    std::fs::write(folder.path().join("x.toml"), scenario).expect("the folder is ours");
    folder
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("it was written")).expect("it is JSON")
}

#[test]
fn what_cannot_be_done_is_told_with_exit_code_2() {
    let here = folder(&SMALL.replace("[[0], [1]]", "[[0], [7]]"));
    for (words, told) in [
        (&["run", "no_such_one"][..], "there is no scenario \"no_such_one\"; there are bit_rot, "),
        (&["run", "nowhere.toml"], "nowhere.toml cannot be read: No such file or directory (os error 2)\n"),
        (&["run", "x.toml"], "x.toml:13: at[0].actions[0]: there is no peer 7 at 1 s: peers are 0 to 1"),
        (&["run", "star", "--seeds", "5..5"], "there is no seed in 5..5"),
        (&["run", "star", "--seeds", "many"], "is not of the form 0..100"),
        (&["run", "star", "--seed", "1", "--seeds", "0..2"], "cannot be used with"),
        (&["show", "no_such_one"], "there is no scenario"),
        (&["compare", "x.toml", "x.toml"], "x.toml is no result of `reknit-sim run --json`"),
        (&["explode"], "unrecognized subcommand"),
    ] {
        let output = sim(here.path(), words);
        assert_eq!(code(&output), 2, "{words:?}");
        assert!(err(&output).contains(told), "{words:?}: {}", err(&output));
        assert_eq!(out(&output), "", "{words:?}");
    }
}

#[test]
fn two_scenarios_of_one_name_are_refused() {
    let here = folder(SMALL);
    std::fs::write(here.path().join("y.toml"), SMALL).unwrap();
    let ran = sim(here.path(), &["run", "x.toml", "y.toml", "--seed", "0"]);
    assert_eq!(code(&ran), 2, "{}", out(&ran));
    assert!(err(&ran).contains("x.toml and y.toml both have the name \"small\""), "{}", err(&ran));
}

#[test]
fn scenarios_are_listed_and_shown_and_what_is_shown_can_be_run() {
    let here = TempDir::new().unwrap();
    let list = sim(here.path(), &["list"]);
    assert_eq!(code(&list), 0);
    assert!(out(&list).contains("split_brain") && out(&list).lines().count() >= 14, "{}", out(&list));
    let shown = sim(here.path(), &["show", "star"]);
    assert!(out(&shown).starts_with("# "), "{}", out(&shown));
    let shorter = out(&shown).replace("seconds = 45", "seconds = 1");
    std::fs::write(here.path().join("mine.toml"), shorter).unwrap();
    let ran = sim(here.path(), &["run", "mine.toml", "--seed", "3"]);
    assert_eq!(code(&ran), 0, "{}{}", out(&ran), err(&ran));
}

#[test]
fn a_run_leaves_json_and_junit_and_two_runs_are_the_same() {
    let here = folder(SMALL);
    let words = [
        "run", "x.toml", "--seeds", "0..3", "--twice", "--jobs", "2", "--json", "one.json", "--junit",
        "x.xml",
    ];
    let ran = sim(here.path(), &words);
    assert_eq!(code(&ran), 0, "{}{}", out(&ran), err(&ran));
    assert!(out(&ran).contains("SCENARIO") && out(&ran).contains("3 runs, 0 failed"), "{}", out(&ran));
    let one = json(&here.path().join("one.json"));
    assert_eq!(one["version"], 1);
    let scenario = &one["scenarios"][0];
    assert_eq!((&scenario["name"], &scenario["summary"]["runs"]), (&"small".into(), &3.into()));
    assert!(scenario["summary"]["heal_s"]["p99"].as_f64().unwrap() > 0.0);
    let xml = std::fs::read_to_string(here.path().join("x.xml")).unwrap();
    assert!(
        xml.contains("<testsuite name=\"small\" tests=\"3\" failures=\"0\"")
            && xml.matches("<testcase").count() == 3
    );

    let again = sim(here.path(), &["run", "x.toml", "--seeds", "0..=2", "--jobs", "1", "--json", "-"]);
    let two: Value = serde_json::from_str(&out(&again)).expect("standard output is JSON and nothing else");
    let digests = |results: &Value| -> Vec<Value> {
        let runs = results["scenarios"][0]["runs"].as_array().unwrap();
        runs.iter().map(|run| run["digest"].clone()).collect()
    };
    assert_eq!(digests(&one), digests(&two));
    assert!(err(&again).contains("SCENARIO"));
    std::fs::write(here.path().join("two.json"), out(&again)).unwrap();
    let compared = sim(here.path(), &["compare", "one.json", "two.json", "--fail-above", "0"]);
    assert_eq!((code(&compared), out(&compared).trim()), (0, "exactly the same: small"));
}

#[test]
fn a_failure_is_told_with_a_line_that_shows_it_again_and_made_smaller() {
    let here = folder(HOPELESS);
    let words = [
        "run",
        "x.toml",
        "--seeds",
        "4..6",
        "--json",
        "x.json",
        "--junit",
        "x.xml",
        "--report",
        "x.html",
        "--shrink-seconds",
        "5",
    ];
    let ran = sim(here.path(), &words);
    let told = out(&ran);
    assert_eq!(code(&ran), 1, "{told}{}", err(&ran));
    let xml = std::fs::read_to_string(here.path().join("x.xml")).unwrap();
    assert!(
        xml.contains("failures=\"2\"") && xml.contains("<failure type=\"converges\" message=\""),
        "{xml}"
    );

    let page = std::fs::read_to_string(here.path().join("x.html")).unwrap();
    assert!(page.contains("<code>reknit-sim run x.toml --seed 4</code>"), "{page}");

    let line = told.lines().find_map(|line| line.strip_prefix("FAILED  reknit-sim ")).expect("a line to run");
    let again = sim(here.path(), &line.split(' ').chain(["--no-shrink"]).collect::<Vec<_>>());
    assert_eq!(code(&again), 1);
    assert!(
        out(&again).contains("  converges at ") && out(&again).contains("the last that happened"),
        "{}",
        out(&again)
    );

    let line = told.lines().find_map(|line| line.strip_prefix("SMALLER reknit-sim ")).expect("a smaller one");
    assert_eq!(line, "run ./reknit-sim-hopeless-4.toml --seed 4");
    let small = std::fs::read_to_string(here.path().join("reknit-sim-hopeless-4.toml")).unwrap();
    assert!(
        small.contains("peers = 2") && !small.contains("jump") && small.contains("name = \"hopeless-4\""),
        "{small}"
    );
    let again = sim(here.path(), &line.split(' ').chain(["--no-shrink"]).collect::<Vec<_>>());
    assert_eq!(code(&again), 1);
    assert!(out(&again).contains("  converges at "), "{}", out(&again));
}

#[test]
fn a_recorded_session_is_typed_again_where_there_is_a_folder_of_them() {
    let here = folder(&SMALL.replace("seconds = 4", "seconds = 4\ntrace = \"shared.json\""));
    // Author 1 sees the first edit only while author 0 has made two, and then both see all.
    let session = |end: &str| {
        let txns = serde_json::json!([
            {"parents": [], "agent": 0, "patches": [[0, 0, "one"]]},
            {"parents": [0], "agent": 0, "patches": [[0, 0, "zero "]]},
            {"parents": [0], "agent": 1, "patches": [[3, 0, " two"]]},
            {"parents": [1, 2], "agent": 1, "patches": [[12, 0, " three"]]},
            {"parents": [1, 2], "agent": 0, "patches": [[0, 1, "Zé"], [2, 0, "-"]]},
        ]);
        let session =
            serde_json::json!({"kind": "concurrent", "numAgents": 2, "endContent": end, "txns": txns});
        std::fs::write(here.path().join("shared.json"), session.to_string()).expect("the folder is ours");
    };
    session("Zé-ero one two three");
    let ran =
        sim(here.path(), &["run", "x.toml", "--seeds", "0..3", "--twice", "--traces", ".", "--json", "-"]);
    assert_eq!(code(&ran), 0, "{}{}", out(&ran), err(&ran));
    let results: Value = serde_json::from_str(&out(&ran)).expect("JSON");
    let run = &results["scenarios"][0]["runs"][0];
    assert!(run["virtual_s"].as_f64().unwrap() > 25.0, "the meeting in the middle is cut: {run}");

    session("Zé-ero one two");
    let ran = sim(here.path(), &["run", "x.toml", "--seed", "2", "--traces", "."]);
    assert_eq!(code(&ran), 1, "{}", out(&ran));
    assert!(out(&ran).contains("FAILED  reknit-sim run x.toml --seed 2 --traces .\n"), "{}", out(&ran));
    assert!(
        out(&ran).contains("as-recorded") && out(&ran).contains("the first 14 are as recorded"),
        "{}",
        out(&ran)
    );

    std::fs::remove_file(here.path().join("shared.json")).expect("the folder is ours");
    let ran = sim(here.path(), &["run", "x.toml", "--seed", "2", "--traces", "."]);
    assert_eq!(code(&ran), 2);
    assert!(
        err(&ran).ends_with("reading ./shared.json: No such file or directory (os error 2)\n"),
        "{}",
        err(&ran)
    );
    let ran = sim(here.path(), &["run", "x.toml", "--seed", "2"]);
    assert_eq!(code(&ran), 0, "by chance without a folder: {}", out(&ran));
}

#[test]
fn what_changed_between_two_results_is_told_and_may_fail() {
    let here = folder(SMALL);
    let faster = SMALL.replace("seconds = 4", "seconds = 2");
    std::fs::write(here.path().join("y.toml"), faster).unwrap();
    for (scenario, results) in [("x.toml", "x.json"), ("y.toml", "y.json")] {
        let ran = sim(here.path(), &["run", scenario, "--seeds", "0..2", "--json", results]);
        assert_eq!(code(&ran), 0, "{}", out(&ran));
    }
    let better = sim(here.path(), &["compare", "x.json", "y.json"]);
    assert_eq!(code(&better), 0);
    assert!(out(&better).contains("MEASURE") && out(&better).contains("steps"), "{}", out(&better));
    let worse = sim(here.path(), &["compare", "y.json", "x.json", "--markdown", "--fail-above", "10"]);
    assert_eq!(code(&worse), 1, "{}", out(&worse));
    assert!(out(&worse).contains("| small |") && out(&worse).contains("**worse:** small: steps grew by"));
}
