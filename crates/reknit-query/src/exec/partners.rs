//! Finding the rows that a join or a reference path leads to.

use super::Run;
use crate::bound::How;
use crate::datum::Datum;
use crate::error::QueryError;
use crate::expr::Env;
use crate::key::{encoded, encoded_index};
use crate::limits::JOIN_ROWS_MAX;
use crate::order::equal;
use crate::source::{Direction, FieldPath, Fields, KeyRange, Lookup, Row, Scan};
use reknit_types::EntityId;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Where no index leads from a value to the entities that have it: a table, made when it is first needed.
pub(super) struct Partners {
    tables: Vec<OnceCell<Table>>,
}

/// From the key of a value to the entities that have it, by ascending id.
type Table = BTreeMap<Vec<u8>, Vec<EntityId>>;

impl Partners {
    pub(super) fn new(relations: usize) -> Self {
        Self { tables: (0..relations).map(|_| OnceCell::new()).collect() }
    }
}

/// Is shown each partner.
type VisitPartner<'v> = dyn FnMut(&dyn Row) -> Result<ControlFlow<()>, QueryError> + 'v;

impl Run<'_> {
    /// Shows the rows of the relation at `level` that belong to the rows of `env`.
    pub(super) fn partners(
        &self,
        level: usize,
        env: &Env<'_>,
        visit: &mut VisitPartner<'_>,
    ) -> Result<ControlFlow<()>, QueryError> {
        let Some(relation) = self.bound.relations.get(level) else { return Ok(ControlFlow::Continue(())) };
        match &relation.how {
            How::Base => Ok(ControlFlow::Continue(())),
            How::Lookup { reference, .. } => match as_entity(&reference.eval(env)?) {
                None => Ok(ControlFlow::Continue(())),
                Some(entity) => self.partner(&relation.fields, entity, visit),
            },
            How::Equal { field, with, .. } => {
                let wanted = with.eval(env)?;
                if wanted.is_null() {
                    return Ok(ControlFlow::Continue(()));
                }
                let slot = relation.fields.names.iter().position(|name| *name == field.field).unwrap_or(0);
                for entity in self.equals(level, field, &wanted)? {
                    let found = self.partner(&relation.fields, entity, &mut |row| {
                        // An index does not tell long texts apart.
                        let value = field.pick(row.value(slot)?);
                        if equal(&value, &wanted) == Some(true) {
                            visit(row)
                        } else {
                            Ok(ControlFlow::Continue(()))
                        }
                    })?;
                    if found.is_break() {
                        return Ok(found);
                    }
                }
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    fn partner(
        &self,
        fields: &Fields,
        entity: EntityId,
        visit: &mut VisitPartner<'_>,
    ) -> Result<ControlFlow<()>, QueryError> {
        self.count(|reads| reads.joined += 1);
        match self.source.entity(fields, entity)? {
            Some(row) => visit(&*row),
            None => Ok(ControlFlow::Continue(())),
        }
    }

    /// The entities whose field may equal a value, by ascending id.
    fn equals(
        &self,
        level: usize,
        field: &FieldPath,
        wanted: &Datum<'_>,
    ) -> Result<Vec<EntityId>, QueryError> {
        if let Some(Some(index)) = self.plan.partner_indexes.get(level) {
            let range = KeyRange::prefix(encoded_index(wanted));
            let lookup = Lookup { index, range: &range, from: None, direction: Direction::Forward };
            let mut ids = vec![];
            self.source.index(&lookup, &mut |_, entity| {
                ids.push(entity);
                if ids.len() > JOIN_ROWS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            self.count(|reads| reads.entries += ids.len() as u64);
            if ids.len() > JOIN_ROWS_MAX {
                return Err(QueryError::JoinTooLarge);
            }
            ids.sort_unstable();
            return Ok(ids);
        }
        let Some(cell) = self.partners.tables.get(level) else { return Ok(vec![]) };
        if cell.get().is_none() {
            let table = self.table(level, field)?;
            let _ = cell.set(table);
        }
        Ok(cell.get().and_then(|table| table.get(&encoded(wanted))).cloned().unwrap_or_default())
    }

    fn table(&self, level: usize, field: &FieldPath) -> Result<Table, QueryError> {
        let mut table = Table::new();
        let Some(relation) = self.bound.relations.get(level) else { return Ok(table) };
        // Only the one field is asked for.
        let fields =
            Fields { collection: relation.fields.collection.clone(), names: vec![field.field.clone()] };
        let scan = Scan { fields: &fields, from: None, direction: Direction::Forward };
        let (mut rows, mut failed) = (0usize, None);
        self.source.scan(&scan, &mut |row| {
            match row.value(0) {
                Ok(value) => {
                    let value = field.pick(value);
                    if !value.is_null() {
                        table.entry(encoded(&value)).or_default().push(row.id());
                    }
                }
                Err(error) => failed = Some(QueryError::from(error)),
            }
            rows += 1;
            if rows > JOIN_ROWS_MAX {
                failed = Some(QueryError::JoinTooLarge);
            }
            if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        self.count(|reads| reads.joined += rows as u64);
        failed.map_or(Ok(table), Err)
    }
}

/// The entity that a value names: a reference, or exactly the text of an id.
pub(crate) fn as_entity(value: &Datum<'_>) -> Option<EntityId> {
    match value {
        Datum::Ref(entity) => Some(EntityId::from_bytes(*entity)),
        Datum::Text(text) => text.parse().ok().filter(|entity: &EntityId| entity.to_string() == **text),
        _ => None,
    }
}
