//! `COUNT SUM MIN MAX AVG`.

use crate::bound::AggregateExpr;
use crate::datum::Datum;
use crate::error::QueryError;
use crate::expr::{Number, number};
use crate::key::encoded;
use crate::limits::GROUPS_MAX;
use crate::order::compare;
use crate::syntax::AggregateFunction;
use reknit_types::Value;
use std::collections::BTreeSet;

/// An aggregate on its way.
#[derive(Debug, Clone)]
pub(crate) struct Accumulator {
    /// The keys of the values that were seen, where each counts once.
    seen: Option<BTreeSet<Vec<u8>>>,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    Count(i64),
    Sum(Total),
    Avg(Total),
    Extreme { greatest: bool, value: Option<Value> },
}

/// A sum, exact for whole numbers. Rows are too few to overflow 128 bits.
#[derive(Debug, Clone, Copy, Default)]
struct Total {
    count: u32,
    whole: i128,
    /// Of the floats, with what rounding lost (Neumaier, 1974).
    float: f64,
    lost: f64,
    floats: u32,
}

impl Accumulator {
    pub(crate) fn new(aggregate: &AggregateExpr) -> Self {
        let state = match aggregate.function {
            AggregateFunction::Count => State::Count(0),
            AggregateFunction::Sum => State::Sum(Total::default()),
            AggregateFunction::Avg => State::Avg(Total::default()),
            AggregateFunction::Min => State::Extreme { greatest: false, value: None },
            AggregateFunction::Max => State::Extreme { greatest: true, value: None },
        };
        Self { seen: aggregate.distinct.then(BTreeSet::new), state }
    }

    /// Counts a row, for `COUNT(*)`.
    pub(crate) fn count_row(&mut self) {
        if let State::Count(count) = &mut self.state {
            *count += 1;
        }
    }

    /// Takes a value in; nulls do not count.
    pub(crate) fn add(&mut self, value: Datum<'_>) -> Result<(), QueryError> {
        if value.is_null() {
            return Ok(());
        }
        if let Some(seen) = &mut self.seen {
            if !seen.insert(encoded(&value)) {
                return Ok(());
            }
            if seen.len() > GROUPS_MAX {
                return Err(QueryError::TooManyGroups);
            }
        }
        match &mut self.state {
            State::Count(count) => *count += 1,
            State::Sum(total) | State::Avg(total) => total.add(&value),
            State::Extreme { greatest, value: extreme } => {
                let better = extreme.as_ref().is_none_or(|extreme| {
                    let order = compare(&value, &Datum::borrowed(extreme));
                    if *greatest { order.is_gt() } else { order.is_lt() }
                });
                if better {
                    *extreme = Some(value.into_value());
                }
            }
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Value {
        match self.state {
            State::Count(count) => Value::Int(count),
            State::Sum(total) => total.sum(),
            State::Avg(total) => total.average(),
            State::Extreme { value, .. } => value.unwrap_or_default(),
        }
    }
}

/// The sum of whole numbers, or their average.
pub(crate) fn whole_result(sum: i128, count: u32, average: bool) -> Value {
    let total = Total { count, whole: sum, ..Total::default() };
    if average { total.average() } else { total.sum() }
}

impl Total {
    fn add(&mut self, value: &Datum<'_>) {
        match number(value) {
            None => return,
            Some(Number::Whole(value)) => self.whole += i128::from(value),
            Some(Number::Float(value)) => {
                let sum = self.float + value;
                let (greater, less) =
                    if self.float.abs() >= value.abs() { (self.float, value) } else { (value, self.float) };
                self.lost += (greater - sum) + less;
                self.float = sum;
                self.floats += 1;
            }
        }
        self.count += 1;
    }

    #[expect(clippy::cast_precision_loss, reason = "a sum with floats in it is a float")]
    fn as_float(self) -> f64 {
        self.whole as f64 + (self.float + self.lost)
    }

    fn sum(self) -> Value {
        match (self.count, self.floats, i64::try_from(self.whole)) {
            (0, ..) => Value::Null,
            (_, 0, Ok(whole)) => Value::Int(whole),
            _ => Datum::float(self.as_float()).into_value(),
        }
    }

    fn average(self) -> Value {
        if self.count == 0 {
            Value::Null
        } else {
            Datum::float(self.as_float() / f64::from(self.count)).into_value()
        }
    }
}
