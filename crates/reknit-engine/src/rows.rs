//! The rows of a space as queries read them: lazily, a field at a time, from one state of the store.

mod record;

use crate::error::EngineError;
use crate::layout::{RowKey, SpaceNo, collection_prefix, parse_row_key};
use crate::store::{Direction, Reads, Table, prefix_end};
use record::Place;
use reknit_query::{
    Datum, Direction as Way, Fields, Lookup, Row, Scan, Source, SourceError, Visit, VisitEntry,
};
use reknit_types::{EntityId, Name, Value};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

/// The entities of a space in one state of the store.
pub struct Rows<'a> {
    reads: &'a dyn Reads,
    space: SpaceNo,
    declared: Declared,
}

/// What queries call fields, by the name of the collection: where that differs from what the field is stored under, or
/// where entities that lack the field are read as having something.
pub type Declared = BTreeMap<Name, BTreeMap<Name, Stored>>;

/// A field that was declared.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// What it is stored under.
    pub field: Name,
    /// What entities that lack it are read as having.
    pub default: Option<Value>,
}

impl<'a> Rows<'a> {
    /// Those of `space` in `reads`.
    pub fn new(reads: &'a dyn Reads, space: SpaceNo) -> Self {
        Self { reads, space, declared: Declared::new() }
    }

    /// With what queries call the fields.
    #[must_use]
    pub fn declared(mut self, declared: Declared) -> Self {
        self.declared = declared;
        self
    }

    /// What the fields are stored under.
    fn stored<'f>(&self, fields: &'f Fields) -> Cow<'f, [Name]> {
        match self.declared.get(&fields.collection) {
            None => Cow::Borrowed(&fields.names),
            Some(known) => {
                let stored = |name: &Name| known.get(name).map_or(name, |stored| &stored.field).clone();
                Cow::Owned(fields.names.iter().map(stored).collect())
            }
        }
    }

    fn default_of(&self, fields: &Fields, name: &Name) -> Option<&Value> {
        self.declared.get(&fields.collection)?.get(name)?.default.as_ref()
    }

    /// The names of all fields that entities of the collection have, those deleted left out. Reads the collection.
    ///
    /// # Errors
    /// [`EngineError::Store`] and [`EngineError::Damaged`].
    pub fn fields_of(&self, collection: &Name) -> Result<BTreeSet<Name>, EngineError> {
        let mut names = BTreeSet::new();
        let mut failed = None;
        let prefix = collection_prefix(self.space, collection);
        self.reads.scan_prefix(Table::Rows, &prefix, Direction::Forward, &mut |key, record| {
            let noted = match parse_row_key(key) {
                Some(key) => record::note_fields(self.reads, &key, record, &mut names),
                None => Err(EngineError::Damaged("a row's key".to_owned())),
            };
            match noted {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(names), Err)
    }
}

impl Source for Rows<'_> {
    fn scan(&self, scan: &Scan<'_>, visit: &mut Visit<'_>) -> Result<(), SourceError> {
        let Scan { fields, from, direction } = scan;
        let prefix = collection_prefix(self.space, &fields.collection);
        let end = prefix_end(&prefix);
        let edge = from.map(|entity| {
            RowKey { space: self.space, collection: fields.collection.clone(), entity }.bytes()
        });
        let whole_from = Bound::Included(prefix.as_slice());
        let whole_to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let edge = edge.as_deref().map(Bound::Included);
        let (range, direction) = match direction {
            Way::Forward => ((edge.unwrap_or(whole_from), whole_to), Direction::Forward),
            Way::Backward => ((whole_from, edge.unwrap_or(whole_to)), Direction::Backward),
        };
        let mut failed = None;
        let (stored, mut places) = (self.stored(fields), vec![]);
        self.reads
            .scan(Table::Rows, range, direction, &mut |key, bytes| {
                match record::find(bytes, &stored, &mut places) {
                    Ok(false) => return ControlFlow::Continue(()),
                    Ok(true) => {}
                    Err(error) => failed = Some(EngineError::from(error)),
                }
                match key.last_chunk::<16>() {
                    Some(entity) if failed.is_none() => visit(&StoredRow {
                        rows: self,
                        fields,
                        entity: EntityId::from_bytes(*entity),
                        record: Cow::Borrowed(bytes),
                        stored: Cow::Borrowed(&stored),
                        places: Cow::Borrowed(&places),
                    }),
                    Some(_) => ControlFlow::Break(()),
                    None => {
                        failed = Some(EngineError::Damaged("a row's key".to_owned()));
                        ControlFlow::Break(())
                    }
                }
            })
            .map_err(source_error)?;
        failed.map_or(Ok(()), |error| Err(source_error(error)))
    }

    fn entity<'s>(
        &'s self,
        fields: &'s Fields,
        entity: EntityId,
    ) -> Result<Option<Box<dyn Row + 's>>, SourceError> {
        let key = RowKey { space: self.space, collection: fields.collection.clone(), entity };
        let Some(record) = self.reads.get(Table::Rows, &key.bytes()).map_err(source_error)? else {
            return Ok(None);
        };
        let (stored, mut places) = (self.stored(fields), vec![]);
        if !record::find(&record, &stored, &mut places).map_err(source_error)? {
            return Ok(None);
        }
        let (record, places) = (Cow::Owned(record), Cow::Owned(places));
        Ok(Some(Box::new(StoredRow { rows: self, fields, entity, record, stored, places })))
    }

    fn index(&self, lookup: &Lookup<'_>, _: &mut VisitEntry<'_>) -> Result<(), SourceError> {
        Err(SourceError::new(format!("there is no index {}", lookup.index.name)))
    }
}

/// A row, and where in its record the fields lie.
struct StoredRow<'s> {
    rows: &'s Rows<'s>,
    fields: &'s Fields,
    entity: EntityId,
    record: Cow<'s, [u8]>,
    stored: Cow<'s, [Name]>,
    places: Cow<'s, [Option<Place>]>,
}

impl Row for StoredRow<'_> {
    fn id(&self) -> EntityId {
        self.entity
    }

    fn value(&self, slot: usize) -> Result<Datum<'_>, SourceError> {
        let (Some(name), Some(field)) = (self.fields.names.get(slot), self.stored.get(slot)) else {
            return Ok(Datum::Null);
        };
        let place = self.places.get(slot).copied().flatten();
        let key = || RowKey {
            space: self.rows.space,
            collection: self.fields.collection.clone(),
            entity: self.entity,
        };
        let found = record::value((self.rows.reads, &key), &self.record, field, place);
        let default = || self.rows.default_of(self.fields, name).map_or(Datum::Null, Datum::borrowed);
        Ok(found.map_err(source_error)?.unwrap_or_else(default))
    }
}

fn source_error(error: impl std::error::Error + Send + Sync + 'static) -> SourceError {
    SourceError(Box::new(error))
}
