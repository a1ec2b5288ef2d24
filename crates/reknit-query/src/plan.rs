//! How a query will be run: where its rows are read, and whether they come in order.

mod choose;
mod constraint;
mod explain;

pub(crate) use constraint::{Constraints, Span};

use crate::bound::{Bound, How};
use crate::expr::Expr;
use crate::source::{Direction, IndexInfo, KeyRange};
use reknit_types::EntityId;

/// A query and the way to run it. Which way is taken changes what a query costs, never what it finds.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) bound: Bound,
    pub(crate) access: Access,
    pub(crate) delivery: Delivery,
    /// The order keys that the components behind the fixed ones stand for, where rows are delivered in runs.
    pub(crate) delivered: Vec<usize>,
    /// For each number of relations, the conditions that can be asked once they are there.
    pub(crate) conditions: Vec<Vec<Expr>>,
    /// For each relation, the index that leads to its rows.
    pub(crate) partner_indexes: Vec<Option<IndexInfo>>,
    /// For each relation, the index that leads from it back to the first.
    pub(crate) reverse_indexes: Vec<Option<IndexInfo>>,
}

/// Where the rows of the collection of `FROM` come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Access {
    Scan(Direction),
    /// The conditions name the entities.
    Entities(Vec<EntityId>),
    Index(IndexAccess),
    /// Entities that are in both.
    Intersection(IndexAccess, IndexAccess),
    /// The entities whose reference leads to those that the first finds, by an index of the reference.
    Through(IndexAccess, IndexInfo),
}

/// Parts of an index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IndexAccess {
    pub(crate) index: IndexInfo,
    /// Ascending, and apart from each other.
    pub(crate) ranges: Vec<KeyRange>,
    pub(crate) direction: Direction,
    /// The components that all entries begin with, and how many they are.
    pub(crate) fixed: Vec<u8>,
    pub(crate) fixed_components: usize,
    /// What is asked of the index, for people.
    pub(crate) asks: String,
}

impl IndexAccess {
    /// Whether all entries have the same key, so that they are in the order of their entities.
    pub(crate) fn sorted_ids(&self) -> bool {
        self.ranges.len() == 1 && self.fixed_components == self.index.fields.len()
    }
}

/// In what order the rows of the collection of `FROM` come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// In none that helps: the result is sorted.
    Unordered,
    /// By id, as the result is.
    ById(Direction),
    /// Rows that share so many components of the index's key come together, and these runs come in order.
    Runs(usize),
}

impl Bound {
    /// Decides how to run the query with these indexes.
    pub fn plan(&self, indexes: &[IndexInfo]) -> Plan {
        let constraints = Constraints::of(self, 0);
        let reverse_indexes = self.reverse_indexes(indexes);
        let choice = choose::choose(self, &constraints, indexes, &reverse_indexes);
        let mut conditions = vec![vec![]; self.relations.len()];
        for condition in &self.filter {
            let mut last = 0;
            condition.relations(&mut |relation| last = last.max(relation));
            if let Some(conditions) = conditions.get_mut(last) {
                conditions.push(condition.clone());
            }
        }
        let partner_indexes = self.relations.iter().map(|relation| match &relation.how {
            How::Equal { field, .. } => {
                let leads = |index: &&IndexInfo| {
                    index.collection == relation.fields.collection && index.fields.first() == Some(field)
                };
                indexes.iter().find(leads).cloned()
            }
            _ => None,
        });
        let partner_indexes = partner_indexes.collect();
        let choose::Choice { access, delivery, delivered, .. } = choice;
        Plan {
            bound: self.clone(),
            access,
            delivery,
            delivered,
            conditions,
            partner_indexes,
            reverse_indexes,
        }
    }
}

impl Plan {
    /// The query.
    pub fn query(&self) -> &Bound {
        &self.bound
    }
}
