//! A result that is kept: told what changed, it says how the result changed.
//!
//! A result without groups and `DISTINCT` is kept row by row: entities that changed are looked at again, and nothing else.
//! With a `LIMIT` some rows behind the window are kept as well, so that a gap is mostly filled without asking. Groups are kept
//! with what each entity adds to them. Other results, and rows whose partners changed where no index leads back from these,
//! are found again and compared.

mod diff;
mod groups;

use crate::bound::{Bound, How};
use crate::cursor::invert;
use crate::datum::Datum;
use crate::error::QueryError;
use crate::exec::{Output, Window};
use crate::expr::{Expr, Place};
use crate::key::encoded_index;
use crate::limits::{LIVE_SPARE_ROWS_MAX, LIVE_SPARE_ROWS_MIN, ROWS_MAX};
use crate::plan::{Access, Delivery, Plan};
use crate::source::{Direction, IndexInfo, KeyRange, Lookup, Source};
use diff::differences;
use groups::LiveGroups;
use reknit_types::{EntityId, Name, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

/// An entity that came, went or changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Changed {
    /// Its collection.
    pub collection: Name,
    /// Its id.
    pub entity: EntityId,
}

/// A step from one result to the next. Places count from 0, each in the list as the steps before have left it.
#[derive(Debug, Clone, PartialEq)]
pub enum Difference {
    /// A row that was not there.
    Inserted {
        /// Where it is now.
        at: usize,
        /// Its values.
        row: Vec<Value>,
        /// The entity of the collection of `FROM` that it is of, unless it is a group or one of several alike.
        entity: Option<EntityId>,
    },
    /// A row whose values changed, and that stays where it is.
    Updated {
        /// Where it is.
        at: usize,
        /// Its values now.
        row: Vec<Value>,
        /// As above.
        entity: Option<EntityId>,
    },
    /// A row that is no longer there.
    Removed {
        /// Where it was.
        at: usize,
        /// As above.
        entity: Option<EntityId>,
    },
    /// A row that is taken out of one place and put in at another.
    Moved {
        /// Where it was.
        from: usize,
        /// Where it is, once it was taken out.
        to: usize,
        /// Its values now.
        row: Vec<Value>,
        /// As above.
        entity: Option<EntityId>,
    },
}

impl Difference {
    /// Takes the step in a list of rows. `false` if the list is not the one that the step starts from.
    pub fn apply(self, rows: &mut Vec<Vec<Value>>) -> bool {
        match self {
            Self::Inserted { at, row, .. } if at <= rows.len() => rows.insert(at, row),
            Self::Updated { at, row, .. } if at < rows.len() => rows[at] = row,
            Self::Removed { at, .. } if at < rows.len() => {
                rows.remove(at);
            }
            Self::Moved { from, to, row, .. } if from < rows.len() && to < rows.len() => {
                rows.remove(from);
                rows.insert(to, row);
            }
            _ => return false,
        }
        true
    }
}

/// A query and its result, kept up to date.
#[derive(Debug)]
pub struct LiveResult {
    plan: Plan,
    /// The same query, for single entities.
    single: Plan,
    /// The rows from the first on, in order: all, or as many as the window needs and some spare.
    held: Vec<Arc<Output>>,
    /// Whether these are all.
    complete: bool,
    /// The keys of the rows of each entity.
    keys: BTreeMap<EntityId, Vec<Vec<u8>>>,
    /// What a result of groups is made of, where that can be kept.
    groups: Option<LiveGroups>,
    /// Whether groups may be kept; not any more once one could not be.
    keeps_groups: bool,
}

