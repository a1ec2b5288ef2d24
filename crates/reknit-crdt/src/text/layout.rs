//! Which units a text shows, in order: what is deleted by position is found here.

use super::delta::{Span, Unit};

/// The visible units of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    spans: Vec<Span>,
    /// A span, and the units before it: people edit where they edited last.
    near: (usize, u32),
}

impl Layout {
    pub(crate) fn new(spans: Vec<Span>) -> Self {
        Self { spans, near: (0, 0) }
    }

    /// The units before and after `at`.
    pub(crate) fn around(&mut self, at: u32) -> (Option<Unit>, Option<Unit>) {
        let (index, offset) = self.find(at);
        let unit = |span: &Span, offset| Unit { client: span.client, clock: span.clock + offset };
        let right = self.spans.get(index).map(|span| unit(span, offset));
        let left = match offset.checked_sub(1) {
            Some(offset) => self.spans.get(index).map(|span| unit(span, offset)),
            None => index
                .checked_sub(1)
                .and_then(|index| self.spans.get(index))
                .map(|span| unit(span, span.len - 1)),
        };
        (left, right)
    }

    /// Removes `cut` units from `at` on, which must be there, and returns them.
    pub(crate) fn erase(&mut self, at: u32, cut: u32) -> Vec<Span> {
        let (index, offset) = self.find(at);
        if let Some(span) = self.spans.get_mut(index).filter(|span| cut < span.len) {
            if offset + cut == span.len {
                span.len = offset;
                return vec![Span { clock: span.clock + offset, len: cut, ..*span }];
            }
            if offset == 0 {
                let erased = Span { len: cut, ..*span };
                (span.clock, span.len) = (span.clock + cut, span.len - cut);
                return vec![erased];
            }
        }
        let first = self.split(at);
        let last = self.split(at + cut);
        self.near = (first, at);
        self.spans.drain(first..last).collect()
    }

    /// Shows a span from `at` on.
    pub(crate) fn insert(&mut self, at: u32, span: Span) {
        let (index, offset) = self.find(at);
        let previous = index.checked_sub(1).and_then(|index| self.spans.get_mut(index));
        match previous.filter(|last| offset == 0 && last.client == span.client && last.end() == span.clock) {
            Some(last) => {
                self.near = (index - 1, at - last.len);
                last.len += span.len;
            }
            None => {
                let index = self.split(at);
                self.spans.insert(index, span);
            }
        }
    }

    /// The span that begins at `at`, after cutting one in two if it must be.
    fn split(&mut self, at: u32) -> usize {
        let (index, offset) = self.find(at);
        match self.spans.get_mut(index) {
            Some(span) if offset > 0 => {
                let right = Span { clock: span.clock + offset, len: span.len - offset, ..*span };
                span.len = offset;
                self.spans.insert(index + 1, right);
                self.near = (index + 1, at);
                index + 1
            }
            _ => index,
        }
    }

    /// The span that shows the unit at `at`, and the unit's place in it; past the end, the index after the last span.
    fn find(&mut self, at: u32) -> (usize, u32) {
        let (mut index, mut start) = self.near;
        while start > at && index > 0 {
            index -= 1;
            start -= self.spans.get(index).map_or(0, |span| span.len);
        }
        while let Some(span) = self.spans.get(index).filter(|span| start + span.len <= at) {
            start += span.len;
            index += 1;
        }
        self.near = (index, start);
        (index, at - start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flat(spans: &[Span]) -> Vec<(u64, u32)> {
        spans.iter().flat_map(|span| (span.clock..span.end()).map(|clock| (span.client, clock))).collect()
    }

    proptest! {
        #[test]
        fn a_layout_follows_its_text(
            edits in prop::collection::vec((any::<prop::sample::Index>(), 0u32..4, any::<bool>()), 0..60),
        ) {
            let (mut layout, mut model, mut clock) = (Layout::default(), Vec::new(), 0);
            for (at, len, inserts) in edits {
                let at = at.index(model.len() + 1);
                if inserts {
                    let span = Span { client: 1, clock, len: len + 1 };
                    clock = span.end();
                    layout.insert(at as u32, span);
                    model.splice(at..at, flat(&[span]));
                } else {
                    let cut = (len as usize).min(model.len() - at);
                    let erased = layout.erase(at as u32, cut as u32);
                    prop_assert_eq!(flat(&erased), model.drain(at..at + cut).collect::<Vec<_>>());
                }
                prop_assert_eq!(&flat(&layout.spans), &model);
            }
        }
    }
}
