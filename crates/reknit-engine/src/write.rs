//! Writing: an event of this device, sealed on the heads of its space.

use crate::error::EngineError;
use crate::space::SpaceState;
use rand::Rng;
use reknit_types::limits::PARENTS_MAX;
use reknit_types::{DeviceKey, Draft, Epoch, Kind, Payload, Stamp, Tip, VerifiedEvent};

/// Who writes, and when.
pub(crate) struct Writing<'a, R> {
    pub(crate) now_ms: u64,
    pub(crate) device: &'a DeviceKey,
    pub(crate) rng: &'a mut R,
}

impl<R: Rng> Writing<'_, R> {
    /// The event with this payload, as the successor of this device's last one and of all heads. It is signed when the
    /// round is settled.
    pub(crate) fn seal(
        self,
        space: &SpaceState,
        kind: Kind,
        payload: Vec<u8>,
    ) -> Result<VerifiedEvent, EngineError> {
        let (epoch, key) = match kind {
            Kind::Data => space.keys.newest(),
            Kind::Control => (Epoch::FIRST, space.keys.control()),
        };
        // Should this device's own chain be forked (a restored backup), the longest branch goes on.
        let prev: Option<Tip> = space.frontier.tips(&self.device.id()).last().copied();
        let mut heads = space.heads.clone();
        if heads.len() > PARENTS_MAX {
            heads.sort_by_key(|head| std::cmp::Reverse(head.stamp));
            heads.truncate(PARENTS_MAX);
        }
        let after = heads.iter().map(|head| head.stamp).max();
        let mut parents: Vec<_> = heads.into_iter().map(|head| head.dot).collect();
        parents.sort_by_key(|dot| dot.id);
        let stamp = Stamp::next(self.now_ms, after, self.rng);
        let draft = Draft { kind, parents, stamp, epoch, payload: Payload::Open(payload) };
        Ok(VerifiedEvent::seal(space.id, self.device, prev, draft, key)?)
    }
}
