//! Inputs as a journal has them.

use crate::effects::{Incoming, Input, LinkContext, LinkId, RequestId};
use crate::engine::Engine;
use crate::layout::SpaceNo;
use crate::store::Durability;
use crate::tx::{Ran, fits};
use reknit_access::{Role, Ticket};
use reknit_sync::limits::{ANNOUNCE_BYTES_MAX, MESSAGE_BYTES_MAX};
use reknit_sync::{Announce, Frame, Message, Opening, frame};
use reknit_types::limits::{PAYLOAD_BYTES_MAX, TRANSACTION_OPS_MAX};
use reknit_types::{DecodeError, DeviceId, EntityEdit, Op, Reader, Transaction, VerifiedEvent, Writer};
use std::sync::Arc;

/// An input as it was noted: all of it is data.
#[derive(Debug, Clone)]
pub enum Noted {
    /// [`Input::Create`].
    Create(RequestId, String),
    /// [`Input::Join`].
    Join(RequestId, Box<Ticket>),
    /// [`Input::Forget`].
    Forget(RequestId),
    /// [`Input::Leave`].
    Leave(RequestId, SpaceNo),
    /// [`Input::Invite`]: the role, and until when.
    Invite(RequestId, SpaceNo, Role, Option<u64>),
    /// [`Input::Transact`]; what its body did follows it.
    Transact(RequestId, SpaceNo, Durability),
    /// [`Input::Commit`]; nothing stands for what was more than an event holds, and was refused.
    Commit(RequestId, SpaceNo, Durability, Option<Transaction>),
    /// [`Input::Inspect`].
    Inspect(RequestId, SpaceNo),
    /// [`Input::Connected`].
    Connected(DeviceId),
    /// [`Input::Disconnected`].
    Disconnected(DeviceId),
    /// [`Input::Opened`].
    Opened(LinkId, DeviceId, Opening),
    /// [`Input::Incoming`], anything but events.
    Message(LinkId, Message),
    /// [`Input::Incoming`], events: they are verified anew.
    Events(LinkId, Frame),
    /// [`Input::Incoming`], no message.
    Malformed(LinkId, String),
    /// [`Input::Incoming`], part of a message: how many bytes.
    Arriving(LinkId, u64),
    /// [`Input::Closed`].
    Closed(LinkId, String),
    /// [`Input::Gossip`], and whether its events were verified.
    Gossip(SpaceNo, DeviceId, Announce, bool),
    /// [`Input::Tick`].
    Tick,
}

/// What is known only after a transaction was handled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Handled {
    /// What its body did, if it was run.
    pub(crate) ran: Option<Ran>,
    /// Where the engine's generator of chance stood.
    pub(crate) drawn: u128,
}

impl Handled {
    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.raw(&self.drawn.to_be_bytes()).flag(self.ran.is_some());
        if let Some(ran) = &self.ran {
            ran.encode(writer);
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let drawn = u128::from_be_bytes(reader.array("place of a generator")?);
        let ran = if reader.flag("whether it was run")? { Some(Ran::decode(reader)?) } else { None };
        Ok(Self { ran, drawn })
    }
}

/// Appends `input`.
pub(crate) fn encode(input: &Input, writer: &mut Writer) {
    match input {
        Input::Create { request, name } => _ = ask(writer, CREATE, *request).str(name),
        Input::Join { request, ticket } => _ = ask(writer, JOIN, *request).str(&ticket.to_string()),
        Input::Forget { request } => _ = ask(writer, FORGET, *request),
        Input::Leave { request, space } => _ = ask_space(writer, LEAVE, (*request, *space)),
        Input::Invite { request, space, role, expires_ms } => {
            ask_space(writer, INVITE, (*request, *space)).str(role.as_str()).flag(expires_ms.is_some());
            expires_ms.iter().for_each(|expires_ms| _ = writer.varint(*expires_ms));
        }
        Input::Transact { request, space, durability, .. } => {
            ask_space(writer, TRANSACT, (*request, *space)).flag(*durability == Durability::Durable);
        }
        Input::Commit { request, space, transaction, durability } => {
            ask_space(writer, COMMIT, (*request, *space)).flag(*durability == Durability::Durable);
            let fits = fits(transaction);
            writer.flag(fits);
            if fits {
                writer.bytes(&transaction.encode());
            }
        }
        Input::Inspect { request, space } => _ = ask_space(writer, INSPECT, (*request, *space)),
        Input::Connected { device } => _ = writer.u8(CONNECTED).raw(device.as_bytes()),
        Input::Disconnected { device } => _ = writer.u8(DISCONNECTED).raw(device.as_bytes()),
        Input::Opened { link, device, opening } => {
            writer.u8(OPENED).varint(link.0).raw(device.as_bytes()).bytes(&opening.encode());
        }
        Input::Incoming { link, incoming } => encode_incoming(*link, incoming, writer),
        Input::Closed { link, why } => _ = writer.u8(CLOSED).varint(link.0).str(why),
        Input::Gossip { space, from, announce, events } => {
            writer.u8(GOSSIP).varint(u64::from(space.0)).raw(from.as_bytes());
            writer.bytes(&announce.encode()).flag(!events.is_empty());
        }
        Input::Tick => _ = writer.u8(TICK),
    }
}

