//! `reknit doctor`

use super::Context;
use crate::calls::{Call, Host, Spaces, Status};
use crate::client::{Client, Reached};
use crate::clock::{now_ms, rough, utc};
use crate::exit::{Exit, Failure};
use crate::home::{Home, OWNER_DIR, OWNER_FILE, Reach, Start};
use crate::multicast;
use crate::table::Table;
use crate::view::StatusView;
use serde::Serialize;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    health: Health,
    /// What was found and, unless it is well, what to do.
    found: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Health {
    Well,
    /// It works, but somebody should know.
    Notable,
    Broken,
}

impl Check {
    fn well(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, health: Health::Well, found: found.into() }
    }

    fn notable(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, health: Health::Notable, found: found.into() }
    }

    fn broken(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, health: Health::Broken, found: found.into() }
    }
}

/// Ends with an error if anything is broken.
pub(super) async fn run(context: &Context) -> Result<ExitCode, Failure> {
    let home = &context.home;
    home.must_exist()?;
    let mut checks = vec![
        permissions("home", home.dir(), OWNER_DIR),
        permissions("store file (holds the device's key)", &home.store(), OWNER_FILE),
        configuration(home),
    ];
    let (holder, status) = store(home).await;
    checks.push(holder);
    checks.push(clock(&status));
    checks.extend(network(&status));
    checks.push(multicast_check().await);
    context.output.result(&checks, |page| {
        let mut table = Table::pairs();
        for check in &checks {
            let mark = match check.health {
                Health::Well => "ok",
                Health::Notable => "note",
                Health::Broken => "BROKEN",
            };
            table.row([mark, check.what, &check.found]);
        }
        table.lines(None).iter().for_each(|line| page.line(line));
    })?;
    let broken = checks.iter().any(|check| check.health == Health::Broken);
    Ok(if broken { ExitCode::from(Exit::Error.code()) } else { ExitCode::SUCCESS })
}

fn permissions(what: &'static str, path: &Path, wanted: u32) -> Check {
    match fs::metadata(path) {
        Err(cause) => Check::broken(what, format!("{}: {cause}", path.display())),
        Ok(metadata) if metadata.permissions().mode() & 0o077 == 0 => {
            Check::well(what, format!("{}, for its owner only", path.display()))
        }
        Ok(metadata) => {
            let mode = metadata.permissions().mode() & 0o777;
            let path = path.display();
            Check::broken(what, format!("others may use {path} ({mode:o}): run `chmod {wanted:o} {path}`"))
        }
    }
}

fn configuration(home: &Home) -> Check {
    match home.config() {
        Ok(_) => Check::well("configuration", "reads well"),
        Err(failure) => Check::broken("configuration", failure.message),
    }
}

/// Who holds the store, and what the peer says about itself.
async fn store(home: &Home) -> (Check, Option<StatusView>) {
    const WHAT: &str = "store";
    let stale = match Client::reach(home).await {
        Ok(Reached::Peer(client)) => return running(home, &client).await,
        Ok(Reached::StaleSocket) => {
            " (the last peer was killed: its socket is still there, which does no harm)"
        }
        Ok(Reached::Nobody) => "",
        Err(failure) => return (Check::broken(WHAT, failure.message), None),
    };
    let config = home.config().unwrap_or_default();
    match home.start(&Start::new(config, Reach::Offline)).await {
        Ok(peer) => {
            let host = Host::new(peer, home.store());
            let status = Status {}.execute(&host).await;
            let spaces = Spaces {}.execute(&host).await.map(|spaces| spaces.len());
            let records = host.peer().check_store();
            let closed = host.peer().clone().shutdown().await;
            match (status, spaces, records.and_then(|records| closed.map(|()| records))) {
                (Ok(status), Ok(spaces), Ok(records)) => {
                    let bytes = indicatif::HumanBytes(status.store_bytes);
                    let found = format!(
                        "no peer is running; it opens, and all {records} records read well: {spaces} spaces in {bytes}{stale}"
                    );
                    (Check::well(WHAT, found), Some(status))
                }
                (Err(failure), ..) | (_, Err(failure), _) => (Check::broken(WHAT, failure.message), None),
                (.., Err(error)) => (Check::broken(WHAT, error.to_string()), None),
            }
        }
        Err(failure) if failure.exit == Exit::StoreInUse => (unanswering(home), None),
        Err(failure) => (Check::broken(WHAT, failure.message), None),
    }
}

