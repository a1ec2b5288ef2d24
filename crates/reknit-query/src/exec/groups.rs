//! `GROUP BY`, and aggregates over everything.

use crate::aggregate::Accumulator;
use crate::bound::Grouping;
use crate::error::QueryError;
use crate::expr::Env;
use crate::key::encode;
use crate::limits::GROUPS_MAX;
use reknit_types::Value;
use std::collections::BTreeMap;

/// Groups on their way. They sort by their keys.
pub(super) struct Groups<'g> {
    grouping: &'g Grouping,
    /// The only group of a query without keys, which is there even if no row is.
    whole: Option<Group>,
    groups: BTreeMap<Vec<u8>, Group>,
    key: Vec<u8>,
}

/// Is shown each group, and the key that names it.
pub(crate) type VisitGroup<'v> = dyn FnMut(&Env<'_>, &[u8]) -> Result<(), QueryError> + 'v;

struct Group {
    keys: Vec<Value>,
    accumulators: Vec<Accumulator>,
}

impl<'g> Groups<'g> {
    pub(super) fn new(grouping: &'g Grouping) -> Self {
        let whole = grouping.keys.is_empty().then(|| Group::new(grouping, vec![]));
        Self { grouping, whole, groups: BTreeMap::new(), key: vec![] }
    }

    pub(super) fn add(&mut self, env: &Env<'_>) -> Result<(), QueryError> {
        if let Some(whole) = &mut self.whole {
            return whole.add(self.grouping, env);
        }
        self.key.clear();
        for key in &self.grouping.keys {
            encode(&key.eval(env)?, &mut self.key);
        }
        if let Some(group) = self.groups.get_mut(&self.key) {
            return group.add(self.grouping, env);
        }
        if self.groups.len() >= GROUPS_MAX {
            return Err(QueryError::TooManyGroups);
        }
        let mut keys = vec![];
        for key in &self.grouping.keys {
            keys.push(key.eval(env)?.into_value());
        }
        let mut group = Group::new(self.grouping, keys);
        group.add(self.grouping, env)?;
        self.groups.insert(self.key.clone(), group);
        Ok(())
    }

    /// Shows the groups, each with the key that names it.
    pub(super) fn finish(self, visit: &mut VisitGroup<'_>) -> Result<(), QueryError> {
        let whole = self.whole.map(|whole| (vec![], whole));
        for (identity, group) in whole.into_iter().chain(self.groups) {
            let aggregates: Vec<Value> = group.accumulators.into_iter().map(Accumulator::finish).collect();
            let env = Env { keys: &group.keys, aggregates: &aggregates, ..Env::default() };
            visit(&env, &identity)?;
        }
        Ok(())
    }
}

impl Group {
    fn new(grouping: &Grouping, keys: Vec<Value>) -> Self {
        Self { keys, accumulators: grouping.aggregates.iter().map(Accumulator::new).collect() }
    }

    fn add(&mut self, grouping: &Grouping, env: &Env<'_>) -> Result<(), QueryError> {
        for (aggregate, accumulator) in grouping.aggregates.iter().zip(&mut self.accumulators) {
            match &aggregate.argument {
                None => accumulator.count_row(),
                Some(argument) => accumulator.add(argument.eval(env)?)?,
            }
        }
        Ok(())
    }
}