fn encode_incoming(link: LinkId, incoming: &Incoming, writer: &mut Writer) {
    match incoming {
        Incoming::Message(message) => _ = writer.u8(MESSAGE).varint(link.0).bytes(&message.encode()),
        Incoming::Events { frame, .. } => _ = writer.u8(EVENTS).varint(link.0).bytes(frame.as_bytes()),
        Incoming::Malformed(why) => _ = writer.u8(MALFORMED).varint(link.0).str(why),
        Incoming::Arriving { bytes } => _ = writer.u8(ARRIVING).varint(link.0).varint(*bytes),
    }
}

fn ask(writer: &mut Writer, tag: u8, request: RequestId) -> &mut Writer {
    writer.u8(tag).varint(request.0)
}

fn ask_space(writer: &mut Writer, tag: u8, (request, space): (RequestId, SpaceNo)) -> &mut Writer {
    ask(writer, tag, request).varint(u64::from(space.0))
}

impl Noted {
    /// The input that was noted.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let tag = reader.u8("input")?;
        Ok(match tag {
            CREATE => Self::Create(request(reader)?, text(reader)?),
            JOIN => {
                let request = request(reader)?;
                let ticket = text(reader)?.parse().map_err(|_| DecodeError::Invalid("ticket"))?;
                Self::Join(request, Box::new(ticket))
            }
            FORGET => Self::Forget(request(reader)?),
            LEAVE => Self::Leave(request(reader)?, space(reader)?),
            INVITE => {
                let (request, space) = (request(reader)?, space(reader)?);
                let role = role(&text(reader)?)?;
                let expires_ms = if reader.flag("expiry")? { Some(reader.varint("expiry")?) } else { None };
                Self::Invite(request, space, role, expires_ms)
            }
            TRANSACT => Self::Transact(request(reader)?, space(reader)?, durability(reader)?),
            COMMIT => {
                let (request, space, durability) = (request(reader)?, space(reader)?, durability(reader)?);
                let transaction = match reader.flag("transaction")? {
                    true => Some(Transaction::decode(reader.bytes(PAYLOAD_BYTES_MAX, "transaction")?)?),
                    false => None,
                };
                Self::Commit(request, space, durability, transaction)
            }
            INSPECT => Self::Inspect(request(reader)?, space(reader)?),
            CONNECTED => Self::Connected(DeviceId::decode(reader)?),
            DISCONNECTED => Self::Disconnected(DeviceId::decode(reader)?),
            OPENED => {
                let (link, device) = (link(reader)?, DeviceId::decode(reader)?);
                Self::Opened(link, device, Opening::decode(reader.bytes(usize::MAX, "opening")?)?)
            }
            MESSAGE => {
                let link = link(reader)?;
                Self::Message(link, Message::decode(reader.bytes(MESSAGE_BYTES_MAX, "message")?)?)
            }
            EVENTS => {
                let link = link(reader)?;
                let frame = reader.bytes(MESSAGE_BYTES_MAX, "frame")?.to_vec();
                Self::Events(link, Frame::from_bytes(frame))
            }
            MALFORMED => Self::Malformed(link(reader)?, text(reader)?),
            ARRIVING => Self::Arriving(link(reader)?, reader.varint("bytes")?),
            CLOSED => Self::Closed(link(reader)?, text(reader)?),
            GOSSIP => {
                let (space, from) = (space(reader)?, DeviceId::decode(reader)?);
                let announce = Announce::decode(reader.bytes(ANNOUNCE_BYTES_MAX, "announce")?)?;
                Self::Gossip(space, from, announce, reader.flag("events")?)
            }
            TICK => Self::Tick,
            _ => return Err(DecodeError::Invalid("input")),
        })
    }

    /// The input for an engine that is as it was when this was noted. `handled` is what followed it.
    pub(crate) fn into_input(self, engine: &Engine, handled: Option<Handled>) -> Input {
        let incoming = |link, incoming| Input::Incoming { link, incoming };
        match self {
            Self::Create(request, name) => Input::Create { request, name },
            Self::Join(request, ticket) => Input::Join { request, ticket },
            Self::Forget(request) => Input::Forget { request },
            Self::Leave(request, space) => Input::Leave { request, space },
            Self::Invite(request, space, role, expires_ms) => {
                Input::Invite { request, space, role, expires_ms }
            }
            Self::Transact(request, space, durability) => {
                let ran = handled.and_then(|handled| handled.ran);
                let run: crate::effects::Run = Box::new(move |tx| match ran {
                    Some(ran) => tx.repeat(ran),
                    None => Err(crate::error::TxError::abort("what it did was not noted")),
                });
                Input::Transact { request, space, run, durability }
            }
            Self::Commit(request, space, durability, transaction) => {
                let transaction = transaction.unwrap_or_else(oversized);
                Input::Commit { request, space, transaction, durability }
            }
            Self::Inspect(request, space) => Input::Inspect { request, space },
            Self::Connected(device) => Input::Connected { device },
            Self::Disconnected(device) => Input::Disconnected { device },
            Self::Opened(link, device, opening) => Input::Opened { link, device, opening },
            Self::Message(link, message) => incoming(link, Incoming::Message(message)),
            Self::Events(link, frame) => {
                let events = verified(&frame, engine.link_context(link));
                incoming(link, Incoming::Events { frame, events })
            }
            Self::Malformed(link, why) => incoming(link, Incoming::Malformed(why)),
            Self::Arriving(link, bytes) => incoming(link, Incoming::Arriving { bytes }),
            Self::Closed(link, why) => Input::Closed { link, why },
            Self::Gossip(space, from, announce, verifies) => {
                let frame = announce.frame.as_ref().filter(|_| verifies);
                let events = frame.map(|frame| verified(frame, engine.space_context(space)));
                Input::Gossip { space, from, announce, events: events.unwrap_or_default() }
            }
            Self::Tick => Input::Tick,
        }
    }
}

