//! What the conditions of a query say about single fields, as ranges of keys.

use crate::bound::{Bound, Kind, Relation};
use crate::datum::Datum;
use crate::expr::{Expr, Place};
use crate::key::{after_prefix, encode_index, encoded_index, is_cut, text_prefix};
use crate::source::{FieldPath, KeyRange};
use crate::syntax::Comparison;
use reknit_types::Value;
use std::collections::BTreeMap;

/// Where the value of a field must lie for a row to pass. Rows that do may still not pass.
#[derive(Debug, Clone, Default)]
pub(crate) struct Constraints {
    pub(crate) fields: BTreeMap<FieldPath, Vec<Span>>,
    pub(crate) id: Option<Vec<Span>>,
}

/// Keys that a field may have, as an index encodes them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Span {
    Point(Vec<u8>),
    Range(KeyRange),
}

impl Span {
    pub(crate) fn range(&self) -> KeyRange {
        match self {
            Self::Point(key) => KeyRange::prefix(key.clone()),
            Self::Range(range) => range.clone(),
        }
    }
}

/// A field that is constrained.
enum Subject {
    Id,
    Field(FieldPath),
}

impl Constraints {
    /// What the conditions say about the rows of a relation.
    pub(crate) fn of(bound: &Bound, relation: usize) -> Self {
        let on = bound.relations.get(relation).and_then(|its| its.how.join()).map_or(&[][..], |(_, on)| on);
        Self::with(bound, relation, on)
    }

    /// What the conditions say about the partners of those rows of the first relation that pass.
    pub(crate) fn of_partners(bound: &Bound, relation: usize) -> Self {
        let join = bound.relations.get(relation).and_then(|its| its.how.join());
        let on = join.filter(|(kind, _)| *kind == Kind::Inner).map_or(&[][..], |(_, on)| on);
        Self::with(bound, relation, on)
    }

    fn with(bound: &Bound, relation: usize, on: &[Expr]) -> Self {
        let mut constraints = Self::default();
        let Some(its) = bound.relations.get(relation) else { return constraints };
        let kind = its.how.join().map_or(Kind::Inner, |(kind, _)| kind);
        let filter = bound.filter.iter().map(|condition| (condition, kind == Kind::Inner));
        for (condition, needed) in filter.chain(on.iter().map(|condition| (condition, true))) {
            let Some((term, spans)) = spans(condition) else { continue };
            // A row without a partner may pass as well, and a partner then matters by being there.
            if !needed && holds_null(&spans) {
                continue;
            }
            match subject(its, relation, term) {
                Some(Subject::Field(path)) => {
                    let known = constraints.fields.remove(&path);
                    constraints.fields.insert(path, both(known, spans));
                }
                Some(Subject::Id) => constraints.id = Some(both(constraints.id.take(), spans)),
                None => {}
            }
        }
        constraints
    }

    /// Whether a field can have one value only.
    pub(crate) fn fixes(&self, path: &FieldPath) -> bool {
        self.fields.get(path).is_some_and(|spans| matches!(spans.as_slice(), [Span::Point(_)]))
    }

    /// Whether a field cannot be null.
    pub(crate) fn excludes_null(&self, path: &FieldPath) -> bool {
        self.fields.get(path).is_some_and(|spans| !holds_null(spans))
    }
}

fn holds_null(spans: &[Span]) -> bool {
    let null = encoded_index(&Datum::Null);
    spans.iter().any(|span| span.range().contains(&null))
}

fn subject(relation: &Relation, nth: usize, term: &Expr) -> Option<Subject> {
    let (place, steps) = match term {
        Expr::Id(of) if *of == nth => return Some(Subject::Id),
        Expr::Field(place) => (place, vec![]),
        Expr::Part(place, steps) => (place, steps.clone()),
        _ => return None,
    };
    let Place { relation: of, slot } = *place;
    let field = relation.fields.names.get(slot).filter(|_| of == nth)?.clone();
    Some(Subject::Field(FieldPath { field, steps }))
}

