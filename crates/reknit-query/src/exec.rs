//! Running a plan: rows of the first relation from where the plan says, their partners, the conditions, and then what
//! becomes of the rows.

mod base;
mod collect;
mod groups;
mod partners;

pub(crate) use collect::Output;
pub(crate) use partners::as_entity;

use crate::answer::{Answer, Reads};
use crate::bound::{Bound, Kind};
use crate::cursor::{Cursor, push_id, push_order};
use crate::error::{QueryError, SourceError};
use crate::expr::Env;
use crate::plan::Plan;
use crate::source::Source;
use collect::Collector;
use groups::Groups;
pub(crate) use groups::VisitGroup;
use partners::Partners;
use reknit_types::Value;
use std::cell::Cell;
use std::ops::ControlFlow;

/// What part of a result is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Window<'a> {
    /// Only rows behind this key.
    pub(crate) after: Option<&'a [u8]>,
    /// How many rows to leave out first.
    pub(crate) offset: u64,
    /// How many to take then.
    pub(crate) limit: Option<u64>,
}

impl Plan {
    /// Runs the query: the first page if it has a `LIMIT`.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn run(&self, source: &dyn Source) -> Result<Answer, QueryError> {
        let window = Window { after: None, offset: self.bound.offset, limit: self.bound.limit };
        self.page(source, window)
    }

    /// Runs the query for the rows behind a cursor: the next page if it has a `LIMIT`. Its `OFFSET` was for the first page.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn run_after(&self, source: &dyn Source, cursor: &Cursor) -> Result<Answer, QueryError> {
        let after = Some(cursor.key_for(&self.bound)?);
        self.page(source, Window { after, offset: 0, limit: self.bound.limit })
    }

    fn page(&self, source: &dyn Source, window: Window<'_>) -> Result<Answer, QueryError> {
        let (rows, reads) = self.outputs(source, window)?;
        let full = window.limit.is_some_and(|limit| limit > 0 && rows.len() as u64 == limit);
        let last = rows.last().filter(|_| full);
        let end = last.map(|last| Cursor::new(&self.bound, &last.key)).transpose()?;
        let rows = rows.into_iter().map(|row| row.values).collect();
        Ok(Answer { columns: self.bound.columns.clone(), rows, end, reads })
    }

    /// The rows of a window with their keys, in order.
    pub(crate) fn outputs(
        &self,
        source: &dyn Source,
        window: Window<'_>,
    ) -> Result<(Vec<Output>, Reads), QueryError> {
        let run = Run::new(self, source, window);
        let mut collector = Collector::new(self, window);
        if window.limit == Some(0) {
            return Ok((vec![], run.reads.get()));
        }
        match &self.bound.grouping {
            None => run.rows(&mut |env, run_key| run.collect(env, run_key, &mut collector))?,
            Some(grouping) => {
                let mut groups = Groups::new(grouping);
                run.rows(&mut |env, _| groups.add(env).map(|()| ControlFlow::Continue(())))?;
                groups.finish(&mut |env, identity| run.collect_group(env, identity, &mut collector))?;
            }
        }
        Ok((collector.finish()?, run.reads.get()))
    }
}

impl Plan {
    /// The rows of a window over groups that `each` shows.
    pub(crate) fn group_outputs(
        &self,
        source: &dyn Source,
        window: Window<'_>,
        each: &mut dyn FnMut(&mut VisitGroup<'_>) -> Result<(), QueryError>,
    ) -> Result<Vec<Output>, QueryError> {
        let run = Run::new(self, source, window);
        let mut collector = Collector::new(self, window);
        if window.limit != Some(0) {
            each(&mut |env, identity| run.collect_group(env, identity, &mut collector))?;
        }
        collector.finish()
    }
}

/// A query that is being run.
pub(crate) struct Run<'r> {
    pub(crate) plan: &'r Plan,
    pub(crate) bound: &'r Bound,
    pub(crate) source: &'r dyn Source,
    pub(crate) window: Window<'r>,
    pub(crate) reads: Cell<Reads>,
    partners: Partners,
}

/// Is shown each row that passes, and the bytes that rows of one run share.
pub(crate) type Visit<'v> = dyn FnMut(&Env<'_>, &[u8]) -> Result<ControlFlow<()>, QueryError> + 'v;

/// The key of a row, and where in it the part begins that tells it from its equals.
pub(crate) struct Key {
    pub(crate) bytes: Vec<u8>,
    pub(crate) identity_at: usize,
}

impl<'r> Run<'r> {
    pub(crate) fn new(plan: &'r Plan, source: &'r dyn Source, window: Window<'r>) -> Self {
        let partners = Partners::new(plan.bound.relations.len());
        Self { plan, bound: &plan.bound, source, window, reads: Cell::default(), partners }
    }

