//! Terms with every name looked up and every parameter in place, ready to be computed for a row.
//!
//! One rule covers what SQL leaves open: **an operator on a value of a kind that it is not for gives null.** Nothing is
//! converted silently.

mod arithmetic;
mod eval;
mod like;
mod search;

pub(crate) use arithmetic::{Number, number};
pub(crate) use eval::Env;
pub(crate) use like::Pattern;
pub(crate) use search::{Search, SearchError};

use crate::datum::{Datum, Step};
use crate::order::compare;
use crate::syntax::{Arithmetic, Comparison, Function};
use reknit_types::Value;

/// A compiled term.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expr {
    Constant(Value),
    /// The id of the entity of a relation.
    Id(usize),
    Field(Place),
    Part(Place, Vec<Step>),
    /// A key of `GROUP BY`.
    Key(usize),
    /// The result of an aggregate.
    Aggregate(usize),
    Negate(Box<Expr>),
    Not(Box<Expr>),
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    Same {
        left: Box<Expr>,
        right: Box<Expr>,
        negated: bool,
    },
    IsNull {
        term: Box<Expr>,
        negated: bool,
    },
    IsTruth {
        term: Box<Expr>,
        truth: bool,
        negated: bool,
    },
    In {
        term: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    InSet {
        term: Box<Expr>,
        set: ValueSet,
        negated: bool,
    },
    Like {
        term: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<char>,
        fold: bool,
        negated: bool,
    },
    LikePattern {
        term: Box<Expr>,
        pattern: Pattern,
        negated: bool,
    },
    Match(Box<Expr>, Search),
    Case {
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Call(Function, Vec<Expr>),
}

/// A field of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) relation: usize,
    pub(crate) slot: usize,
}

/// The constants of an `IN`, sorted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ValueSet {
    sorted: Vec<Value>,
    /// Whether null is among them, so that a value which is not found is not known to be absent.
    null: bool,
}

impl ValueSet {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        let all = values.len();
        let mut sorted: Vec<Value> = values.into_iter().filter(|value| *value != Value::Null).collect();
        let null = sorted.len() < all;
        sorted.sort_by(|left, right| compare(&Datum::borrowed(left), &Datum::borrowed(right)));
        sorted.dedup_by(|left, right| compare(&Datum::borrowed(left), &Datum::borrowed(right)).is_eq());
        Self { sorted, null }
    }

    pub(crate) fn values(&self) -> &[Value] {
        &self.sorted
    }

    fn contains(&self, datum: &Datum<'_>) -> Option<bool> {
        if datum.is_null() {
            // Nothing is in an empty list, not even what is not known.
            return if self.sorted.is_empty() && !self.null { Some(false) } else { None };
        }
        let found = self.sorted.binary_search_by(|value| compare(&Datum::borrowed(value), datum)).is_ok();
        if found { Some(true) } else { (!self.null).then_some(false) }
    }
}

impl Expr {
    /// The terms directly below.
    pub(crate) fn parts(&self) -> Vec<&Expr> {
        match self {
            Self::Constant(_)
            | Self::Id(_)
            | Self::Field(_)
            | Self::Part(..)
            | Self::Key(_)
            | Self::Aggregate(_) => {
                vec![]
            }
            Self::Negate(term)
            | Self::Not(term)
            | Self::IsNull { term, .. }
            | Self::IsTruth { term, .. }
            | Self::InSet { term, .. }
            | Self::LikePattern { term, .. }
            | Self::Match(term, _) => vec![term],
            Self::All(terms) | Self::Any(terms) | Self::Call(_, terms) => terms.iter().collect(),
            Self::Arithmetic(_, left, right)
            | Self::Compare(_, left, right)
            | Self::Same { left, right, .. }
            | Self::Like { term: left, pattern: right, .. } => vec![left, right],
            Self::In { term, list, .. } => std::iter::once(&**term).chain(list).collect(),
            Self::Case { branches, otherwise } => {
                let branches = branches.iter().flat_map(|(when, then)| [when, then]);
                branches.chain(otherwise.as_deref()).collect()
            }
        }
    }

    /// Shows every relation that the term reads from.
    pub(crate) fn relations(&self, visit: &mut dyn FnMut(usize)) {
        match self {
            Self::Id(relation) => visit(*relation),
            Self::Field(place) | Self::Part(place, _) => visit(place.relation),
            _ => self.parts().into_iter().for_each(|part| part.relations(visit)),
        }
    }

    /// Whether all relations it reads from are among the first `count`.
    pub(crate) fn reads_only(&self, count: usize) -> bool {
        let mut only = true;
        self.relations(&mut |relation| only &= relation < count);
        only
    }

    /// The term itself, or what it comes to if it always comes to the same.
    pub(crate) fn folded(self) -> Self {
        let constant = !matches!(
            self,
            Self::Id(_) | Self::Field(_) | Self::Part(..) | Self::Key(_) | Self::Aggregate(_)
        ) && self.parts().iter().all(|part| matches!(part, Self::Constant(_)));
        if !constant {
            return self;
        }
        match self.eval(&Env::default()) {
            Ok(value) => Self::Constant(value.into_value()),
            Err(_) => self,
        }
    }
}
