//! Streams between engines, over connections.

use super::{Step, World};
use crate::enemy::messages;
use crate::network::{Arrival, Item, PeerNo, StreamNo};
use reknit_engine::{Incoming, Input, LinkContext, LinkId};
use reknit_sync::limits::ARRIVING_MS;
use reknit_sync::{CloseReason, Message, Opening};
use reknit_types::DeviceId;
use std::time::Duration;

impl World {
    pub(super) fn open(
        &mut self,
        peer: PeerNo,
        link: LinkId,
        (device, opening, context): (DeviceId, Opening, LinkContext),
    ) {
        let conn = self.reached_as(peer, device).and_then(|other| self.network.newest_conn(peer, other));
        let Some(conn) = conn else {
            return self.input(peer, Input::Closed { link, why: "not connected".to_owned() });
        };
        let side = self.network.conns[&conn].side(peer);
        let stream = self.network.add_stream(conn);
        if let Some(open) = self.network.streams.get_mut(&stream) {
            open.links[side] = Some(link);
        }
        if let Some(running) = self.peers[peer].running_mut() {
            running.contexts.insert(link, context);
            running.links.insert(link, (stream, side));
        }
        let opening = self.as_opened(peer, opening);
        self.transmit(stream, side, Item::Opening(opening));
    }

    pub(super) fn send(&mut self, peer: PeerNo, link: LinkId, message: &Message) {
        if let Some((stream, side)) = self.stream_of(peer, link)
            && let (Message::Events(frame), Some(open)) = (message, self.network.streams.get_mut(&stream))
        {
            self.checks.on_frame(peer, open.owed[side]);
            open.owed[side] += frame.as_bytes().len() as u64;
            if let Some(conn) = self.network.conns.get(&open.conn) {
                self.checks.on_served(peer, conn.ends[1 - side]);
            }
        }
        for bytes in self.as_said(peer, message) {
            self.checks.on_sent(peer, message, bytes.len());
            if let Some((stream, side)) = self.stream_of(peer, link) {
                self.transmit(stream, side, Item::Message(bytes));
            }
        }
    }

    pub(super) fn close(&mut self, peer: PeerNo, link: LinkId, reason: CloseReason) {
        if let Some((stream, side)) = self.stream_of(peer, link) {
            self.transmit(stream, side, Item::End(reason.to_string()));
            self.forget_link(peer, link);
        }
    }

    fn stream_of(&self, peer: PeerNo, link: LinkId) -> Option<(StreamNo, usize)> {
        self.peers[peer].running()?.links.get(&link).copied()
    }

    fn forget_link(&mut self, peer: PeerNo, link: LinkId) {
        if let Some(running) = self.peers[peer].running_mut() {
            running.links.remove(&link);
            running.contexts.remove(&link);
            running.unread.remove(&link);
        }
    }

    /// The engine takes a stream that another peer opened: what came on it is read.
    pub(super) fn accept(&mut self, peer: PeerNo, link: LinkId, context: LinkContext) {
        let Some(running) = self.peers[peer].running_mut() else { return };
        running.contexts.insert(link, context);
        for arrival in running.unread.remove(&link).unwrap_or_default() {
            let Some(from) = self.other_end(&arrival) else { return };
            self.deliver(peer, from, arrival);
        }
    }

    fn other_end(&self, arrival: &Arrival) -> Option<PeerNo> {
        let stream = self.network.streams.get(&arrival.stream)?;
        Some(self.network.conns.get(&stream.conn)?.ends[1 - arrival.to])
    }

    /// Sends from one side of a stream to the other.
    pub(crate) fn transmit(&mut self, no: StreamNo, side: usize, item: Item) {
        let Some(stream) = self.network.streams.get(&no) else { return };
        let Some(conn) = self.network.conns.get(&stream.conn) else { return };
        let conn_no = stream.conn;
        let (from, to) = (conn.ends[side], conn.ends[1 - side]);
        let path = self.network.path(from, to, conn.relay);
        let bytes = HEADER_BYTES
            + match &item {
                Item::Opening(bytes) | Item::Message(bytes) => bytes.len(),
                Item::Part(_) | Item::End(_) => 0,
            };
        let Some(conn) = self.network.conns.get_mut(&conn_no) else { return };
        let arrives = conn.senders[side].send(self.now, bytes, (&path.0, path.1), &mut self.network_rng);
        let Some(arrives) = arrives else { return self.kill(conn_no, "nothing comes through") };
        let Some(stream) = self.network.streams.get_mut(&no) else { return };
        let begins = self.now.max(stream.last_arrival[1 - side]);
        let arrives = arrives.max(begins);
        stream.last_arrival[1 - side] = arrives;
        for (at, bytes) in parts(begins, arrives, bytes) {
            self.agenda.plan(at, Step::Arrive(Arrival { stream: no, to: 1 - side, item: Item::Part(bytes) }));
        }
        self.agenda.plan(arrives, Step::Arrive(Arrival { stream: no, to: 1 - side, item }));
    }

