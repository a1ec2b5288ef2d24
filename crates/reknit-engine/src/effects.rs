//! What goes into the engine and what comes out of it.

use crate::apply::EntityChange;
use crate::error::{EngineError, Refused, TxError};
use crate::layout::SpaceNo;
use crate::status::{SpaceStatus, Why};
use crate::store::{Batch, Durability};
use crate::tx::Tx;
use reknit_access::{Role, SpaceKeys, Ticket};
use reknit_sync::{Announce, CloseReason, Message, Opening, Receipt};
use reknit_types::{DeviceId, Dot, SpaceId, Stamp, Transaction, VerifiedEvent};
use std::fmt;
use std::sync::Arc;

/// Names a request, so that its reply finds the one who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Names a stream between two peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// The body of a transaction: runs once, inside the engine.
pub type Run = Box<dyn FnOnce(&mut Tx<'_>) -> Result<(), TxError> + Send>;

/// Something that happened, or is wanted.
pub enum Input {
    /// Found a space.
    Create {
        /// Who asks.
        request: RequestId,
        /// What people will call it.
        name: String,
    },
    /// Become a member of a space. The reply comes when the history is here and the join is written.
    Join {
        /// Who asks.
        request: RequestId,
        /// The invitation.
        ticket: Box<Ticket>,
    },
    /// Whoever asked this has gone: nobody waits for its reply.
    Forget {
        /// Who asked.
        request: RequestId,
    },
    /// Give up a space that this device is not a member of.
    Leave {
        /// Who asks.
        request: RequestId,
        /// Which space.
        space: SpaceNo,
    },
    /// Invite others.
    Invite {
        /// Who asks.
        request: RequestId,
        /// Into which space.
        space: SpaceNo,
        /// What they may do.
        role: Role,
        /// Until when, in milliseconds since the Unix epoch.
        expires_ms: Option<u64>,
    },
    /// Run a transaction and commit what it did.
    Transact {
        /// Who asks.
        request: RequestId,
        /// In which space.
        space: SpaceNo,
        /// What it does.
        run: Run,
        /// What the reply waits for.
        durability: Durability,
    },
    /// Commit a transaction that was made elsewhere.
    Commit {
        /// Who asks.
        request: RequestId,
        /// In which space.
        space: SpaceNo,
        /// What it does.
        transaction: Transaction,
        /// What the reply waits for.
        durability: Durability,
    },
    /// Tell how a space stands.
    Inspect {
        /// Who asks.
        request: RequestId,
        /// Which space.
        space: SpaceNo,
    },
    /// A peer can be reached.
    Connected {
        /// The peer.
        device: DeviceId,
    },
    /// A peer can no longer be reached.
    Disconnected {
        /// The peer.
        device: DeviceId,
    },
    /// A peer opened a stream and named a space.
    Opened {
        /// The stream.
        link: LinkId,
        /// The peer, as the transport authenticated it.
        device: DeviceId,
        /// What it said first.
        opening: Opening,
    },
    /// A message came on a stream.
    Incoming {
        /// The stream.
        link: LinkId,
        /// What came.
        incoming: Incoming,
    },
    /// A stream ended, or could not be opened.
    Closed {
        /// The stream.
        link: LinkId,
        /// Why, in words.
        why: String,
    },
    /// An announce came by gossip, decrypted, its events verified.
    Gossip {
        /// The space of its topic.
        space: SpaceNo,
        /// Who passed it on.
        from: DeviceId,
        /// What it says.
        announce: Announce,
        /// The events of its frame.
        events: Vec<VerifiedEvent>,
    },
    /// Time has passed.
    Tick,
}

/// What came on a stream, as a worker has prepared it.
#[derive(Debug)]
pub enum Incoming {
    /// Anything but events.
    Message(Message),
    /// A frame whose events are verified.
    Events {
        /// The frame as it came.
        frame: reknit_sync::Frame,
        /// Its events.
        events: Vec<VerifiedEvent>,
    },
    /// Bytes that are no message, or a frame that does not verify.
    Malformed(String),
    /// More of a message that is not whole yet. To be said every [`reknit_sync::limits::ARRIVING_MS`] if more than
    /// [`reknit_sync::limits::PROGRESS_BYTES`] have come: on a slow link they are all that shows that the peer is there.
    Arriving {
        /// Bytes that came since the last time, those of whole messages included.
        bytes: u64,
    },
}

/// What a round of the engine leads to: one batch to commit, then everything else, in order.
#[derive(Default)]
pub struct Effects {
    /// What to write.
    pub batch: Batch,
    /// Whether the commit must reach the disk before the outputs are released.
    pub durable: bool,
    /// Whether the batch has an event of this device. Unless it is durable, nothing may leave the device after it
    /// before the store was flushed: a crash would make the device fork itself.
    pub own: bool,
    /// What to do once the batch is committed.
    pub outputs: Vec<Output>,
}

/// What to do once the batch is committed.
pub enum Output {
    /// Answer a request.
    Reply {
        /// Who asked.
        request: RequestId,
        /// The answer.
        reply: Result<Reply, EngineError>,
    },
    /// Open a stream to a connected peer and say this first.
    Open {
        /// The name of the stream from now on.
        link: LinkId,
        /// The peer.
        device: DeviceId,
        /// What to say first.
        opening: Opening,
        /// What its messages are decoded with.
        context: LinkContext,
    },
    /// Go on with a stream that a peer opened.
    Accept {
        /// The stream.
        link: LinkId,
        /// What its messages are decoded with.
        context: LinkContext,
    },
    /// Send a message.
    Send {
        /// The stream.
        link: LinkId,
        /// The message.
        message: Message,
    },
    /// End a stream once everything sent before is out.
    Close {
        /// The stream.
        link: LinkId,
        /// Why.
        reason: CloseReason,
    },
    /// Publish an announce, sealed, on the topic of a space.
    Publish {
        /// The topic.
        topic: [u8; 32],
        /// The sealed announce.
        sealed: Vec<u8>,
    },
    /// Tell those who watch.
    Notice(Notice),
}

/// What the messages of a stream, or the announces of a topic, are decoded with.
#[derive(Debug, Clone)]
pub struct LinkContext {
    /// The space they are about.
    pub space: SpaceId,
    /// Its keys.
    pub keys: Arc<SpaceKeys>,
}

/// The answer to a request.
#[derive(Debug)]
pub enum Reply {
    /// The space that was founded, joined or given up.
    Space(SpaceNo),
    /// The invitation, without hints where to find peers.
    Ticket(Box<Ticket>),
    /// What was committed; `None` if the transaction did nothing.
    Committed(Option<Dot>),
    /// How a space stands.
    Status(Box<SpaceStatus>),
}

/// Something that others may want to know.
#[derive(Debug, Clone)]
pub enum Notice {
    /// An event was committed.
    Committed(Arc<Committed>),
    /// What is known of a space itself changed: its name, members, or this device's role.
    Space(Arc<SpaceInfo>),
    /// A space was given up. Its number stands for no other while this engine lives.
    Left {
        /// The space.
        space: SpaceNo,
    },
    /// A peer signed that it has exactly what this one has.
    Converged {
        /// The space.
        space: SpaceNo,
        /// The peer.
        device: DeviceId,
        /// What it signed.
        receipt: Receipt,
    },
    /// Events are held, because their stamps are ahead of the local clock.
    Held {
        /// The space.
        space: SpaceNo,
        /// Who sent them.
        from: DeviceId,
        /// When they are admitted, in milliseconds since the Unix epoch.
        until_ms: u64,
    },
    /// Events were refused.
    Refused {
        /// The space.
        space: SpaceNo,
        /// Who sent them.
        from: DeviceId,
        /// The event that was refused.
        dot: Dot,
        /// Why.
        reason: Refused,
    },
    /// A session with a peer ended.
    Unlinked {
        /// The space.
        space: SpaceNo,
        /// The peer.
        device: DeviceId,
        /// Why.
        why: Why,
    },
}

/// A committed event and what it did.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The space.
    pub space: SpaceNo,
    /// The event.
    pub event: Dot,
    /// When it was written.
    pub stamp: Stamp,
    /// Whether this device wrote it, in this session.
    pub local: bool,
    /// What it did to entities.
    pub changes: Vec<EntityChange>,
}

/// What is known of a space itself.
#[derive(Debug, Clone)]
pub struct SpaceInfo {
    /// Its local number.
    pub no: SpaceNo,
    /// Its id.
    pub id: SpaceId,
    /// What people call it.
    pub name: String,
    /// What this device may do; `None` while it is joining.
    pub role: Option<Role>,
    /// Its keys.
    pub keys: Arc<SpaceKeys>,
    /// Its members.
    pub members: Vec<MemberInfo>,
    /// Peers to look for while this device is joining: who and where.
    pub hints: Vec<(DeviceId, Vec<String>)>,
}

/// What is known of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberInfo {
    /// The device.
    pub device: DeviceId,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// When it founded or joined, in milliseconds since the Unix epoch.
    pub since_ms: u64,
}

impl Effects {
    pub(crate) fn reply(&mut self, request: RequestId, reply: Result<Reply, EngineError>) {
        self.outputs.push(Output::Reply { request, reply });
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        self.outputs.push(Output::Notice(notice));
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effects")
            .field("puts", &self.batch.len())
            .field("outputs", &self.outputs.len())
            .finish()
    }
}
