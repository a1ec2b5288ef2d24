//! Partitions in words.

use super::super::moments::{Band, Broken};
use super::super::text::{Seconds, clipped, peers};

pub(super) fn about(band: &Band<'_>) -> String {
    let when = format!("{} to {}", Seconds(band.from_s), Seconds(band.until_s));
    match &band.what {
        Broken::Partition(groups) => format!("partition {}, {when}", named(groups)),
        Broken::Cut(from, to) => format!("peer {from} does not reach peer {to}, {when}"),
    }
}

/// Groups by letters: `A: 0, 1 | B: 2`.
pub(super) fn named(groups: &[Vec<usize>]) -> String {
    let shown = groups.iter().enumerate().take(GROUPS_SHOWN);
    let mut parts: Vec<String> =
        shown.map(|(at, group)| format!("{}: {}", letter(at), peers(group))).collect();
    if groups.len() > GROUPS_SHOWN {
        parts.push(format!("{} more groups", groups.len() - GROUPS_SHOWN));
    }
    clipped(&parts.join(" | "), 300).into_owned()
}

/// The groups of one peer: a bridge is in several, who is alone is in none.
pub(super) fn membership(groups: &[Vec<usize>], peer: usize) -> String {
    let mine = groups.iter().enumerate().filter(|(_, group)| group.contains(&peer));
    let mine: Vec<String> = mine.map(|(at, _)| letter(at)).take(GROUPS_SHOWN).collect();
    if mine.is_empty() { "alone".to_owned() } else { mine.join("+") }
}

fn letter(at: usize) -> String {
    const LETTERS: &[u8; 26] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    LETTERS.get(at).map_or_else(|| format!("#{at}"), |letter| char::from(*letter).to_string())
}

const GROUPS_SHOWN: usize = 8;