/// The store is in use, and whoever uses it says nothing.
fn unanswering(home: &Home) -> Check {
    let holders = holders(&home.store());
    let who = if holders.is_empty() { "an unknown process".to_owned() } else { holders.join(", ") };
    Check::broken("store", format!("{who} has it open and does not answer: end it"))
}

async fn running(home: &Home, client: &Client) -> (Check, Option<StatusView>) {
    let hello = match client.hello().await {
        Ok(hello) => hello,
        Err(failure) if failure.exit == Exit::StoreInUse => return (unanswering(home), None),
        Err(failure) => return (Check::broken("store", failure.message), None),
    };
    match client.call(&Status {}).await {
        Ok(status) => {
            let found =
                format!("held by the running peer, process {} (version {})", hello.process, hello.version);
            (Check::well("store", found), Some(status))
        }
        Err(failure) => (Check::broken("store", failure.message), None),
    }
}

/// The processes that have the file open, as far as this user may see (Linux only).
fn holders(file: &Path) -> Vec<String> {
    let Ok(file) = file.canonicalize() else { return Vec::new() };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let holds = |process: &fs::DirEntry| {
        let handles = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        handles.filter_map(|handle| fs::read_link(handle.path()).ok()).any(|target| target == file)
    };
    let own = std::process::id().to_string();
    processes
        .filter(|process| process.file_name().to_string_lossy() != own.as_str())
        .filter(holds)
        .map(|process| {
            let command = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            format!("process {} ({})", process.file_name().to_string_lossy(), command.trim())
        })
        .collect()
}

/// A clock that is far off makes others hold our events, or us theirs.
fn clock(status: &Option<StatusView>) -> Check {
    let now = now_ms();
    let held: u64 = status.iter().flat_map(|status| &status.spaces).map(|space| space.held).sum();
    let newest =
        status.iter().flat_map(|status| &status.spaces).filter_map(|space| space.newest_stamp_ms).max();
    match newest {
        _ if now < YEAR_2026_MS => {
            Check::broken("clock", format!("it says {}, which is long past: set it", utc(now)))
        }
        Some(newest) if newest > now + CLOCK_LEAD_MS => Check::notable(
            "clock",
            format!(
                "it says {}, and the newest event is {} ahead: this clock or its author's is off",
                utc(now),
                rough(newest - now)
            ),
        ),
        _ if held > 0 => Check::notable(
            "clock",
            format!("it says {}, and {held} events of others wait for it: set it if it is behind", utc(now)),
        ),
        _ => Check::well("clock", format!("{} UTC, in keeping with the events here", utc(now))),
    }
}

fn network(status: &Option<StatusView>) -> Option<Check> {
    let status = status.as_ref()?;
    let addresses = &status.network.as_ref()?.addresses;
    let connected = status.peers.len();
    let found = format!("listening at {} addresses, {connected} peers connected", addresses.len());
    let lonely = addresses.is_empty();
    Some(if lonely { Check::broken("network", "listening nowhere") } else { Check::well("network", found) })
}

async fn multicast_check() -> Check {
    match multicast::probe().await {
        Ok(()) => Check::well("multicast", "works: peers on the local network find each other"),
        Err(reason) => Check::notable(
            "multicast",
            format!(
                "does not work here ({reason}): peers meet by the addresses in tickets, or a bootstrap node"
            ),
        ),
    }
}

/// No event of Reknit is older.
const YEAR_2026_MS: u64 = 1_767_225_600_000;
/// Clocks of a network that nobody keeps differ by this much.
const CLOCK_LEAD_MS: u64 = 60_000;
