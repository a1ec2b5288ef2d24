//! Announces: hints by gossip for members that no session reaches.

use crate::effects::Output;
use crate::engine::{Engine, Turn};
use crate::error::EngineError;
use crate::history::SpaceHistory;
use crate::layout::SpaceNo;
use crate::store::View;
use reknit_sync::limits::ANNOUNCE_BYTES_MAX;
use reknit_sync::{Announce, Frame, History, Missing, Range, Source};
use reknit_types::{DeviceId, Dot};

impl Engine {
    /// Publishes what this device wrote in this round, unless every member is reached by a session anyway. Under load
    /// announces are thinned: they then name the heads only, and sessions carry the events.
    pub(crate) fn announce(
        &mut self,
        turn: &mut Turn<'_>,
        no: SpaceNo,
        admitted: &[(Dot, Source, Option<DeviceId>)],
    ) -> Result<(), EngineError> {
        let us = self.device.id();
        let connected = !self.connected.is_empty();
        let space = self.space_mut(no)?;
        let members =
            space.membership.members().filter(|(device, _)| *device != us).map(|(device, _)| device);
        let reached = members.into_iter().all(|device| space.links.by_device.contains_key(&device));
        if reached || !connected {
            return Ok(());
        }
        let next_ms = space.links.announced_ms + ANNOUNCE_GAP_MS;
        if turn.now_ms < next_ms {
            space.links.announce_at_ms = Some(next_ms);
            return Ok(());
        }
        let own: Vec<&Dot> =
            admitted.iter().filter(|(_, source, _)| *source == Source::Local).map(|(dot, ..)| dot).collect();
        let frame = match (own.first(), own.last()) {
            (Some(first), Some(last)) => self.own_frame(turn, no, first.seq - 1, last)?,
            _ => None,
        };
        self.publish(turn, no, frame)
    }

    /// Publishes the announce that was put off.
    pub(crate) fn announce_if_due(&mut self, turn: &mut Turn<'_>, no: SpaceNo) -> Result<(), EngineError> {
        let due = self.space(no)?.links.announce_at_ms.is_some_and(|at| at <= turn.now_ms);
        if due { self.publish(turn, no, None) } else { Ok(()) }
    }

    /// This device's events after `after`, up to and with `last`, if they fit into one small frame.
    fn own_frame(
        &self,
        turn: &Turn<'_>,
        no: SpaceNo,
        after: u64,
        last: &Dot,
    ) -> Result<Option<Frame>, EngineError> {
        let mut missing = Missing::default();
        missing.add(last.author, Range { after, up_to: last.tip() });
        let view = View::new(turn.reads, &turn.effects.batch);
        let history = SpaceHistory { space: self.space(no)?, reads: &view, peer: last.author, served: true };
        let frame = history.next_frame(&mut missing, ANNOUNCE_BYTES_MAX);
        let frame = frame.map_err(|error| EngineError::Damaged(error.to_string()))?;
        Ok(frame.filter(|frame| missing.is_empty() && frame.as_bytes().len() < ANNOUNCE_BYTES_MAX))
    }

    fn publish(&mut self, turn: &mut Turn<'_>, no: SpaceNo, frame: Option<Frame>) -> Result<(), EngineError> {
        let space = self.space_mut(no)?;
        space.links.announce_at_ms = None;
        space.links.announced_ms = turn.now_ms;
        let heads = space.heads.iter().map(|head| head.dot).collect();
        let announce = Announce::new(heads, space.frontier.digest(), frame);
        let sealed = space.keys.seal_announce(&announce.encode());
        turn.effects.outputs.push(Output::Publish { topic: space.keys.topic(), sealed });
        Ok(())
    }
}

/// At most so often, so that a burst of commits is announced by a few words.
const ANNOUNCE_GAP_MS: u64 = 25;
