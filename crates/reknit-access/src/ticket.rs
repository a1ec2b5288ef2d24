//! Tickets: all that a device needs to join a space, as one string to copy or one QR code to scan.

mod address;

use crate::control::{decode_label, decode_optional, encode_optional};
use crate::invite::{INVITE_SEED_BYTES, InviteSecret};
use crate::keys::{SpaceKeys, SpaceSecret};
use crate::limits::{TICKET_ADDRESSES_MAX, TICKET_CHARS_MAX, TICKET_PEERS_MAX};
use crate::role::Role;
use data_encoding::BASE32_NOPAD;
use reknit_types::{DecodeError, DeviceId, EventId, Reader, SpaceId, Writer};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;
use zeroize::Zeroizing;

/// An invitation to a space. **Secret**: whoever reads its text may read the space and, until the invite expires, join
/// it. `Debug` shows no secrets; `Display` is the text itself.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// The space.
    pub space: SpaceId,
    /// What people call it.
    pub space_name: String,
    /// What its keys are made from, see [`Self::keys`].
    pub secret: SpaceSecret,
    /// Proves that its holder is invited.
    pub invite_secret: InviteSecret,
    /// The invite event.
    pub invite: EventId,
    /// The role that a join by it gives.
    pub role: Role,
    /// Milliseconds since the Unix epoch after which nobody can join by it.
    pub expires_ms: Option<u64>,
    /// Members, and where they were last reachable.
    pub peers: Vec<PeerHint>,
}

/// Where a member may be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerHint {
    /// The member's device.
    pub device: DeviceId,
    /// Multiaddresses as text, without the device.
    pub addrs: Vec<String>,
}

/// Why a string is not a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TicketError {
    /// Something else altogether.
    #[error("this is not a ticket: a ticket starts with \"{PREFIX}\"")]
    NotATicket,
    /// A later form of ticket.
    #[error("this ticket is of the newer version {0}; update this program")]
    Newer(char),
    /// Its end is missing.
    #[error("the ticket is cut short; copy it as a whole")]
    CutShort,
    /// A character is wrong, missing or too many.
    #[error("the ticket has a typing error; copy it again")]
    Mistyped,
    /// Made with care, and yet no ticket.
    #[error("the ticket is malformed: {0}")]
    Malformed(DecodeError),
}

impl Ticket {
    /// The keys of the space.
    pub fn keys(&self) -> SpaceKeys {
        SpaceKeys::from_secret(self.secret.clone())
    }

    /// The ticket in upper case, which a QR code packs into 5.5 bits a character.
    pub fn to_qr_text(&self) -> String {
        self.to_string().to_ascii_uppercase()
    }

    /// Hints beyond the limits, and addresses that are no text of one, are left out.
    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut writer = Writer::with_capacity(512);
        writer.raw(self.space.as_bytes()).raw(self.secret.as_bytes());
        writer.raw(self.invite_secret.seed()).raw(self.invite.as_bytes());
        self.role.encode(&mut writer);
        encode_optional(self.expires_ms, &mut writer);
        writer.str(&self.space_name).varint(self.peers.len().min(TICKET_PEERS_MAX) as u64);
        for hint in self.peers.iter().take(TICKET_PEERS_MAX) {
            let fitting = hint.addrs.iter().filter(|addr| address::fits(addr));
            let addrs: Vec<_> = fitting.take(TICKET_ADDRESSES_MAX).collect();
            writer.raw(hint.device.as_bytes()).varint(addrs.len() as u64);
            addrs.iter().for_each(|addr| address::encode(addr, &mut writer));
        }
        let sum = checksum(writer.as_slice());
        writer.raw(&sum);
        Zeroizing::new(writer.into_bytes())
    }

    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let space = SpaceId::decode(&mut reader)?;
        let secret = SpaceSecret::from_bytes(reader.array("secret of a space")?);
        let invite_secret =
            InviteSecret::from_seed(reader.array::<INVITE_SEED_BYTES>("secret of an invite")?);
        let invite = EventId::decode(&mut reader)?;
        let role = Role::decode(&mut reader)?;
        let expires_ms = decode_optional(&mut reader, "expiry")?;
        let space_name = decode_label(&mut reader, "space name")?;
        let count = reader.count(TICKET_PEERS_MAX, "peers")?;
        let peers = (0..count).map(|_| decode_hint(&mut reader)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self { space, space_name, secret, invite_secret, invite, role, expires_ms, peers })
    }
}

fn decode_hint(reader: &mut Reader<'_>) -> Result<PeerHint, DecodeError> {
    let device = DeviceId::decode(reader)?;
    let count = reader.count(TICKET_ADDRESSES_MAX, "addresses")?;
    let addrs = (0..count).map(|_| address::decode(reader)).collect::<Result<_, _>>()?;
    Ok(PeerHint { device, addrs })
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Zeroizing::new(BASE32_NOPAD.encode(&self.encode()));
        text.make_ascii_lowercase();
        write!(f, "{PREFIX}{}", text.as_str())
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    /// Reads a ticket in lower or upper case. Spaces and line breaks, which mail and chat put in, are skipped.
    fn from_str(text: &str) -> Result<Self, TicketError> {
        let chars = text.chars().take(TICKET_CHARS_MAX).filter(|char| !char.is_whitespace());
        let text = Zeroizing::new(chars.map(|char| char.to_ascii_uppercase()).collect::<String>());
        let rest = text.strip_prefix(FAMILY).ok_or(TicketError::NotATicket)?;
        let mut rest = rest.chars();
        match rest.next() {
            Some(VERSION) => {}
            Some(other) if other.is_ascii_digit() => return Err(TicketError::Newer(other)),
            _ => return Err(TicketError::NotATicket),
        }
        let rest = rest.as_str();
        let strict = BASE32_NOPAD.decode(rest.as_bytes()).map(Zeroizing::new).ok();
        let checked = strict.as_deref().and_then(|bytes| checked_body(bytes));
        match checked {
            Some(body) => Self::decode(body).map_err(TicketError::Malformed),
            None => Err(cut_or_mistyped(rest.as_bytes())),
        }
    }
}

/// Says what is wrong with text that fails its checksum: the start of a ticket decodes up to where it ends.
fn cut_or_mistyped(text: &[u8]) -> TicketError {
    let mut padded = Zeroizing::new(text.to_vec());
    padded.resize(text.len().next_multiple_of(BASE32_GROUP_CHARS), b'A');
    let Ok(bytes) = BASE32_NOPAD.decode(&padded).map(Zeroizing::new) else {
        return TicketError::Mistyped;
    };
    let body_len = (text.len() * 5 / 8).saturating_sub(CHECKSUM_BYTES);
    match Ticket::decode(bytes.get(..body_len).unwrap_or_default()) {
        Err(DecodeError::Short(_)) => TicketError::CutShort,
        _ => TicketError::Mistyped,
    }
}

fn checked_body(bytes: &[u8]) -> Option<&[u8]> {
    let (body, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    (checksum(body) == *sum).then_some(body)
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let [a, b, c, d, ..] = blake3::derive_key("reknit/1 ticket checksum", body);
    [a, b, c, d]
}

const PREFIX: &str = "reknit1";
const FAMILY: &str = "REKNIT";
const VERSION: char = '1';
const CHECKSUM_BYTES: usize = 4;
const BASE32_GROUP_CHARS: usize = 8;

#[cfg(test)]
mod tests;
