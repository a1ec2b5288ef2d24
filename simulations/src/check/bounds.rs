//! That nothing which others can make grow grows without bound.

use super::Checks;
use crate::network::PeerNo;
use crate::peer::{Peer, Running};
use crate::world::HOME;
use reknit_engine::store::{Direction, Table};
use std::ops::ControlFlow;

impl Checks {
    /// There is a session with each other device and space at most, and nothing of those that are over.
    pub(super) fn bounded_sessions(&mut self, at: PeerNo, running: &Running) {
        let most = self.peers.len() * running.spaces.len().max(1);
        let (contexts, links) = (running.contexts.len(), running.links.len());
        // Streams that came in since the round are not answered yet.
        let waiting = running.inbox.len();
        if contexts > most || links > most + waiting {
            self.broke("bounded-sessions", || format!("{at} has {contexts} sessions on {links} streams"));
        }
        if waiting > INBOX_MAX {
            self.broke("bounded-inbox", || format!("{waiting} inputs wait at {at}"));
        }
    }

    /// What is held for the clock stays within its bounds.
    pub(crate) fn bounded_held(&mut self, at: PeerNo, peer: &Peer) {
        let Some(reads) = peer.disk.reads().filter(|_| !self.peers[at].hostile) else { return };
        let (mut frames, mut bytes) = (0, 0);
        let looked =
            reads.scan_prefix(Table::Held, &HOME.0.to_be_bytes(), Direction::Forward, &mut |_, value| {
                frames += 1;
                bytes += value.len();
                ControlFlow::Continue(())
            });
        match looked {
            Ok(()) if frames > HELD_FRAMES_MAX || bytes > HELD_BYTES_MAX => {
                self.broke("bounded-held", || format!("{at} holds {frames} frames of {bytes} bytes"));
            }
            Ok(()) => {}
            Err(error) => self.broke("readable", || format!("{at}: {error}")),
        }
    }
}

/// Far more than any burst here.
const INBOX_MAX: usize = 200_000;
const HELD_FRAMES_MAX: usize = 65_536;
const HELD_BYTES_MAX: usize = 16 * 1024 * 1024;
