//! Rows on their way into a result: sorted, cut off, told apart.

use super::{Key, Window};
use crate::error::{QueryError, SourceError};
use crate::limits::{ROWS_BYTES_MAX, ROWS_MAX};
use crate::plan::{Delivery, Plan};
use reknit_types::Value;
use std::collections::{BTreeMap, BinaryHeap};

/// A row of a result, and its place in it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Output {
    /// Sorts as the result is ordered; no two rows have the same.
    pub(crate) key: Vec<u8>,
    /// Where in the key the part begins that names the row.
    pub(crate) identity_at: usize,
    pub(crate) values: Vec<Value>,
}

impl Output {
    /// What the row is, wherever it stands.
    pub(crate) fn identity(&self) -> &[u8] {
        self.key.get(self.identity_at..).unwrap_or_default()
    }

    fn weight(&self) -> usize {
        self.key.len() + self.values.iter().map(weight).sum::<usize>() + 64
    }
}

impl PartialEq<Ordered> for Ordered {
    fn eq(&self, other: &Ordered) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.key.cmp(&other.0.key)
    }
}

/// An output that compares by its key.
struct Ordered(Output);

/// Collects the rows of one window.
pub(crate) struct Collector<'w> {
    after: Option<&'w [u8]>,
    offset: usize,
    /// How many rows are enough, those left out first included.
    enough: Option<usize>,
    held: Held,
    bytes: usize,
    rows: usize,
}

enum Held {
    /// Rows come in runs: between runs they are in order. Where each is a run by itself, the last needs no next one to be
    /// known as whole.
    Runs { done: Vec<Output>, run: Vec<u8>, open: Vec<Output>, single: bool },
    /// The least so far.
    Least(BinaryHeap<Ordered>),
    /// Everything.
    All(Vec<Output>),
    /// The least so far, each once.
    Distinct(BTreeMap<Vec<u8>, Output>),
}

impl<'w> Collector<'w> {
    pub(super) fn new(plan: &Plan, window: Window<'w>) -> Self {
        let offset = usize::try_from(window.offset).unwrap_or(usize::MAX);
        let limit = window.limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let enough = limit.map(|limit| limit.saturating_add(offset));
        let held = if plan.bound.distinct {
            Held::Distinct(BTreeMap::new())
        } else if plan.bound.grouping.is_none() && plan.delivery != Delivery::Unordered {
            let single = matches!(plan.delivery, Delivery::ById(_)) && plan.bound.identifying().count() == 1;
            Held::Runs { done: vec![], run: vec![], open: vec![], single }
        } else if enough.is_some() {
            Held::Least(BinaryHeap::new())
        } else {
            Held::All(vec![])
        };
        Self { after: window.after, offset, enough, held, bytes: 0, rows: 0 }
    }

    /// Rows that follow belong to the run with this key.
    pub(super) fn enter_run(&mut self, key: &[u8]) -> Result<(), QueryError> {
        let Held::Runs { done, run, open, .. } = &mut self.held else { return Ok(()) };
        if !open.is_empty() && run != key {
            close(done, open);
        }
        if run != key {
            run.clear();
            run.extend_from_slice(key);
        }
        Ok(())
    }

    /// Whether no further row can be in the window.
    pub(super) fn is_full(&self) -> bool {
        match &self.held {
            Held::Runs { done, open, single, .. } => {
                let whole = done.len() + if *single { open.len() } else { 0 };
                self.enough.is_some_and(|enough| whole >= enough)
            }
            _ => false,
        }
    }

    /// Takes a row in, if it may be in the window.
    pub(super) fn offer(
        &mut self,
        key: Key,
        make: &mut dyn FnMut(Key) -> Result<Output, SourceError>,
    ) -> Result<(), QueryError> {
        if self.after.is_some_and(|after| key.bytes.as_slice() <= after) {
            return Ok(());
        }
        let enough = self.enough;
        let is_late = |greatest: Option<&Vec<u8>>, len: usize| {
            enough.is_some_and(|enough| len >= enough)
                && greatest.is_none_or(|greatest| key.bytes >= *greatest)
        };
        let dropped = match &mut self.held {
            Held::Runs { open, .. } => {
                open.push(make(key)?);
                self.bytes += open.last().map_or(0, Output::weight);
                None
            }
            Held::All(rows) => {
                rows.push(make(key)?);
                self.bytes += rows.last().map_or(0, Output::weight);
                None
            }
            Held::Least(heap) => {
                if is_late(heap.peek().map(|greatest| &greatest.0.key), heap.len()) {
                    return Ok(());
                }
                let output = make(key)?;
                self.bytes += output.weight();
                heap.push(Ordered(output));
                if enough.is_some_and(|enough| heap.len() > enough) {
                    heap.pop().map(|last| last.0)
                } else {
                    None
                }
            }
            Held::Distinct(rows) => {
                if rows.contains_key(&key.bytes)
                    || is_late(rows.last_key_value().map(|last| last.0), rows.len())
                {
                    return Ok(());
                }
                let output = make(key)?;
                self.bytes += output.weight();
                rows.insert(output.key.clone(), output);
                if enough.is_some_and(|enough| rows.len() > enough) {
                    rows.pop_last().map(|last| last.1)
                } else {
                    None
                }
            }
        };
        match dropped {
            Some(dropped) => self.bytes -= dropped.weight(),
            None => self.rows += 1,
        }
        self.check()
    }

    fn check(&self) -> Result<(), QueryError> {
        if self.rows > ROWS_MAX {
            return Err(QueryError::TooManyRows);
        }
        if self.bytes > ROWS_BYTES_MAX {
            return Err(QueryError::TooManyBytes);
        }
        Ok(())
    }

    /// The rows of the window, in order.
    pub(super) fn finish(self) -> Result<Vec<Output>, QueryError> {
        let mut rows: Vec<Output> = match self.held {
            Held::Runs { mut done, mut open, .. } => {
                close(&mut done, &mut open);
                done
            }
            Held::Least(heap) => heap.into_sorted_vec().into_iter().map(|ordered| ordered.0).collect(),
            Held::All(mut rows) => {
                rows.sort_unstable_by(|left, right| left.key.cmp(&right.key));
                rows
            }
            Held::Distinct(rows) => rows.into_values().collect(),
        };
        if let Some(enough) = self.enough {
            rows.truncate(enough);
        }
        rows.drain(..self.offset.min(rows.len()));
        Ok(rows)
    }
}

fn close(done: &mut Vec<Output>, open: &mut Vec<Output>) {
    open.sort_unstable_by(|left, right| left.key.cmp(&right.key));
    done.append(open);
}

/// About how many bytes a value takes.
fn weight(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::List(items) => items.iter().map(weight).sum(),
            Value::Map(entries) => entries.iter().map(|(name, value)| name.len() + weight(value)).sum(),
            _ => 0,
        }
}
