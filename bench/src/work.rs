//! The work that every system is given: seeded, so that all of them write exactly the same bytes.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Every value is random lowercase letters and digits of this length.
pub(crate) const VALUE_BYTES: usize = 100;
/// Fields of an entity: edit `n` sets field `n / entities % FIELDS`.
pub(crate) const FIELDS: u32 = 10;

const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// One register of one entity.
pub(crate) type Key = (u32, u8);

/// A set of one field of one entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) entity: u32,
    pub(crate) field: u8,
    pub(crate) value: String,
}

/// A run of edits over some entities, round robin.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) seed: u64,
    pub(crate) entities: u32,
    pub(crate) first: u32,
    pub(crate) count: u32,
}

impl Work {
    pub(crate) fn new(seed: u64, entities: u32, first: u32, count: u32) -> Self {
        Self { seed, entities, first, count }
    }

    pub(crate) fn edits(self) -> impl Iterator<Item = Edit> {
        (self.first..self.first + self.count).map(move |number| self.edit(number))
    }

    pub(crate) fn edit(&self, number: u32) -> Edit {
        let field = u8::try_from(number / self.entities % FIELDS).expect("FIELDS is below 256");
        Edit { entity: number % self.entities, field, value: value(self.seed, number) }
    }

    /// What every register that this work touches holds in the end.
    pub(crate) fn final_values(self) -> BTreeMap<Key, String> {
        self.edits().map(|edit| ((edit.entity, edit.field), edit.value)).collect()
    }
}

fn value(seed: u64, number: u32) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (u64::from(number) << 20);
    (0..VALUE_BYTES).map(|_| char::from(ALPHABET[(splitmix(&mut state) % 36) as usize])).collect()
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One keystroke of a recorded editing session: at a position in code points, delete some, insert some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Splice {
    pub(crate) at: usize,
    pub(crate) delete: usize,
    pub(crate) insert: String,
}

#[derive(Deserialize)]
struct TraceFile {
    #[serde(rename = "startContent")]
    start: String,
    txns: Vec<TraceEdit>,
}

#[derive(Deserialize)]
struct TraceEdit {
    patches: Vec<(usize, usize, String)>,
}

/// Reads a sequential trace; each inner list is committed as one edit.
pub(crate) fn read_trace(path: &Path) -> Result<Vec<Vec<Splice>>> {
    let file = File::open(path).with_context(|| format!("cannot open the trace {}", path.display()))?;
    let mut json = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut json)?;
    let trace: TraceFile = serde_json::from_str(&json).context("not a sequential editing trace")?;
    anyhow::ensure!(trace.start.is_empty(), "the trace must start from an empty text");
    let splice = |(at, delete, insert)| Splice { at, delete, insert };
    Ok(trace.txns.into_iter().map(|edit| edit.patches.into_iter().map(splice).collect()).collect())
}

/// The text after these edits, by the plainest means there is.
pub(crate) fn replay(edits: &[Vec<Splice>]) -> String {
    let mut text: Vec<char> = Vec::new();
    for splice in edits.iter().flatten() {
        text.splice(splice.at..splice.at + splice.delete, splice.insert.chars());
    }
    text.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_edits() {
        let work = Work::new(7, 10, 0, 100);
        assert!(work.edits().eq(work.edits()));
        assert!(work.edits().ne(Work::new(8, 10, 0, 100).edits()));
    }

    #[test]
    fn edits_go_round_the_entities_and_then_to_the_next_field() {
        let work = Work::new(1, 10, 0, 100);
        let edit = work.edit(23);
        assert_eq!((edit.entity, edit.field, edit.value.len()), (3, 2, VALUE_BYTES));
        assert_eq!(work.final_values().len(), 100);
    }

    #[test]
    fn the_last_edit_of_a_register_is_its_final_value() {
        let work = Work::new(1, 10, 0, 150);
        assert_eq!(work.final_values().len(), 100);
        assert_eq!(work.final_values()[&(0, 0)], work.edit(100).value);
    }

    #[test]
    fn replay_applies_deletes_before_inserts() {
        let splice = |at, delete, insert: &str| Splice { at, delete, insert: insert.into() };
        let edits = vec![vec![splice(0, 0, "héllo")], vec![splice(1, 1, "a"), splice(5, 0, "!")]];
        assert_eq!(replay(&edits), "hallo!");
    }
}
