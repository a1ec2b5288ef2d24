//! What people are told of a failure.

use crate::screen::Screen;
use reknit_sim::outcome::Failure;

/// How much to tell.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Detail {
    /// What was found.
    Found,
    /// And the last that happened before.
    Story,
}

/// Tells of a failure. The first line is the command that shows it again.
pub(crate) fn tell(screen: Screen, reproduce: &str, failure: &Failure, detail: Detail) {
    screen.say(&format!("\nFAILED  {reproduce}"));
    screen.say(&format!("  {} at {:.3} virtual s", failure.rule, failure.at_s));
    screen.say(&indented(&failure.what));
    if matches!(detail, Detail::Story) && !failure.story.is_empty() {
        screen.say("  the last that happened:");
        failure.story.iter().for_each(|line| screen.say(&format!("  {line}")));
    }
}

fn indented(what: &str) -> String {
    let mut lines: Vec<String> =
        what.lines().take(LINES_MAX).map(|line| format!("  {}", cut(line))).collect();
    let more = what.lines().count().saturating_sub(LINES_MAX);
    if more > 0 {
        lines.push(format!("  ({more} more lines: see --json)"));
    }
    lines.join("\n")
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE_MAX) {
        None => line.to_owned(),
        Some((end, _)) => format!("{} (cut: see --json)", &line[..end]),
    }
}

const LINES_MAX: usize = 30;
const LINE_MAX: usize = 400;
