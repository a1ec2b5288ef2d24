//! Every decoder of bytes from a disk, a peer or a person, as a function from arbitrary bytes to whether it took them.
//!
//! None of them may panic or run away on any input; where an encoding is canonical, what decodes must encode to the same bytes.
//! The fuzz targets call these with what libFuzzer invents; the tests of the workspace call them with the committed corpus.

pub(crate) mod access;
pub(crate) mod crdt;
pub(crate) mod inputs;
pub(crate) mod session;
pub(crate) mod store;
pub(crate) mod sync;
pub(crate) mod types;

/// Feeds bytes to one decoder; tells whether they were taken.
pub type Decoder = fn(&[u8]) -> bool;

/// Every decoder by the name of its fuzz target and of the folder of its corpus.
pub const DECODERS: &[(&str, Decoder)] = &[
    ("announce", sync::announce),
    ("announce_envelope", access::announce_envelope),
    ("control", access::control),
    ("damaged_store", store::damaged_store),
    ("delta_counter", crdt::delta_counter),
    ("delta_document", crdt::delta_document),
    ("delta_register", crdt::delta_register),
    ("delta_text", crdt::delta_text),
    ("frame", sync::frame),
    ("frontier", sync::frontier),
    ("header", types::header),
    ("inputs", inputs::inputs),
    ("journal", store::journal),
    ("keys", access::keys),
    ("membership", access::membership),
    ("message", sync::message),
    ("opening", sync::opening),
    ("record", store::record),
    ("saved_counter", crdt::saved_counter),
    ("saved_document", crdt::saved_document),
    ("saved_register", crdt::saved_register),
    ("saved_text", crdt::saved_text),
    ("segment", sync::segment),
    ("session", session::session),
    ("ticket", access::ticket),
    ("ticket_body", access::ticket_body),
    ("transaction", types::transaction),
    ("value", types::value),
    ("value_json", types::value_json),
];

/// Feeds bytes to the decoder with this name, for the fuzz targets.
pub fn feed(target: &str, bytes: &[u8]) {
    let decoder = DECODERS.iter().find(|(name, _)| *name == target).map(|(_, decoder)| decoder);
    decoder.expect("a fuzz target has the name of a decoder")(bytes);
}
