//! Where rows come from.

use crate::datum::{Datum, Step};
use crate::error::SourceError;
use crate::key::encode_index;
use reknit_types::{EntityId, Name};
use std::fmt;
use std::ops::ControlFlow;

/// One state of the collections, which does not change while a query reads it.
///
/// Everything reads lazily: a row is asked only for the fields that a query comes to need.
pub trait Source {
    /// Shows the entities of `scan.collection` that are not deleted, in the order of their ids, until told to stop.
    ///
    /// # Errors
    /// Whatever keeps it from reading.
    fn scan(&self, scan: &Scan<'_>, visit: &mut Visit<'_>) -> Result<(), SourceError>;

    /// The entity, unless it is deleted or was never seen.
    ///
    /// # Errors
    /// Whatever keeps it from reading.
    fn entity<'s>(
        &'s self,
        fields: &'s Fields,
        entity: EntityId,
    ) -> Result<Option<Box<dyn Row + 's>>, SourceError>;

    /// Shows the entries of an index whose keys lie in `range`, ascending by key and then entity or the other way
    /// round, until told to stop.
    ///
    /// # Errors
    /// Whatever keeps it from reading.
    fn index(&self, lookup: &Lookup<'_>, visit: &mut VisitEntry<'_>) -> Result<(), SourceError>;
}

/// Is shown a row, and says whether to go on.
pub type Visit<'v> = dyn FnMut(&dyn Row) -> ControlFlow<()> + 'v;

/// Is shown the key and entity of an entry, and says whether to go on.
pub type VisitEntry<'v> = dyn FnMut(&[u8], EntityId) -> ControlFlow<()> + 'v;

/// An entity, as far as a query asks for it.
pub trait Row {
    /// Its id.
    fn id(&self) -> EntityId;

    /// The value of the field at `slot` of the [`Fields`] the row was asked for with; null if it does not have it. May
    /// be asked more than once.
    ///
    /// # Errors
    /// Whatever keeps it from reading.
    fn value(&self, slot: usize) -> Result<Datum<'_>, SourceError>;
}

/// A collection and the fields of it that a query may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// The collection.
    pub collection: Name,
    /// The fields, each at its slot.
    pub names: Vec<Name>,
}

impl Fields {
    /// The slot of a field, which is added if it is not there yet.
    pub(crate) fn slot(&mut self, name: &Name) -> usize {
        if let Some(slot) = self.names.iter().position(|known| known == name) {
            return slot;
        }
        self.names.push(name.clone());
        self.names.len() - 1
    }
}

/// A walk over a collection.
#[derive(Debug, Clone)]
pub struct Scan<'a> {
    /// The collection, and what will be asked of its rows.
    pub fields: &'a Fields,
    /// Begin with this entity, or behind where it would be, in the direction of the walk.
    pub from: Option<EntityId>,
    /// Which way.
    pub direction: Direction,
}

/// Which way keys or ids are walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the least.
    Forward,
    /// From the greatest.
    Backward,
}

/// A walk over a part of an index.
#[derive(Debug, Clone)]
pub struct Lookup<'a> {
    /// The index.
    pub index: &'a IndexInfo,
    /// The part.
    pub range: &'a KeyRange,
    /// Begin with this entry, or behind where it would be, in the direction of the walk.
    pub from: Option<(&'a [u8], EntityId)>,
    /// Which way.
    pub direction: Direction,
}

/// An index: for every entity of a collection that is not deleted an entry `(key, entity)`, the key as
/// [`IndexInfo::key`] makes it. Entities that lack a field have an entry too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexInfo {
    /// What it is called.
    pub name: String,
    /// The collection that it is an index of.
    pub collection: Name,
    /// What it sorts by.
    pub fields: Vec<FieldPath>,
}

impl IndexInfo {
    /// The key of the entry of an entity whose fields, in the order of [`IndexInfo::fields`], have these values.
    pub fn key<'d>(values: impl IntoIterator<Item = Datum<'d>>) -> Vec<u8> {
        let mut key = vec![];
        values.into_iter().for_each(|value| encode_index(&value, &mut key));
        key
    }
}

/// A field, or what lies inside a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath {
    /// The field.
    pub field: Name,
    /// The way into its document; empty for the field itself.
    pub steps: Vec<Step>,
}

impl FieldPath {
    /// The value that the path leads to, from the value of the field.
    pub fn pick<'d>(&self, field: Datum<'d>) -> Datum<'d> {
        if self.steps.is_empty() { field } else { field.into_part(&self.steps) }
    }
}

impl From<Name> for FieldPath {
    fn from(field: Name) -> Self {
        Self { field, steps: vec![] }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.field)?;
        self.steps.iter().try_for_each(|step| write!(f, ".{}", step.as_str()))
    }
}

/// The keys from `from`, and below `to` if that is given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyRange {
    /// The least key.
    pub from: Vec<u8>,
    /// The least key that is too great.
    pub to: Option<Vec<u8>>,
}

impl KeyRange {
    /// All keys that begin so.
    pub fn prefix(prefix: Vec<u8>) -> Self {
        Self { to: crate::key::after_prefix(&prefix), from: prefix }
    }

    /// Whether the key lies in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.from.as_slice() && self.to.as_ref().is_none_or(|to| key < to.as_slice())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| *to <= self.from)
    }
}
