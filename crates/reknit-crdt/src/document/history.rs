//! Which changes and operations of each actor a document holds.

use automerge::{ActorId, AutoCommit};
use std::collections::BTreeMap;

/// Which changes and operations of each actor a document holds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct History {
    actors: BTreeMap<ActorId, Chain>,
}

/// How far an actor was at some time.
pub(crate) struct Mark {
    actor: ActorId,
    changes: u64,
    ranges: usize,
    last: Option<(u64, u64)>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Chain {
    changes: u64,
    /// First and last operation number of consecutive changes, in order.
    ops: Vec<(u64, u64)>,
}

impl History {
    /// The history of a document.
    pub(crate) fn read(doc: &mut AutoCommit) -> Self {
        let mut metas = doc.get_changes_meta(&[]);
        metas.sort_by_key(|meta| meta.seq);
        let mut history = Self::default();
        for meta in metas {
            history.add(&meta.actor, meta.start_op, meta.max_op);
        }
        history
    }

    /// Takes the next change of an actor.
    pub(crate) fn add(&mut self, actor: &ActorId, first_op: u64, last_op: u64) {
        let chain = self.actors.entry(actor.clone()).or_default();
        chain.changes += 1;
        match chain.ops.last_mut().filter(|(_, last)| last.checked_add(1) == Some(first_op)) {
            Some((_, last)) => *last = last_op,
            None => chain.ops.push((first_op, last_op)),
        }
    }

    /// How far an actor is.
    pub(crate) fn mark(&self, actor: &ActorId) -> Mark {
        let chain = self.actors.get(actor);
        Mark {
            actor: actor.clone(),
            changes: chain.map_or(0, |chain| chain.changes),
            ranges: chain.map_or(0, |chain| chain.ops.len()),
            last: chain.and_then(|chain| chain.ops.last().copied()),
        }
    }

    /// Forgets what the actor did after the mark.
    pub(crate) fn return_to(&mut self, mark: Mark) {
        if mark.changes == 0 {
            self.actors.remove(&mark.actor);
        } else if let Some(chain) = self.actors.get_mut(&mark.actor) {
            chain.changes = mark.changes;
            chain.ops.truncate(mark.ranges);
            if let (Some(last), Some(was)) = (chain.ops.last_mut(), mark.last) {
                *last = was;
            }
        }
    }

    /// How many changes of an actor there are.
    pub(crate) fn changes(&self, actor: &ActorId) -> u64 {
        self.actors.get(actor).map_or(0, |chain| chain.changes)
    }

    /// Whether there is the operation with this number.
    pub(crate) fn has_op(&self, actor: &ActorId, number: u64) -> bool {
        let Some(chain) = self.actors.get(actor) else { return false };
        let after = chain.ops.partition_point(|(first, _)| *first <= number);
        let before = after.checked_sub(1).and_then(|at| chain.ops.get(at));
        before.is_some_and(|(_, last)| number <= *last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_history_returns_to_its_mark(
            before in prop::collection::vec((0u8..2, 0u64..2), 0..5), after in prop::collection::vec(0u64..2, 0..4),
        ) {
            let actor = |who: u8| ActorId::from(&[who; 16][..]);
            let (mut history, mut op) = (History::default(), 1);
            for (who, gap) in before {
                history.add(&actor(who), op + gap, op + gap + 1);
                op += gap + 2;
            }
            let (mark, was) = (history.mark(&actor(0)), history.clone());
            for gap in after {
                history.add(&actor(0), op + gap, op + gap);
                op += gap + 1;
            }
            history.return_to(mark);
            prop_assert_eq!(history, was);
        }
    }
}
