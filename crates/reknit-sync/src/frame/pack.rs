//! Compression of the body of a frame.

use super::FrameError;
use crate::limits::FRAME_BODY_BYTES_MAX;

/// The compressed form of `body`, if that is worth it.
pub(super) fn compress(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < BODY_BYTES_MIN {
        return None;
    }
    let packed = zstd::bulk::compress(body, LEVEL).ok()?;
    (packed.len() + LENGTH_BYTES < body.len()).then_some(packed)
}

/// The body whose compressed form is `packed` and whose length is said to be `len`. Refuses before it allocates more
/// than a body may take.
pub(super) fn decompress(packed: &[u8], len: u64) -> Result<Vec<u8>, FrameError> {
    let len = usize::try_from(len).ok().filter(|len| *len <= FRAME_BODY_BYTES_MAX);
    let len = len.ok_or(FrameError::TooLarge)?;
    let body = zstd::bulk::decompress(packed, len).map_err(|_| FrameError::Compression)?;
    if body.len() == len { Ok(body) } else { Err(FrameError::Compression) }
}

const LEVEL: i32 = 1;
/// Below this, zstd's own header and tables cost about what they save.
const BODY_BYTES_MIN: usize = 200;
const LENGTH_BYTES: usize = 4;