impl LiveResult {
    /// Runs the query.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn open(plan: Plan, source: &dyn Source) -> Result<Self, QueryError> {
        let mut single = plan.clone();
        single.delivery = Delivery::Unordered;
        let mut live = Self {
            plan,
            single,
            held: vec![],
            complete: false,
            keys: BTreeMap::new(),
            groups: None,
            keeps_groups: true,
        };
        live.find_all(source)?;
        Ok(live)
    }

    /// The query.
    pub fn query(&self) -> &Bound {
        &self.plan.bound
    }

    /// The rows of the result, in order.
    pub fn rows(&self) -> impl Iterator<Item = &[Value]> {
        self.window().iter().map(|output| output.values.as_slice())
    }

    /// Takes in that these entities may have changed, and says how the result did. `source` is the state after the change.
    ///
    /// # Errors
    /// [`QueryError`]. The result is then as it was; the next update has to name these entities again, or be a
    /// [`LiveResult::refresh`].
    pub fn update(
        &mut self,
        source: &dyn Source,
        changed: &[Changed],
    ) -> Result<Vec<Difference>, QueryError> {
        match self.affected(source, changed)? {
            Affected::Entities(entities) if entities.is_empty() => Ok(vec![]),
            Affected::Entities(entities) => self.look_again(source, entities),
            Affected::Everything => self.refresh(source),
        }
    }

    /// Finds the whole result again, and says how it changed.
    ///
    /// # Errors
    /// As for [`LiveResult::update`].
    pub fn refresh(&mut self, source: &dyn Source) -> Result<Vec<Difference>, QueryError> {
        let shown = self.window().to_vec();
        self.find_all(source)?;
        Ok(differences(&shown, self.window(), &|output| self.entity(output)))
    }

    fn window(&self) -> &[Arc<Output>] {
        let start = self.offset().min(self.held.len());
        let end = self.wanted().map_or(self.held.len(), |wanted| wanted.min(self.held.len()));
        self.held.get(start..end).unwrap_or_default()
    }

    fn offset(&self) -> usize {
        usize::try_from(self.plan.bound.offset).unwrap_or(usize::MAX)
    }

    /// How many rows the window needs, those before it included.
    fn wanted(&self) -> Option<usize> {
        let limit = usize::try_from(self.plan.bound.limit?).unwrap_or(usize::MAX);
        Some(limit.saturating_add(self.offset()))
    }

    /// How many rows behind the window are kept.
    fn spare(&self) -> usize {
        self.wanted().unwrap_or(0).clamp(LIVE_SPARE_ROWS_MIN, LIVE_SPARE_ROWS_MAX)
    }

    fn find_all(&mut self, source: &dyn Source) -> Result<(), QueryError> {
        let enough = self.wanted().map(|wanted| wanted.saturating_add(self.spare()));
        let limit = enough.map(|enough| enough as u64);
        let window = Window { after: None, offset: 0, limit };
        self.groups = if self.keeps_groups { LiveGroups::open(&self.plan, source)? } else { None };
        self.keeps_groups = self.groups.is_some();
        let rows = match (&self.groups, &self.plan.bound.grouping) {
            (Some(groups), Some(grouping)) => {
                self.plan.group_outputs(source, window, &mut |visit| groups.each(grouping, visit))?
            }
            _ => self.plan.outputs(source, window)?.0,
        };
        self.complete = enough.is_none_or(|enough| rows.len() < enough);
        self.held = rows.into_iter().map(Arc::new).collect();
        self.keys.clear();
        if self.plan.bound.is_plain() {
            for output in &self.held {
                if let Some(entity) = entity_of(&self.plan.bound, output) {
                    self.keys.entry(entity).or_default().push(output.key.clone());
                }
            }
        }
        Ok(())
    }

    /// The entities of the first collection whose rows may have changed.
    fn affected(&self, source: &dyn Source, changed: &[Changed]) -> Result<Affected, QueryError> {
        let mut entities = BTreeSet::new();
        for change in changed {
            for (nth, relation) in self.plan.bound.relations.iter().enumerate() {
                if relation.fields.collection != change.collection {
                    continue;
                }
                if !self.plan.bound.is_plain() && self.groups.is_none() {
                    return Ok(Affected::Everything);
                }
                if nth == 0 {
                    entities.insert(change.entity);
                } else {
                    match self.plan.reverse_indexes.get(nth) {
                        Some(Some(index)) => entities.extend(referring(source, index, change.entity)?),
                        _ => return Ok(Affected::Everything),
                    }
                }
                if entities.len() > LOOKED_AT_MAX {
                    return Ok(Affected::Everything);
                }
            }
        }
        Ok(Affected::Entities(entities))
    }

    /// Looks at some entities again.
    fn look_again(
        &mut self,
        source: &dyn Source,
        entities: BTreeSet<EntityId>,
    ) -> Result<Vec<Difference>, QueryError> {
        self.single.access = Access::Entities(entities.iter().copied().collect());
        if self.groups.is_some() {
            return self.regroup(source, entities);
        }
        let (rows, _) = self.single.outputs(source, Window::default())?;
        let mut new: BTreeMap<EntityId, Vec<Arc<Output>>> = BTreeMap::new();
        for output in rows {
            if let Some(entity) = entity_of(&self.plan.bound, &output) {
                new.entry(entity).or_default().push(Arc::new(output));
            }
        }
        if self.wanted().is_none() {
            if self.held.len() + new.values().map(Vec::len).sum::<usize>() > ROWS_MAX {
                return Err(QueryError::TooManyRows);
            }
            let mut steps = vec![];
            for entity in entities {
                self.step(entity, new.remove(&entity).unwrap_or_default(), &mut steps);
            }
            return Ok(steps);
        }
        let shown = self.window().to_vec();
        for entity in entities {
            self.replace(entity, new.remove(&entity).unwrap_or_default());
        }
        self.fill(source)?;
        Ok(differences(&shown, self.window(), &|output| self.entity(output)))
    }

    /// Lets some entities leave their groups and join others.
    fn regroup(
        &mut self,
        source: &dyn Source,
        entities: BTreeSet<EntityId>,
    ) -> Result<Vec<Difference>, QueryError> {
        let (Some(mut groups), Some(grouping)) = (self.groups.take(), &self.plan.bound.grouping) else {
            return self.refresh(source);
        };
        if groups.look_again(&self.single, source, entities.into_iter())?.is_err() {
            self.keeps_groups = false;
            return self.refresh(source);
        }
        let limit = self.wanted().map(|wanted| wanted as u64);
        let window = Window { after: None, offset: 0, limit };
        let rows = self.plan.group_outputs(source, window, &mut |visit| groups.each(grouping, visit))?;
        let shown = self.window().to_vec();
        self.held = rows.into_iter().map(Arc::new).collect();
        self.groups = Some(groups);
        Ok(differences(&shown, self.window(), &|_| None))
    }

    /// Puts the rows of an entity in the place of those it had, step by step.
    fn step(&mut self, entity: EntityId, new: Vec<Arc<Output>>, steps: &mut Vec<Difference>) {
        let mut old: Vec<Arc<Output>> = vec![];
        for key in self.keys.remove(&entity).unwrap_or_default() {
            old.extend(self.place(&key).ok().and_then(|at| self.held.get(at)).cloned());
        }
        for output in &new {
            self.keys.entry(entity).or_default().push(output.key.clone());
        }
        let is = |output: &Arc<Output>, other: &Arc<Output>| output.identity() == other.identity();
        for gone in old.iter().filter(|old| !new.iter().any(|new| is(old, new))) {
            if let Ok(at) = self.place(&gone.key) {
                self.held.remove(at);
                steps.push(Difference::Removed { at, entity: Some(entity) });
            }
        }
        for output in new {
            let before = old.iter().find(|old| is(old, &output));
            let from = before.and_then(|before| self.place(&before.key).ok());
            let row = output.values.clone();
            let entity = Some(entity);
            if let Some(from) = from {
                self.held.remove(from);
            }
            let to = self.place(&output.key).unwrap_or_else(|to| to);
            match (from, before) {
                (Some(from), Some(before)) if from == to => {
                    if before.values != output.values {
                        steps.push(Difference::Updated { at: to, row, entity });
                    }
                }
                (Some(from), _) => steps.push(Difference::Moved { from, to, row, entity }),
                _ => steps.push(Difference::Inserted { at: to, row, entity }),
            }
            self.held.insert(to, output);
        }
    }

    /// Puts the rows of an entity in the place of those it had, as far as they are held.
    fn replace(&mut self, entity: EntityId, new: Vec<Arc<Output>>) {
        for key in self.keys.remove(&entity).unwrap_or_default() {
            if let Ok(at) = self.place(&key) {
                self.held.remove(at);
            }
        }
        for output in new {
            // What lies behind the last row that is held is held only if everything is.
            let inside = self.complete || self.held.last().is_some_and(|last| output.key < last.key);
            if inside {
                self.keys.entry(entity).or_default().push(output.key.clone());
                let at = self.place(&output.key).unwrap_or_else(|at| at);
                self.held.insert(at, output);
            }
        }
    }

    /// Fetches rows if the window has a gap, and lets go of some if there are many.
    fn fill(&mut self, source: &dyn Source) -> Result<(), QueryError> {
        let Some(wanted) = self.wanted() else { return Ok(()) };
        if self.held.len() < wanted && !self.complete {
            let missing = wanted.saturating_add(self.spare()) - self.held.len();
            let after = self.held.last().map(|last| last.key.clone());
            let window = Window { after: after.as_deref(), offset: 0, limit: Some(missing as u64) };
            let (rows, _) = self.plan.outputs(source, window)?;
            self.complete = rows.len() < missing;
            for output in rows {
                if let Some(entity) = entity_of(&self.plan.bound, &output) {
                    self.keys.entry(entity).or_default().push(output.key.clone());
                }
                self.held.push(Arc::new(output));
            }
        }
        let most = wanted.saturating_add(2 * self.spare());
        if self.held.len() > most {
            for output in self.held.split_off(wanted.saturating_add(self.spare())) {
                self.forget(&output);
            }
            self.complete = false;
        }
        Ok(())
    }

    fn forget(&mut self, output: &Output) {
        let Some(entity) = entity_of(&self.plan.bound, output) else { return };
        if let Some(keys) = self.keys.get_mut(&entity) {
            keys.retain(|key| *key != output.key);
            if keys.is_empty() {
                self.keys.remove(&entity);
            }
        }
    }

    fn place(&self, key: &[u8]) -> Result<usize, usize> {
        self.held.binary_search_by(|output| output.key.as_slice().cmp(key))
    }

    fn entity(&self, output: &Output) -> Option<EntityId> {
        entity_of(&self.plan.bound, output)
    }
}

