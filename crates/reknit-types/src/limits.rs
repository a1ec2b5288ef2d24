//! Every bound on what an event may carry. A peer refuses what exceeds them, so they are part of the format.

/// Parents of one event. An author with more heads names the greatest and lets its next events join the rest.
pub const PARENTS_MAX: usize = 32;
/// Bytes of one payload before sealing: 1 MiB.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// Bytes of a collection or field name.
pub const NAME_BYTES_MAX: usize = 128;
/// Entities that one transaction may touch.
pub const TRANSACTION_ENTITIES_MAX: usize = 65_536;
/// Operations in one transaction, on all its entities together.
pub const TRANSACTION_OPS_MAX: usize = 65_536;
/// Nesting of a register's value.
pub const VALUE_DEPTH_MAX: usize = 32;
/// Elements of one list or map inside a register's value.
pub const VALUE_ELEMENTS_MAX: usize = 65_536;
/// Events between two signatures of one author's chain.
pub const SIGNATURE_SPAN_EVENTS: usize = 256;
/// Milliseconds that a stamp may lie ahead of the local clock before its event is held: ten minutes.
pub const STAMP_LEAD_MS_MAX: u64 = 10 * 60 * 1000;
