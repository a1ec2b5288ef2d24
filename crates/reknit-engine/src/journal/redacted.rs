//! What happened, without anything that is secret.
//!
//! Names of devices, spaces, events and frontiers are replaced by short ones made with a key that nobody keeps: equal ones
//! stay equal within one journal, and none can be told from another journal's. No text comes from outside this program.

use crate::effects::{Incoming, Input, LinkId, Notice, Output, Reply};
use crate::error::EngineError;
use crate::layout::SpaceNo;
use crate::status::{SpaceStatus, Why};
use reknit_sync::{Against, Message, Want};
use reknit_types::{DecodeError, DeviceId, Dot, Reader, Tip, VerifiedEvent, Writer};
use std::fmt::Write as _;

/// Makes short names of what is to stay secret.
#[derive(Debug, Clone)]
pub(crate) struct Mask {
    key: [u8; 32],
}

/// One thing that happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// When, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// Whether the engine was told, or told others.
    pub told: bool,
    /// In which space.
    pub space: Option<u32>,
    /// On which stream.
    pub link: Option<u64>,
    /// Which peer, under its short name.
    pub peer: Option<String>,
    /// What.
    pub what: String,
}

/// How a space stood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its local number.
    pub space: u32,
    /// Events, heads, authors, and so on.
    pub here: String,
    /// The other members: short name, and how it stands with each.
    pub peers: Vec<(String, String)>,
    /// Why it may not be equal with others: a word, which peer, how many events.
    pub reasons: Vec<(String, Option<String>, u64)>,
}

impl Mask {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    fn name(&self, bytes: &[u8]) -> String {
        let [a, b, c, d, ..] = *blake3::keyed_hash(&self.key, bytes).as_bytes();
        format!("{:08x}", u32::from_be_bytes([a, b, c, d]))
    }

    pub(crate) fn device(&self, device: &DeviceId) -> String {
        self.name(device.as_bytes())
    }

