//! What was written, before names are looked up.

use crate::error::Position;
use reknit_types::Value;

/// A whole query.
#[derive(Debug, Clone)]
pub(crate) struct Select {
    pub(crate) distinct: bool,
    pub(crate) items: Vec<Item>,
    pub(crate) from: Table,
    pub(crate) joins: Vec<Join>,
    pub(crate) filter: Option<Term>,
    pub(crate) group: Vec<Term>,
    pub(crate) having: Option<Term>,
    pub(crate) order: Vec<OrderKey>,
    pub(crate) limit: Option<Term>,
    pub(crate) offset: Option<Term>,
    /// How many `?` there are.
    pub(crate) positional: usize,
}

/// A column of the result.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    /// `*`, or `a.*`.
    All {
        table: Option<String>,
        at: Position,
    },
    Term {
        term: Term,
        name: String,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) collection: String,
    pub(crate) alias: String,
    pub(crate) at: Position,
}

#[derive(Debug, Clone)]
pub(crate) struct Join {
    pub(crate) table: Table,
    /// A row without a partner stays.
    pub(crate) left: bool,
    pub(crate) on: Term,
}

#[derive(Debug, Clone)]
pub(crate) struct OrderKey {
    pub(crate) term: Term,
    pub(crate) descending: bool,
    /// Where nulls go, if it was said.
    pub(crate) nulls_first: Option<bool>,
}

/// A term and where it begins.
#[derive(Debug, Clone)]
pub(crate) struct Term {
    pub(crate) at: Position,
    pub(crate) kind: TermKind,
}

#[derive(Debug, Clone)]
pub(crate) enum TermKind {
    Literal(Value),
    Positional(usize),
    Named(String),
    Path(Vec<String>),
    Negate(Box<Term>),
    Not(Box<Term>),
    All(Vec<Term>),
    Any(Vec<Term>),
    Arithmetic(Arithmetic, Box<Term>, Box<Term>),
    Compare(Comparison, Box<Term>, Box<Term>),
    Same { left: Box<Term>, right: Box<Term>, negated: bool },
    IsNull { term: Box<Term>, negated: bool },
    IsTruth { term: Box<Term>, truth: bool, negated: bool },
    In { term: Box<Term>, list: Vec<Term>, negated: bool },
    Like { term: Box<Term>, pattern: Box<Term>, escape: Option<char>, fold: bool, negated: bool },
    Match(Box<Term>, Box<Term>),
    Case { branches: Vec<(Term, Term)>, otherwise: Option<Box<Term>> },
    Call(Function, Vec<Term>),
    Aggregate(Aggregate),
}

#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    pub(crate) function: AggregateFunction,
    pub(crate) distinct: bool,
    /// `None` for `COUNT(*)`.
    pub(crate) argument: Option<Box<Term>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AggregateFunction {
    Count,
    Sum,
    Min,
    Max,
    Avg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Lower,
    Upper,
    Length,
    Abs,
    Coalesce,
    NullIf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Concat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Term {
    pub(crate) fn new(at: Position, kind: TermKind) -> Self {
        Self { at, kind }
    }

    /// Whether an aggregate is in it.
    pub(crate) fn aggregates(&self) -> bool {
        matches!(self.kind, TermKind::Aggregate(_)) || self.parts().iter().any(|part| part.aggregates())
    }

    /// The terms directly below.
    pub(crate) fn parts(&self) -> Vec<&Term> {
        match &self.kind {
            TermKind::Literal(_) | TermKind::Positional(_) | TermKind::Named(_) | TermKind::Path(_) => vec![],
            TermKind::Negate(term)
            | TermKind::Not(term)
            | TermKind::IsNull { term, .. }
            | TermKind::IsTruth { term, .. } => vec![term],
            TermKind::All(terms) | TermKind::Any(terms) | TermKind::Call(_, terms) => terms.iter().collect(),
            TermKind::Arithmetic(_, left, right)
            | TermKind::Compare(_, left, right)
            | TermKind::Same { left, right, .. }
            | TermKind::Like { term: left, pattern: right, .. }
            | TermKind::Match(left, right) => vec![left, right],
            TermKind::In { term, list, .. } => std::iter::once(&**term).chain(list).collect(),
            TermKind::Case { branches, otherwise } => {
                let branches = branches.iter().flat_map(|(when, then)| [when, then]);
                branches.chain(otherwise.as_deref()).collect()
            }
            TermKind::Aggregate(aggregate) => aggregate.argument.as_deref().into_iter().collect(),
        }
    }
}
