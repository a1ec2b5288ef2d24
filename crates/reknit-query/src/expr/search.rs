//! `MATCH(text, 'words')`: all the words occur in the text, in any order, upper and lower case alike.
//!
//! A word is a run of letters and digits of any script, as long as it goes; everything else parts words. Text without a
//! word to look for matches nothing.

use crate::limits::SEARCH_WORDS_MAX;

/// Words to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Search {
    words: Vec<String>,
}

/// There are more words than a search may have.
#[derive(Debug)]
pub(crate) struct SearchError;

impl Search {
    pub(crate) fn new(text: &str) -> Result<Self, SearchError> {
        let mut found: Vec<String> =
            words(text).map(|word| word.chars().flat_map(char::to_lowercase).collect()).collect();
        found.sort();
        found.dedup();
        if found.len() > SEARCH_WORDS_MAX { Err(SearchError) } else { Ok(Self { words: found }) }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        if self.words.is_empty() {
            return false;
        }
        let all = u64::MAX >> (u64::BITS as usize - self.words.len());
        let mut seen = 0u64;
        for word in words(text) {
            let is_it = |wanted: &String| word.chars().flat_map(char::to_lowercase).eq(wanted.chars());
            if let Some(nth) = self.words.iter().position(is_it) {
                seen |= 1 << nth;
            }
            if seen == all {
                return true;
            }
        }
        false
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_words_occur_as_words_in_any_order_and_case() {
        let search = Search::new("RAIN, cold").ok().unwrap();
        assert!(search.matches("A cold November—rain."));
        assert!(!search.matches("cold trains"));
        assert!(!search.matches("rain"));
        assert!(Search::new("ЗИМА").ok().unwrap().matches("зима"));
    }

    #[test]
    fn no_words_match_nothing_and_too_many_are_refused() {
        assert!(!Search::new(" - ").ok().unwrap().matches("a"));
        let many = (0..SEARCH_WORDS_MAX).map(|nth| nth.to_string()).collect::<Vec<_>>().join(" ");
        assert!(Search::new(&many).ok().unwrap().matches(&many));
        assert!(Search::new(&(many + " more")).is_err());
    }
}