    /// Shows all rows that pass, in the order of the plan.
    pub(crate) fn rows(&self, visit: &mut Visit<'_>) -> Result<(), QueryError> {
        self.base(&mut |row, run_key| self.descend(1, &Env::of(row), &mut |env| visit(env, run_key)))
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut Reads)) {
        let mut reads = self.reads.get();
        change(&mut reads);
        self.reads.set(reads);
    }

    /// Finds the partners of the relations from `level` on; shows every whole row that passes.
    pub(crate) fn descend(
        &self,
        level: usize,
        env: &Env<'_>,
        visit: &mut dyn FnMut(&Env<'_>) -> Result<ControlFlow<()>, QueryError>,
    ) -> Result<ControlFlow<()>, QueryError> {
        if !self.passes(level, env)? {
            return Ok(ControlFlow::Continue(()));
        }
        let Some(relation) = self.bound.relations.get(level) else {
            self.count(|reads| reads.passed += 1);
            return visit(env);
        };
        let mut lonely = true;
        let join = relation.how.join();
        let found = self.partners(level, env, &mut |row| {
            let mut next = *env;
            next.rows[level] = Some(row);
            let on = join.map_or(&[][..], |(_, on)| on);
            for condition in on {
                if condition.truth(&next)? != Some(true) {
                    return Ok(ControlFlow::Continue(()));
                }
            }
            lonely = false;
            self.descend(level + 1, &next, visit)
        })?;
        let stays = join.is_some_and(|(kind, _)| kind != Kind::Inner);
        if found.is_continue() && lonely && stays {
            return self.descend(level + 1, env, visit);
        }
        Ok(found)
    }

    /// Whether the conditions hold that can be asked now that `level` relations are there.
    fn passes(&self, level: usize, env: &Env<'_>) -> Result<bool, SourceError> {
        let conditions = self.plan.conditions.get(level.saturating_sub(1)).map_or(&[][..], Vec::as_slice);
        for condition in conditions {
            if condition.truth(env)? != Some(true) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn collect(
        &self,
        env: &Env<'_>,
        run_key: &[u8],
        collector: &mut Collector<'_>,
    ) -> Result<ControlFlow<()>, QueryError> {
        collector.enter_run(run_key)?;
        if collector.is_full() {
            return Ok(ControlFlow::Break(()));
        }
        let key = if self.bound.distinct { self.distinct_key(env)? } else { self.row_key(env)? };
        collector.offer(key, &mut |key| self.output(env, key))?;
        Ok(if collector.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    /// Takes a group in, if it passes `HAVING`.
    fn collect_group(
        &self,
        env: &Env<'_>,
        identity: &[u8],
        collector: &mut Collector<'_>,
    ) -> Result<(), QueryError> {
        let having = self.bound.grouping.as_ref().and_then(|grouping| grouping.having.as_ref());
        if let Some(having) = having
            && having.truth(env)? != Some(true)
        {
            return Ok(());
        }
        let key = self.group_key(env, identity)?;
        collector.offer(key, &mut |key| self.output(env, key))
    }

    /// The key of a row: what it is ordered by, then the ids of its entities.
    pub(crate) fn row_key(&self, env: &Env<'_>) -> Result<Key, SourceError> {
        let mut bytes = self.order_key(env)?;
        let identity_at = bytes.len();
        for relation in self.bound.identifying() {
            push_id(env.row(relation).map(crate::source::Row::id), &mut bytes);
        }
        Ok(self.finish_key(bytes, identity_at))
    }

    /// The key of a row that its values tell apart.
    fn distinct_key(&self, env: &Env<'_>) -> Result<Key, SourceError> {
        let mut bytes = self.order_key(env)?;
        let identity_at = bytes.len();
        for item in &self.bound.items {
            crate::key::encode(&item.eval(env)?, &mut bytes);
        }
        Ok(self.finish_key(bytes, identity_at))
    }

    fn group_key(&self, env: &Env<'_>, identity: &[u8]) -> Result<Key, SourceError> {
        if self.bound.distinct {
            return self.distinct_key(env);
        }
        let mut bytes = self.order_key(env)?;
        let identity_at = bytes.len();
        bytes.extend(identity);
        Ok(self.finish_key(bytes, identity_at))
    }

    fn order_key(&self, env: &Env<'_>) -> Result<Vec<u8>, SourceError> {
        let mut bytes = Vec::with_capacity(24 + 16 * self.bound.order.len());
        for by in &self.bound.order {
            push_order(by, &by.term.eval(env)?, &mut bytes);
        }
        Ok(bytes)
    }

    /// Equals go the way of the last key, so that an index can be walked backwards.
    fn finish_key(&self, mut bytes: Vec<u8>, identity_at: usize) -> Key {
        if self.bound.order.last().is_some_and(|by| by.descending) {
            crate::cursor::invert(&mut bytes, identity_at);
        }
        Key { bytes, identity_at }
    }

    pub(crate) fn output(&self, env: &Env<'_>, key: Key) -> Result<Output, SourceError> {
        let values = self.bound.items.iter().map(|item| item.eval(env).map(crate::datum::Datum::into_value));
        let values: Vec<Value> = values.collect::<Result<_, _>>()?;
        Ok(Output { key: key.bytes, identity_at: key.identity_at, values })
    }
}
