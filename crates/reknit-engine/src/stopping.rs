//! What an engine still does when its peer stops.

use crate::engine::Engine;
use crate::error::EngineError;
use crate::store::{Batch, Reads};

impl Engine {
    /// What is worth writing once a peer stops in order: its log, packed. Takes some tens of milliseconds at most. Between
    /// rounds only, and the engine is of no use afterwards.
    ///
    /// # Errors
    /// As for [`Engine::handle`].
    pub fn tidy(&mut self, reads: &dyn Reads) -> Result<Batch, EngineError> {
        let mut batch = Batch::new();
        for space in self.spaces.values_mut() {
            space.pack_at_end(reads, &mut batch)?;
        }
        Ok(batch)
    }
}
