//! Every bound on a field's state and deltas. A peer voids what exceeds them, so they are part of the format.

/// UTF-16 units that one identity may insert into one text.
pub const TEXT_CLOCK_MAX: u32 = 1 << 30;
/// Runs and deleted spans in one delta of a text.
pub const TEXT_PARTS_MAX: usize = 262_144;
/// Identities (sessions of devices) whose additions to one counter count.
pub const COUNTER_IDENTITIES_MAX: usize = 1 << 20;
/// Changes in one delta of a document.
pub const DOCUMENT_CHANGES_MAX: usize = 64;
/// Operations in one delta of a document. Columns count apart, of which the longest decides; an operation counts again
/// for each further value that it replaces, and for each [`DOCUMENT_KEY_BYTES`] of its key.
pub const DOCUMENT_OPS_MAX: u64 = 1 << 20;
/// Bytes of a key that make its operation count again.
pub const DOCUMENT_KEY_BYTES: usize = 64;
/// Nesting of a document.
pub const DOCUMENT_DEPTH_MAX: usize = 64;
/// Deltas of one field that wait for what they build on, before the field counts as contested.
pub const WAITING_DELTAS_MAX: usize = 256;
/// Bytes of these deltas together, or operations where a delta claims more of them: whatever merges makes them be tried
/// again.
pub const WAITING_WEIGHT_MAX: u64 = 1 << 18;
/// Bytes of one saved state.
pub const SAVED_BYTES_MAX: usize = 1 << 30;
