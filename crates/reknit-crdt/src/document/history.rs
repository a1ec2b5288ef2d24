//! Which changes and operations of each actor a document holds.

use automerge::{ActorId, AutoCommit};
use std::collections::BTreeMap;

/// Which changes and operations of each actor a document holds.
#[derive(Debug, Default, Clone)]
pub(crate) struct History {
    actors: BTreeMap<ActorId, Chain>,
}

#[derive(Debug, Default, Clone)]
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