    fn dots<'a>(&self, dots: impl Iterator<Item = &'a Dot>) -> String {
        self.places(dots.map(|dot| (dot.author, dot.seq)))
    }

    /// Authors and where in their chains: of many in a row the last.
    fn places(&self, places: impl Iterator<Item = (DeviceId, u64)>) -> String {
        let mut last: Vec<(DeviceId, u64)> = vec![];
        for (author, seq) in places {
            match last.last_mut() {
                Some((one, end)) if *one == author => *end = (*end).max(seq),
                _ => last.push((author, seq)),
            }
        }
        let mut text = String::new();
        for (author, seq) in last.iter().take(PLACES_MAX) {
            let _ = write!(text, " {}:{seq}", self.device(author));
        }
        if last.len() > PLACES_MAX {
            let _ = write!(text, " and {} more", last.len() - PLACES_MAX);
        }
        text
    }

    fn events(&self, events: &[VerifiedEvent]) -> String {
        let places = events.iter().map(|event| (event.header().author, event.header().seq));
        format!("{} events{}", events.len(), self.places(places))
    }

    /// What came.
    pub(crate) fn input(&self, now_ms: u64, input: &Input) -> Line {
        let line = Line { now_ms, told: true, ..Line::default() };
        let asked = |space: Option<SpaceNo>, what: &str| Line {
            space: space.map(|no| no.0),
            what: what.to_owned(),
            ..line.clone()
        };
        match input {
            Input::Create { .. } => asked(None, "create a space"),
            Input::Join { .. } => asked(None, "join a space"),
            Input::Forget { .. } => asked(None, "forget a request"),
            Input::Leave { space, .. } => asked(Some(*space), "give up a space"),
            Input::Invite { space, role, .. } => asked(Some(*space), &format!("invite a {role}")),
            Input::Transact { space, .. } => asked(Some(*space), "transact"),
            Input::Commit { space, .. } => asked(Some(*space), "commit a transaction"),
            Input::Inspect { space, .. } => asked(Some(*space), "inspect"),
            Input::Connected { device } => self.of_peer(line, device, "connected"),
            Input::Disconnected { device } => self.of_peer(line, device, "disconnected"),
            Input::Opened { link, device, opening } => {
                let what = format!("opened a stream, version {}", opening.version);
                Line { link: Some(link.0), ..self.of_peer(line, device, &what) }
            }
            Input::Incoming { link, incoming } => self.incoming(line, *link, incoming),
            Input::Closed { link, .. } => {
                Line { link: Some(link.0), what: "the stream ended".to_owned(), ..line }
            }
            Input::Gossip { space, from, announce, events } => {
                let frontier = self.name(&announce.frontier_digest);
                let what = format!("announce: frontier {frontier}, {}", self.events(events));
                Line { space: Some(space.0), ..self.of_peer(line, from, &what) }
            }
            Input::Tick => asked(None, TICK),
        }
    }

    fn of_peer(&self, line: Line, device: &DeviceId, what: &str) -> Line {
        Line { peer: Some(self.device(device)), what: what.to_owned(), ..line }
    }

    fn incoming(&self, line: Line, link: LinkId, incoming: &Incoming) -> Line {
        let what = match incoming {
            Incoming::Message(message) => self.message(message),
            Incoming::Events { frame, events } => {
                format!("{} in {} bytes", self.events(events), frame.as_bytes().len())
            }
            Incoming::Malformed(_) => "no message".to_owned(),
            Incoming::Arriving { bytes } => format!("{bytes} bytes of a message"),
        };
        Line { link: Some(link.0), what, ..line }
    }

    /// What follows.
    pub(crate) fn output(&self, now_ms: u64, output: &Output) -> Line {
        let line = Line { now_ms, ..Line::default() };
        match output {
            Output::Reply { reply, .. } => Line { what: reply_words(reply).to_owned(), ..line },
            Output::Open { link, device, .. } => {
                Line { link: Some(link.0), ..self.of_peer(line, device, "open a stream") }
            }
            Output::Accept { link, .. } => {
                Line { link: Some(link.0), what: "accept the stream".to_owned(), ..line }
            }
            Output::Send { link, message } => {
                Line { link: Some(link.0), what: self.message(message), ..line }
            }
            Output::Close { link, reason } => {
                Line { link: Some(link.0), what: format!("close the stream: {reason}"), ..line }
            }
            Output::Publish { sealed, .. } => {
                Line { what: format!("announce in {} bytes", sealed.len()), ..line }
            }
            Output::Notice(notice) => self.notice(line, notice),
        }
    }

    fn notice(&self, line: Line, notice: &Notice) -> Line {
        let (space, peer, what) = match notice {
            Notice::Committed(committed) => {
                let what = format!("admitted{}", self.dots([&committed.event].into_iter()));
                (committed.space, None, what)
            }
            Notice::Space(info) => (info.no, None, format!("{} members", info.members.len())),
            Notice::Left { space } => (*space, None, "given up".to_owned()),
            Notice::Converged { space, device, receipt } => {
                (*space, Some(device), format!("signed for frontier {}", self.name(&receipt.digest)))
            }
            Notice::Held { space, from, until_ms } => (*space, Some(from), format!("held until {until_ms}")),
            Notice::Refused { space, from, dot, reason } => {
                let kind = if reason.is_final() { "for good" } else { "for now" };
                (*space, Some(from), format!("refused {kind}:{}", self.dots([dot].into_iter())))
            }
            Notice::Unlinked { space, device, why } => {
                (*space, Some(device), format!("the session ended: {}", why_words(why)))
            }
        };
        Line { space: Some(space.0), peer: peer.map(|peer| self.device(peer)), what, ..line }
    }

    fn message(&self, message: &Message) -> String {
        match message {
            Message::Hello(hello) => {
                let base = hello.base.as_ref().map_or("none".to_owned(), |base| self.name(base));
                let frontier = self.name(&hello.digest);
                format!("hello: {} events, frontier {frontier}, base {base}", hello.events)
            }
            Message::Frontier { against, delta } => {
                let against = match against {
                    Against::Nothing => "nothing".to_owned(),
                    Against::Base(digest) => format!("base {}", self.name(digest)),
                    Against::Yours => "the other's".to_owned(),
                    Against::Sketch => "the sketch".to_owned(),
                };
                let tips = |(author, tips): &(DeviceId, Vec<Tip>)| {
                    tips.iter().map(|tip| (*author, tip.seq)).collect::<Vec<_>>()
                };
                let new = self.places(delta.new.iter().flat_map(tips));
                format!("frontier against {against}: {} gone, new{new}", delta.gone.len())
            }
            Message::Sketch(sketch) => format!("sketch: {} symbols", sketch.symbols.len()),
            Message::Want(Want::Symbols(count)) => format!("want {count} symbols"),
            Message::Want(Want::Tips(tips)) => format!("want {} tips", tips.len()),
            Message::Want(Want::All) => "want all tips".to_owned(),
            Message::Unknown(tips) => format!("unknown: {} tips", tips.len()),
            Message::Locate(locate) => format!("locate tip {}: {} probes", locate.tip, locate.probes.len()),
            Message::Located { tip, unknown } => format!("located tip {tip}: {unknown} unknown"),
            Message::Settled { tip, shared } => {
                format!("settled tip {tip} at {}", shared.map_or(0, |probe| probe.seq))
            }
            Message::Events(frame) => format!("events in {} bytes", frame.as_bytes().len()),
            Message::Have(dots) => format!("have{}", self.dots(dots.iter())),
            Message::Credit(bytes) => format!("credit for {bytes} bytes"),
            Message::Receipt(receipt) => format!("receipt for frontier {}", self.name(&receipt.digest)),
            Message::Close(reason) => format!("close: {reason}"),
        }
    }

    /// How a space stands.
    pub(crate) fn standing(&self, status: &SpaceStatus) -> Standing {
        let held = status.held.map_or(0, |(_, frames)| frames);
        let here = format!(
            "{} events, {} heads, {} authors, frontier {}, {held} frames held, {} forked, {} void",
            status.events,
            status.heads.len(),
            status.authors,
            self.name(&status.frontier_digest),
            status.forked.len(),
            status.voids,
        );
        let peers = status.peers.iter().map(|peer| {
            let session = peer.session.as_ref().map_or("no session".to_owned(), |session| {
                let (we, they) = (session.we_lack, session.they_lack);
                format!("{:?}, {:?}, we lack {we}, it lacks {they}", session.phase, session.waiting)
            });
            let connected = if peer.connected { "connected" } else { "not connected" };
            let equal = if peer.converged { "equal" } else { "not known to be equal" };
            let ended = peer
                .ended
                .as_ref()
                .map_or(String::new(), |why| format!("; the last ended: {}", why_words(why)));
            (self.device(&peer.device), format!("{connected}, {equal}, {session}{ended}"))
        });
        let reasons = status.reasons.iter().map(|reason| {
            let peer = reason.device.as_ref().map(|device| self.device(device));
            (reason.code.to_owned(), peer, reason.events)
        });
        Standing { space: status.no.0, here, peers: peers.collect(), reasons: reasons.collect() }
    }
}

