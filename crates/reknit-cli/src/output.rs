//! What a command prints: for people, or as JSON.

use crate::exit::Failure;
use crate::table::{Table, harmless};
use serde::Serialize;
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

    /// Whether a person looks at stdout as it is written.
    pub(crate) fn is_live(self) -> bool {
        !self.json && io::stdout().is_terminal()
    }

    /// Prints a result: as one line of JSON, or by `people`.
    pub(crate) fn result<T: Serialize>(self, value: &T, people: impl FnOnce(Page)) -> Result<(), Failure> {
        if self.json {
            return self.json_line(value);
        }
        people(Page);
        Ok(())
    }

    /// Prints one line of JSON.
    pub(crate) fn json_line<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Failure> {
        let line = serde_json::to_string(value).map_err(|cause| Failure::error(cause.to_string()))?;
        line_to(&mut io::stdout().lock(), &line);
        Ok(())
    }

    /// A word to people about how it goes. Programs do not get it.
    pub(crate) fn note(self, text: impl Display) {
        if !self.json {
            eprintln!("{text}");
        }
    }

    /// What people should know, though the command goes on.
    pub(crate) fn warn(self, text: impl Display) {
        eprintln!("{} {text}", console::style("warning:").yellow().for_stderr());
    }

    /// Says why the command failed: to people in words, to programs as `{"error": ..}`.
    pub(crate) fn failure(self, failure: &Failure) {
        if self.json {
            eprintln!("{}", serde_json::json!({ "error": failure }));
        } else {
            eprintln!(
                "{} {}",
                console::style("error:").red().bold().for_stderr(),
                harmless(&failure.message)
            );
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

/// Stdout, for people.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page;

impl Page {
    pub(crate) fn line(self, text: impl Display) {
        line_to(&mut io::stdout().lock(), &text.to_string());
    }

    /// Columns of the terminal, if it is one.
    pub(crate) fn columns(self) -> Option<usize> {
        console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns))
    }

    /// Prints a table, cut at the terminal's edge if there is one.
    pub(crate) fn table(self, table: &Table) {
        let mut out = io::stdout().lock();
        table.lines(self.columns()).iter().for_each(|line| line_to(&mut out, line));
    }

    pub(crate) fn heading(self, text: impl Display) {
        self.line(console::style(text).bold());
    }
}

/// Writes a line. Whoever reads us may leave early (`reknit log | head`): then there is nothing more to do here.
fn line_to(out: &mut impl Write, line: &str) {
    let written = writeln!(out, "{line}").and_then(|()| out.flush());
    if written.is_err_and(|error| error.kind() == ErrorKind::BrokenPipe) {
        std::process::exit(0);
    }
}

const SPIN: Duration = Duration::from_millis(100);
