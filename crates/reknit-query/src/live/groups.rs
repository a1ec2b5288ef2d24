//! Groups that are kept: what an entity adds to them can be taken away again.
//!
//! Counts, sums of whole numbers, least and greatest values and distinct values can be kept so. A sum of floats cannot:
//! what was rounded away does not come back. Where one turns up, groups are formed anew with each change.

use crate::aggregate::{Accumulator, whole_result};
use crate::bound::{AggregateExpr, Grouping};
use crate::datum::Datum;
use crate::error::{QueryError, SourceError};
use crate::exec::{Run, Visit, VisitGroup, Window};
use crate::expr::{Env, Number, number};
use crate::key::{encode, encoded};
use crate::limits::ROWS_MAX;
use crate::plan::Plan;
use crate::source::Source;
use crate::syntax::AggregateFunction;
use reknit_types::{EntityId, Value};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// What the entities of the first collection add to the groups of a query.
#[derive(Debug)]
pub(super) struct LiveGroups {
    added: BTreeMap<EntityId, Vec<Contribution>>,
    groups: BTreeMap<Vec<u8>, Tally>,
    rows: usize,
}

/// A row, as far as its group needs it.
#[derive(Debug)]
struct Contribution {
    group: Vec<u8>,
    keys: Vec<Value>,
    arguments: Vec<Value>,
}

#[derive(Debug)]
struct Tally {
    keys: Vec<Value>,
    rows: usize,
    aggregates: Vec<Kept>,
}

#[derive(Debug)]
enum Kept {
    Count(i64),
    Whole {
        sum: i128,
        count: u32,
    },
    /// Each value with how often it is there.
    Values(BTreeMap<Vec<u8>, (Value, u32)>),
}

/// The rows cannot be kept.
pub(super) struct NotKept;

impl LiveGroups {
    /// The groups of everything that `plan` finds; `None` if they cannot be kept.
    pub(super) fn open(plan: &Plan, source: &dyn Source) -> Result<Option<Self>, QueryError> {
        let Some(grouping) = &plan.bound.grouping else { return Ok(None) };
        let mut groups = Self { added: BTreeMap::new(), groups: BTreeMap::new(), rows: 0 };
        if grouping.keys.is_empty() {
            groups.groups.insert(vec![], Tally::new(grouping, vec![]));
        }
        let found = contributions(plan, grouping, source)?;
        let Some(found) = found else { return Ok(None) };
        for (entity, contributions) in found {
            if groups.replace(grouping, entity, contributions).is_err() {
                return Ok(None);
            }
        }
        Ok(Some(groups))
    }

    /// Puts what some entities add now in the place of what they added. `plan` finds the rows of just these.
    pub(super) fn look_again(
        &mut self,
        plan: &Plan,
        source: &dyn Source,
        entities: impl Iterator<Item = EntityId>,
    ) -> Result<Result<(), NotKept>, QueryError> {
        let Some(grouping) = &plan.bound.grouping else { return Ok(Err(NotKept)) };
        let Some(mut found) = contributions(plan, grouping, source)? else { return Ok(Err(NotKept)) };
        for entity in entities {
            let contributions = found.remove(&entity).unwrap_or_default();
            if self.replace(grouping, entity, contributions).is_err() {
                return Ok(Err(NotKept));
            }
        }
        Ok(Ok(()))
    }

    /// Shows each group: its keys and aggregates, and the key that names it.
    pub(super) fn each(&self, grouping: &Grouping, visit: &mut VisitGroup<'_>) -> Result<(), QueryError> {
        for (identity, tally) in &self.groups {
            let aggregates = grouping.aggregates.iter().zip(&tally.aggregates);
            let aggregates: Vec<Value> =
                aggregates.map(|(aggregate, kept)| kept.finish(aggregate)).collect::<Result<_, _>>()?;
            visit(&Env { keys: &tally.keys, aggregates: &aggregates, ..Env::default() }, identity)?;
        }
        Ok(())
    }

    fn replace(
        &mut self,
        grouping: &Grouping,
        entity: EntityId,
        new: Vec<Contribution>,
    ) -> Result<(), NotKept> {
        for old in self.added.remove(&entity).unwrap_or_default() {
            self.rows -= 1;
            let Some(tally) = self.groups.get_mut(&old.group) else { continue };
            tally.change(&old, false)?;
            if tally.rows == 0 && !grouping.keys.is_empty() {
                self.groups.remove(&old.group);
            }
        }
        self.rows += new.len();
        if self.rows > ROWS_MAX {
            return Err(NotKept);
        }
        for contribution in &new {
            let keys = || Tally::new(grouping, contribution.keys.clone());
            let tally = self.groups.entry(contribution.group.clone()).or_insert_with(keys);
            tally.change(contribution, true)?;
        }
        if !new.is_empty() {
            self.added.insert(entity, new);
        }
        Ok(())
    }
}

