//! Ranges of keys, and those among them that a key lies in.
//!
//! A treap ordered by where ranges begin, in which each node knows how far the ranges below it reach (Cormen et al.,
//! Introduction to Algorithms, interval trees; Seidel and Aragon, Randomized search trees, 1996). The priorities are hashes
//! of the ids, so that the same ranges make the same tree.

use super::LiveId;
use crate::source::KeyRange;
use std::cmp::Ordering;

/// Ranges, each with the query that it is of.
#[derive(Debug, Clone, Default)]
pub(super) struct Intervals {
    root: Link,
}

type Link = Option<Box<Node>>;

#[derive(Debug, Clone)]
struct Node {
    range: KeyRange,
    id: LiveId,
    priority: u64,
    /// The greatest end at or below this node; `None` reaches to the end of all keys.
    reach: Option<Vec<u8>>,
    left: Link,
    right: Link,
}

impl Intervals {
    pub(super) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    pub(super) fn insert(&mut self, range: &KeyRange, id: LiveId) {
        if range.is_empty() {
            return;
        }
        let (reach, priority) = (range.to.clone(), scrambled(id));
        let node = Node { range: range.clone(), id, priority, reach, left: None, right: None };
        self.root = insert(self.root.take(), Box::new(node));
    }

    pub(super) fn remove(&mut self, range: &KeyRange, id: LiveId) {
        self.root = remove(self.root.take(), range, id);
    }

    /// Shows the ids of the ranges that a key lies in.
    pub(super) fn containing(&self, key: &[u8], visit: &mut dyn FnMut(LiveId)) {
        containing(&self.root, key, visit);
    }

    /// Shows all ids.
    pub(super) fn all(&self, visit: &mut dyn FnMut(LiveId)) {
        all(&self.root, visit);
    }
}

impl Node {
    fn order(&self, range: &KeyRange, id: LiveId) -> Ordering {
        (range, id).cmp(&(&self.range, self.id))
    }

    /// Looks again how far the ranges at and below this node reach.
    fn settle(mut self: Box<Self>) -> Box<Self> {
        let below = [&self.left, &self.right].into_iter().flatten().map(|node| &node.reach);
        let farthest = below.fold(&self.range.to, |farthest, reach| match (farthest, reach) {
            (Some(known), Some(new)) if new <= known => farthest,
            (Some(_), _) => reach,
            (None, _) => farthest,
        });
        self.reach = farthest.clone();
        self
    }
}

fn containing(link: &Link, key: &[u8], visit: &mut dyn FnMut(LiveId)) {
    let Some(node) = link else { return };
    if node.reach.as_ref().is_some_and(|reach| reach.as_slice() <= key) {
        return;
    }
    containing(&node.left, key, visit);
    if node.range.contains(key) {
        visit(node.id);
    }
    // Everything to the right begins no earlier.
    if node.range.from.as_slice() <= key {
        containing(&node.right, key, visit);
    }
}

fn all(link: &Link, visit: &mut dyn FnMut(LiveId)) {
    let Some(node) = link else { return };
    all(&node.left, visit);
    visit(node.id);
    all(&node.right, visit);
}

fn insert(link: Link, new: Box<Node>) -> Link {
    let Some(mut node) = link else { return Some(new) };
    match node.order(&new.range, new.id) {
        Ordering::Equal => {}
        Ordering::Less => {
            node.left = insert(node.left.take(), new);
            if node.left.as_ref().is_some_and(|left| left.priority > node.priority) {
                return Some(rotate_right(node));
            }
        }
        Ordering::Greater => {
            node.right = insert(node.right.take(), new);
            if node.right.as_ref().is_some_and(|right| right.priority > node.priority) {
                return Some(rotate_left(node));
            }
        }
    }
    Some(node.settle())
}

fn remove(link: Link, range: &KeyRange, id: LiveId) -> Link {
    let mut node = link?;
    match node.order(range, id) {
        Ordering::Less => node.left = remove(node.left.take(), range, id),
        Ordering::Greater => node.right = remove(node.right.take(), range, id),
        Ordering::Equal => return merge(node.left.take(), node.right.take()),
    }
    Some(node.settle())
}

/// One tree of two, everything in the first being less.
fn merge(left: Link, right: Link) -> Link {
    match (left, right) {
        (None, other) | (other, None) => other,
        (Some(mut left), Some(right)) if left.priority > right.priority => {
            left.right = merge(left.right.take(), Some(right));
            Some(left.settle())
        }
        (left, Some(mut right)) => {
            right.left = merge(left, right.left.take());
            Some(right.settle())
        }
    }
}

fn rotate_right(mut node: Box<Node>) -> Box<Node> {
    let Some(mut left) = node.left.take() else { return node };
    node.left = left.right.take();
    left.right = Some(node.settle());
    left.settle()
}

fn rotate_left(mut node: Box<Node>) -> Box<Node> {
    let Some(mut right) = node.right.take() else { return node };
    node.right = right.left.take();
    right.left = Some(node.settle());
    right.settle()
}

/// Spreads ids evenly (the finalizer of SplitMix64; Steele, Lea and Flood, 2014).
fn scrambled(id: LiveId) -> u64 {
    let mixed = id.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges() -> impl Strategy<Value = KeyRange> {
        let key = || proptest::collection::vec(0u8..4, 0..3);
        (key(), proptest::option::weighted(0.8, key())).prop_map(|(from, to)| KeyRange { from, to })
    }

    fn depth(link: &Link) -> usize {
        link.as_ref().map_or(0, |node| 1 + depth(&node.left).max(depth(&node.right)))
    }

    proptest! {
        #[test]
        fn a_key_finds_exactly_the_ranges_it_lies_in(
            edits in proptest::collection::vec((ranges(), 0u64..12, any::<bool>()), 0..60),
            keys in proptest::collection::vec(proptest::collection::vec(0u8..5, 0..4), 1..6),
        ) {
            let mut intervals = Intervals::default();
            let mut listed: Vec<(KeyRange, LiveId)> = vec![];
            for (range, id, inserts) in edits {
                listed.retain(|known| *known != (range.clone(), id));
                if inserts {
                    intervals.insert(&range, id);
                    if !range.is_empty() {
                        listed.push((range, id));
                    }
                } else {
                    intervals.remove(&range, id);
                }
            }
            for key in keys {
                let mut found = vec![];
                intervals.containing(&key, &mut |id| found.push(id));
                found.sort_unstable();
                let mut wanted: Vec<_> = listed.iter().filter(|(range, _)| range.contains(&key)).map(|(_, id)| *id).collect();
                wanted.sort_unstable();
                prop_assert_eq!(found, wanted);
            }
            prop_assert_eq!(intervals.is_empty(), listed.is_empty());
        }
    }

    #[test]
    fn ranges_in_order_do_not_make_a_deep_tree() {
        let mut intervals = Intervals::default();
        for id in 0..10_000u64 {
            let key = id.to_be_bytes().to_vec();
            intervals.insert(&KeyRange::prefix(key), id);
        }
        assert!(depth(&intervals.root) < 60, "{}", depth(&intervals.root));
    }
}
