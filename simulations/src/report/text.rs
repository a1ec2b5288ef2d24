//! Text and numbers as they stand in a page.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter, Write};

/// Text from anywhere. It is never read as markup, and nothing in it is invisible or turns the direction of writing.
pub(super) struct Text<'a>(pub(super) &'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            match char {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(char)?,
                _ if is_unseen(char) => f.write_char(char::REPLACEMENT_CHARACTER)?,
                _ => f.write_char(char)?,
            }
        }
        Ok(())
    }
}

/// Control characters, marks that turn the direction of writing, and what XML does not allow.
fn is_unseen(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
        || matches!(char, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// At most so many characters, and how many were left out.
pub(super) fn clipped(text: &str, chars_max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(chars_max) {
        None => Cow::Borrowed(text),
        Some((end, _)) => {
            let (start, rest) = text.split_at(end);
            Cow::Owned(format!("{start} … ({} more characters)", rest.chars().count()))
        }
    }
}

/// A number of things, in groups of three digits.
pub(super) struct Count(pub(super) u64);

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                f.write_char(',')?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

/// A number of bytes.
pub(super) struct Bytes(pub(super) u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..1_000 => write!(f, "{} B", self.0),
            1_000..1_000_000 => write!(f, "{:.1} kB", bytes / 1e3),
            1_000_000..1_000_000_000 => write!(f, "{:.1} MB", bytes / 1e6),
            _ => write!(f, "{:.2} GB", bytes / 1e9),
        }
    }
}

/// Virtual seconds.
pub(super) struct Seconds(pub(super) f64);

impl Display for Seconds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let seconds = finite(self.0);
        let whole = seconds as u64;
        match whole {
            0..10 => write!(f, "{seconds:.2} s"),
            10..120 => write!(f, "{seconds:.1} s"),
            120..7_200 => write!(f, "{} min {:02} s", whole / 60, whole % 60),
            _ => write!(f, "{} h {:02} min", whole / 3_600, whole / 60 % 60),
        }
    }
}

/// A length in a drawing: pixels, to a tenth.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Px(pub(super) f64);

impl Display for Px {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let tenths = (finite(self.0) * 10.0).round() as i64;
        match tenths % 10 {
            0 => write!(f, "{}", tenths / 10),
            _ => write!(f, "{}", tenths as f64 / 10.0),
        }
    }
}

pub(super) fn finite(number: f64) -> f64 {
    if number.is_finite() { number } else { 0.0 }
}

/// Numbers in order, as ranges: `0–4, 7`.
pub(super) fn ranges(numbers: impl IntoIterator<Item = u64>) -> String {
    let (mut text, mut count) = (String::new(), 0);
    let mut numbers = numbers.into_iter().peekable();
    while let Some(first) = numbers.next() {
        let mut last = first;
        while let Some(next) = numbers.next_if(|next| last.checked_add(1) == Some(*next)) {
            last = next;
        }
        if count == RANGES_MAX {
            let _ = write!(text, ", … up to {}", numbers.last().unwrap_or(last));
            return text;
        }
        count += 1;
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = match last - first {
            0 => write!(text, "{comma}{first}"),
            1 => write!(text, "{comma}{first}, {last}"),
            _ => write!(text, "{comma}{first}–{last}"),
        };
    }
    text
}

/// As [`ranges`], of peers.
pub(super) fn peers(numbers: &[usize]) -> String {
    let mut numbers: Vec<u64> = numbers.iter().map(|peer| *peer as u64).collect();
    numbers.sort_unstable();
    numbers.dedup();
    ranges(numbers)
}

const RANGES_MAX: usize = 200;
