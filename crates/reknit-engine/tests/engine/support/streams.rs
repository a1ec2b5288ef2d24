//! Streams between peers, and gossip.

use super::{End, Item, World};
use rand::RngExt;
use reknit_engine::{Incoming, Input, LinkContext, LinkId};
use reknit_sync::{Message, Opening};
use reknit_types::DeviceId;
use std::collections::VecDeque;

impl World {
    pub(super) fn open(
        &mut self,
        at: usize,
        link: LinkId,
        (device, opening, context): (DeviceId, Opening, LinkContext),
    ) {
        let other = self.peer_of(device);
        assert!(self.connected.contains(&(at, other)), "a stream to a peer that is not connected");
        let far = End { peer: other, link: LinkId(self.peers[other].next_link) };
        self.peers[other].next_link += 2;
        let near = End { peer: at, link };
        self.peers[at].contexts.insert(link, context);
        self.other_end.extend([(near, far), (far, near)]);
        self.queues.extend([(near, VecDeque::new()), (far, VecDeque::new())]);
        self.send(near, Item::Opening(opening.encode()));
    }

    pub(super) fn send(&mut self, from: End, item: Item) {
        let item = match item {
            Item::Message(mut bytes) if self.garbles == Some(from.peer) => {
                if let Ok(Message::Events(_)) = Message::decode(&bytes) {
                    let at = self.rng.random_range(1..bytes.len());
                    bytes[at] ^= 1 << self.rng.random_range(0..8);
                }
                Item::Message(bytes)
            }
            item => item,
        };
        if let Some(to) = self.other_end.get(&from)
            && let Some(queue) = self.queues.get_mut(to)
        {
            queue.push_back(item);
        }
    }

    /// Sends raw bytes on the stream that `from` has open to `to`, as if its engine had.
    pub(crate) fn inject(&mut self, from: usize, to: usize, message: &Message) {
        let ends: Vec<End> =
            self.other_end.iter().filter(|(a, b)| a.peer == from && b.peer == to).map(|(a, _)| *a).collect();
        self.send(*ends.first().expect("a stream is open"), Item::Message(message.encode()));
    }

    /// Opens a stream that no engine asked for.
    pub(crate) fn knock(&mut self, from: usize, to: usize, opening: &Opening) {
        let near = End { peer: from, link: LinkId(u64::MAX) };
        let far = End { peer: to, link: LinkId(self.peers[to].next_link) };
        self.peers[to].next_link += 2;
        self.other_end.extend([(near, far), (far, near)]);
        self.queues.extend([(near, VecDeque::new()), (far, VecDeque::new())]);
        self.send(near, Item::Opening(opening.encode()));
    }

    /// What has come for the stream that [`Self::knock`] opened, as far as it is a message.
    pub(crate) fn knock_answers(&self, from: usize) -> Vec<Message> {
        let queue = self.queues.get(&End { peer: from, link: LinkId(u64::MAX) });
        let items = queue.into_iter().flatten();
        items
            .filter_map(|item| match item {
                Item::Message(bytes) => Some(Message::decode(bytes).unwrap()),
                _ => None,
            })
            .collect()
    }

    /// Delivers something to somebody; `false` if nothing is under way.
    pub(super) fn deliver(&mut self) -> bool {
        if self.bytes_a_minute.is_some() {
            return self.deliver_what_arrived();
        }
        let waiting: Vec<End> = self
            .queues
            .iter()
            .filter(|(end, queue)| !queue.is_empty() && end.link != LinkId(u64::MAX))
            .map(|(end, _)| *end)
            .collect();
        if !self.gossip.is_empty() && (waiting.is_empty() || self.rng.random_bool(0.3)) {
            self.deliver_gossip();
            return true;
        }
        if waiting.is_empty() {
            return false;
        }
        let end = waiting[self.rng.random_range(0..waiting.len())];
        let burst = self.rng.random_range(1..=8);
        let mut inputs = vec![];
        for _ in 0..burst {
            let Some(item) = self.queues.get_mut(&end).and_then(VecDeque::pop_front) else { break };
            let last = matches!(item, Item::Opening(_) | Item::End(_));
            inputs.extend(self.receive(end, item));
            if last {
                break;
            }
        }
        self.round(end.peer, inputs);
        true
    }

    pub(super) fn receive(&mut self, end: End, item: Item) -> Option<Input> {
        match item {
            Item::Opening(bytes) => {
                let device = self.id(self.other_end[&end].peer);
                Some(Input::Opened { link: end.link, device, opening: Opening::decode(&bytes).unwrap() })
            }
            Item::Message(bytes) => {
                self.bytes += bytes.len() as u64;
                self.messages += 1;
                let context = self.peers[end.peer].contexts.get(&end.link)?;
                let incoming = Incoming::prepare(&bytes, context);
                if let Incoming::Events { events, .. } = &incoming {
                    let admitted = &self.peers[end.peer].admitted;
                    self.resent +=
                        events.iter().filter(|event| admitted.contains(&event.id())).count() as u64;
                }
                Some(Input::Incoming { link: end.link, incoming })
            }
            Item::End(why) => {
                self.other_end.remove(&end);
                self.queues.remove(&end);
                Some(Input::Closed { link: end.link, why })
            }
        }
    }

    pub(super) fn deliver_gossip(&mut self) {
        let Some((from, to, topic, sealed)) = self.gossip.pop_front() else { return };
        let from = self.id(from);
        let found = self.peers[to].spaces.values().find(|space| space.keys.topic() == topic).cloned();
        let Some(space) = found else { return };
        let (announce, events) = space.open_announce(&sealed).unwrap();
        self.round(to, vec![Input::Gossip { space: space.no, from, announce, events }]);
    }
}
