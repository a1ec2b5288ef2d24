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
        let snapshot = space.snapshot()?;
        let (mut entities, mut bytes, mut after) = (Vec::new(), 0, self.after);
        while entities.len() < limit && bytes < PAGE_BYTES {
            let wanted = READ_AT_ONCE.min(limit - entities.len());
            let page = Page { after, limit: wanted, deleted: self.include_deleted };
            let found = snapshot.scan(&self.collection, page)?;
            let is_last = found.len() < wanted;
            for entity in found.into_iter().map(EntityView::from) {
                bytes += entity.weight();
                after = Some(entity.id);
                entities.push(entity);
                if bytes >= PAGE_BYTES {
                    return Ok(Listed { entities, next_after: after });
                }
            }
            if is_last {
                return Ok(Listed { entities, next_after: None });
            }
        }
        Ok(Listed { entities, next_after: after })
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
/// About so many bytes in one answer: the entity that reaches it is the last.
const PAGE_BYTES: usize = 8 << 20;
/// Entities read at once, before it is known how large they are.
const READ_AT_ONCE: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use reknit::Peer;
    use std::path::PathBuf;

    async fn host(entities: usize, bytes: usize) -> Host {
        let peer = Peer::ephemeral().offline().start().await.unwrap();
        let space = peer.create_space("home").await.unwrap();
        for _ in 0..entities {
            let text = "x".repeat(bytes);
            let written = space.transact(move |tx| tx.create("notes")?.text("body")?.push(&text).map(drop));
            written.await.unwrap();
        }
        Host::new(peer, PathBuf::new())
    }

    async fn pages(host: &Host, limit: usize) -> Vec<usize> {
        let collection = "notes".to_owned();
        let mut call = List { space: None, collection, after: None, limit, include_deleted: false };
        let mut pages = Vec::new();
        loop {
            let page = call.clone().execute(host).await.unwrap();
            pages.push(page.entities.len());
            call.after = page.next_after;
            if call.after.is_none() {
                return pages;
            }
        }
    }

    #[tokio::test]
    async fn a_page_ends_by_count_or_by_weight() {
        let light = host(45, 1).await;
        assert_eq!(pages(&light, 20).await, [20, 20, 5]);
        assert_eq!(pages(&light, PAGE_ENTITIES_MAX).await, [45]);
        let heavy = host(20, 500_000).await;
        assert_eq!(pages(&heavy, PAGE_ENTITIES_MAX).await, [17, 3]);
    }
}
