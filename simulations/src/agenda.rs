//! What is to happen, in order of time, and of being planned where times are equal.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

/// Things to come.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    items: BinaryHeap<Item<T>>,
    planned: u64,
}

#[derive(Debug)]
struct Item<T> {
    at: Duration,
    number: u64,
    what: T,
}

impl<T> Agenda<T> {
    pub(crate) fn new() -> Self {
        Self { items: BinaryHeap::new(), planned: 0 }
    }

    pub(crate) fn plan(&mut self, at: Duration, what: T) {
        let number = self.planned;
        self.planned += 1;
        self.items.push(Item { at, number, what });
    }

    /// When the next thing happens.
    pub(crate) fn next_at(&self) -> Option<Duration> {
        self.items.peek().map(|item| item.at)
    }

    pub(crate) fn take_next(&mut self) -> Option<(Duration, T)> {
        self.items.pop().map(|item| (item.at, item.what))
    }
}

impl<T> Item<T> {
    fn key(&self) -> (Duration, u64) {
        (self.at, self.number)
    }
}

/// The heap gives the greatest first: the soonest is the greatest.
impl<T> Ord for Item<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Item<T> {}
