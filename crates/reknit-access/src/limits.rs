//! Every bound on what membership and tickets may carry.

/// Control heads that one control event names. An author with more names those that prove its right, then the others
/// as far as they fit.
pub const CONTROL_PARENTS_MAX: usize = 32;
/// Control events of one space that a peer takes in: every founding, invite and join.
pub const CONTROL_EVENTS_MAX: usize = 65_536;
/// Bytes of a space's or a device's name.
pub const LABEL_BYTES_MAX: usize = 128;
/// Epoch keys of one space.
pub const EPOCHS_MAX: usize = 4096;
/// Peers that a ticket hints at.
pub const TICKET_PEERS_MAX: usize = 8;
/// Addresses a ticket gives for one peer.
pub const TICKET_ADDRESSES_MAX: usize = 8;
/// Bytes of one address as text.
pub const ADDRESS_BYTES_MAX: usize = 255;
/// Characters of text that are looked at to find a ticket in them.
pub const TICKET_CHARS_MAX: usize = 64 * 1024;
