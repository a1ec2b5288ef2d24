//! A query whose names are looked up and whose parameters are in place.

use crate::error::SourceError;
use crate::expr::{Env, Expr, Place};
use crate::source::{FieldPath, Fields, Row};
use crate::syntax::AggregateFunction;
use reknit_types::Name;

/// A query that is ready to be planned, matched against single rows, or kept alive.
#[derive(Debug, Clone)]
pub struct Bound {
    /// The first is the collection of `FROM`; every other is found from those before it.
    pub(crate) relations: Vec<Relation>,
    /// All of them must hold.
    pub(crate) filter: Vec<Expr>,
    pub(crate) columns: Vec<String>,
    pub(crate) items: Vec<Expr>,
    pub(crate) distinct: bool,
    pub(crate) grouping: Option<Grouping>,
    pub(crate) order: Vec<OrderBy>,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: u64,
    pub(crate) fingerprint: u64,
}

/// A collection that a query reads.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    pub(crate) fields: Fields,
    /// What it is called in the query; a reference path has no name.
    pub(crate) alias: Option<String>,
    pub(crate) how: How,
}

/// How the rows of a relation are found.
#[derive(Debug, Clone)]
pub(crate) enum How {
    /// It is the collection of `FROM`.
    Base,
    /// The entity whose id `reference` is: at most one.
    Lookup { reference: Expr, join: Kind, on: Vec<Expr> },
    /// The entities whose field equals `with`: any number.
    Equal { field: FieldPath, with: Expr, join: Kind, on: Vec<Expr> },
}

/// What becomes of a row that finds no partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Inner,
    Left,
    /// A reference path: as a left join, and at most one partner.
    Path,
}

#[derive(Debug, Clone)]
pub(crate) struct Grouping {
    pub(crate) keys: Vec<Expr>,
    pub(crate) aggregates: Vec<AggregateExpr>,
    pub(crate) having: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AggregateExpr {
    pub(crate) function: AggregateFunction,
    pub(crate) distinct: bool,
    pub(crate) argument: Option<Expr>,
}

#[derive(Debug, Clone)]
pub(crate) struct OrderBy {
    pub(crate) term: Expr,
    pub(crate) descending: bool,
    pub(crate) nulls_first: bool,
}

/// What a change must touch to matter to a query.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    /// Entities of this collection that come or go, or whose
    pub collection: Name,
    /// fields change.
    pub fields: Vec<Name>,
}

impl Bound {
    /// The names of the columns of the result.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The collection of `FROM`.
    pub fn collection(&self) -> &Name {
        &self.relations[0].fields.collection
    }

    /// What the rows of the collection of `FROM` are asked for.
    pub fn fields(&self) -> &Fields {
        &self.relations[0].fields
    }

    /// How many rows the result has at most, by its `LIMIT`.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Everything that the result depends on: a collection that is joined twice is named twice.
    pub fn depends_on(&self) -> Vec<Dependency> {
        self.relations
            .iter()
            .map(|relation| Dependency {
                collection: relation.fields.collection.clone(),
                fields: relation.fields.names.clone(),
            })
            .collect()
    }

    /// Whether a row of the collection of `FROM` passes `WHERE`: `None` is SQL's unknown, which does not pass. Conditions
    /// on other collections are left out, so `Some(true)` may still not be in the result, and all else is not.
    ///
    /// # Errors
    /// The row cannot be read.
    pub fn matches(&self, row: &dyn Row) -> Result<Option<bool>, SourceError> {
        let env = Env::of(row);
        let mut result = Some(true);
        for condition in self.filter.iter().filter(|condition| condition.reads_only(1)) {
            match condition.truth(&env)? {
                Some(true) => {}
                Some(false) => return Ok(Some(false)),
                None => result = None,
            }
        }
        Ok(result)
    }

    /// Whether every row of the result is one entity of `FROM`, with what it refers to.
    pub(crate) fn is_plain(&self) -> bool {
        self.grouping.is_none() && !self.distinct
    }

    /// The relations whose ids tell the rows of a plain result apart.
    pub(crate) fn identifying(&self) -> impl Iterator<Item = usize> {
        let many = |how: &How| matches!(how, How::Base | How::Equal { .. });
        self.relations.iter().enumerate().filter(move |(_, relation)| many(&relation.how)).map(|(nth, _)| nth)
    }

    /// The path that a term is, if it is a field of the first relation and nothing else.
    pub(crate) fn base_path(&self, term: &Expr) -> Option<FieldPath> {
        let (place, steps) = match term {
            Expr::Field(place) => (place, vec![]),
            Expr::Part(place, steps) => (place, steps.clone()),
            _ => return None,
        };
        let Place { relation: 0, slot } = *place else { return None };
        Some(FieldPath { field: self.relations.first()?.fields.names.get(slot)?.clone(), steps })
    }
}

impl How {
    pub(crate) fn join(&self) -> Option<(Kind, &[Expr])> {
        match self {
            Self::Base => None,
            Self::Lookup { join, on, .. } | Self::Equal { join, on, .. } => Some((*join, on)),
        }
    }
}
