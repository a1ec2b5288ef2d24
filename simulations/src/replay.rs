//! Journals of real peers, replayed.
//!
//! A peer that was started with `reknit up --journal FILE` keeps a journal of what its engine was fed. [`replay`] opens an
//! engine over the image in it, feeds it the same, and compares every round bit for bit with what was written down; then it
//! tells how every space stands and why, so that a stall in the field can be read, stepped through, and kept as a test.
//! A redacted journal cannot be fed to an engine; it is read as the story that it tells.

use reknit_engine::SpaceStatus;
use reknit_engine::journal::{self, End, Journal, JournalError, Story};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a file could not be replayed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The file cannot be read.
    #[error("{} cannot be read: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: io::Error,
    },
    /// The file is not a journal, or has nothing to replay.
    #[error("{}: {cause}", path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: JournalError,
    },
}

/// What came of a replay.
#[derive(Debug)]
pub enum Replayed {
    /// The journal was fed to an engine.
    Whole(Box<journal::Replayed>),
    /// The journal is redacted: what it tells.
    Redacted(Box<Story>),
}

impl Replayed {
    /// Whether the journal goes on with something that was not written so.
    pub fn is_damaged(&self) -> bool {
        let end = match self {
            Self::Whole(replayed) => replayed.end,
            Self::Redacted(story) => story.end,
        };
        matches!(end, End::Damaged { .. })
    }

    /// Whether an engine came to the same in every round; a story has nothing to compare with.
    pub fn is_equal(&self) -> bool {
        match self {
            Self::Whole(replayed) => replayed.difference.is_none(),
            Self::Redacted(_) => true,
        }
    }
}

/// Replays the journal in a file.
///
/// # Errors
/// [`ReplayError`]. That the replay came to something else is no error, but in what is returned.
pub fn replay(path: &Path) -> Result<Replayed, ReplayError> {
    let read = |cause| ReplayError::Read { path: path.to_owned(), cause };
    let bytes = std::fs::read(path).map_err(read)?;
    replay_bytes(&bytes).map_err(|cause| ReplayError::Journal { path: path.to_owned(), cause })
}

fn replay_bytes(bytes: &[u8]) -> Result<Replayed, JournalError> {
    match Journal::decode(bytes) {
        Ok(journal) => Ok(Replayed::Whole(Box::new(journal::replay(&journal)?))),
        Err(JournalError::Redacted) => Ok(Replayed::Redacted(Box::new(Story::decode(bytes)?))),
        Err(error) => Err(error),
    }
}

/// What came of a replay, for people to read.
pub fn report(replayed: &Replayed) -> String {
    match replayed {
        Replayed::Whole(replayed) => whole(replayed),
        Replayed::Redacted(story) => redacted(story),
    }
}

fn whole(replayed: &journal::Replayed) -> String {
    let mut text =
        format!("{} rounds, {} inputs{}", replayed.rounds, replayed.inputs, span(replayed.span_ms));
    text.push_str(match (&replayed.difference, &replayed.panic) {
        (None, None) => ": all as they were written down\n",
        _ => " as they were written down\n",
    });
    if let Some(difference) = &replayed.difference {
        line(&mut text, format_args!("then it differs: {difference}"));
        line(
            &mut text,
            format_args!(
                "(another version of Reknit may differ without a fault: replay with the one that wrote it)"
            ),
        );
    }
    if let Some(panic) = &replayed.panic {
        line(&mut text, format_args!("then it panics, as it did: {panic}"));
    }
    line(&mut text, format_args!("{}", ending(replayed.end)));
    replayed.spaces.iter().for_each(|space| about_space(&mut text, space));
    wakeup(&mut text, replayed.wakeup_ms, replayed.span_ms);
    text
}

fn about_space(text: &mut String, space: &SpaceStatus) {
    let (name, events, heads) = (&space.name, space.events, space.heads.len());
    line(text, format_args!("space {:?}: {events} events, {heads} heads, {} authors", name, space.authors));
    for peer in &space.peers {
        let connected = if peer.connected { "connected" } else { "not connected" };
        let equal = if peer.converged { "equal" } else { "not known to be equal" };
        let session = peer.session.as_ref().map_or("no session".to_owned(), |session| {
            let (we, they) = (session.we_lack, session.they_lack);
            format!("{:?}, {:?}, we lack {we}, it lacks {they}", session.phase, session.waiting)
        });
        line(
            text,
            format_args!("  {} {:?}: {connected}, {equal}, {session}", peer.device.short(), peer.name),
        );
        if let Some(why) = &peer.ended {
            line(text, format_args!("    the last session ended: {why}"));
        }
    }
    for reason in &space.reasons {
        let about = reason.device.map_or(String::new(), |device| format!(" {}", device.short()));
        let (code, words) = (reason.code, &reason.text);
        line(text, format_args!("  why: {code}{about} ({} events): {words}", reason.events));
    }
}