/// What the rows that a plan finds add, by entity; `None` if there are too many.
fn contributions(
    plan: &Plan,
    grouping: &Grouping,
    source: &dyn Source,
) -> Result<Option<BTreeMap<EntityId, Vec<Contribution>>>, QueryError> {
    let mut found: BTreeMap<EntityId, Vec<Contribution>> = BTreeMap::new();
    let mut rows = 0;
    let visit: &mut Visit<'_> = &mut |env, _| {
        rows += 1;
        let Some(row) = env.row(0).filter(|_| rows <= ROWS_MAX) else { return Ok(ControlFlow::Break(())) };
        found.entry(row.id()).or_default().push(Contribution::of(grouping, env)?);
        Ok(ControlFlow::Continue(()))
    };
    Run::new(plan, source, Window::default()).rows(visit)?;
    Ok(Some(found).filter(|_| rows <= ROWS_MAX))
}

impl Contribution {
    fn of(grouping: &Grouping, env: &Env<'_>) -> Result<Self, SourceError> {
        let (mut group, mut keys, mut arguments) = (vec![], vec![], vec![]);
        for key in &grouping.keys {
            let value = key.eval(env)?;
            encode(&value, &mut group);
            keys.push(value.into_value());
        }
        for aggregate in &grouping.aggregates {
            // Every row counts for `COUNT(*)`.
            let value =
                aggregate.argument.as_ref().map_or(Ok(Datum::Bool(true)), |argument| argument.eval(env))?;
            arguments.push(value.into_value());
        }
        Ok(Self { group, keys, arguments })
    }
}

impl Tally {
    fn new(grouping: &Grouping, keys: Vec<Value>) -> Self {
        Self { keys, rows: 0, aggregates: grouping.aggregates.iter().map(Kept::new).collect() }
    }

    fn change(&mut self, contribution: &Contribution, adds: bool) -> Result<(), NotKept> {
        self.rows = if adds { self.rows + 1 } else { self.rows.saturating_sub(1) };
        for (kept, value) in self.aggregates.iter_mut().zip(&contribution.arguments) {
            kept.change(&Datum::borrowed(value), adds)?;
        }
        Ok(())
    }
}

impl Kept {
    fn new(aggregate: &AggregateExpr) -> Self {
        match aggregate.function {
            _ if aggregate.distinct => Self::Values(BTreeMap::new()),
            AggregateFunction::Count => Self::Count(0),
            AggregateFunction::Sum | AggregateFunction::Avg => Self::Whole { sum: 0, count: 0 },
            AggregateFunction::Min | AggregateFunction::Max => Self::Values(BTreeMap::new()),
        }
    }

    fn change(&mut self, value: &Datum<'_>, adds: bool) -> Result<(), NotKept> {
        if value.is_null() {
            return Ok(());
        }
        match self {
            Self::Count(count) => *count += if adds { 1 } else { -1 },
            Self::Whole { sum, count } => match number(value) {
                None => {}
                Some(Number::Float(_)) => return Err(NotKept),
                Some(Number::Whole(value)) if adds => {
                    *sum += i128::from(value);
                    *count += 1;
                }
                Some(Number::Whole(value)) => {
                    *sum -= i128::from(value);
                    *count = count.saturating_sub(1);
                }
            },
            Self::Values(values) if adds => {
                let known = values.entry(encoded(value)).or_insert_with(|| (value.clone().into_value(), 0));
                known.1 += 1;
            }
            Self::Values(values) => {
                let key = encoded(value);
                if let Some(known) = values.get_mut(&key) {
                    known.1 = known.1.saturating_sub(1);
                    if known.1 == 0 {
                        values.remove(&key);
                    }
                }
            }
        }
        Ok(())
    }

    fn finish(&self, aggregate: &AggregateExpr) -> Result<Value, QueryError> {
        match self {
            Self::Count(count) => Ok(Value::Int(*count)),
            Self::Whole { sum, count } => {
                Ok(whole_result(*sum, *count, aggregate.function == AggregateFunction::Avg))
            }
            Self::Values(values) => {
                let of_one = |found: Option<(&Vec<u8>, &(Value, u32))>| {
                    found.map(|(_, (value, _))| value.clone()).unwrap_or_default()
                };
                match aggregate.function {
                    AggregateFunction::Min => Ok(of_one(values.first_key_value())),
                    AggregateFunction::Max => Ok(of_one(values.last_key_value())),
                    _ => {
                        let mut accumulator = Accumulator::new(aggregate);
                        for (value, _) in values.values() {
                            accumulator.add(Datum::borrowed(value))?;
                        }
                        Ok(accumulator.finish())
                    }
                }
            }
        }
    }
}
