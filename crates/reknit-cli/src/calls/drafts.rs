//! Editing a text for a while: a transaction on a fork of the space, held open between two calls.

use super::{Call, Host, pick};
use crate::exit::Failure;
use reknit::{Entity, EntityId, FieldValue, Transaction};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The edits under way.
#[derive(Default)]
pub(crate) struct Drafts {
    open: BTreeMap<u64, Draft>,
    last: u64,
}

struct Draft {
    transaction: Transaction,
    collection: String,
    id: EntityId,
    field: String,
}

impl Drafts {
    /// Keeps a draft and names it. Beyond [`DRAFTS_MAX`] the oldest is given up: whoever began it has likely left.
    fn keep(&mut self, draft: Draft) -> u64 {
        while self.open.len() >= DRAFTS_MAX {
            self.open.pop_first();
        }
        self.last += 1;
        self.open.insert(self.last, draft);
        self.last
    }

    fn take(&mut self, number: u64) -> Result<Draft, Failure> {
        self.open.remove(&number).ok_or_else(|| {
            Failure::error("the peer has given up this edit, or was restarted meanwhile: edit again")
        })
    }
}

/// Begins to edit a text.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Begin {
    pub(crate) space: Option<String>,
    pub(crate) collection: String,
    pub(crate) id: String,
    pub(crate) field: String,
}

/// The text as it is now, and the number of the draft that remembers it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(crate) draft: u64,
    pub(crate) id: EntityId,
    pub(crate) text: String,
}

impl Call for Begin {
    const PATH: &'static str = "/v1/edit/begin";
    type Reply = Begun;

    async fn execute(self, host: &Host) -> Result<Self::Reply, Failure> {
        let space = pick::space(host.peer(), self.space.as_deref())?;
        let mut transaction = space.begin().await?;
        let id = pick::entity(&space, &self.collection, &self.id)?.id;
        let (collection, field) = (self.collection, self.field);
        let entity = transaction.edit(|tx| tx.get(&collection, id))?.map(Entity::from);
        let text = match entity.as_ref().and_then(|entity| entity.field(&field)) {
            Some(FieldValue::Text(text)) => text.clone(),
            None => String::new(),
            Some(other) => {
                let kind = other.kind();
                return Err(Failure::usage(format!(
                    "{field} is a {kind}, not a text: change it with `reknit put`"
                )));
            }
        };
        let draft = host.drafts().keep(Draft { transaction, collection, id, field });
        Ok(Begun { draft, id, text })
    }
}

/// Ends an edit: makes the text of the draft this one. What others wrote meanwhile is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Commit {
    pub(crate) draft: u64,
    pub(crate) text: String,
}

impl Call for Commit {
    const PATH: &'static str = "/v1/edit/commit";
    type Reply = ();

    async fn execute(self, host: &Host) -> Result<(), Failure> {
        let Draft { mut transaction, collection, id, field } = host.drafts().take(self.draft)?;
        let text = self.text;
        transaction.edit(|tx| tx.entity(&collection, id)?.text(&field)?.replace(&text).map(drop))?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Edits under way at one time.
const DRAFTS_MAX: usize = 16;
