//! Control events, saved memberships and keys, tickets, and the envelope of announces.

use data_encoding::BASE32_NOPAD;
use reknit_access::{Control, Membership, SpaceKeys, SpaceSecret, Ticket};

pub(crate) fn control(bytes: &[u8]) -> bool {
    let Ok(control) = Control::decode(bytes) else { return false };
    assert_eq!(control.encode(), bytes, "a control event has one encoding");
    true
}

pub(crate) fn membership(bytes: &[u8]) -> bool {
    let Ok(membership) = Membership::decode(bytes) else { return false };
    assert_eq!(membership.encode(), bytes, "a membership has one encoding");
    true
}

pub(crate) fn keys(bytes: &[u8]) -> bool {
    let Ok(keys) = SpaceKeys::decode(bytes) else { return false };
    assert_eq!(keys.encode().as_slice(), bytes, "keys have one encoding");
    true
}

pub(crate) fn announce_envelope(bytes: &[u8]) -> bool {
    SpaceKeys::from_secret(SpaceSecret::from_bytes(ENVELOPE_SECRET)).open_announce(bytes).is_ok()
}

pub(crate) fn ticket(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(ticket) = text.parse::<Ticket>() else { return false };
    let canonical = ticket.to_string();
    let again: Ticket = canonical.parse().expect("a ticket's own text is a ticket");
    assert_eq!(again.to_string(), canonical);
    true
}

/// What is inside a ticket, past the checksum that no fuzzer guesses.
pub(crate) fn ticket_body(body: &[u8]) -> bool {
    let sum = blake3::derive_key("reknit/1 ticket checksum", body);
    let mut bytes = body.to_vec();
    bytes.extend_from_slice(&sum[..4]);
    ticket(format!("reknit1{}", BASE32_NOPAD.encode(&bytes)).as_bytes())
}

/// The secret of the space whose announces the corpus holds.
const ENVELOPE_SECRET: [u8; 32] = [7; 32];
