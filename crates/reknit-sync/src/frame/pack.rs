//! Compression of the body of a frame.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};

use super::FrameError;
use crate::limits::FRAME_BODY_BYTES_MAX;

thread_local! {
    /// Working memory of zstd, which begins every frame afresh: what came before leaves no trace in what comes out. To get
    /// it from the system and give it back costs more than to pack a small frame.
    static WORKSPACE: RefCell<Workspace> = const { RefCell::new(Workspace { packing: None, unpacking: None }) };
}

struct Workspace {
    packing: Option<Compressor<'static>>,
    unpacking: Option<Decompressor<'static>>,
}

impl Workspace {
    fn compress(&mut self, body: &[u8]) -> io::Result<Vec<u8>> {
        match &mut self.packing {
            Some(kept) => kept.compress(body),
            none => none.insert(Compressor::new(LEVEL)?).compress(body),
        }
    }

    fn decompress(&mut self, packed: &[u8], len: usize) -> io::Result<Vec<u8>> {
        match &mut self.unpacking {
            Some(kept) => kept.decompress(packed, len),
            none => none.insert(Decompressor::new()?).decompress(packed, len),
        }
    }
}

/// The compressed form of `body`, if that is worth it.
pub(super) fn compress(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < BODY_BYTES_MIN {
        return None;
    }
    let packed = WORKSPACE.with_borrow_mut(|workspace| workspace.compress(body)).ok()?;
    (packed.len() + LENGTH_BYTES < body.len()).then_some(packed)
}

/// The body whose compressed form is `packed` and whose length is said to be `len`. Refuses before it allocates more
/// than a body may take.
pub(super) fn decompress(packed: &[u8], len: u64) -> Result<Vec<u8>, FrameError> {
    let len = usize::try_from(len).ok().filter(|len| *len <= FRAME_BODY_BYTES_MAX);
    let len = len.ok_or(FrameError::TooLarge)?;
    let body = WORKSPACE.with_borrow_mut(|workspace| workspace.decompress(packed, len));
    let body = body.map_err(|_| FrameError::Compression)?;
    if body.len() == len { Ok(body) } else { Err(FrameError::Compression) }
}

const LEVEL: i32 = 1;
/// Below this, zstd's own header and tables cost about what they save.
const BODY_BYTES_MIN: usize = 200;
const LENGTH_BYTES: usize = 4;