/// The term that a condition is about, and where it must lie.
fn spans(condition: &Expr) -> Option<(&Expr, Vec<Span>)> {
    match condition {
        Expr::Compare(comparison, left, right) => match (&**left, &**right) {
            (term, Expr::Constant(value)) => Some((term, compared(*comparison, value)?)),
            (Expr::Constant(value), term) => Some((term, compared(turned(*comparison), value)?)),
            _ => None,
        },
        Expr::Same { left, right, negated: false } => match (&**left, &**right) {
            (term, Expr::Constant(value)) | (Expr::Constant(value), term) => Some((term, vec![point(value)])),
            _ => None,
        },
        Expr::IsNull { term, negated: false } => Some((term, vec![point(&Value::Null)])),
        Expr::IsNull { term, negated: true } => Some((term, vec![known()])),
        Expr::InSet { term, set, negated: false } => Some((term, points(set.values().iter().map(point)))),
        Expr::LikePattern { term, pattern, negated: false } => {
            if let Some(text) = pattern.exactly() {
                return Some((term, vec![point(&Value::Text(text.to_owned()))]));
            }
            let prefix = pattern.prefix()?;
            Some((term, vec![Span::Range(KeyRange::prefix(text_prefix(&prefix)))]))
        }
        Expr::Any(conditions) => any(conditions),
        _ => None,
    }
}

/// Several values for the same term.
fn any(conditions: &[Expr]) -> Option<(&Expr, Vec<Span>)> {
    let mut all = vec![];
    let mut about: Option<&Expr> = None;
    for condition in conditions {
        let (term, spans) = spans(condition)?;
        let is_same = about.is_none_or(|about| about == term);
        if !is_same || !spans.iter().all(|span| matches!(span, Span::Point(_))) {
            return None;
        }
        about = Some(term);
        all.extend(spans);
    }
    Some((about?, points(all.into_iter())))
}

fn points(spans: impl Iterator<Item = Span>) -> Vec<Span> {
    let mut spans: Vec<Span> = spans.collect();
    spans.sort();
    spans.dedup();
    spans
}

fn point(value: &Value) -> Span {
    Span::Point(encoded_index(&Datum::borrowed(value)))
}

/// Everything but null.
fn known() -> Span {
    let mut null = vec![];
    encode_index(&Datum::Null, &mut null);
    Span::Range(KeyRange { from: after_prefix(&null).unwrap_or_default(), to: None })
}

/// Where a value must lie that compares so with `value`; nowhere if that is null.
fn compared(comparison: Comparison, value: &Value) -> Option<Vec<Span>> {
    let datum = Datum::borrowed(value);
    if datum.is_null() {
        return Some(vec![]);
    }
    let key = encoded_index(&datum);
    let after = after_prefix(&key);
    // A value that the index cuts has others, greater and less, at the same key.
    let cut = is_cut(&datum);
    let Span::Range(KeyRange { from: least, .. }) = known() else { return None };
    let range = match comparison {
        Comparison::Equal => return Some(vec![Span::Point(key)]),
        Comparison::NotEqual => return None,
        Comparison::Less if !cut => KeyRange { from: least, to: Some(key) },
        Comparison::Less | Comparison::LessOrEqual => KeyRange { from: least, to: after },
        Comparison::Greater if !cut => KeyRange { from: after?, to: None },
        Comparison::Greater | Comparison::GreaterOrEqual => KeyRange { from: key, to: None },
    };
    Some(vec![Span::Range(range)])
}

fn turned(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        same => same,
    }
}

/// What lies in both; both ascend.
fn both(known: Option<Vec<Span>>, new: Vec<Span>) -> Vec<Span> {
    let Some(known) = known else { return new };
    let mut spans = vec![];
    for left in &known {
        for right in &new {
            spans.extend(overlap(left, right));
        }
    }
    spans
}

fn overlap(left: &Span, right: &Span) -> Option<Span> {
    match (left, right) {
        (Span::Point(point), other) | (other, Span::Point(point)) => {
            other.range().contains(point).then(|| Span::Point(point.clone()))
        }
        (Span::Range(left), Span::Range(right)) => {
            let to = match (&left.to, &right.to) {
                (Some(left), Some(right)) => Some(left.min(right).clone()),
                (left, right) => left.clone().or_else(|| right.clone()),
            };
            let range = KeyRange { from: left.from.clone().max(right.from.clone()), to };
            (!range.is_empty()).then_some(Span::Range(range))
        }
    }
}
