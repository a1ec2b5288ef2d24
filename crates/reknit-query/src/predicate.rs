//! Which of many live queries a change can affect, found without asking each.
//!
//! Of every collection that a query reads, one condition on one field is picked that a row must meet to matter: a value, a
//! few values, or a range. The values that a row had and has then lead to the queries.

mod intervals;

use crate::bound::Bound;
use crate::datum::Datum;
use crate::error::SourceError;
use crate::key::encoded_index;
use crate::plan::{Constraints, Span};
use crate::source::FieldPath;
use intervals::Intervals;
use reknit_types::{EntityId, Name};
use std::collections::{BTreeMap, BTreeSet};

/// Names a live query.
pub type LiveId = u64;

/// Live queries by what they ask for.
#[derive(Debug, Clone, Default)]
pub struct PredicateIndex {
    collections: BTreeMap<Name, Watched>,
    /// For each query, what it is found by.
    queries: BTreeMap<LiveId, Vec<Watch>>,
}

/// A query's interest in a collection.
#[derive(Debug, Clone)]
struct Watch {
    collection: Name,
    fields: BTreeSet<Name>,
    condition: Condition,
}

#[derive(Debug, Clone)]
enum Condition {
    /// Every entity may matter.
    None,
    Id(Vec<Span>),
    Field(FieldPath, Vec<Span>),
}

/// The queries that read a collection.
#[derive(Debug, Clone, Default)]
struct Watched {
    by_id: Lookups,
    by_field: BTreeMap<FieldPath, Lookups>,
    /// Those that every entity may matter to, by the fields that they read.
    unconditional: BTreeMap<Name, BTreeSet<LiveId>>,
    /// Those that every entity may matter to.
    all_unconditional: BTreeSet<LiveId>,
}

#[derive(Debug, Clone, Default)]
struct Lookups {
    points: BTreeMap<Vec<u8>, BTreeSet<LiveId>>,
    ranges: Intervals,
}

/// An entity before or after a change.
pub enum Side<'a> {
    /// It was not there, or is not there any more.
    Absent,
    /// It is not known what it was.
    Unknown,
    /// Its fields.
    Fields(&'a dyn FieldValues),
}

/// The fields of an entity, read as they are asked for.
pub trait FieldValues {
    /// The value of a field; null if the entity does not have it.
    ///
    /// # Errors
    /// Whatever keeps it from reading.
    fn field(&self, name: &Name) -> Result<Datum<'_>, SourceError>;
}

impl FieldValues for BTreeMap<Name, reknit_types::Value> {
    fn field(&self, name: &Name) -> Result<Datum<'_>, SourceError> {
        Ok(self.get(name).map_or(Datum::Null, Datum::borrowed))
    }
}

/// A change of an entity.
pub struct RowChange<'a> {
    /// Its collection.
    pub collection: &'a Name,
    /// Its id.
    pub entity: EntityId,
    /// What it was.
    pub before: Side<'a>,
    /// What it is.
    pub after: Side<'a>,
    /// The fields that changed, if it was there before and after.
    pub fields: &'a [Name],
}

impl RowChange<'_> {
    /// Whether the entity came or went, or that cannot be told.
    fn comes_or_goes(&self) -> bool {
        !matches!((&self.before, &self.after), (Side::Fields(_), Side::Fields(_)))
    }
}

impl PredicateIndex {
    /// Nothing is watched.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many queries there are.
    pub fn len(&self) -> usize {
        self.queries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty()
    }

    /// Adds a query, in place of the one that had the id before.
    pub fn add(&mut self, id: LiveId, query: &Bound) {
        self.remove(id);
        let watches: Vec<Watch> = (0..query.relations.len()).map(|relation| watch(query, relation)).collect();
        for watch in &watches {
            self.collections.entry(watch.collection.clone()).or_default().add(id, watch);
        }
        self.queries.insert(id, watches);
    }

    /// Takes a query out.
    pub fn remove(&mut self, id: LiveId) {
        for watch in self.queries.remove(&id).unwrap_or_default() {
            if let Some(watched) = self.collections.get_mut(&watch.collection) {
                watched.remove(id, &watch);
            }
        }
    }

    /// The queries whose result the change may affect. Those that are not among them are not affected.
    ///
    /// # Errors
    /// The fields cannot be read.
    pub fn candidates(&self, change: &RowChange<'_>) -> Result<BTreeSet<LiveId>, SourceError> {
        let mut found = BTreeSet::new();
        let Some(watched) = self.collections.get(change.collection) else { return Ok(found) };
        if !change.comes_or_goes() && change.fields.is_empty() {
            return Ok(found);
        }
        let key = encoded_index(&Datum::Ref(change.entity.to_bytes()));
        watched.by_id.find(&key, &mut found);
        for (path, lookups) in &watched.by_field {
            lookups.find_sides(path, change, &mut found)?;
        }
        if change.comes_or_goes() {
            found.extend(&watched.all_unconditional);
            return Ok(found);
        }
        found.retain(|id| self.reads_any(*id, change));
        for field in change.fields {
            found.extend(watched.unconditional.get(field).into_iter().flatten());
        }
        Ok(found)
    }

