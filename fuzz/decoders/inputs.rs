//! Journals of what an engine was fed, which people send to each other.

use reknit_engine::journal::{End, Journal, Story};

/// After a first byte of 0 come the bodies of the records, each after its length in two bytes, past the checks that no fuzzer
/// guesses; after any other a journal's file. Whether it begins as a journal, redacted or not.
pub(crate) fn inputs(bytes: &[u8]) -> bool {
    let Some((how, rest)) = bytes.split_first() else { return false };
    let file = if *how == 0 { journal_of(rest) } else { rest.to_vec() };
    let (journal, story) = (Journal::decode(&file).ok(), Story::decode(&file).ok());
    assert!(journal.is_none() || story.is_none(), "a journal is redacted or not");
    for end in journal.iter().map(|journal| journal.end).chain(story.iter().map(|story| story.end)) {
        if let End::Torn { at } | End::Damaged { at } = end {
            assert!(at < file.len(), "a journal ends before its end");
            let before = &file[..at];
            let (again, told) = (Journal::decode(before), Story::decode(before));
            let ends = again.map(|journal| journal.end).or(told.map(|story| story.end));
            assert!(matches!(ends, Ok(End::Cut)), "what is whole of a journal is one");
        }
    }
    journal.is_some() || story.is_some()
}

fn journal_of(mut bodies: &[u8]) -> Vec<u8> {
    let (mut file, mut check) = (HEAD.to_vec(), [0; CHECK_BYTES]);
    while let Some((len, rest)) = bodies.split_first_chunk::<2>() {
        let (body, rest) = rest.split_at(usize::from(u16::from_le_bytes(*len)).min(rest.len()));
        bodies = rest;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&check).update(body).finalize_xof().fill(&mut check);
        file.extend_from_slice(&(body.len() as u32).to_le_bytes());
        file.extend_from_slice(&check);
        file.extend_from_slice(body);
    }
    file
}

/// What every file begins with.
pub(crate) const HEAD: &[u8] = b"reknit journal\n\x01";
/// Bytes of the check of a record.
pub(crate) const CHECK_BYTES: usize = 8;
