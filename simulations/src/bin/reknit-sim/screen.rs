//! Lines for people.

use std::io::Write;

/// Where lines go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Screen {
    Output,
    Error,
}

impl Screen {
    /// Writes a line. Nobody may be reading any more (`| head`), which is no failure of what was asked for.
    pub(crate) fn say(self, line: &str) {
        let _ = match self {
            Self::Output => writeln!(std::io::stdout().lock(), "{line}"),
            Self::Error => writeln!(std::io::stderr().lock(), "{line}"),
        };
    }
}