impl Engine {
    /// What the messages of a stream are decoded with.
    fn link_context(&self, link: LinkId) -> Option<LinkContext> {
        let (no, _) = self.table.by_link.get(&link)?;
        self.space_context(*no)
    }

    fn space_context(&self, no: SpaceNo) -> Option<LinkContext> {
        let space = self.spaces.get(&no)?;
        Some(LinkContext { space: space.id, keys: Arc::clone(&space.keys) })
    }
}

/// The events of a frame. None, if its stream is gone: then nobody looks at them either.
fn verified(frame: &Frame, context: Option<LinkContext>) -> Vec<VerifiedEvent> {
    let events =
        context.map(|context| frame::decode_verified(frame.as_bytes(), context.space, &*context.keys));
    events.and_then(Result::ok).unwrap_or_default()
}

/// A transaction of more than an event holds.
fn oversized() -> Transaction {
    let ops = vec![Op::Create; TRANSACTION_OPS_MAX + 1];
    let collection = reknit_types::Name::new("x").expect("one letter is a name");
    let entity = reknit_types::EntityId::from_bytes([0; 16]);
    Transaction { edits: vec![EntityEdit { collection, entity, ops }] }
}

fn request(reader: &mut Reader<'_>) -> Result<RequestId, DecodeError> {
    reader.varint("request").map(RequestId)
}

fn link(reader: &mut Reader<'_>) -> Result<LinkId, DecodeError> {
    reader.varint("stream").map(LinkId)
}

fn space(reader: &mut Reader<'_>) -> Result<SpaceNo, DecodeError> {
    let no = reader.varint("number of a space")?;
    u32::try_from(no).map(SpaceNo).map_err(|_| DecodeError::Invalid("number of a space"))
}

fn durability(reader: &mut Reader<'_>) -> Result<Durability, DecodeError> {
    Ok(if reader.flag("durability")? { Durability::Durable } else { Durability::Fast })
}

fn role(word: &str) -> Result<Role, DecodeError> {
    let roles = [Role::Relay, Role::Reader, Role::Writer, Role::Admin];
    roles.into_iter().find(|role| role.as_str() == word).ok_or(DecodeError::Invalid("role"))
}

fn text(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    reader.str(usize::MAX, "text").map(str::to_owned)
}

const CREATE: u8 = 1;
const JOIN: u8 = 2;
const FORGET: u8 = 3;
const LEAVE: u8 = 4;
const INVITE: u8 = 5;
const TRANSACT: u8 = 6;
const COMMIT: u8 = 7;
const INSPECT: u8 = 8;
const CONNECTED: u8 = 9;
const DISCONNECTED: u8 = 10;
const OPENED: u8 = 11;
const MESSAGE: u8 = 12;
const EVENTS: u8 = 13;
const MALFORMED: u8 = 14;
const CLOSED: u8 = 15;
const GOSSIP: u8 = 16;
const TICK: u8 = 17;
const ARRIVING: u8 = 18;
