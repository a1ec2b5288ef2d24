//! Giving up a space that this device has not become a member of.

use crate::effects::{Notice, Reply};
use crate::engine::{Engine, Turn};
use crate::error::EngineError;
use crate::layout::SpaceNo;
use crate::store::{Batch, Direction, Reads as _, Table, View};
use reknit_sync::CloseReason;
use std::ops::ControlFlow;

impl Engine {
    /// Forgets a space and everything of it that is here. Nobody is told: to the members this device was a stranger.
    pub(crate) fn leave(&mut self, turn: &mut Turn<'_>, no: SpaceNo) -> Result<Reply, EngineError> {
        let space = self.space(no)?;
        if !space.is_joining(&self.device.id()) {
            return Err(EngineError::Invalid(
                "this device is a member of the space, and a member cannot leave yet".to_owned(),
            ));
        }
        let erased = erased(&View::new(turn.reads, &turn.effects.batch), no)?;
        self.end_sessions(turn, no, CloseReason::Leaving)?;
        self.table.by_link.retain(|_, (space, _)| *space != no);
        self.answer_joins(turn, no, || Err(EngineError::GivenUp));
        self.cells.forget(no);
        self.drop_space(no);
        turn.effects.batch.append(erased);
        turn.effects.durable = true;
        turn.effects.notice(Notice::Left { space: no });
        Ok(Reply::Space(no))
    }
}

/// Takes every record of the space out of the store.
fn erased(view: &View<'_>, no: SpaceNo) -> Result<Batch, EngineError> {
    let mut batch = Batch::new();
    for table in Table::ALL.into_iter().filter(|table| !matches!(table, Table::Meta | Table::Known)) {
        view.scan_prefix(table, &no.prefix(), Direction::Forward, &mut |key, _| {
            batch.delete(table, key.to_vec());
            if batch.bytes() > ERASED_BYTES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
    }
    if batch.bytes() > ERASED_BYTES_MAX {
        let what = "more of the space is here than can be erased at once: join it, or begin with a new store";
        return Err(EngineError::Invalid(what.to_owned()));
    }
    Ok(batch)
}

/// Well below what a batch may hold. Who is no member has seldom got anything of a space.
const ERASED_BYTES_MAX: usize = crate::store::BATCH_BYTES_MAX / 4;
