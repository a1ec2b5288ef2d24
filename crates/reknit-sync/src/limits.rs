//! Every bound of a session and of the bytes it speaks. The first group is part of the format: a peer refuses more.

use reknit_types::limits::PAYLOAD_BYTES_MAX;

/// Events in one frame.
pub const FRAME_EVENTS_MAX: usize = 4096;
/// Bytes of the events of one frame before compression: room for one payload of the greatest size and its company.
pub const FRAME_BODY_BYTES_MAX: usize = 2 * PAYLOAD_BYTES_MAX;
/// Parents in one frame that lie outside it.
pub const FRAME_EXTERNALS_MAX: usize = 16_384;
/// Bytes of one frame as it travels.
pub const FRAME_BYTES_MAX: usize = FRAME_BODY_BYTES_MAX + 2 * PAYLOAD_BYTES_MAX;
/// Bytes of one message as it travels: a frame and its tag.
pub const MESSAGE_BYTES_MAX: usize = FRAME_BYTES_MAX + 16;
/// Authors of one space.
pub const AUTHORS_MAX: usize = 16_384;
/// Tips of one author: branches of a forked chain, of which there is one unless the author was restored from a backup
/// or lies.
pub const TIPS_MAX: usize = 128;
/// Tips in one frontier or one list of tips.
pub const FRONTIER_TIPS_MAX: usize = 2 * AUTHORS_MAX;
/// Tips in one report of what came from elsewhere: each may be looked up in the receiver's history.
pub const HAVE_TIPS_MAX: usize = 1_024;
/// Symbols of a sketch in one session.
pub const SYMBOLS_MAX: usize = 16_384;
/// Times that a sketch may be followed up with a question.
pub const WANTS_MAX: u32 = 8;
/// Tips of one space beyond the first of each author: what a frontier has room for, less what one frame may add.
pub const BRANCHES_MAX: usize = FRONTIER_TIPS_MAX - AUTHORS_MAX - FRAME_EVENTS_MAX;
/// Places of a forked chain asked about in one message.
pub const PROBES_MAX: usize = 64;
/// Questions that locate where one branch leaves what the other side has.
pub const LOCATE_ROUNDS_MAX: u32 = 64;
/// Heads in one announce.
pub const ANNOUNCE_HEADS_MAX: usize = 32;
/// Bytes of one announce, its inline events included: a quarter of what gossip carries.
pub const ANNOUNCE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of the admission that may come with an opening.
pub const ADMISSION_BYTES_MAX: usize = 16 * 1024;

/// Bytes of events, before compression, that a session gathers into one frame.
pub const FRAME_BYTES_TARGET: usize = 256 * 1024;
/// Frames sent in one call, so that a long history does not keep the caller from everything else.
pub const FRAMES_PER_TURN: usize = 4;
/// Bytes of frames that may be under way before the receiver has admitted them.
pub const CREDIT_WINDOW_BYTES: u64 = 4 * 1024 * 1024;
/// Credit is handed back when this much has gathered, or less of it as [`CONFIRM_MS`] says.
pub const CREDIT_STEP_BYTES: u64 = CREDIT_WINDOW_BYTES / 4;

/// Tips of one author beyond which a peer takes in no further branch that the author brings itself. From others it
/// does, up to [`TIPS_MAX`]: so what one peer has taken in, the others do as well, and an author that forks without end
/// is stopped by each peer it does so to before any two of them have more than there is room for.
pub const OWN_TIPS_MAX: usize = 8;
/// A frontier, or a delta against the last receipt, of so few tips is sent as it is; of a larger one a sketch.
pub const WHOLE_TIPS_MAX: usize = 8;
/// Symbols in the first word of a sketch: most often enough for a difference of 16 tips.
pub const SYMBOLS_FIRST: usize = 32;
/// So many times as many symbols are there after each question for more.
pub const SYMBOLS_GROWTH: usize = 4;

/// Events learnt elsewhere wait this long for a sign that the peer has them, before they are pushed to it.
pub const RELAY_DELAY_MS: u64 = 50;
/// They wait longer, for as long as a sign takes over the link and at most this, if the peer had what came before of
/// their authors from elsewhere too.
pub const RELAY_PATIENCE_MAX_MS: u64 = 1_000;
/// Tips that changed by events from elsewhere are reported together after this long.
pub const HAVE_DELAY_MS: u64 = 25;
/// Receipts are exchanged again after this long without events.
pub const QUIET_MS: u64 = 100;
/// So many bytes that arrive count as progress before their message is whole. Within [`ANSWER_TIMEOUT_MS`] while the two
/// compare and within [`DELIVERY_TIMEOUT_MS`] from then on, this is the least rate of a peer: about 1 KiB and 300 bytes a
/// second. A message of the greatest size so takes [`MESSAGE_BYTES_MAX`] / [`PROGRESS_BYTES`] of these timeouts at most.
pub const PROGRESS_BYTES: u64 = 8 * 1024;
/// What arrives is reported to the session no more often than this.
pub const ARRIVING_MS: u64 = 2_000;
/// While something arrives, its sender hears of it by what credit there is, if only of 0 bytes, no more often than this.
pub const CONFIRM_MS: u64 = 4_000;
/// Signs that excuse a wait for credit: one for each [`PROGRESS_BYTES`] that can be under way in both directions.
pub const SIGNS_MAX: u64 = 2 * (CREDIT_WINDOW_BYTES + MESSAGE_BYTES_MAX as u64) / PROGRESS_BYTES;
/// How long a peer may take to answer while the two compare what they have, without any progress.
pub const ANSWER_TIMEOUT_MS: u64 = 10_000;
/// How long a peer may leave what it showed undelivered, without any progress.
pub const DELIVERY_TIMEOUT_MS: u64 = 30_000;
/// How long a peer may withhold credit, without any progress.
pub const CREDIT_TIMEOUT_MS: u64 = 60_000;
/// How long two quiet sides may stay unequal before the session ends and a fresh one compares anew.
pub const UNEQUAL_TIMEOUT_MS: u64 = 5 * 60_000;
