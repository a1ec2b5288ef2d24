//! Where the branches of forked chains lie, kept at hand: whoever restored a backup in the middle of a long history is
//! asked about again and again.

use super::{LogReader, Run};
use crate::error::EngineError;
use crate::layout::AuthorNo;
use crate::lru::Lru;
use reknit_types::Tip;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The runs of authors that forked their chains, and branches of these.
#[derive(Debug)]
pub(crate) struct Forks {
    runs: BTreeMap<AuthorNo, Runs>,
    branches: Lru<(AuthorNo, Tip), Branch>,
}

/// The runs of a chain from its end back to its first event, each cut to what belongs to it.
pub(crate) type Branch = Arc<Vec<Run>>;

/// The index of the event `seq` on a branch.
pub(crate) fn index_on(branch: &[Run], seq: u64) -> Option<u64> {
    run_on(branch, seq)?.index_of(seq)
}

/// The run that holds the event `seq` of a branch.
pub(crate) fn run_on(branch: &[Run], seq: u64) -> Option<Run> {
    branch.get(branch.partition_point(|run| run.seq > seq)).copied()
}

/// All runs of an author, by first sequence number.
#[derive(Debug, Default, Clone)]
struct Runs {
    runs: Vec<Run>,
    /// For each run the sequence number after the last that it or one before it holds.
    reach: Vec<u64>,
}

impl Runs {
    fn new(runs: Vec<Run>) -> Self {
        let mut sorted = Self { reach: Vec::with_capacity(runs.len()), runs };
        sorted.reach_from(0);
        sorted
    }

    /// The runs that hold the event `seq`: one a branch.
    fn at(&self, seq: u64) -> Vec<Run> {
        let end = self.runs.partition_point(|run| run.seq <= seq);
        let before = self.runs.iter().zip(&self.reach).take(end).rev();
        let near = before.take_while(|(_, reach)| **reach > seq).map(|(run, _)| *run);
        near.filter(|run| run.index_of(seq).is_some()).collect()
    }

    /// Adds a run, or lengthens it.
    fn put(&mut self, run: Run) {
        let at = self.runs.partition_point(|known| (known.seq, known.index) < (run.seq, run.index));
        match self.runs.get_mut(at) {
            Some(known) if (known.seq, known.index) == (run.seq, run.index) => *known = run,
            _ => self.runs.insert(at, run),
        }
        self.reach_from(at);
    }

    fn reach_from(&mut self, at: usize) {
        self.reach.truncate(at);
        let mut reach = self.reach.last().copied().unwrap_or(0);
        for run in &self.runs[at..] {
            reach = reach.max(run.seq + run.len);
            self.reach.push(reach);
        }
    }
}

impl Forks {
    pub(super) fn new() -> Self {
        Self { runs: BTreeMap::new(), branches: Lru::new(BRANCHES_CACHED) }
    }

    /// A run has begun or grown.
    pub(super) fn on_run(&mut self, author: AuthorNo, run: Run) {
        if let Some(runs) = self.runs.get_mut(&author) {
            runs.put(run);
        }
    }
}

impl LogReader<'_> {
    /// The runs that hold the event `seq` of an author that forked its chain.
    pub(super) fn forked_runs_at(&self, author: AuthorNo, seq: u64) -> Result<Vec<Run>, EngineError> {
        let Some((log, _)) = self.live else { return Ok(Runs::new(self.runs_of(author)?).at(seq)) };
        if !log.forks.borrow().runs.contains_key(&author) {
            let runs = Runs::new(self.runs_of(author)?);
            let mut forks = log.forks.borrow_mut();
            if forks.runs.len() >= AUTHORS_CACHED {
                forks.runs.pop_first();
            }
            forks.runs.insert(author, runs);
        }
        Ok(log.forks.borrow().runs.get(&author).map_or_else(Vec::new, |runs| runs.at(seq)))
    }

    /// The branch of a forked chain that ends in `tip`, which is here.
    pub(crate) fn branch(&self, author: AuthorNo, tip: &Tip) -> Result<Branch, EngineError> {
        let cached = |tip: Tip| {
            let (log, _) = self.live?;
            log.forks.borrow_mut().branches.get_mut(&(author, tip)).cloned()
        };
        if let Some(branch) = cached(*tip) {
            return Ok(branch);
        }
        let mut branch: Vec<Run> = vec![];
        let mut end = Some(*tip);
        while let Some(Tip { seq, id }) = end {
            let Some(run) = self.run_with(author, &Tip { seq, id })? else { break };
            branch.push(Run { len: seq - run.seq + 1, ..run });
            end = self.end_before(author, run, &mut branch)?;
            // Most often the branch was known up to here.
            if let Some(known) = end.and_then(cached) {
                branch.extend_from_slice(&known);
                break;
            }
        }
        let branch = Arc::new(branch);
        if let Some((log, _)) = self.live {
            let mut forks = log.forks.borrow_mut();
            forks.branches.insert((author, *tip), Arc::clone(&branch));
            forks.branches.trim(|_| false);
        }
        Ok(branch)
    }

    fn run_with(&self, author: AuthorNo, end: &Tip) -> Result<Option<Run>, EngineError> {
        for run in self.forked_runs_at(author, end.seq)? {
            if let Some(index) = run.index_of(end.seq)
                && self.placed_at(index)?.id == end.id
            {
                return Ok(Some(run));
            }
        }
        Ok(None)
    }

    /// The end of the chain before `run`. Where the branches are one, runs are taken without a look at their events.
    fn end_before(
        &self,
        author: AuthorNo,
        mut run: Run,
        branch: &mut Vec<Run>,
    ) -> Result<Option<Tip>, EngineError> {
        while let Some(seq) = run.seq.checked_sub(1).filter(|seq| *seq > 0) {
            match self.forked_runs_at(author, seq)?.as_slice() {
                [only] if branch.len() > 1 => {
                    branch.push(Run { len: seq - only.seq + 1, ..*only });
                    run = *only;
                }
                _ => return Ok(self.placed_at(run.index)?.prev.map(|id| Tip { seq, id })),
            }
        }
        Ok(None)
    }
}

/// Authors whose runs are kept at hand.
const AUTHORS_CACHED: usize = 16;
/// Branches that are.
const BRANCHES_CACHED: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_are_found_by_what_they_hold(
            put in proptest::collection::vec((1u64..40, 0u64..5, 1u64..20), 0..40), seq in 0u64..60,
        ) {
            let mut all: BTreeMap<(u64, u64), Run> = BTreeMap::new();
            let mut runs = Runs::default();
            for (seq, index, len) in put {
                let run = Run { seq, index, len };
                all.insert((seq, index), run);
                runs.put(run);
            }
            let mut found = runs.at(seq);
            found.sort_by_key(|run| (run.seq, run.index));
            let expected: Vec<Run> = all.values().filter(|run| run.index_of(seq).is_some()).copied().collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(Runs::new(all.into_values().collect()).reach, runs.reach);
        }
    }
}
