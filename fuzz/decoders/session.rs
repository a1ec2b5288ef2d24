//! A whole session with a peer that says anything.
//!
//! The input is a script: a byte for our role, then words, each a time to pass and a length before the bytes of a message.

use std::sync::Arc;

use reknit_sync::{Frame, Frontier, History, HistoryError, Message, Missing, Output, Role, Session, Source};
use reknit_types::{DeviceId, DeviceKey, Dot, EventId, SpaceId, Tip};

/// Whether there was a script at all: any is heard, to its end or until the session closes for what it says.
pub(crate) fn session(script: &[u8]) -> bool {
    let Some((first, mut rest)) = script.split_first() else { return false };
    let role = if first & 1 == 0 { Role::Initiator } else { Role::Responder };
    let key = Arc::new(DeviceKey::from_seed(&[1; 32]));
    let history = Chain::new();
    let mut session = Session::new(SpaceId::from_bytes([4; 32]), key, DeviceId::from_bytes([9; 32]), role);
    let (mut now_ms, mut out) = (1_700_000_000_000, Vec::new());
    session.start(now_ms, &history, &mut out);
    while let Some(([seconds, low, high], tail)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(tail.len());
        let (word, tail) = tail.split_at(len);
        rest = tail;
        now_ms += u64::from(*seconds) * 1000;
        session.on_tick(now_ms, &history, &mut out);
        say(&mut session, word, now_ms, &history, &mut out);
        assert!(out.len() <= OUTPUTS_MAX, "{} outputs for one word", out.len());
        if out.iter().any(|output| matches!(output, Output::Close(_))) {
            closes_for_good(&mut session, now_ms, &history);
            break;
        }
        out.clear();
    }
    true
}

fn say(session: &mut Session, word: &[u8], now_ms: u64, history: &Chain, out: &mut Vec<Output>) {
    match Message::decode(word) {
        Ok(Message::Events(frame)) => {
            // Its events would be verified first. Here they are taken to be one that the peer was asked for, and one that it was not.
            let dots =
                [history.dot(LENGTH), Dot { author: DeviceId::from_bytes([5; 32]), seq: 1, id: id(200) }];
            session.on_events(now_ms, (&dots, frame.as_bytes().len()), history, out);
            session.on_admitted(now_ms, (&dots[..1], Source::FromPeer), history, out);
        }
        Ok(message) => session.on_message(now_ms, message, history, out),
        Err(_) => {}
    }
}

fn closes_for_good(session: &mut Session, now_ms: u64, history: &Chain) {
    let mut out = Vec::new();
    session.on_message(now_ms, Message::Credit(1), history, &mut out);
    session.on_tick(now_ms + 3_600_000, history, &mut out);
    assert!(out.is_empty(), "a closed session says nothing more");
}

/// A history of one author, a chain with a branch.
struct Chain {
    author: DeviceId,
    frontier: Frontier,
}

impl Chain {
    fn new() -> Self {
        let author = DeviceId::from_bytes([3; 32]);
        let mut frontier = Frontier::default();
        frontier.set(author, vec![Tip { seq: LENGTH, id: id(LENGTH) }, Tip { seq: BRANCH, id: id(100) }]);
        Self { author, frontier }
    }

    fn dot(&self, seq: u64) -> Dot {
        Dot { author: self.author, seq, id: id(seq) }
    }
}

impl History for Chain {
    fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    fn event_count(&self) -> u64 {
        LENGTH + 1
    }

    fn ids_at(&self, author: &DeviceId, seq: u64) -> Result<Vec<EventId>, HistoryError> {
        let mut ids = Vec::new();
        if *author == self.author && (1..=LENGTH).contains(&seq) {
            ids.push(id(seq));
            ids.extend((seq == BRANCH).then(|| id(100)));
        }
        Ok(ids)
    }

    fn ancestor(&self, author: &DeviceId, tip: &Tip, seq: u64) -> Result<Option<EventId>, HistoryError> {
        if *author != self.author || seq == 0 || seq > tip.seq {
            return Ok(None);
        }
        Ok(Some(if seq == tip.seq { tip.id } else { id(seq) }))
    }

    fn last_shared(&self) -> Option<[u8; 32]> {
        Some(self.frontier.digest())
    }

    fn past_frontier(&self, digest: &[u8; 32]) -> Option<Frontier> {
        (*digest == self.frontier.digest()).then(|| self.frontier.clone())
    }

    fn next_frame(&self, missing: &mut Missing, _bytes_max: usize) -> Result<Option<Frame>, HistoryError> {
        let next = missing.iter().next().map(|(author, range)| (*author, range.up_to));
        let Some((author, up_to)) = next else { return Ok(None) };
        missing.mark_sent(&author, &up_to, up_to.seq);
        Ok(Some(Frame::from_bytes(vec![0; 100])))
    }
}

fn id(number: u64) -> EventId {
    EventId::from_bytes([number as u8; 32])
}

const LENGTH: u64 = 40;
const BRANCH: u64 = 20;
/// What one word of a peer may make a session say, with room to spare.
const OUTPUTS_MAX: usize = 1024;
