//! Control events: operations on the space itself.

use crate::invite::InviteId;
use crate::limits::{CONTROL_PARENTS_MAX, LABEL_BYTES_MAX};
use crate::role::Role;
use reknit_types::{DecodeError, EventId, Reader, Signature, Writer};

/// What a control event does. Matches on it are exhaustive everywhere, so that whoever adds one is told of all places that
/// have to know it, those that attack it among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The space begins, with its author as the first member.
    Found {
        /// With the founder, what the space's id is a hash of.
        nonce: [u8; 32],
        /// What people call the space.
        name: String,
        /// What people call the founder's device.
        device_name: String,
    },
    /// Whoever holds the secret half of `key` may join.
    Invite {
        /// The public half.
        key: InviteId,
        /// The role those who join get.
        role: Role,
        /// Milliseconds since the Unix epoch after which nobody can join by it; none: it does not expire.
        expires_ms: Option<u64>,
    },
    /// The author becomes a member. This is the first event of its chain.
    Join {
        /// The invite event.
        invite: EventId,
        /// By the invite's key over space, device and invite event: see [`InviteId::proves`].
        proof: Signature,
        /// What people call the device.
        device_name: String,
    },
}

/// The payload of a control event. Control events form a small DAG of their own, so that membership is a fold over
/// them alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The control heads its author had: ascending, no two the same.
    pub parents: Vec<EventId>,
    /// What it does.
    pub action: Action,
}

impl Control {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(VERSION).varint(self.parents.len() as u64);
        self.parents.iter().for_each(|parent| _ = writer.raw(parent.as_bytes()));
        match &self.action {
            Action::Found { nonce, name, device_name } => {
                writer.u8(FOUND).raw(nonce).str(name).str(device_name);
            }
            Action::Invite { key, role, expires_ms } => {
                writer.u8(INVITE).raw(key.as_bytes());
                role.encode(&mut writer);
                encode_optional(*expires_ms, &mut writer);
            }
            Action::Join { invite, proof, device_name } => {
                writer.u8(JOIN).raw(invite.as_bytes()).raw(proof.as_bytes()).str(device_name);
            }
        }
        writer.into_bytes()
    }

    /// The control event with these canonical bytes, and nothing after them.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8("control event")?;
        if version != VERSION {
            return Err(newer("the control event", version, VERSION));
        }
        let count = reader.count(CONTROL_PARENTS_MAX, "control parents")?;
        let parents = (0..count).map(|_| EventId::decode(&mut reader)).collect::<Result<_, _>>()?;
        let action = decode_action(&mut reader)?;
        reader.finish()?;
        let control = Self { parents, action };
        control.check_shape()?;
        Ok(control)
    }

    /// What must hold of any control event, whoever wrote it: parents few and strictly ascending, names short and
    /// printable.
    pub fn check_shape(&self) -> Result<(), DecodeError> {
        if self.parents.len() > CONTROL_PARENTS_MAX || !self.parents.is_sorted_by(|a, b| a < b) {
            return Err(DecodeError::Invalid("list of control parents"));
        }
        match &self.action {
            Action::Found { name, device_name, .. } => {
                check_label(name, "space name")?;
                check_label(device_name, "device name")
            }
            Action::Join { device_name, .. } => check_label(device_name, "device name"),
            Action::Invite { .. } => Ok(()),
        }
    }
}

fn decode_action(reader: &mut Reader<'_>) -> Result<Action, DecodeError> {
    match reader.u8("control action")? {
        FOUND => Ok(Action::Found {
            nonce: reader.array("nonce")?,
            name: decode_label(reader, "space name")?,
            device_name: decode_label(reader, "device name")?,
        }),
        INVITE => Ok(Action::Invite {
            key: InviteId::decode(reader)?,
            role: Role::decode(reader)?,
            expires_ms: decode_optional(reader, "expiry")?,
        }),
        JOIN => Ok(Action::Join {
            invite: EventId::decode(reader)?,
            proof: Signature::from_bytes(reader.array("proof")?),
            device_name: decode_label(reader, "device name")?,
        }),
        tag => Err(newer("the control actions", tag, ACTION_NEWEST)),
    }
}

/// A name of a space or a device fits: 1 to [`LABEL_BYTES_MAX`] bytes, no control characters, no outer spaces.
pub(crate) fn check_label(text: &str, what: &'static str) -> Result<(), DecodeError> {
    let fits = (1..=LABEL_BYTES_MAX).contains(&text.len());
    let printable = text.trim() == text && !text.chars().any(char::is_control);
    if fits && printable { Ok(()) } else { Err(DecodeError::Invalid(what)) }
}

pub(crate) fn decode_label(reader: &mut Reader<'_>, what: &'static str) -> Result<String, DecodeError> {
    let text = reader.str(LABEL_BYTES_MAX, what)?;
    check_label(text, what)?;
    Ok(text.to_owned())
}

pub(crate) fn encode_optional(value: Option<u64>, writer: &mut Writer) {
    writer.flag(value.is_some());
    if let Some(value) = value {
        writer.varint(value);
    }
}

pub(crate) fn decode_optional(
    reader: &mut Reader<'_>,
    what: &'static str,
) -> Result<Option<u64>, DecodeError> {
    if reader.flag(what)? { reader.varint(what).map(Some) } else { Ok(None) }
}

pub(crate) fn newer(what: &'static str, found: u8, known: u8) -> DecodeError {
    DecodeError::Version { what, found: found.into(), known: known.into() }
}

const VERSION: u8 = 1;
const FOUND: u8 = 1;
const INVITE: u8 = 2;
const JOIN: u8 = 3;
/// Reserved above it: 4 grant, 5 revoke, 6 rotate the epoch, 7 rename, 8 revoke an invite.
const ACTION_NEWEST: u8 = JOIN;

#[cfg(test)]
mod tests;
