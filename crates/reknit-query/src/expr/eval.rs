//! Computing a term for a row.

use super::arithmetic::{absolute, compute};
use super::{Expr, Pattern};
use crate::datum::Datum;
use crate::error::SourceError;
use crate::limits::RELATIONS_MAX;
use crate::order::{compare, equal};
use crate::source::Row;
use crate::syntax::{Arithmetic, Comparison, Function};
use reknit_types::Value;
use std::borrow::Cow;

/// What a term is computed from.
#[derive(Clone, Copy, Default)]
pub(crate) struct Env<'a> {
    /// One row of each relation; `None` where a left join found no partner.
    pub(crate) rows: [Option<&'a dyn Row>; RELATIONS_MAX],
    /// The keys of a group.
    pub(crate) keys: &'a [Value],
    /// The results of the aggregates over it.
    pub(crate) aggregates: &'a [Value],
}

impl<'a> Env<'a> {
    /// A row of the first relation alone.
    pub(crate) fn of(row: &'a dyn Row) -> Self {
        let mut env = Self::default();
        env.rows[0] = Some(row);
        env
    }

    pub(crate) fn row(&self, relation: usize) -> Option<&'a dyn Row> {
        self.rows.get(relation).copied().flatten()
    }

    fn field(&self, relation: usize, slot: usize) -> Result<Datum<'a>, SourceError> {
        self.row(relation).map_or(Ok(Datum::Null), |row| row.value(slot))
    }
}

impl Expr {
    /// What the term comes to.
    pub(crate) fn eval<'a>(&'a self, env: &Env<'a>) -> Result<Datum<'a>, SourceError> {
        match self {
            Self::Constant(value) => Ok(Datum::borrowed(value)),
            Self::Field(place) => env.field(place.relation, place.slot),
            Self::Id(relation) => {
                Ok(env.row(*relation).map_or(Datum::Null, |row| Datum::Ref(row.id().to_bytes())))
            }
            Self::Part(place, steps) => Ok(env.field(place.relation, place.slot)?.into_part(steps)),
            Self::Key(nth) => Ok(env.keys.get(*nth).map_or(Datum::Null, Datum::borrowed)),
            Self::Aggregate(nth) => Ok(env.aggregates.get(*nth).map_or(Datum::Null, Datum::borrowed)),
            Self::Negate(term) => Ok(compute(Arithmetic::Subtract, &Datum::Int(0), &term.eval(env)?)),
            Self::Arithmetic(op, left, right) => Ok(compute(*op, &left.eval(env)?, &right.eval(env)?)),
            Self::Case { branches, otherwise } => case(branches, otherwise.as_deref(), env),
            Self::Call(function, arguments) => call(*function, arguments, env),
            _ => self.truth(env).map(Datum::truth),
        }
    }

    /// What the term says as a condition, in three-valued logic.
    pub(crate) fn truth(&self, env: &Env<'_>) -> Result<Option<bool>, SourceError> {
        Ok(match self {
            Self::All(terms) => return all(terms, env),
            Self::Any(terms) => return any(terms, env),
            Self::Not(term) => term.truth(env)?.map(|truth| !truth),
            Self::Compare(comparison, left, right) => {
                let (left, right) = (left.eval(env)?, right.eval(env)?);
                holds(*comparison, &left, &right)
            }
            Self::Same { left, right, negated } => {
                Some(compare(&left.eval(env)?, &right.eval(env)?).is_eq() != *negated)
            }
            Self::IsNull { term, negated } => Some(term.eval(env)?.is_null() != *negated),
            Self::IsTruth { term, truth, negated } => Some((term.truth(env)? == Some(*truth)) != *negated),
            Self::InSet { term, set, negated } => {
                set.contains(&term.eval(env)?).map(|contained| contained != *negated)
            }
            Self::In { term, list, negated } => {
                in_list(&term.eval(env)?, list, env)?.map(|contained| contained != *negated)
            }
            Self::LikePattern { term, pattern, negated } => {
                let term = term.eval(env)?;
                term.as_text().map(|text| pattern.matches(&text) != *negated)
            }
            Self::Like { term, pattern, escape, fold, negated } => {
                let (term, pattern) = (term.eval(env)?, pattern.eval(env)?);
                let pattern = pattern.as_text().map(|pattern| Pattern::new(&pattern, *escape, *fold));
                term.as_text().zip(pattern).map(|(text, pattern)| pattern.matches(&text) != *negated)
            }
            Self::Match(term, search) => term.eval(env)?.as_text().map(|text| search.matches(&text)),
            _ => self.eval(env)?.as_truth(),
        })
    }
}