enum Affected {
    Entities(BTreeSet<EntityId>),
    Everything,
}

/// The entity of the first collection that a row is of.
fn entity_of(bound: &Bound, output: &Output) -> Option<EntityId> {
    if !bound.is_plain() {
        return None;
    }
    let mut id = output.identity().get(1..17)?.to_vec();
    if bound.order.last().is_some_and(|by| by.descending) {
        invert(&mut id, 0);
    }
    id.try_into().ok().map(EntityId::from_bytes)
}

/// The entities whose reference leads to `entity`.
fn referring(source: &dyn Source, index: &IndexInfo, entity: EntityId) -> Result<Vec<EntityId>, QueryError> {
    let range = KeyRange::prefix(encoded_index(&Datum::Ref(entity.to_bytes())));
    let lookup = Lookup { index, range: &range, from: None, direction: Direction::Forward };
    let mut found = vec![];
    source.index(&lookup, &mut |_, entity| {
        found.push(entity);
        if found.len() > LOOKED_AT_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}

impl Bound {
    /// For each relation that a reference of the first leads to, the index that leads back.
    pub(crate) fn reverse_indexes(&self, indexes: &[IndexInfo]) -> Vec<Option<IndexInfo>> {
        let reverse = |how: &How| {
            let How::Lookup { reference, .. } = how else { return None };
            let Expr::Field(Place { relation: 0, .. }) = reference else { return None };
            let path = self.base_path(reference)?;
            let leads = |index: &&IndexInfo| {
                index.collection == *self.collection() && index.fields.first() == Some(&path)
            };
            indexes.iter().find(leads).cloned()
        };
        self.relations.iter().map(|relation| reverse(&relation.how)).collect()
    }
}

/// When more entities are affected, everything is found again.
const LOOKED_AT_MAX: usize = 4_096;
