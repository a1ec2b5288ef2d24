//! What came of a round, in short.

use crate::effects::{Effects, Notice, Output, Reply};
use crate::error::EngineError;
use crate::store::{Batch, Change};
use reknit_types::{DecodeError, Reader, Writer};
use std::fmt;

/// What came of a round: enough to tell whether another came to the same, and where the two part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Keys that the batch changes.
    pub changes: u64,
    /// Names what the batch does: the start of a hash over table, key and value of every change.
    pub batch: [u8; 16],
    /// The outputs, in order.
    pub told: Vec<Told>,
}

/// An output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// What kind of output it is.
    pub kind: &'static str,
    /// Names all that it says: the start of a hash.
    pub digest: [u8; 8],
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:016x}", self.kind, u64::from_be_bytes(self.digest))
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Outcome {
    /// What came of the round that led to these effects.
    pub fn of(effects: &Effects) -> Self {
        Self {
            changes: effects.batch.len() as u64,
            batch: batch_digest(&effects.batch),
            told: effects.outputs.iter().map(Told::of).collect(),
        }
    }

    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.varint(self.changes).raw(&self.batch).varint(self.told.len() as u64);
        for told in &self.told {
            let kind = KINDS.iter().position(|kind| *kind == told.kind).unwrap_or(KINDS.len());
            writer.varint(kind as u64).raw(&told.digest);
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (changes, batch) = (reader.varint("changes of a batch")?, reader.array("digest of a batch")?);
        let count = reader.count(usize::MAX, "outputs")?;
        let told = (0..count).map(|_| Told::decode(reader)).collect::<Result<_, _>>()?;
        Ok(Self { changes, batch, told })
    }
}

impl Told {
    fn of(output: &Output) -> Self {
        let mut writer = Writer::new();
        let kind = describe(output, &mut writer);
        let mut digest = [0; 8];
        blake3::Hasher::new().update(writer.as_slice()).finalize_xof().fill(&mut digest);
        Self { kind, digest }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = usize::try_from(reader.varint("kind of output")?).ok().and_then(|kind| KINDS.get(kind));
        let kind = kind.copied().ok_or(DecodeError::Invalid("kind of output"))?;
        Ok(Self { kind, digest: reader.array("digest of an output")? })
    }
}

fn batch_digest(batch: &Batch) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for (table, key, change) in batch.iter() {
        let mut head = Writer::new();
        head.u8(table.number()).bytes(key);
        match change {
            Change::Put(value) => {
                hasher.update(head.flag(true).varint(value.len() as u64).as_slice()).update(value)
            }
            Change::Delete => hasher.update(head.flag(false).as_slice()),
        };
    }
    let mut digest = [0; 16];
    hasher.finalize_xof().fill(&mut digest);
    digest
}

/// Appends all that an output says, and returns its kind.
fn describe(output: &Output, writer: &mut Writer) -> &'static str {
    match output {
        Output::Reply { request, reply } => {
            writer.varint(request.0);
            describe_reply(reply, writer)
        }
        Output::Open { link, device, opening, context } => {
            writer.varint(link.0).raw(device.as_bytes()).bytes(&opening.encode());
            writer.raw(context.space.as_bytes()).bytes(&context.keys.encode());
            "open"
        }
        Output::Accept { link, context } => {
            writer.varint(link.0).raw(context.space.as_bytes()).bytes(&context.keys.encode());
            "accept"
        }
        Output::Send { link, message } => {
            writer.varint(link.0).raw(&message.encode());
            "send"
        }
        Output::Close { link, reason } => {
            writer.varint(link.0).u8(reason.to_byte());
            "close"
        }
        Output::Publish { topic, sealed } => {
            writer.raw(topic).raw(sealed);
            "publish"
        }
        Output::Notice(notice) => describe_notice(notice, writer),
    }
}

/// Why the body of a transaction failed is the app's affair, and not known when it is repeated.
fn describe_reply(reply: &Result<Reply, EngineError>, writer: &mut Writer) -> &'static str {
    match reply {
        Ok(Reply::Space(space)) => _ = writer.u8(0).varint(u64::from(space.0)),
        Ok(Reply::Ticket(ticket)) => _ = writer.u8(1).str(&ticket.to_string()),
        Ok(Reply::Committed(dot)) => {
            writer.u8(2).flag(dot.is_some());
            dot.iter().for_each(|dot| dot.encode(writer));
        }
        Ok(Reply::Status(status)) => _ = writer.u8(3).str(&format!("{status:?}")),
        Err(EngineError::Tx(_) | EngineError::Event(_)) => return "refused transaction",
        Err(error) => {
            writer.str(&error.to_string());
            return "refusal";
        }
    }
    "reply"
}

fn describe_notice(notice: &Notice, writer: &mut Writer) -> &'static str {
    match notice {
        Notice::Committed(committed) => {
            committed.event.encode(writer.varint(u64::from(committed.space.0)));
            writer.raw(&committed.stamp.to_u128().to_be_bytes()).flag(committed.local);
            writer.str(&format!("{:?}", committed.changes));
            "committed"
        }
        Notice::Space(info) => {
            writer.varint(u64::from(info.no.0)).raw(info.id.as_bytes()).str(&info.name);
            writer.str(&format!("{:?}", (info.role, &info.members, &info.hints)));
            "space"
        }
        Notice::Left { space } => {
            writer.varint(u64::from(space.0));
            "left"
        }
        Notice::Converged { space, device, receipt } => {
            writer.varint(u64::from(space.0)).raw(device.as_bytes());
            writer.raw(&receipt.digest).raw(receipt.signature.as_bytes());
            "converged"
        }
        Notice::Held { space, from, until_ms } => {
            writer.varint(u64::from(space.0)).raw(from.as_bytes()).varint(*until_ms);
            "held"
        }
        Notice::Refused { space, from, dot, reason } => {
            writer.varint(u64::from(space.0)).raw(from.as_bytes());
            dot.encode(writer);
            writer.str(&reason.to_string());
            "refused"
        }
        Notice::Unlinked { space, device, why } => {
            writer.varint(u64::from(space.0)).raw(device.as_bytes()).str(&why.to_string());
            "unlinked"
        }
    }
}

/// Part of the format: only added to.
pub(crate) const KINDS: [&str; 15] = [
    "reply",
    "refusal",
    "refused transaction",
    "open",
    "accept",
    "send",
    "close",
    "publish",
    "committed",
    "space",
    "left",
    "converged",
    "held",
    "refused",
    "unlinked",
];
