//! The command line.

use crate::assignment::SYNTAX_HELP;
use crate::calls::LOG_ENTRIES_MAX;
use crate::clock::parse_duration;
use crate::exit::CODES_HELP;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// A local-first database whose copies find each other and reknit after any partition, with no server.
#[derive(Debug, Parser)]
#[command(name = "reknit", version, after_long_help = CODES_HELP, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Directory of the peer [default: reknit in the user's data directory]
    #[arg(long, global = true, env = "REKNIT_HOME", value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// The space: its name or the beginning of its id [default: the only one]
    #[arg(long, short, global = true, env = "REKNIT_SPACE", value_name = "SPACE")]
    pub(crate) space: Option<String>,
    /// Print JSON for programs: one value a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a peer on this device
    Init(InitArgs),
    /// Run the peer: find the others, sync with them, and answer the other commands
    Up(UpArgs),
    /// Create, list, describe and give up spaces
    Space {
        #[command(subcommand)]
        command: SpaceCommand,
    },
    /// Invite others into a space: prints a ticket to hand over
    Invite(InviteArgs),
    /// Join a space by a ticket
    Join(JoinArgs),
    /// Create or change an entity
    #[command(after_help = SYNTAX_HELP)]
    Put(PutArgs),
    /// Show an entity, or one of its fields
    Get(GetArgs),
    /// Edit a text field in $EDITOR; what others write meanwhile is kept
    Edit(EditArgs),
    /// Delete entities
    Rm(IdsArgs),
    /// Show deleted entities again
    Restore(IdsArgs),
    /// List collections, or the entities of one
    Ls(LsArgs),
    /// Show what apps say about the fields of collections, and where they contradict each other
    Schema(SchemaArgs),
    /// Ask a space in SQL
    Query(QueryArgs),
    /// Show the history of a space as a graph, newest first
    Log(LogArgs),
    /// Show changes as they arrive
    Watch(WatchArgs),
    /// Show the peer, its spaces, and how far others are behind or ahead
    Status,
    /// Say why other peers lack events, or we do
    Why,
    /// Sync now, and wait until it is done
    Sync(SyncArgs),
    /// Write entities from JSON lines
    Import(ImportArgs),
    /// Print entities as JSON lines, as `import` reads them
    Export(ExportArgs),
    /// Check this device: store, permissions, clock, network
    Doctor,
    /// Watch three peers meet, part, and reknit, on this machine
    Demo(DemoArgs),
    /// Replay a recorded editing trace through real peers
    Replay(ReplayArgs),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// What people call this device [default: the host's name]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Where `up` listens (may be repeated, or separated by commas) [default: every interface]
    #[arg(long, value_name = "MULTIADDR", env = "REKNIT_LISTEN", value_delimiter = ',')]
    pub(crate) listen: Vec<String>,
    /// A bootstrap node, with its /p2p/ (may be repeated)
    #[arg(long, value_name = "MULTIADDR")]
    pub(crate) bootstrap: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Where to listen instead of the configured addresses (may be repeated)
    #[arg(long, value_name = "MULTIADDR")]
    pub(crate) listen: Vec<String>,
    /// A bootstrap node besides the configured ones (may be repeated)
    #[arg(long, value_name = "MULTIADDR")]
    pub(crate) bootstrap: Vec<String>,
    /// Neither look for peers on the local network nor be found there
    #[arg(long)]
    pub(crate) no_mdns: bool,
    /// When a write counts as done
    #[arg(long, default_value = "durable")]
    pub(crate) durability: DurabilityArg,
    /// Keep a journal of what this peer is fed in FILE, for `reknit-sim replay FILE`; it holds secrets
    #[arg(long, value_name = "FILE")]
    pub(crate) journal: Option<PathBuf>,
    /// How much of the journal to keep
    #[arg(long, value_name = "BYTES", default_value_t = reknit::JournalOptions::default().bytes, requires = "journal")]
    pub(crate) journal_bytes: u64,
    /// Leave keys, names and all that is written out of the journal: it can then be read, not replayed
    #[arg(long, requires = "journal")]
    pub(crate) journal_redact: bool,
    /// Shift this peer's clock, to see what a wrong one does
    #[arg(
        long,
        hide = true,
        default_value_t = 0,
        allow_negative_numbers = true,
        env = "REKNIT_CLOCK_OFFSET_MS"
    )]
    pub(crate) clock_offset_ms: i64,
}

impl UpArgs {
    /// Where to keep a journal, and what it holds.
    pub(crate) fn journal(&self) -> Option<(PathBuf, reknit::JournalOptions)> {
        let options = reknit::JournalOptions::default().bytes(self.journal_bytes);
        let options = if self.journal_redact { options.redacted() } else { options };
        self.journal.clone().map(|file| (file, options))
    }
}

/// When a write counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DurabilityArg {
    /// When the system has it: a power loss may take the last moments
    Fast,
    /// When it is on disk
    Durable,
}

impl From<DurabilityArg> for reknit::Durability {
    fn from(arg: DurabilityArg) -> Self {
        match arg {
            DurabilityArg::Fast => Self::Fast,
            DurabilityArg::Durable => Self::Durable,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum SpaceCommand {
    /// Create a space
    New {
        /// What people call it
        name: String,
    },
    /// List the spaces of this peer
    List,
    /// Describe one space and its members
    Info,
    /// Give up a space that is still being joined
    Leave,
}

#[derive(Debug, Args)]
pub(crate) struct InviteArgs {
    /// What those who join may do
    #[arg(long, default_value = "writer")]
    pub(crate) role: RoleArg,
    /// For how long the ticket admits, or "never" to end
    #[arg(long, default_value = "7d", value_name = "DURATION", value_parser = parse_expiry)]
    pub(crate) expires: Expiry,
    /// Show the QR code even if stdout is no terminal
    #[arg(long)]
    pub(crate) qr: bool,
    /// Show no QR code
    #[arg(long, conflicts_with = "qr")]
    pub(crate) no_qr: bool,
}

/// The roles an invite can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Reads
    Reader,
    /// Reads, writes and invites
    Writer,
}

impl RoleArg {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
        }
    }
}

