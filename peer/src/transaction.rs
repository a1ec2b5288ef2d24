//! Transactions that take their time.

use crate::error::Error;
use crate::peer::unexpected;
use crate::space::Space;
use crate::status::EventRef;
use rand_chacha::ChaCha20Rng;
use reknit_crdt::Identity;
use reknit_engine::store::Reads;
use reknit_engine::{Input, LongTx, Reply, Tx, TxError};

/// A transaction on a fork of the space: it reads and edits what was there when it began, for as long as it takes. When
/// it commits, its edits merge with what came meanwhile. Dropping it leaves no trace.
pub struct Transaction {
    space: Space,
    reads: Box<dyn Reads + Send + Sync>,
    tx: LongTx,
}

impl Transaction {
    pub(crate) fn new(
        space: Space,
        reads: Box<dyn Reads + Send + Sync>,
        identity: Identity,
        rng: ChaCha20Rng,
    ) -> Self {
        let tx = LongTx::new(space.no(), identity, rng);
        Self { space, reads, tx }
    }

    /// Reads and edits. May be called many times.
    ///
    /// # Errors
    /// [`Error::Tx`] with what `edit` returned. The transaction is then half edited: drop it.
    pub fn edit<R>(&mut self, edit: impl FnOnce(&mut Tx<'_>) -> Result<R, TxError>) -> Result<R, Error> {
        let now_ms = self.space.peer().core().clock.now_ms();
        Ok(self.tx.edit(&*self.reads, now_ms, edit)?)
    }

    /// Commits everything as one event; `None` if nothing was edited.
    ///
    /// # Errors
    /// [`Error::NotPermitted`]; [`Error::Stopped`].
    pub async fn commit(self) -> Result<Option<EventRef>, Error> {
        let Self { space, reads, tx } = self;
        drop(reads);
        let (transaction, no) = (tx.finish(), space.no());
        let durability = space.peer().owner.durability;
        let core = space.peer().core();
        let reply = core.ask(|request| Input::Commit { request, space: no, transaction, durability }).await?;
        match reply {
            Reply::Committed(event) => Ok(event.as_ref().map(EventRef::from)),
            other => Err(unexpected(&other)),
        }
    }
}
