//! Reading entities from one state of the store.

use crate::cells::{load_field, stored_row};
use crate::effects::SpaceInfo;
use crate::error::EngineError;
use crate::layout::{CellKey, RowKey, SpaceNo, collection_prefix, parse_row_key};
use crate::log::LogReader;
use crate::row::{Cell, Row};
use crate::store::{Direction, Reads, Table, prefix_end};
use reknit_crdt::{Crdt, FieldValue};
use reknit_types::{EntityId, Name, VerifiedEvent};
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

/// What an entity holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// The collection it lives in.
    pub collection: Name,
    /// Its id.
    pub id: EntityId,
    /// Whether it is deleted. Its fields are still there, and show again when it is restored.
    pub deleted: bool,
    /// Its fields.
    pub fields: BTreeMap<Name, FieldValue>,
}

/// Which entities of a collection to read.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Only entities with a greater id.
    pub after: Option<EntityId>,
    /// At most so many.
    pub limit: usize,
    /// Whether deleted entities are read too.
    pub deleted: bool,
}

impl Page {
    /// Every entity that is not deleted.
    pub const ALL: Self = Self { after: None, limit: usize::MAX, deleted: false };
}

/// The entity; `None` if it was never seen.
///
/// # Errors
/// [`EngineError::Store`] and [`EngineError::Damaged`].
pub fn entity(
    reads: &dyn Reads,
    space: SpaceNo,
    collection: &Name,
    id: EntityId,
) -> Result<Option<Entity>, EngineError> {
    let key = RowKey { space, collection: collection.clone(), entity: id };
    match stored_row(reads, &key)? {
        Some(row) => assemble(reads, key, row).map(Some),
        None => Ok(None),
    }
}

/// A page of the entities of a collection, by ascending id, which is by time of creation.
///
/// # Errors
/// As for [`entity`].
pub fn entities(
    reads: &dyn Reads,
    space: SpaceNo,
    collection: &Name,
    page: Page,
) -> Result<Vec<Entity>, EngineError> {
    let prefix = collection_prefix(space, collection);
    let end = prefix_end(&prefix);
    let after = page.after.map(|entity| RowKey { space, collection: collection.clone(), entity }.bytes());
    let from = after.as_deref().map_or(Bound::Included(prefix.as_slice()), Bound::Excluded);
    let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut rows = vec![];
    let mut damaged = None;
    reads.scan(Table::Rows, (from, to), Direction::Forward, &mut |key, value| {
        match (parse_row_key(key), Row::decode(value)) {
            (Some(key), Ok(row)) if page.deleted || !row.deleted() => rows.push((key, row)),
            (Some(_), Ok(_)) => {}
            (None, _) => damaged = Some("a row's key".to_owned()),
            (_, Err(error)) => damaged = Some(error.to_string()),
        }
        if rows.len() >= page.limit || damaged.is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    if let Some(what) = damaged {
        return Err(EngineError::Damaged(what));
    }
    rows.into_iter().map(|(key, row)| assemble(reads, key, row)).collect()
}

/// The names of all collections that ever held an entity.
///
/// # Errors
/// As for [`entity`].
pub fn collections(reads: &dyn Reads, space: SpaceNo) -> Result<Vec<Name>, EngineError> {
    let mut names = vec![];
    let mut from = space.prefix().to_vec();
    let end = prefix_end(&space.prefix());
    let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    // One seek a collection: after the first row of one, jump behind its last.
    while let Some((key, _)) =
        reads.first(Table::Rows, (Bound::Included(from.as_slice()), to), Direction::Forward)?
    {
        let row = parse_row_key(&key).ok_or_else(|| EngineError::Damaged("a row's key".to_owned()))?;
        let next = prefix_end(&collection_prefix(space, &row.collection));
        names.push(row.collection);
        match next {
            Some(next) => from = next,
            None => break,
        }
    }
    Ok(names)
}

/// The newest `count` events of a space, the newest first, each with its payload as far as it can be read here.
///
/// # Errors
/// As for [`entity`].
pub fn newest_events(
    reads: &dyn Reads,
    space: &SpaceInfo,
    count: usize,
) -> Result<Vec<VerifiedEvent>, EngineError> {
    LogReader { reads, space: space.no, id: space.id, keys: &*space.keys, live: None }.newest(count)
}

fn assemble(reads: &dyn Reads, key: RowKey, mut row: Row) -> Result<Entity, EngineError> {
    row.gather(reads, &key)?;
    let mut fields = BTreeMap::new();
    for ((field, kind), cell) in &row.cells {
        if fields.contains_key(field) {
            continue;
        }
        let value = match cell {
            Cell::Register(register) => register.value(),
            Cell::Counter(counter) => counter.value(),
            Cell::Folded(_) => {
                let cell = CellKey { row: key.clone(), field: field.clone(), kind: *kind };
                load_field(reads, &cell)?.live.crdt().value()
            }
        };
        fields.insert(field.clone(), value);
    }
    Ok(Entity { collection: key.collection, id: key.entity, deleted: row.deleted(), fields })
}
