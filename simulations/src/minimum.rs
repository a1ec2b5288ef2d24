//! The least that peers have to be sent to become equal.

use crate::network::PeerNo;
use crate::world::World;
use reknit_sync::frame;
use reknit_sync::limits::FRAME_BODY_BYTES_MAX;
use reknit_types::{EventId, VerifiedEvent};
use std::collections::BTreeSet;

/// Bytes of the events that each of these peers lacks and another has, in frames as large as they may be: each event comes
/// to each peer once, and nothing else is said. None if a history cannot be read, or is too large to look through.
pub(crate) fn bytes(world: &World, peers: &[PeerNo]) -> Option<u64> {
    let events: usize =
        peers.iter().filter_map(|peer| world.glance(*peer)).map(|glance| glance.events as usize).sum();
    if events > EVENTS_MAX {
        return None;
    }
    let histories: Vec<Vec<VerifiedEvent>> =
        peers.iter().map(|peer| world.events(*peer).ok()).collect::<Option<_>>()?;
    let ids: Vec<BTreeSet<EventId>> =
        histories.iter().map(|events| events.iter().map(VerifiedEvent::id).collect()).collect();
    let mut sum = 0;
    for there in &ids {
        let mut known = there.clone();
        for history in &histories {
            // The newest comes first: in causal order it comes last.
            let lacking: Vec<VerifiedEvent> =
                history.iter().rev().filter(|event| known.insert(event.id())).cloned().collect();
            sum += frames_bytes(&lacking)?;
        }
    }
    Some(sum)
}

fn frames_bytes(mut events: &[VerifiedEvent]) -> Option<u64> {
    let mut bytes = 0;
    while !events.is_empty() {
        let (now, later) = events.split_at_checked(frame::prefix(events, FRAME_BODY_BYTES_MAX))?;
        bytes += frame::encode(now).ok()?.as_bytes().len() as u64;
        events = later;
    }
    Some(bytes)
}

/// Events of all peers together that are looked through.
const EVENTS_MAX: usize = 400_000;
