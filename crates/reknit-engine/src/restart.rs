//! An engine in the place of another one, over the same store: as if the peer had been stopped and started.

use crate::effects::{Effects, Input};
use crate::engine::{Config, Engine, Turn};
use crate::error::EngineError;
use crate::store::Reads;
use reknit_sync::CloseReason;

/// Numbers that an engine has given out. Whoever takes its place in the same process gives none of them again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Numbers {
    /// The last name of a stream.
    pub(crate) links: u64,
    /// The last number of a space.
    pub(crate) spaces: u32,
}

/// What takes the place of an engine.
pub struct Successor {
    /// To open it with: chance goes on where it was.
    pub config: Config,
    /// Numbers that are taken.
    pub numbers: Numbers,
    /// To feed it first: who is connected, and who waits to be a member.
    pub inputs: Vec<Input>,
}

impl Engine {
    /// As [`Engine::open`], in the place of an engine that gave out `numbers`.
    ///
    /// # Errors
    /// As for [`Engine::open`].
    pub fn open_after(numbers: Numbers, config: Config, reads: &dyn Reads) -> Result<Self, EngineError> {
        let mut engine = Self::open(config, reads)?;
        engine.table.skip_to(numbers.links);
        engine.last_space = engine.last_space.max(numbers.spaces);
        Ok(engine)
    }

    /// Ends every session, and tells what another engine needs to take the place of this one. Between rounds only; what
    /// is in `effects` is released before the other one handles anything. This one is of no use afterwards.
    ///
    /// # Errors
    /// As for [`Engine::handle`].
    pub fn retire(
        &mut self,
        now_ms: u64,
        reads: &dyn Reads,
        effects: &mut Effects,
    ) -> Result<Successor, EngineError> {
        let mut turn = Turn { now_ms, reads, effects };
        for no in self.space_numbers() {
            self.end_sessions(&mut turn, no, CloseReason::Leaving)?;
        }
        let connected = self.connected.keys().map(|device| Input::Connected { device: *device });
        let mut inputs: Vec<Input> = connected.collect();
        for join in &self.joins {
            if let Some(ticket) = &self.space(join.space)?.ticket {
                inputs.push(Input::Join { request: join.request, ticket: Box::new(ticket.clone()) });
            }
        }
        let config = Config {
            device: (*self.device).clone(),
            device_name: self.device_name.clone(),
            rng: self.rng.clone(),
        };
        Ok(Successor { config, numbers: self.numbers(), inputs })
    }

    fn numbers(&self) -> Numbers {
        Numbers { links: self.table.last(), spaces: self.last_space }
    }
}