fn why_words(why: &Why) -> String {
    match why {
        Why::Closed(reason) => reason.to_string(),
        Why::Disconnected => "the connection was lost".to_owned(),
        Why::Stream(_) => "the stream failed".to_owned(),
    }
}

fn reply_words(reply: &Result<Reply, EngineError>) -> &'static str {
    match reply {
        Ok(Reply::Space(_)) => "answer: a space",
        Ok(Reply::Ticket(_)) => "answer: a ticket",
        Ok(Reply::Committed(_)) => "answer: committed",
        Ok(Reply::Status(_)) => "answer: a status",
        Err(error) => error_words(error),
    }
}

/// What went wrong, without the words that may name what is secret.
pub(crate) fn error_words(error: &EngineError) -> &'static str {
    match error {
        EngineError::Store(_) => "the store failed",
        EngineError::Damaged(_) => "a record of the store is damaged",
        EngineError::Tx(_) | EngineError::Event(_) => "refused: the transaction",
        EngineError::NotPermitted(_) => "refused: not permitted",
        EngineError::Joining | EngineError::JoinRefused(_) => "refused: still joining",
        _ => "refused",
    }
}

impl Line {
    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.varint(self.now_ms).flag(self.told);
        optional(writer, self.space.map(u64::from));
        optional(writer, self.link);
        writer.str(self.peer.as_deref().unwrap_or_default()).str(&self.what);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (now_ms, told) = (reader.varint("time")?, reader.flag("direction")?);
        let space = take_optional(reader)?.map(u32::try_from).transpose();
        let space = space.map_err(|_| DecodeError::Invalid("number of a space"))?;
        let link = take_optional(reader)?;
        let peer = Some(take_text(reader)?).filter(|peer| !peer.is_empty());
        Ok(Self { now_ms, told, space, link, peer, what: take_text(reader)? })
    }

    /// Whether it is a tick of the clock.
    pub(crate) fn is_tick(&self) -> bool {
        self.what == TICK
    }
}

impl Standing {
    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.varint(u64::from(self.space)).str(&self.here).varint(self.peers.len() as u64);
        self.peers.iter().for_each(|(peer, words)| _ = writer.str(peer).str(words));
        writer.varint(self.reasons.len() as u64);
        for (code, peer, events) in &self.reasons {
            writer.str(code).str(peer.as_deref().unwrap_or_default()).varint(*events);
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let space = u32::try_from(reader.varint("number of a space")?);
        let space = space.map_err(|_| DecodeError::Invalid("number of a space"))?;
        let here = take_text(reader)?;
        let count = reader.count(usize::MAX, "peers")?;
        let peers = (0..count).map(|_| Ok((take_text(reader)?, take_text(reader)?)));
        let peers = peers.collect::<Result<_, DecodeError>>()?;
        let count = reader.count(usize::MAX, "reasons")?;
        let reasons = (0..count).map(|_| {
            let (code, peer) = (take_text(reader)?, take_text(reader)?);
            Ok((code, Some(peer).filter(|peer| !peer.is_empty()), reader.varint("events")?))
        });
        Ok(Self { space, here, peers, reasons: reasons.collect::<Result<_, DecodeError>>()? })
    }
}

fn optional(writer: &mut Writer, value: Option<u64>) {
    writer.flag(value.is_some());
    value.iter().for_each(|value| _ = writer.varint(*value));
}

fn take_optional(reader: &mut Reader<'_>) -> Result<Option<u64>, DecodeError> {
    Ok(if reader.flag("number")? { Some(reader.varint("number")?) } else { None })
}

fn take_text(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    reader.str(usize::MAX, "text").map(str::to_owned)
}

const TICK: &str = "tick";
/// Authors named in one line.
const PLACES_MAX: usize = 16;