    pub(super) fn on_arrival(&mut self, arrival: Arrival) {
        let Some(stream) = self.network.streams.get(&arrival.stream) else { return };
        let Some(conn) = self.network.conns.get_mut(&stream.conn) else { return };
        let (from, to) = (conn.ends[1 - arrival.to], conn.ends[arrival.to]);
        if conn.gone == Some(to) {
            return;
        }
        // What comes behind something that is held waits as well.
        let waits = conn.held[arrival.to].iter().any(|held| held.stream == arrival.stream);
        if waits || !self.network.reach.both(from, to) || conn.cut_since.is_some() {
            conn.held[arrival.to].push_back(arrival);
            return;
        }
        self.deliver(to, from, arrival);
    }

    pub(super) fn deliver(&mut self, to: PeerNo, from: PeerNo, arrival: Arrival) {
        // Before the engine accepts a stream the runtime reads nothing more from it.
        if let Some(link) = self.link_of(arrival.stream, arrival.to)
            && let Some(running) = self.peers[to].running_mut()
            && running.links.contains_key(&link)
            && !running.contexts.contains_key(&link)
        {
            return running.unread.entry(link).or_default().push(arrival);
        }
        let Arrival { stream, to: side, item } = arrival;
        match item {
            Item::Opening(bytes) => self.deliver_opening((to, from), (stream, side), &bytes),
            Item::Message(bytes) => self.deliver_message(to, (stream, side), &bytes),
            Item::Part(bytes) => self.deliver_part(to, (stream, side), bytes),
            Item::End(why) => {
                if let Some(link) = self.link_of(stream, side) {
                    self.forget_link(to, link);
                    self.input(to, Input::Closed { link, why });
                }
                self.network.streams.remove(&stream);
            }
        }
    }

    fn deliver_opening(
        &mut self,
        (to, from): (PeerNo, PeerNo),
        (stream, side): (StreamNo, usize),
        bytes: &[u8],
    ) {
        let device = self.device(from);
        let Some(running) = self.peers[to].running_mut() else { return };
        // The runtime ends a stream that begins badly by itself.
        let Ok(opening) = Opening::decode(bytes) else { return };
        let link = running.draw_link();
        running.links.insert(link, (stream, side));
        if let Some(open) = self.network.streams.get_mut(&stream) {
            open.links[side] = Some(link);
        }
        self.trace.note(self.now, format_args!("{from} opens a stream to {to}"));
        self.input(to, Input::Opened { link, device, opening });
    }

    fn deliver_message(&mut self, to: PeerNo, (stream, side): (StreamNo, usize), bytes: &[u8]) {
        let Some(link) = self.link_of(stream, side) else { return };
        self.traffic.messages += 1;
        self.traffic.bytes += bytes.len() as u64;
        let Some(running) = self.peers[to].running() else { return };
        let Some(context) = running.contexts.get(&link) else { return };
        let incoming = self.prepared.prepare(bytes, context);
        self.trace.note(self.now, format_args!("{to} gets {} B: {}", bytes.len(), kind(&incoming)));
        if let Incoming::Events { events, .. } = &incoming {
            self.traffic.events += events.len() as u64;
            self.traffic.events_again += self.checks.on_events(to, events);
        }
        if let (Incoming::Message(Message::Credit(bytes)), Some(open)) =
            (&incoming, self.network.streams.get_mut(&stream))
        {
            open.owed[side] = open.owed[side].saturating_sub(*bytes);
        }
        self.input(to, Input::Incoming { link, incoming });
    }

    fn deliver_part(&mut self, to: PeerNo, (stream, side): (StreamNo, usize), bytes: u64) {
        let Some(link) = self.link_of(stream, side) else { return };
        let Some(running) = self.peers[to].running() else { return };
        if running.contexts.contains_key(&link) {
            self.input(to, Input::Incoming { link, incoming: Incoming::Arriving { bytes } });
        }
    }

    fn link_of(&self, stream: StreamNo, side: usize) -> Option<LinkId> {
        self.network.streams.get(&stream)?.links[side]
    }
}

/// When a reader says how much of so many bytes has come, before all of them have.
fn parts(begins: Duration, arrives: Duration, bytes: usize) -> impl Iterator<Item = (Duration, u64)> {
    let span = arrives - begins;
    let count = u32::try_from(span.as_nanos() / ARRIVING.as_nanos()).unwrap_or(u32::MAX);
    let each = bytes as f64 * ARRIVING.as_secs_f64() / span.as_secs_f64().max(ARRIVING.as_secs_f64());
    (1..=count)
        .map(move |nth| begins + ARRIVING * nth)
        .filter(move |at| *at < arrives)
        .map(move |at| (at, each as u64))
}

fn kind(incoming: &Incoming) -> &'static str {
    match incoming {
        Incoming::Malformed(_) => "malformed",
        Incoming::Arriving { .. } => "a part",
        Incoming::Events { .. } => "events",
        Incoming::Message(message) => messages::kind(message),
    }
}

/// Length prefix, and what QUIC adds to a message.
const HEADER_BYTES: usize = 4 + 30;
const ARRIVING: Duration = Duration::from_millis(ARRIVING_MS);
