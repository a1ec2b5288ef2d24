//! Collections that lie in memory: the smallest [`Source`], for tests, examples and small data.

use crate::datum::Datum;
use crate::error::SourceError;
use crate::source::{Direction, Fields, IndexInfo, Lookup, Row, Scan, Source, Visit, VisitEntry};
use reknit_types::{EntityId, Name, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

/// Collections in memory, with their indexes.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    collections: BTreeMap<Name, BTreeMap<EntityId, Record>>,
    indexes: Vec<(IndexInfo, Entries)>,
}

/// The entries of an index.
type Entries = BTreeSet<(Vec<u8>, EntityId)>;

/// The fields of an entity.
pub type Record = BTreeMap<Name, Value>;

impl Memory {
    /// No collections.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an index, over what is there already too.
    pub fn add_index(&mut self, index: IndexInfo) {
        let mut entries = BTreeSet::new();
        for (entity, record) in self.collections.get(&index.collection).into_iter().flatten() {
            entries.insert((key(&index, record), *entity));
        }
        self.indexes.push((index, entries));
    }

    /// The indexes that there are.
    pub fn indexes(&self) -> Vec<IndexInfo> {
        self.indexes.iter().map(|(index, _)| index.clone()).collect()
    }

    /// The fields of an entity.
    pub fn record(&self, collection: &Name, entity: EntityId) -> Option<&Record> {
        self.collections.get(collection)?.get(&entity)
    }

    /// Puts an entity in, in place of what it was; `None` takes it out. Returns what it was.
    pub fn put(&mut self, collection: &Name, entity: EntityId, record: Option<Record>) -> Option<Record> {
        let entities = self.collections.entry(collection.clone()).or_default();
        let old = match &record {
            Some(record) => entities.insert(entity, record.clone()),
            None => entities.remove(&entity),
        };
        for (index, entries) in self.indexes.iter_mut().filter(|(index, _)| index.collection == *collection) {
            if let Some(old) = &old {
                entries.remove(&(key(index, old), entity));
            }
            if let Some(record) = &record {
                entries.insert((key(index, record), entity));
            }
        }
        old
    }
}

fn key(index: &IndexInfo, record: &Record) -> Vec<u8> {
    let value = |field| record.get(field).map_or(Datum::Null, Datum::borrowed);
    IndexInfo::key(index.fields.iter().map(|path| path.pick(value(&path.field))))
}

/// An entity in memory.
#[derive(Debug)]
pub struct MemoryRow<'m> {
    fields: &'m Fields,
    entity: EntityId,
    record: &'m Record,
}

impl<'m> MemoryRow<'m> {
    /// The row of a record.
    pub fn new(fields: &'m Fields, entity: EntityId, record: &'m Record) -> Self {
        Self { fields, entity, record }
    }
}

impl Row for MemoryRow<'_> {
    fn id(&self) -> EntityId {
        self.entity
    }

    fn value(&self, slot: usize) -> Result<Datum<'_>, SourceError> {
        let name = self.fields.names.get(slot);
        Ok(name.and_then(|name| self.record.get(name)).map_or(Datum::Null, Datum::borrowed))
    }
}

impl Source for Memory {
    fn scan(&self, scan: &Scan<'_>, visit: &mut Visit<'_>) -> Result<(), SourceError> {
        let Some(entities) = self.collections.get(&scan.fields.collection) else { return Ok(()) };
        let mut show = |(entity, record): (&EntityId, &Record)| {
            visit(&MemoryRow { fields: scan.fields, entity: *entity, record })
        };
        let from = scan.from.map_or(Bound::Unbounded, Bound::Included);
        let _ = match scan.direction {
            Direction::Forward => entities.range((from, Bound::Unbounded)).try_for_each(&mut show),
            Direction::Backward => entities.range((Bound::Unbounded, from)).rev().try_for_each(&mut show),
        };
        Ok(())
    }

    fn entity<'s>(
        &'s self,
        fields: &'s Fields,
        entity: EntityId,
    ) -> Result<Option<Box<dyn Row + 's>>, SourceError> {
        let record = self.record(&fields.collection, entity);
        Ok(record.map(|record| Box::new(MemoryRow { fields, entity, record }) as Box<dyn Row>))
    }

    fn index(&self, lookup: &Lookup<'_>, visit: &mut VisitEntry<'_>) -> Result<(), SourceError> {
        let known = self.indexes.iter().find(|(index, _)| index == lookup.index);
        let Some((_, entries)) = known else {
            return Err(SourceError::new(format!("there is no index {}", lookup.index.name)));
        };
        let least = (lookup.range.from.clone(), EntityId::from_bytes([0; 16]));
        let end = lookup.range.to.clone().map(|to| (to, EntityId::from_bytes([0; 16])));
        let end = end.map_or(Bound::Unbounded, Bound::Excluded);
        let from = lookup.from.map(|(key, entity)| (key.to_vec(), entity));
        let mut show = |entry: &(Vec<u8>, EntityId)| -> ControlFlow<()> { visit(&entry.0, entry.1) };
        if lookup.range.is_empty() {
            return Ok(());
        }
        let _ = match lookup.direction {
            Direction::Forward => {
                let from = from.map_or(least.clone(), |from| from.max(least));
                entries.range((Bound::Included(from), end)).try_for_each(&mut show)
            }
            Direction::Backward => {
                let end = from.map_or(end, Bound::Included);
                entries.range((Bound::Included(least), end)).rev().try_for_each(&mut show)
            }
        };
        Ok(())
    }
}