fn all(terms: &[Expr], env: &Env<'_>) -> Result<Option<bool>, SourceError> {
    let mut result = Some(true);
    for term in terms {
        match term.truth(env)? {
            Some(true) => {}
            Some(false) => return Ok(Some(false)),
            None => result = None,
        }
    }
    Ok(result)
}

fn any(terms: &[Expr], env: &Env<'_>) -> Result<Option<bool>, SourceError> {
    let mut result = Some(false);
    for term in terms {
        match term.truth(env)? {
            Some(false) => {}
            Some(true) => return Ok(Some(true)),
            None => result = None,
        }
    }
    Ok(result)
}

fn in_list(term: &Datum<'_>, list: &[Expr], env: &Env<'_>) -> Result<Option<bool>, SourceError> {
    let mut result = Some(false);
    for value in list {
        match equal(term, &value.eval(env)?) {
            Some(true) => return Ok(Some(true)),
            Some(false) => {}
            None => result = None,
        }
    }
    Ok(result)
}

/// Whether a comparison holds; unknown if a side is null.
pub(crate) fn holds(comparison: Comparison, left: &Datum<'_>, right: &Datum<'_>) -> Option<bool> {
    if left.is_null() || right.is_null() {
        return None;
    }
    let order = compare(left, right);
    Some(match comparison {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    })
}

fn case<'a>(
    branches: &'a [(Expr, Expr)],
    otherwise: Option<&'a Expr>,
    env: &Env<'a>,
) -> Result<Datum<'a>, SourceError> {
    for (when, then) in branches {
        if when.truth(env)? == Some(true) {
            return then.eval(env);
        }
    }
    otherwise.map_or(Ok(Datum::Null), |otherwise| otherwise.eval(env))
}

fn call<'a>(function: Function, arguments: &'a [Expr], env: &Env<'a>) -> Result<Datum<'a>, SourceError> {
    if function == Function::Coalesce {
        for argument in arguments {
            let value = argument.eval(env)?;
            if !value.is_null() {
                return Ok(value);
            }
        }
        return Ok(Datum::Null);
    }
    let Some(first) = arguments.first() else { return Ok(Datum::Null) };
    let value = first.eval(env)?;
    Ok(match function {
        Function::Lower => changed(&value, str::to_lowercase),
        Function::Upper => changed(&value, str::to_uppercase),
        Function::Length => length(&value),
        Function::Abs => absolute(&value),
        Function::NullIf => {
            let other = arguments.get(1).map_or(Ok(Datum::Null), |other| other.eval(env))?;
            if equal(&value, &other) == Some(true) { Datum::Null } else { value }
        }
        Function::Coalesce => value,
    })
}

fn changed<'a>(value: &Datum<'_>, change: fn(&str) -> String) -> Datum<'a> {
    value.as_text().map_or(Datum::Null, |text| Datum::Text(Cow::Owned(change(&text))))
}

fn length<'a>(value: &Datum<'_>) -> Datum<'a> {
    let length = match value {
        Datum::Text(text) => text.chars().count(),
        Datum::Bytes(bytes) => bytes.len(),
        Datum::Ref(_) => reknit_types::EntityId::from_bytes([0; 16]).to_string().len(),
        _ => return Datum::Null,
    };
    Datum::Int(i64::try_from(length).unwrap_or(i64::MAX))
}
