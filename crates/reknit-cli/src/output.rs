//! What a command prints: for people, or as JSON.

use crate::exit::{Exit, Failure};
use crate::table::{Table, harmless};
use serde::Serialize;
use std::cell::RefCell;
use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where and how a command speaks: results on stdout, everything else on stderr.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether programs read this.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Whether a person looks at what is written as it is written, progress on stderr included.
    pub(crate) fn is_live(self) -> bool {
        !self.json && io::stdout().is_terminal() && io::stderr().is_terminal()
    }

    /// Prints a result: as one line of JSON, or by `people`.
    pub(crate) fn result<T: Serialize>(
        self,
        value: &T,
        people: impl FnOnce(Page<'_>),
    ) -> Result<(), Failure> {
        if self.json {
            return self.json_line(value);
        }
        let text = RefCell::default();
        people(Page { text: &text });
        print(text.into_inner().as_bytes())
    }

    /// Prints one line of JSON.
    pub(crate) fn json_line<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Failure> {
        let line = serde_json::to_string(value).map_err(|cause| Failure::error(cause.to_string()))?;
        print((line + "\n").as_bytes())
    }

    /// Prints a result that is for programs, though not JSON.
    pub(crate) fn text(self, text: &str) -> Result<(), Failure> {
        print(text.as_bytes())
    }

    /// A word to people about how it goes. Programs do not get it.
    pub(crate) fn note(self, text: impl Display) {
        if !self.json {
            complain(text);
        }
    }

    /// What people and programs should know, though the command goes on.
    pub(crate) fn warn(self, text: impl Display) {
        if self.json {
            complain(serde_json::json!({ "warning": text.to_string() }));
        } else {
            complain(format_args!("{} {text}", console::style("warning:").yellow().for_stderr()));
        }
    }

    /// Says why the command failed: to people in words, to programs as `{"error": ..}`.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json {
            complain(serde_json::json!({ "error": failure }));
        } else {
            let error = console::style("error:").red().bold().for_stderr();
            complain(format_args!("{error} {}", harmless(&failure.message)));
        }
    }

    /// A bar, hidden unless a person looks on.
    pub(crate) fn bar(self, what: &'static str, total: Total) -> ProgressBar {
        let target = if self.json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let (total, template) = match total {
            Total::Unknown => (None, "{spinner} {prefix} {human_pos} {elapsed}"),
            Total::Things(total) => {
                (Some(total), "{prefix} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}")
            }
            Total::Bytes(total) => {
                (Some(total), "{prefix} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
            }
        };
        let bar = ProgressBar::with_draw_target(total, target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(what);
        bar
    }

    /// A spinner that turns until it is cleared.
    pub(crate) fn spinner(self, what: &'static str) -> ProgressBar {
        let bar = self.bar(what, Total::Unknown);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(SPIN);
        bar
    }
}

/// How much there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Total {
    Unknown,
    Things(u64),
    Bytes(u64),
}

/// What is about to be printed for people.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page<'a> {
    text: &'a RefCell<String>,
}

impl Page<'_> {
    pub(crate) fn line(self, text: impl Display) {
        let mut page = self.text.borrow_mut();
        page.push_str(&text.to_string());
        page.push('\n');
    }

    /// Columns of the terminal, if it is one.
    pub(crate) fn columns(self) -> Option<usize> {
        console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns))
    }

    /// Prints a table, cut at the terminal's edge if there is one.
    pub(crate) fn table(self, table: &Table) {
        table.lines(self.columns()).iter().for_each(|line| self.line(line));
    }

    pub(crate) fn heading(self, text: impl Display) {
        self.line(console::style(text).bold());
    }
}

/// Writes to stdout.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|cause| not_written("stdout", &cause))
}

/// Why something could not be written. Whoever reads us may leave early, which is no failure.
pub(crate) fn not_written(to: &str, cause: &io::Error) -> Failure {
    match cause.kind() {
        ErrorKind::BrokenPipe => Failure::new(Exit::ReaderGone, "nobody reads on"),
        _ => Failure::while_doing(format_args!("writing to {to}"), cause),
    }
}

/// Writes a line to stderr. If that cannot be done there is nobody to tell.
fn complain(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

const SPIN: Duration = Duration::from_millis(100);
