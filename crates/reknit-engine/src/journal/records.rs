//! Records: bodies, each checked together with all before it.

use super::RECORD_BYTES_MAX;

/// Appends records.
#[derive(Debug, Default)]
pub(crate) struct Seal {
    last: Check,
}

/// Takes records off.
#[derive(Debug)]
pub(crate) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    last: Check,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// A record.
    Record(&'a [u8]),
    /// The end, after the last record.
    End,
    /// The bytes end inside a record.
    Torn,
    /// A record does not check out.
    Damaged,
}

type Check = [u8; CHECK_BYTES];

impl Seal {
    /// Appends a record to `bytes`; `false`, and nothing is done, if it is too long for one.
    pub(crate) fn append(&mut self, body: &[u8], bytes: &mut Vec<u8>) -> bool {
        let Some(len) = u32::try_from(body.len()).ok().filter(|_| body.len() <= RECORD_BYTES_MAX) else {
            return false;
        };
        self.last = check(&self.last, body);
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&self.last);
        bytes.extend_from_slice(body);
        true
    }
}

impl<'a> Records<'a> {
    /// The records of `bytes` from `at` on.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, last: Check::default() }
    }

    /// How many bytes are whole.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The next record. After anything else there is none.
    pub(crate) fn take(&mut self) -> Next<'a> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Next::End;
        }
        let Some((len, rest)) = rest.split_first_chunk::<4>() else { return Next::Torn };
        let Some(len) = usize::try_from(u32::from_le_bytes(*len)).ok().filter(|len| *len <= RECORD_BYTES_MAX)
        else {
            return Next::Damaged;
        };
        let Some((sum, rest)) = rest.split_first_chunk::<CHECK_BYTES>() else { return Next::Torn };
        let Some(body) = rest.get(..len) else { return Next::Torn };
        if check(&self.last, body) != *sum {
            return Next::Damaged;
        }
        self.last = *sum;
        self.at += 4 + CHECK_BYTES + len;
        Next::Record(body)
    }
}

fn check(last: &Check, body: &[u8]) -> Check {
    let mut hasher = blake3::Hasher::new();
    hasher.update(last).update(body);
    let mut sum = Check::default();
    hasher.finalize_xof().fill(&mut sum);
    sum
}

const CHECK_BYTES: usize = 8;