/// How long a ticket admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    Never,
    After(Duration),
}

fn parse_expiry(text: &str) -> Result<Expiry, crate::exit::Failure> {
    if text == "never" { Ok(Expiry::Never) } else { parse_duration(text).map(Expiry::After) }
}

#[derive(Debug, Args)]
pub(crate) struct JoinArgs {
    /// The ticket, or - to read it from stdin
    pub(crate) ticket: String,
    /// How long to try
    #[arg(long, default_value = "60s", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// The collection
    pub(crate) collection: String,
    /// An id or the beginning of one (left out, or "new": creates an entity), then assignments
    #[arg(required = true, value_name = "[ID] ASSIGNMENT")]
    pub(crate) words: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The collection
    pub(crate) collection: String,
    /// An id or the beginning of one
    pub(crate) id: String,
    /// Print only the value of this field
    pub(crate) field: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct EditArgs {
    /// The collection
    pub(crate) collection: String,
    /// An id or the beginning of one
    pub(crate) id: String,
    /// The text field
    pub(crate) field: String,
    /// Take the new text from this file, or from stdin for -, instead of an editor
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct IdsArgs {
    /// The collection
    pub(crate) collection: String,
    /// Ids or beginnings of them
    #[arg(required = true)]
    pub(crate) ids: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// The collection; without one, all collections are listed
    pub(crate) collection: Option<String>,
    /// Show at most so many entities [default: 100, or all with --json]
    #[arg(long, short = 'n', value_name = "COUNT")]
    pub(crate) limit: Option<usize>,
    /// Begin after this id
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<reknit::EntityId>,
    /// Show deleted entities too
    #[arg(long)]
    pub(crate) deleted: bool,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// The query: `SELECT title, artist.name FROM albums WHERE year < ? ORDER BY title`
    pub(crate) sql: String,
    /// Values for its `?`s in order, and `name=value` for its `:name`s: JSON, or else text
    #[arg(value_name = "VALUE")]
    pub(crate) params: Vec<String>,
    /// Say how it is run and how much it reads, in place of what it finds
    #[arg(long, conflicts_with = "csv")]
    pub(crate) explain: bool,
    /// Print comma-separated values
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
    /// Go on, and say how what it finds changes
    #[arg(long, conflicts_with_all = ["csv", "explain"])]
    pub(crate) live: bool,
    /// End after so many steps
    #[arg(long, short = 'n', value_name = "COUNT", requires = "live")]
    pub(crate) count: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Only this collection
    pub(crate) collection: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Show the newest so many events
    #[arg(long, short = 'n', default_value_t = 30, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(..=LOG_ENTRIES_MAX))]
    pub(crate) newest: u32,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Show only changes to this collection
    pub(crate) collection: Option<String>,
    /// End after so many changes
    #[arg(long, short = 'n', value_name = "COUNT")]
    pub(crate) count: Option<usize>,
    /// End after this time
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) lasts: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct SyncArgs {
    /// When it is done
    #[arg(long, default_value = "converged")]
    pub(crate) until: Until,
    /// How many members must be reached at least
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    pub(crate) peers: usize,
    /// How long to wait
    #[arg(long, default_value = "30s", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
}

/// When a sync is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Until {
    /// When every connected member has signed that it has the same events
    Converged,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// A file of JSON lines, or - for stdin
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,
    /// Lines are plain objects of fields: put them into this collection
    #[arg(long, value_name = "COLLECTION")]
    pub(crate) into: Option<String>,
    /// Entities in one transaction
    #[arg(long, default_value_t = 200, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=5_000))]
    pub(crate) batch: u64,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Only this collection
    pub(crate) collection: Option<String>,
    /// Write to this file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Export deleted entities too
    #[arg(long)]
    pub(crate) deleted: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Draw what happened into this SVG file
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// Do not try to meet by mDNS: use the addresses in the tickets
    #[arg(long)]
    pub(crate) no_mdns: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The trace: a .json.gz or .json file
    pub(crate) trace: PathBuf,
    /// When an edit counts as done
    #[arg(long, default_value = "durable")]
    pub(crate) durability: DurabilityArg,
    /// Replay only the first so many transactions
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_stand_anywhere() {
        let cli = Cli::parse_from(["reknit", "get", "--json", "songs", "01J", "-s", "music"]);
        assert!(cli.global.json);
        assert_eq!(cli.global.space.as_deref(), Some("music"));
    }

    #[test]
    fn a_subtraction_is_no_option() {
        let cli = Cli::parse_from(["reknit", "put", "songs", "01J", "plays-=1", "n:=-4"]);
        let Command::Put(args) = cli.command else { panic!("put") };
        assert_eq!(args.words, ["01J", "plays-=1", "n:=-4"]);
    }

    #[test]
    fn a_ticket_may_never_expire() {
        assert_eq!(parse_expiry("never").unwrap(), Expiry::Never);
        assert_eq!(parse_expiry("2h").unwrap(), Expiry::After(Duration::from_secs(7200)));
        assert!(parse_expiry("later").is_err());
    }
}
