//! `LIKE` and `ILIKE`: `%` stands for any text, `_` for one character.

/// A pattern, prepared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pattern {
    shape: Shape,
}

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Exactly(String),
    Begins(String),
    Ends(String),
    Contains(String),
    General {
        steps: Vec<Step>,
        fold: bool,
    },
    /// Its escape character escapes nothing.
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Any,
    One,
    Char(char),
}

impl Pattern {
    /// Reads a pattern; `fold` leaves upper and lower case alike.
    pub(crate) fn new(pattern: &str, escape: Option<char>, fold: bool) -> Self {
        let Some(steps) = steps(pattern, escape) else { return Self { shape: Shape::Never } };
        let shape = if fold { None } else { simple(&steps) };
        Self { shape: shape.unwrap_or(Shape::General { steps, fold }) }
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        match &self.shape {
            Shape::Exactly(wanted) => text == wanted,
            Shape::Begins(wanted) => text.starts_with(wanted.as_str()),
            Shape::Ends(wanted) => text.ends_with(wanted.as_str()),
            Shape::Contains(wanted) => text.contains(wanted.as_str()),
            Shape::General { steps, fold: false } => general(text, steps, |left, right| left == right),
            Shape::General { steps, fold: true } => general(text, steps, alike),
            Shape::Never => false,
        }
    }

    /// What every match begins with. `None` where case does not count.
    pub(crate) fn prefix(&self) -> Option<String> {
        match &self.shape {
            Shape::Exactly(text) | Shape::Begins(text) => Some(text.clone()),
            Shape::General { steps, fold: false } => Some(literal(steps)),
            _ => None,
        }
    }

    /// The only text that matches, if there is one.
    pub(crate) fn exactly(&self) -> Option<&str> {
        if let Shape::Exactly(text) = &self.shape { Some(text) } else { None }
    }
}

fn steps(pattern: &str, escape: Option<char>) -> Option<Vec<Step>> {
    let mut steps = vec![];
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        let step = match char {
            char if Some(char) == escape => Step::Char(chars.next()?),
            '%' => Step::Any,
            '_' => Step::One,
            char => Step::Char(char),
        };
        if !(step == Step::Any && steps.last() == Some(&Step::Any)) {
            steps.push(step);
        }
    }
    Some(steps)
}

/// The patterns that need no walk.
fn simple(steps: &[Step]) -> Option<Shape> {
    let text = |steps: &[Step]| {
        let text = literal(steps);
        (text.chars().count() == steps.len()).then_some(text)
    };
    match steps {
        [Step::Any, middle @ .., Step::Any] => text(middle).map(Shape::Contains),
        [Step::Any, rest @ ..] => text(rest).map(Shape::Ends),
        [rest @ .., Step::Any] => text(rest).map(Shape::Begins),
        all => text(all).map(Shape::Exactly),
    }
}

/// The characters before the first `%` or `_`.
fn literal(steps: &[Step]) -> String {
    let chars = steps.iter().map_while(|step| if let Step::Char(char) = step { Some(*char) } else { None });
    chars.collect()
}

/// Goes back to the last `%` only: what an earlier one could take, the last one can take as well.
fn general(text: &str, steps: &[Step], same: impl Fn(char, char) -> bool) -> bool {
    let mut rest = text.chars();
    let mut at = 0;
    let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        let before = rest.clone();
        let step = steps.get(at).copied();
        if step == Some(Step::Any) {
            at += 1;
            retry = Some((at, before));
            continue;
        }
        let Some(char) = rest.next() else { return step.is_none() };
        let fits = match step {
            Some(Step::One) => true,
            Some(Step::Char(wanted)) => same(wanted, char),
            _ => false,
        };
        if fits {
            at += 1;
            continue;
        }
        let Some((from, mut behind)) = retry.take() else { return false };
        behind.next();
        rest = behind.clone();
        at = from;
        retry = Some((from, behind));
    }
}

fn alike(left: char, right: char) -> bool {
    left == right || left.to_lowercase().eq(right.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition.
    fn defined(text: &[char], pattern: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['%', rest @ ..] => (0..=text.len()).any(|skip| defined(&text[skip..], rest)),
            ['_', rest @ ..] => !text.is_empty() && defined(&text[1..], rest),
            [char, rest @ ..] => text.first() == Some(char) && defined(&text[1..], rest),
        }
    }

    proptest! {
        #[test]
        fn every_shape_means_what_the_definition_says(text in "[abé]{0,8}", pattern in "[abé%_]{0,6}") {
            let (chars, steps): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
            let wanted = defined(&chars, &steps);
            prop_assert_eq!(Pattern::new(&pattern, None, false).matches(&text), wanted);
            prop_assert_eq!(Pattern::new(&pattern.to_uppercase(), None, true).matches(&text), wanted);
        }
    }

    #[test]
    fn an_escape_takes_the_meaning_away() {
        let pattern = Pattern::new("100!%", Some('!'), false);
        assert!(pattern.matches("100%") && !pattern.matches("1000"));
        assert!(!Pattern::new("a!", Some('!'), false).matches("a!"));
    }
}
