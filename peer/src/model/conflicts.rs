//! Telling an app that a merge has brought declarations together that contradict each other.

use super::schema::{SCHEMA_COLLECTION, schema_of};
use super::{Difference, Schema};
use crate::core::Core;
use crate::ending::UntilEnded;
use crate::entity::Entity;
use crate::events::PeerEvent;
use futures::StreamExt;
use reknit_engine::{Committed, SpaceNo, read};
use reknit_types::{EntityId, Name};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_stream::wrappers::BroadcastStream;

/// Watches every space until the peer ends.
pub(crate) async fn tell_of_conflicts(core: Arc<Core>) {
    let committed = BroadcastStream::new(core.committed.subscribe());
    let mut committed = UntilEnded::new(committed, core.ended.subscribe());
    let mut told = Told::default();
    while let Some(committed) = committed.next().await {
        match committed {
            Ok(committed) => told.look_at(&core, &committed),
            // What was missed is found when a model is used.
            Err(missed) => tracing::debug!(%missed, "changes of schemas may have been missed"),
        }
    }
}

/// What was told already.
#[derive(Default)]
struct Told {
    conflicts: BTreeMap<(SpaceNo, EntityId), Vec<Difference>>,
}

impl Told {
    fn look_at(&mut self, core: &Core, committed: &Committed) {
        let changed =
            committed.changes.iter().filter(|change| change.collection.as_str() == SCHEMA_COLLECTION);
        for change in changed {
            let key = (committed.space, change.id);
            match schema(core, key, &change.collection) {
                Some(schema) => self.tell(core, key, schema),
                None => drop(self.conflicts.remove(&key)),
            }
        }
    }

    fn tell(&mut self, core: &Core, key: (SpaceNo, EntityId), schema: Schema) {
        let Schema { collection, conflicts: differences, .. } = schema;
        if differences.is_empty() {
            self.conflicts.remove(&key);
            return;
        }
        if self.conflicts.get(&key) == Some(&differences) {
            return;
        }
        // Telling twice does less harm than remembering without end what others write.
        if self.conflicts.len() >= TOLD_MAX {
            self.conflicts.clear();
        }
        self.conflicts.insert(key, differences.clone());
        if let Some(info) = core.space_info(key.0) {
            core.tell(PeerEvent::SchemaConflict { space: info.id, collection, differences });
        }
    }
}

/// The schema that an entity holds now, if it can be read.
fn schema(core: &Core, (space, id): (SpaceNo, EntityId), collection: &Name) -> Option<Schema> {
    let reads = core.snapshot().ok()?;
    let entity = read::entity(&*reads, space, collection, id).ok()??;
    schema_of(&Entity::from(entity))
}

const TOLD_MAX: usize = 1_024;
