//! Time, chance and identity are arguments of the pure crates; the world is out of their reach.

use super::sources::sources;

const PURE: &[&str] = &[
    "crates/reknit-types",
    "crates/reknit-crdt",
    "crates/reknit-query",
    "crates/reknit-access",
    "crates/reknit-sync",
    "crates/reknit-engine",
];

/// What the pure crates never say, and what it would be.
const WORLD: &[(&str, &str)] = &[
    ("std::fs", "files"),
    ("TcpStream", "a socket"),
    ("TcpListener", "a socket"),
    ("UdpSocket", "a socket"),
    ("std::process", "processes"),
    ("std::env", "the environment"),
    ("std::thread", "threads"),
    ("std::sync::Mutex", "locks"),
    ("std::sync::RwLock", "locks"),
    ("std::sync::mpsc", "channels"),
    ("SystemTime", "a clock"),
    ("Instant::", "a clock"),
    ("async fn", "waiting"),
    (".await;", "waiting"),
    (".await?", "waiting"),
    (".await)", "waiting"),
    (".await.", "waiting"),
    ("SysRng", "a source of randomness"),
    ("OsRng", "a source of randomness"),
    ("rand::rng(", "a source of randomness"),
    ("rand::random", "a source of randomness"),
    ("thread_local!", "a global"),
    ("static mut", "a global"),
    ("LazyLock", "a global"),
];

/// The one global there is: working memory that no result depends on.
const SCRATCH: &str = "crates/reknit-sync/src/frame/pack.rs";

#[test]
fn pure_crates_hold_no_clock_chance_thread_or_io() {
    let mut found = Vec::new();
    for source in sources() {
        let name = source.name();
        if source.is_test()
            || name == SCRATCH
            || !PURE.iter().any(|folder| name.starts_with(&format!("{folder}/src/")))
        {
            continue;
        }
        for (number, line) in
            source.code().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            for (word, what) in WORLD.iter().filter(|(word, _)| has_word(line, word)) {
                found.push(format!("{name}:{}: {word} is {what}", number + 1));
            }
            if is_static(line) {
                found.push(format!("{name}:{}: a static is a global", number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

/// Whether `line` holds `word`, and not as the beginning of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let goes_on = |rest: &str| rest.starts_with(|next: char| next.is_alphanumeric() || next == '_');
    let ends_a_name = goes_on(&word[word.len() - 1..]);
    line.match_indices(word).any(|(at, _)| !(ends_a_name && goes_on(&line[at + word.len()..])))
}

#[test]
fn waiting_is_told_from_a_name_that_begins_like_it() {
    assert!(has_word("stream.next().await?", ".await"));
    assert!(!has_word("self.awaiting.len()", ".await"));
}

fn is_static(line: &str) -> bool {
    let line = line.trim_start();
    let item = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub ")).unwrap_or(line);
    item.starts_with("static ")
}
