//! The rows of the collection of `FROM`, from where the plan says.

use super::Run;
use crate::cursor::Seek;
use crate::datum::Datum;
use crate::error::QueryError;
use crate::key::{components_length, encoded_index, shorten};
use crate::limits::INDEX_IDS_MAX;
use crate::plan::{Access, Delivery, IndexAccess};
use crate::source::{Direction, IndexInfo, KeyRange, Lookup, Row, Scan};
use reknit_types::EntityId;
use std::ops::ControlFlow;

/// Is shown each row, and the bytes that the rows of its run share.
type VisitBase<'v> = dyn FnMut(&dyn Row, &[u8]) -> Result<ControlFlow<()>, QueryError> + 'v;

/// Is shown the key and entity of each entry.
type VisitEntries<'v> = dyn FnMut(&[u8], EntityId) -> Result<ControlFlow<()>, QueryError> + 'v;

impl Run<'_> {
    /// Shows the rows of the first relation that may pass.
    pub(super) fn base(&self, visit: &mut VisitBase<'_>) -> Result<(), QueryError> {
        let seek = self.window.after.and_then(|key| Seek::read(&self.bound.order, key));
        match &self.plan.access {
            Access::Scan(direction) => self.scan(*direction, seek.as_ref(), visit),
            Access::Entities(ids) => self.fetch_all(ids.clone(), seek.as_ref(), visit),
            Access::Index(access) => match self.plan.delivery {
                Delivery::ById(_) if !access.sorted_ids() => {
                    let ids = self.ids(access)?;
                    self.fetch_all(ids, seek.as_ref(), visit)
                }
                _ => self.walk(access, seek.as_ref(), visit),
            },
            Access::Intersection(first, second) => {
                let ids = self.intersect(first, second)?;
                self.fetch_all(ids, seek.as_ref(), visit)
            }
            Access::Through(partners, reverse) => match self.through(partners, reverse)? {
                Some(ids) => self.fetch_all(ids, seek.as_ref(), visit),
                None => {
                    let direction = match self.plan.delivery {
                        Delivery::ById(direction) => direction,
                        _ => Direction::Forward,
                    };
                    self.scan(direction, seek.as_ref(), visit)
                }
            },
        }
    }

    fn scan(
        &self,
        direction: Direction,
        seek: Option<&Seek>,
        visit: &mut VisitBase<'_>,
    ) -> Result<(), QueryError> {
        let by_id = matches!(self.plan.delivery, Delivery::ById(_));
        let from = seek.filter(|_| by_id).and_then(|seek| seek.entity);
        let scan = Scan { fields: self.bound.fields(), from, direction };
        let (mut scanned, mut failed) = (0, None);
        self.source.scan(&scan, &mut |row| {
            scanned += 1;
            let id = if by_id { row.id().to_bytes() } else { [0; 16] };
            visit(row, &id).unwrap_or_else(|error| {
                failed = Some(error);
                ControlFlow::Break(())
            })
        })?;
        self.count(|reads| reads.scanned += scanned);
        failed.map_or(Ok(()), Err)
    }

    /// Reads entities by their ids, in the order of the plan.
    fn fetch_all(
        &self,
        mut ids: Vec<EntityId>,
        seek: Option<&Seek>,
        visit: &mut VisitBase<'_>,
    ) -> Result<(), QueryError> {
        ids.sort_unstable();
        ids.dedup();
        let by_id = if let Delivery::ById(direction) = self.plan.delivery { Some(direction) } else { None };
        let from = seek.filter(|_| by_id.is_some()).and_then(|seek| seek.entity);
        let backward = by_id == Some(Direction::Backward);
        if backward {
            ids.reverse();
        }
        for entity in ids {
            let skipped = from.is_some_and(|from| if backward { entity > from } else { entity < from });
            if !skipped && self.fetch(entity, &entity.to_bytes(), visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn fetch(
        &self,
        entity: EntityId,
        run_key: &[u8],
        visit: &mut VisitBase<'_>,
    ) -> Result<ControlFlow<()>, QueryError> {
        self.count(|reads| reads.fetched += 1);
        match self.source.entity(self.bound.fields(), entity)? {
            Some(row) => visit(&*row, run_key),
            None => Ok(ControlFlow::Continue(())),
        }
    }

    /// Walks an index and reads each entity as it comes.
    fn walk(
        &self,
        access: &IndexAccess,
        seek: Option<&Seek>,
        visit: &mut VisitBase<'_>,
    ) -> Result<(), QueryError> {
        let ranges = self.narrowed(access, seek);
        let mut ended = false;
        self.entries(access, &ranges, &mut |key, entity| {
            let id = entity.to_bytes();
            let run_key = match self.plan.delivery {
                Delivery::Runs(components) => {
                    let length = components_length(key, components).unwrap_or(key.len());
                    key.get(..length).unwrap_or(key)
                }
                _ => &id[..],
            };
            let found = self.fetch(entity, run_key, visit)?;
            ended |= found.is_break();
            Ok(found)
        })
    }

    /// Shows the entries of all ranges, in the order of the access.
    fn entries(
        &self,
        access: &IndexAccess,
        ranges: &[KeyRange],
        visit: &mut VisitEntries<'_>,
    ) -> Result<(), QueryError> {
        let (mut read, mut failed, mut ended) = (0, None, false);
        let forward = access.direction == Direction::Forward;
        for nth in 0..ranges.len() {
            let nth = if forward { nth } else { ranges.len() - 1 - nth };
            let Some(range) = ranges.get(nth).filter(|_| !ended) else { break };
            let lookup = Lookup { index: &access.index, range, from: None, direction: access.direction };
            self.source.index(&lookup, &mut |key, entity| {
                read += 1;
                let found = visit(key, entity).unwrap_or_else(|error| {
                    failed = Some(error);
                    ControlFlow::Break(())
                });
                ended |= found.is_break();
                found
            })?;
        }
        self.count(|reads| reads.entries += read);
        failed.map_or(Ok(()), Err)
    }

    /// The ranges without what lies before the cursor, as far as the index is ordered as the result is.
    fn narrowed(&self, access: &IndexAccess, seek: Option<&Seek>) -> Vec<KeyRange> {
        let (Some(seek), Delivery::Runs(components)) = (seek, self.plan.delivery) else {
            return access.ranges.clone();
        };
        let mut prefix = access.fixed.clone();
        let known = components.saturating_sub(access.fixed_components);
        for component in self.plan.delivered.iter().take(known) {
            match seek.components.get(*component) {
                Some(Some(component)) => prefix.extend(shorten(component)),
                Some(None) => crate::key::encode(&Datum::Null, &mut prefix),
                None => break,
            }
        }
        let bound = KeyRange::prefix(prefix);
        let narrow = |range: &KeyRange| {
            let mut range = range.clone();
            match access.direction {
                Direction::Forward => range.from = range.from.max(bound.from.clone()),
                Direction::Backward => {
                    range.to = match (range.to.take(), bound.to.clone()) {
                        (Some(old), Some(new)) => Some(old.min(new)),
                        (old, new) => old.or(new),
                    }
                }
            }
            range
        };
        access.ranges.iter().map(narrow).filter(|range| !range.is_empty()).collect()
    }

    /// All ids of an access.
    fn ids(&self, access: &IndexAccess) -> Result<Vec<EntityId>, QueryError> {
        let mut ids = vec![];
        self.entries(access, &access.ranges, &mut |_, entity| {
            if ids.len() >= INDEX_IDS_MAX {
                return Err(QueryError::RangeTooLarge);
            }
            ids.push(entity);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(ids)
    }

    /// The ids of the entities that refer to those of an access; `None` if there are too many to go one by one.
    fn through(
        &self,
        partners: &IndexAccess,
        reverse: &IndexInfo,
    ) -> Result<Option<Vec<EntityId>>, QueryError> {
        let (mut found, mut ids) = (vec![], vec![]);
        self.entries(partners, &partners.ranges, &mut |_, entity| {
            found.push(entity);
            Ok(if found.len() > THROUGH_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if found.len() > THROUGH_MAX {
            return Ok(None);
        }
        for partner in found {
            let range = KeyRange::prefix(encoded_index(&Datum::Ref(partner.to_bytes())));
            let lookup = Lookup { index: reverse, range: &range, from: None, direction: Direction::Forward };
            let before = ids.len();
            self.source.index(&lookup, &mut |_, entity| {
                ids.push(entity);
                if ids.len() > INDEX_IDS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            self.count(|reads| reads.entries += (ids.len() - before) as u64);
            if ids.len() > INDEX_IDS_MAX {
                return Ok(None);
            }
        }
        Ok(Some(ids))
    }

    /// The ids that both accesses have; those of one alone if they are few, since all conditions are checked anyway.
    fn intersect(&self, first: &IndexAccess, second: &IndexAccess) -> Result<Vec<EntityId>, QueryError> {
        let few = |access| {
            let mut ids = vec![];
            self.entries(access, &access.ranges, &mut |_, entity| {
                ids.push(entity);
                Ok(if ids.len() > FEW { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })
            .map(|()| Some(ids).filter(|ids| ids.len() <= FEW))
        };
        if let Some(ids) = few(first)? {
            return Ok(ids);
        }
        if let Some(ids) = few(second)? {
            return Ok(ids);
        }
        let mut ids = self.ids(first)?;
        ids.sort_unstable();
        let mut other = self.ids(second)?;
        other.sort_unstable();
        ids.retain(|id| other.binary_search(id).is_ok());
        Ok(ids)
    }
}

/// Entities that a reference may lead to, before a scan costs less than going back from each.
const THROUGH_MAX: usize = 4_096;
/// Reading so many rows costs less than reading a second index.
const FEW: usize = 128;