    /// Whether a query reads one of the fields that changed.
    fn reads_any(&self, id: LiveId, change: &RowChange<'_>) -> bool {
        let watches = self.queries.get(&id).into_iter().flatten();
        let mut here = watches.filter(|watch| watch.collection == *change.collection);
        here.any(|watch| change.fields.iter().any(|field| watch.fields.contains(field)))
    }
}

impl Watched {
    fn add(&mut self, id: LiveId, watch: &Watch) {
        match &watch.condition {
            Condition::Id(spans) => self.by_id.add(id, spans),
            Condition::Field(path, spans) => self.by_field.entry(path.clone()).or_default().add(id, spans),
            Condition::None => {
                self.all_unconditional.insert(id);
                for field in &watch.fields {
                    self.unconditional.entry(field.clone()).or_default().insert(id);
                }
            }
        }
    }

    fn remove(&mut self, id: LiveId, watch: &Watch) {
        match &watch.condition {
            Condition::Id(spans) => self.by_id.remove(id, spans),
            Condition::Field(path, spans) => {
                if let Some(lookups) = self.by_field.get_mut(path) {
                    lookups.remove(id, spans);
                    if lookups.is_empty() {
                        self.by_field.remove(path);
                    }
                }
            }
            Condition::None => {
                self.all_unconditional.remove(&id);
                for field in &watch.fields {
                    if let Some(ids) = self.unconditional.get_mut(field) {
                        ids.remove(&id);
                        if ids.is_empty() {
                            self.unconditional.remove(field);
                        }
                    }
                }
            }
        }
    }
}

impl Lookups {
    fn add(&mut self, id: LiveId, spans: &[Span]) {
        for span in spans {
            match span {
                Span::Point(key) => {
                    self.points.entry(key.clone()).or_default().insert(id);
                }
                Span::Range(range) => self.ranges.insert(range, id),
            }
        }
    }

    fn remove(&mut self, id: LiveId, spans: &[Span]) {
        for span in spans {
            match span {
                Span::Point(key) => {
                    if let Some(ids) = self.points.get_mut(key) {
                        ids.remove(&id);
                        if ids.is_empty() {
                            self.points.remove(key);
                        }
                    }
                }
                Span::Range(range) => self.ranges.remove(range, id),
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.points.is_empty() && self.ranges.is_empty()
    }

    fn find(&self, key: &[u8], found: &mut BTreeSet<LiveId>) {
        found.extend(self.points.get(key).into_iter().flatten());
        self.ranges.containing(key, &mut |id| {
            found.insert(id);
        });
    }

    fn find_all(&self, found: &mut BTreeSet<LiveId>) {
        found.extend(self.points.values().flatten());
        self.ranges.all(&mut |id| {
            found.insert(id);
        });
    }

    fn find_sides(
        &self,
        path: &FieldPath,
        change: &RowChange<'_>,
        found: &mut BTreeSet<LiveId>,
    ) -> Result<(), SourceError> {
        let mut first = None;
        for side in [&change.before, &change.after] {
            match side {
                Side::Absent => {}
                Side::Unknown => {
                    self.find_all(found);
                    return Ok(());
                }
                Side::Fields(fields) => {
                    let key = encoded_index(&path.pick(fields.field(&path.field)?));
                    if first.as_ref() != Some(&key) {
                        self.find(&key, found);
                    }
                    first = Some(key);
                }
            }
        }
        Ok(())
    }
}

/// How a query is found by changes of a collection that it reads.
fn watch(query: &Bound, relation: usize) -> Watch {
    let fields = &query.relations[relation].fields;
    let constraints = Constraints::of(query, relation);
    let best = constraints.fields.into_iter().min_by_key(|(_, spans)| breadth(spans));
    let condition = match (constraints.id, best) {
        (Some(spans), _) => Condition::Id(spans),
        (None, Some((path, spans))) => Condition::Field(path, spans),
        (None, None) => Condition::None,
    };
    Watch { collection: fields.collection.clone(), fields: fields.names.iter().cloned().collect(), condition }
}

/// Fewer values before more, and those before ranges, bounded ones first.
fn breadth(spans: &[Span]) -> usize {
    let of = |span: &Span| match span {
        Span::Point(_) => 1,
        Span::Range(range) if range.to.is_some() => 1_000,
        Span::Range(_) => 1_000_000,
    };
    spans.iter().map(of).sum()
}

#[cfg(test)]
mod tests;
