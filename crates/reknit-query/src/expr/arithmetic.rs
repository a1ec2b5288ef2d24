//! `+ - * / % ||`, as SQLite computes them.

use crate::datum::Datum;
use crate::limits::TEXT_BYTES_MAX;
use crate::syntax::Arithmetic;
use std::borrow::Cow;

/// A number, apart from everything else.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Whole(i64),
    Float(f64),
}

/// The number that a value is. A boolean is 1 or 0; what is no number is none.
pub(crate) fn number(datum: &Datum<'_>) -> Option<Number> {
    match datum {
        Datum::Bool(value) => Some(Number::Whole(i64::from(*value))),
        Datum::Int(value) => Some(Number::Whole(*value)),
        Datum::Float(value) => Some(Number::Float(*value)),
        _ => None,
    }
}

impl Number {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a whole number that meets a float becomes one, as in SQLite"
    )]
    pub(crate) fn as_float(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// Towards zero, and to the ends of the range.
    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates, which is meant")]
    fn as_whole(self) -> i64 {
        match self {
            Self::Whole(value) => value,
            Self::Float(value) => value as i64,
        }
    }
}

/// What an operator makes of two values; null if one is null or of the wrong kind.
pub(super) fn compute<'a>(op: Arithmetic, left: &Datum<'_>, right: &Datum<'_>) -> Datum<'a> {
    if op == Arithmetic::Concat {
        return concat(left, right);
    }
    let (Some(left), Some(right)) = (number(left), number(right)) else { return Datum::Null };
    match op {
        Arithmetic::Add => add_numbers(left, right),
        Arithmetic::Subtract => either(left, right, i64::checked_sub, |left, right| left - right),
        Arithmetic::Multiply => either(left, right, i64::checked_mul, |left, right| left * right),
        Arithmetic::Divide if right.as_float() == 0.0 => Datum::Null,
        Arithmetic::Divide => either(left, right, i64::checked_div, |left, right| left / right),
        Arithmetic::Remainder => remainder(left, right),
        Arithmetic::Concat => Datum::Null,
    }
}

fn add_numbers<'a>(left: Number, right: Number) -> Datum<'a> {
    either(left, right, i64::checked_add, |left, right| left + right)
}

/// Whole numbers give a whole number if it fits, and everything else a float.
fn either<'a>(
    left: Number,
    right: Number,
    whole: fn(i64, i64) -> Option<i64>,
    float: fn(f64, f64) -> f64,
) -> Datum<'a> {
    if let (Number::Whole(left), Number::Whole(right)) = (left, right)
        && let Some(value) = whole(left, right)
    {
        return Datum::Int(value);
    }
    Datum::float(float(left.as_float(), right.as_float()))
}

/// Of the whole parts; a float if one of the two was.
fn remainder<'a>(left: Number, right: Number) -> Datum<'a> {
    let divisor = right.as_whole();
    if divisor == 0 {
        return Datum::Null;
    }
    let rest = left.as_whole().checked_rem(divisor).unwrap_or(0);
    match (left, right) {
        (Number::Whole(_), Number::Whole(_)) => Datum::Int(rest),
        _ => Datum::float(Number::Whole(rest).as_float()),
    }
}

pub(super) fn absolute<'a>(value: &Datum<'_>) -> Datum<'a> {
    match number(value) {
        None => Datum::Null,
        Some(Number::Whole(value)) => match value.checked_abs() {
            Some(value) => Datum::Int(value),
            None => Datum::float(Number::Whole(value).as_float().abs()),
        },
        Some(Number::Float(value)) => Datum::float(value.abs()),
    }
}

fn concat<'a>(left: &Datum<'_>, right: &Datum<'_>) -> Datum<'a> {
    let (Some(left), Some(right)) = (written(left), written(right)) else { return Datum::Null };
    if left.len() + right.len() > TEXT_BYTES_MAX {
        return Datum::Null;
    }
    Datum::Text(Cow::Owned(left.into_owned() + &right))
}

fn written<'d>(datum: &'d Datum<'_>) -> Option<Cow<'d, str>> {
    Some(match datum {
        Datum::Bool(value) => Cow::Borrowed(if *value { "1" } else { "0" }),
        Datum::Int(value) => Cow::Owned(value.to_string()),
        Datum::Float(value) => Cow::Owned(format!("{value:?}")),
        other => other.as_text()?,
    })
}