fn redacted(story: &Story) -> String {
    let span_ms = story.span_ms;
    let mut text = format!("redacted journal of {}: {} lines{}\n", story.device, story.lines, span(span_ms));
    line(&mut text, format_args!("{}", ending(story.end)));
    if let Some(failed) = &story.failed {
        line(&mut text, format_args!("the engine could not go on: {failed}"));
    }
    let end_ms = span_ms.map_or(0, |(_, last_ms)| last_ms);
    for (no, space) in &story.spaces {
        let standing = &space.standing;
        line(&mut text, format_args!("space {no}: {}, since {}", standing.here, ago(space.since_ms, end_ms)));
        standing.peers.iter().for_each(|(peer, words)| line(&mut text, format_args!("  {peer}: {words}")));
        for (code, peer, events) in &standing.reasons {
            let key = (code.clone(), peer.clone());
            let since = ago(space.reasons.get(&key).copied().unwrap_or(end_ms), end_ms);
            let about = peer.as_ref().map_or(String::new(), |peer| format!(" {peer}"));
            line(&mut text, format_args!("  why: {code}{about} ({events} events), since {since}"));
        }
    }
    for (link, stream) in &story.streams {
        let peer = stream.peer.as_deref().unwrap_or("somebody");
        line(&mut text, format_args!("stream {link} with {peer}, since {}", ago(stream.opened_ms, end_ms)));
        for (who, last) in [("heard", &stream.heard), ("said", &stream.said)] {
            if let Some((at_ms, what)) = last {
                line(&mut text, format_args!("  {who} last, {}: {what}", ago(*at_ms, end_ms)));
            }
        }
    }
    wakeup(&mut text, story.wakeup_ms, span_ms);
    line(&mut text, format_args!("the last things that happened:"));
    for happened in &story.recent {
        let way = if happened.told { "<-" } else { "->" };
        let peer = happened.peer.as_ref().map_or(String::new(), |peer| format!(" {peer}"));
        let link = happened.link.map_or(String::new(), |link| format!(" stream {link}"));
        let space = happened.space.map_or(String::new(), |space| format!(" space {space}"));
        let at = ago(happened.now_ms, end_ms);
        line(&mut text, format_args!("  {at} {way}{space}{link}{peer}: {}", happened.what));
    }
    text
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    let _ = writeln!(text, "{words}");
}

fn span(span_ms: Option<(u64, u64)>) -> String {
    let Some((first_ms, last_ms)) = span_ms else { return String::new() };
    format!(" over {:.1} s", last_ms.saturating_sub(first_ms) as f64 / 1000.0)
}

/// How long before the end.
fn ago(at_ms: u64, end_ms: u64) -> String {
    format!("{:.1} s ago", end_ms.saturating_sub(at_ms) as f64 / 1000.0)
}

fn ending(end: End) -> String {
    match end {
        End::Ended => "the journal was closed in order".to_owned(),
        End::Cut => "the peer still ran, was killed, or gave up its journal".to_owned(),
        End::Torn { at } => {
            format!("the journal is torn at byte {at}: the peer was killed, or its disk was full")
        }
        End::Damaged { at } => {
            format!("the journal is damaged at byte {at}: what follows is not what was written")
        }
    }
}

fn wakeup(text: &mut String, wakeup_ms: Option<u64>, span_ms: Option<(u64, u64)>) {
    let Some((wakeup_ms, (_, last_ms))) = wakeup_ms.zip(span_ms) else {
        return line(text, format_args!("the engine waits for nothing but others"));
    };
    let in_s = (wakeup_ms as f64 - last_ms as f64) / 1000.0;
    line(text, format_args!("the engine's next timer is due {in_s:.1} s after the last round"));
}

#[cfg(test)]
mod tests;
