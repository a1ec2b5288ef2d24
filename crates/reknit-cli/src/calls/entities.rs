//! Reading and writing entities.

use super::{Call, Host, pick};
use crate::assignment::Assignment;
use crate::exit::Failure;
use crate::view::{EntityView, Kind};
use crate::write;
use reknit::{Entity, EntityId, Page};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Changes an entity, or creates one, in one transaction.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Put {
    pub(crate) space: Option<String>,
    pub(crate) collection: String,
    /// The beginning of an id, or a whole one; `None` creates an entity.
    pub(crate) id: Option<String>,
    pub(crate) assignments: Vec<Assignment>,
}

/// The entity after it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PutDone {
    pub(crate) created: bool,
    pub(crate) entity: EntityView,
}

impl Call for Put {
    const PATH: &'static str = "/v1/put";
    type Reply = PutDone;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        let space = pick::space(host.peer(), self.space.as_deref())?;
        let id = match &self.id {
            Some(wanted) => Some(pick::id(&space, &self.collection, wanted)?),
            None => None,
        };
        let (collection, assignments, is_new) = (self.collection, self.assignments, id.is_none());
        let done = space
            .transact(move |tx| {
                let mut entity = match id {
                    Some(id) => tx.entity(&collection, id)?,
                    None => tx.create(&collection)?,
                };
                let (id, created) = (entity.id(), is_new || !entity.exists()?);
                assignments.iter().try_for_each(|assignment| write::assign(&mut entity, assignment))?;
                Ok((created, tx.get(&collection, id)?))
            })
            .await?;
        let (created, entity) = done;
        let entity = entity.ok_or_else(|| Failure::usage("there is nothing to write: add an assignment"))?;
        Ok(PutDone { created, entity: Entity::from(entity).into() })
    }
}

/// One entity.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Find {
    pub(crate) space: Option<String>,
    pub(crate) collection: String,
    pub(crate) id: String,
}

impl Call for Find {
    const PATH: &'static str = "/v1/get";
    type Reply = EntityView;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        let space = pick::space(host.peer(), self.space.as_deref())?;
        Ok(pick::entity(&space, &self.collection, &self.id)?.into())
    }
}

/// Deletes entities, all in one transaction.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Remove {
    pub(crate) space: Option<String>,
    pub(crate) collection: String,
    pub(crate) ids: Vec<String>,
}

impl Call for Remove {
    const PATH: &'static str = "/v1/remove";
    type Reply = Vec<EntityId>;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        let space = pick::space(host.peer(), self.space.as_deref())?;
        let ids = self
            .ids
            .iter()
            .map(|id| pick::entity(&space, &self.collection, id).map(|entity| entity.id))
            .collect::<Result<Vec<_>, _>>()?;
        let collection = self.collection;
        let removed = space.transact(move |tx| {
            for id in &ids {
                tx.entity(&collection, *id)?.delete()?;
            }
            Ok(ids)
        });
        Ok(removed.await?)
    }
}

/// Shows deleted entities again, with all edits they ever received.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Restore {
    pub(crate) space: Option<String>,
    pub(crate) collection: String,
    pub(crate) ids: Vec<String>,
}

impl Call for Restore {
    const PATH: &'static str = "/v1/restore";
    type Reply = Vec<EntityId>;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        let space = pick::space(host.peer(), self.space.as_deref())?;
        let ids = self
            .ids
            .iter()
            .map(|id| pick::entity(&space, &self.collection, id).map(|entity| entity.id))
            .collect::<Result<Vec<_>, _>>()?;
        let collection = self.collection;
        let restored = space.transact(move |tx| {
            for id in &ids {
                tx.entity(&collection, *id)?.restore()?;
            }
            Ok(ids)
        });
        Ok(restored.await?)
    }
}

/// The entities of a collection, a page at a time, in the order of their ids.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct List {
    pub(crate) space: Option<String>,
    pub(crate) collection: String,
    pub(crate) after: Option<EntityId>,
    pub(crate) limit: usize,
    pub(crate) include_deleted: bool,
}

/// A page of a collection.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(crate) entities: Vec<EntityView>,
    /// Where the next page begins, if there may be one.
    pub(crate) next_after: Option<EntityId>,
}

impl Call for List {
    const PATH: &'static str = "/v1/list";
    type Reply = Listed;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        let space = pick::space(host.peer(), self.space.as_deref())?;
        let limit = self.limit.clamp(1, PAGE_ENTITIES_MAX);
        let page =
            space.scan(&self.collection, Page { after: self.after, limit, deleted: self.include_deleted })?;
        let next_after = page.last().map(|entity| entity.id).filter(|_| page.len() == limit);
        Ok(Listed { entities: page.into_iter().map(EntityView::from).collect(), next_after })
    }
}

/// The collections of a space, by name, and how many entities each shows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Collections {
    pub(crate) space: Option<String>,
}

impl Call for Collections {
    const PATH: &'static str = "/v1/collections";
    type Reply = BTreeMap<String, usize>;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        let space = pick::space(host.peer(), self.space.as_deref())?;
        let mut counts = BTreeMap::new();
        for name in space.collections()? {
            counts.insert(name.to_string(), count(&space, name.as_str())?);
        }
        Ok(counts)
    }
}

fn count(space: &reknit::Space, collection: &str) -> Result<usize, Failure> {
    let (mut counted, mut after) = (0, None);
    loop {
        let page = space.scan(collection, Page { after, limit: PAGE_ENTITIES_MAX, deleted: false })?;
        counted += page.len();
        match page.last() {
            Some(last) if page.len() == PAGE_ENTITIES_MAX => after = Some(last.id),
            _ => return Ok(counted),
        }
    }
}

/// Whole entities, in a transaction for each group: what `reknit import` sends.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Write {
    pub(crate) space: Option<String>,
    pub(crate) groups: Vec<Vec<NewEntity>>,
}

/// An entity as a line of an import has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEntity {
    pub(crate) collection: String,
    /// Without one, a new entity is created.
    #[serde(default)]
    pub(crate) id: Option<EntityId>,
    #[serde(default)]
    pub(crate) deleted: bool,
    pub(crate) fields: BTreeMap<String, Json>,
    /// Fields without a kind become registers.
    #[serde(default)]
    pub(crate) kinds: BTreeMap<String, Kind>,
}

/// How many entities were written.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Written {
    pub(crate) entities: usize,
}

impl Call for Write {
    const PATH: &'static str = "/v1/write";
    type Reply = Written;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        let space = pick::space(host.peer(), self.space.as_deref())?;
        let entities = self.groups.iter().map(Vec::len).sum();
        let commits = self.groups.into_iter().map(|group| {
            space.transact(move |tx| group.iter().try_for_each(|entity| write::whole(tx, entity)))
        });
        // All are handed in at once, so that they share the wait for the disk.
        futures::future::try_join_all(commits).await?;
        Ok(Written { entities })
    }
}

/// Entities in one answer.
pub(crate) const PAGE_ENTITIES_MAX: usize = 500;
