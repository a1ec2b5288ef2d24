//! Editing a text for a while: a transaction on a fork of the space, held open between two calls.

use super::{Call, Host, pick};
use crate::clock::now_ms;
use crate::exit::Failure;
use reknit::{Entity, EntityId, FieldValue, Transaction};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;

/// The edits under way.
#[derive(Default)]
pub(crate) struct Drafts {
    open: BTreeMap<u64, Draft>,
    last: u64,
}

struct Draft {
    text: EditedText,
    _expiry: Expiry,
}

/// A text on a fork of the space. While it is held, the store keeps what it forks from.
struct EditedText {
    transaction: Transaction,
    collection: String,
    id: EntityId,
    field: String,
}

/// Gives a draft up after [`DRAFT_LIFETIME`], unless it is gone by then.
struct Expiry(AbortHandle);

impl Drop for Expiry {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Drafts {
    /// Keeps a draft and names it. Beyond [`DRAFTS_MAX`] the oldest is given up: whoever began it has likely left.
    fn keep(drafts: &Arc<Mutex<Self>>, text: EditedText) -> u64 {
        let mut open = locked(drafts);
        while open.open.len() >= DRAFTS_MAX {
            open.open.pop_first();
        }
        // No name of an earlier run is given out again: it would be another's draft.
        let number = now_ms().max(open.last + 1);
        open.last = number;
        let held = Arc::downgrade(drafts);
        let expiry = tokio::spawn(async move {
            tokio::time::sleep(DRAFT_LIFETIME).await;
            if let Some(drafts) = held.upgrade() {
                locked(&drafts).open.remove(&number);
            }
        });
        open.open.insert(number, Draft { text, _expiry: Expiry(expiry.abort_handle()) });
        number
    }

    fn take(drafts: &Mutex<Self>, number: u64) -> Result<EditedText, Failure> {
        let draft = locked(drafts).open.remove(&number);
        draft.map(|draft| draft.text).ok_or_else(|| {
            Failure::error("the peer has given up this edit, or was restarted meanwhile: edit again")
        })
    }
}

fn locked(drafts: &Mutex<Drafts>) -> MutexGuard<'_, Drafts> {
    drafts.lock().unwrap_or_else(PoisonError::into_inner)
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
        let draft = Drafts::keep(host.drafts(), EditedText { transaction, collection, id, field });
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
        let EditedText { mut transaction, collection, id, field } = Drafts::take(host.drafts(), self.draft)?;
        let text = self.text;
        transaction.edit(|tx| tx.entity(&collection, id)?.text(&field)?.replace(&text).map(drop))?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Gives an edit up.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Cancel {
    pub(crate) draft: u64,
}

impl Call for Cancel {
    const PATH: &'static str = "/v1/edit/cancel";
    type Reply = ();

    async fn execute(self, host: &Host) -> Result<(), Failure> {
        Drafts::take(host.drafts(), self.draft).map(drop)
    }
}

/// Edits under way at one time.
const DRAFTS_MAX: usize = 16;
/// An editor may be open for so long; then the store need not keep what the edit began from any more.
const DRAFT_LIFETIME: Duration = Duration::from_secs(4 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use reknit::Peer;
    use std::path::PathBuf;

    #[tokio::test]
    async fn an_edit_that_is_given_up_holds_nothing() {
        let peer = Peer::ephemeral().offline().start().await.unwrap();
        let space = peer.create_space("home").await.unwrap();
        let id = space.transact(|tx| {
            let mut note = tx.create("notes")?;
            note.text("body")?.push("hello")?;
            Ok(note.id())
        });
        let (id, host) = (id.await.unwrap().to_string(), Host::new(peer.clone(), PathBuf::new()));
        let begin =
            || Begin { space: None, collection: "notes".into(), id: id.clone(), field: "body".into() };
        let begun = begin().execute(&host).await.unwrap();
        assert_eq!(begun.text, "hello");
        Cancel { draft: begun.draft }.execute(&host).await.unwrap();
        assert!(locked(host.drafts()).open.is_empty());
        let commit = Commit { draft: begun.draft, text: "late".into() };
        assert!(commit.execute(&host).await.is_err());

        for _ in 0..DRAFTS_MAX + 1 {
            begin().execute(&host).await.unwrap();
        }
        assert_eq!(locked(host.drafts()).open.len(), DRAFTS_MAX);
    }
}
