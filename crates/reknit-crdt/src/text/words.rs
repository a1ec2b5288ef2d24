//! From one whole text to another by few splices.

use imara_diff::{Algorithm, Diff, InternedInput};

/// One step: characters to delete at a position, and text to insert there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Splice<'a> {
    pub(crate) position: usize,
    pub(crate) delete: usize,
    pub(crate) insert: &'a str,
}

/// The splices that turn `old` into `new`, to be done in order.
///
/// Words are compared as a whole: letters that two unrelated words happen to share are no common text. A word that
/// changed is then cut down to the part that did. Time stays near linear, by the heuristics of git's diff.
pub(crate) fn splices<'a>(old: &str, new: &'a str) -> Vec<Splice<'a>> {
    let mut input = InternedInput::default();
    input.update_before(words(old));
    input.update_after(words(new));
    let mut diff = Diff::compute(Algorithm::Histogram, &input);
    diff.postprocess_no_heuristic(&input);
    let (old_at, new_at) = (starts(old), starts(new));
    let mut splices = Vec::new();
    let (mut counted, mut characters) = (0, 0);
    for hunk in diff.hunks() {
        let cut = part(old, &old_at, hunk.before.start, hunk.before.end);
        let (start, insert) =
            (starting(&new_at, hunk.after.start), part(new, &new_at, hunk.after.start, hunk.after.end));
        // The splices before have made the text the new one up to here.
        characters += new.get(counted..start).map_or(0, |text| text.chars().count());
        counted = start;
        let (prefix, delete, insert) = trim(cut, insert);
        if delete > 0 || !insert.is_empty() {
            splices.push(Splice { position: characters + prefix, delete, insert });
        }
    }
    splices
}

/// Without what both begin and end with: the characters both begin with, how many to delete, and what to insert.
fn trim<'a>(old: &str, new: &'a str) -> (usize, usize, &'a str) {
    let same = old.chars().zip(new.chars()).take_while(|(a, b)| a == b);
    let (prefix, bytes) = same.fold((0, 0), |(count, bytes), (c, _)| (count + 1, bytes + c.len_utf8()));
    let (old, new) = (&old[bytes..], &new[bytes..]);
    let same = old.chars().rev().zip(new.chars().rev()).take_while(|(a, b)| a == b);
    let bytes: usize = same.map(|(c, _)| c.len_utf8()).sum();
    let (old, new) = (&old[..old.len() - bytes], &new[..new.len() - bytes]);
    (prefix, old.chars().count(), new)
}

/// Runs of letters and digits, and every other character alone.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = match rest.find(|c: char| !c.is_alphanumeric()) {
            Some(0) => first.len_utf8(),
            Some(end) => end,
            None => rest.len(),
        };
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// Where each word begins.
fn starts(text: &str) -> Vec<usize> {
    let ends = words(text).scan(0, |end, word| {
        *end += word.len();
        Some(*end)
    });
    std::iter::once(0).chain(ends).collect()
}

fn starting(starts: &[usize], word: u32) -> usize {
    starts.get(word as usize).copied().unwrap_or(0)
}

/// The words from `start` up to and without `end`.
fn part<'a>(text: &'a str, starts: &[usize], start: u32, end: u32) -> &'a str {
    text.get(starting(starts, start)..starting(starts, end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn apply(old: &str, splices: &[Splice<'_>]) -> String {
        let mut text: Vec<char> = old.chars().collect();
        for splice in splices {
            text.splice(splice.position..splice.position + splice.delete, splice.insert.chars());
        }
        text.into_iter().collect()
    }

    proptest! {
        #[test]
        fn the_splices_turn_the_old_text_into_the_new(old in "[abé🎉 \n]{0,40}", new in "[abé🎉 \n]{0,40}") {
            prop_assert_eq!(apply(&old, &splices(&old, &new)), new);
        }
    }

    #[test]
    fn a_changed_letter_is_one_small_splice() {
        let found = splices("the quick brown fox", "the quack brown fox");
        assert_eq!(found, [Splice { position: 6, delete: 1, insert: "a" }]);
        assert_eq!(splices("same", "same"), []);
    }
}
