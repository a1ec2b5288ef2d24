//! Finding the few tips in which two frontiers differ, in bytes that grow with the difference alone.
//!
//! Rateless invertible Bloom lookup tables (Yang, Gilad, Alizadeh: "Practical Rateless Set Reconciliation", 2024). A
//! tip has a fingerprint of 8 bytes, and every symbol is the sum of the fingerprints of some tips: of all tips the
//! first symbol, of ever fewer the later ones. What both sides have cancels out between their symbols; about 1.4 symbols
//! for each tip that differs give the difference, and if those sent do not, more are asked for.
//!
//! Fingerprints are keyed by a nonce that nobody could know before, so no one can make tips that collide. Nothing
//! relies on that: what a sketch gives is checked against the digest of the frontier.

use crate::frontier::Frontier;
use crate::limits::SYMBOLS_MAX;
use reknit_types::{DecodeError, Dot, Reader, Writer};
use std::collections::BTreeSet;

/// The first word about a large frontier, and each one that continues it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sketch {
    /// What keys the fingerprints of this session.
    pub nonce: [u8; 16],
    /// How many tips there are in all.
    pub tips: u64,
    /// The symbols after those sent before.
    pub symbols: Vec<Symbol>,
}

/// The sum of the fingerprints of some tips.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Symbol {
    /// Their fingerprints, exclusively or-ed.
    pub sum: u64,
    /// A second hash of each of their fingerprints, exclusively or-ed: tells a lone fingerprint from a sum.
    pub check: u32,
}

impl Sketch {
    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.raw(&self.nonce).varint(self.tips).varint(self.symbols.len() as u64);
        for symbol in &self.symbols {
            writer.raw(&symbol.sum.to_le_bytes()).raw(&symbol.check.to_le_bytes());
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (nonce, tips) = (reader.array("nonce")?, reader.varint("number of tips")?);
        let symbol = |reader: &mut Reader<'_>| {
            let sum = u64::from_le_bytes(reader.array("symbol")?);
            Ok(Symbol { sum, check: u32::from_le_bytes(reader.array("symbol")?) })
        };
        let symbols = (0..reader.count(SYMBOLS_MAX, "symbols")?).map(|_| symbol(reader));
        Ok(Self { nonce, tips, symbols: symbols.collect::<Result<_, DecodeError>>()? })
    }
}

impl Symbol {
    fn toggle(&mut self, fingerprint: u64) {
        self.sum ^= fingerprint;
        self.check ^= check(fingerprint);
    }

    fn is_lone(&self) -> bool {
        *self != Self::default() && self.check == check(self.sum)
    }
}

/// The fingerprint of every tip, in the order of the frontier.
pub(crate) fn fingerprints(frontier: &Frontier, nonce: &[u8; 16]) -> Vec<(u64, Dot)> {
    let key = blake3::derive_key("reknit/1 sketch", nonce);
    let of = |dot: Dot| {
        let mut hasher = blake3::Hasher::new_keyed(&key);
        hasher.update(dot.author.as_bytes()).update(&dot.seq.to_le_bytes()).update(dot.id.as_bytes());
        let hash = hasher.finalize();
        (hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)), dot)
    };
    frontier.dots().map(of).collect()
}

/// The first `count` symbols of these fingerprints.
pub(crate) fn symbols(fingerprints: impl IntoIterator<Item = u64>, count: usize) -> Vec<Symbol> {
    let mut symbols = vec![Symbol::default(); count];
    for fingerprint in fingerprints {
        for at in Places::of(fingerprint, count) {
            symbols[at].toggle(fingerprint);
        }
    }
    symbols
}

/// The fingerprints that only one side has, given all of this side's and the other's first symbols; `None` if these
/// are too few.
pub(crate) fn difference(ours: impl IntoIterator<Item = u64>, theirs: &[Symbol]) -> Option<BTreeSet<u64>> {
    let mut symbols = symbols(ours, theirs.len());
    for (symbol, theirs) in symbols.iter_mut().zip(theirs) {
        symbol.sum ^= theirs.sum;
        symbol.check ^= theirs.check;
    }
    let mut differing = BTreeSet::new();
    let mut lone: Vec<usize> = (0..symbols.len()).filter(|at| symbols[*at].is_lone()).collect();
    while let Some(at) = lone.pop() {
        if !symbols[at].is_lone() {
            continue;
        }
        let fingerprint = symbols[at].sum;
        // One found twice, or more than there are symbols: such symbols no frontier gives.
        if !differing.insert(fingerprint) || differing.len() > symbols.len() {
            return None;
        }
        for at in Places::of(fingerprint, symbols.len()) {
            symbols[at].toggle(fingerprint);
            lone.extend(symbols[at].is_lone().then_some(at));
        }
    }
    let nothing_left = symbols.iter().all(|symbol| *symbol == Symbol::default());
    nothing_left.then_some(differing)
}

/// The symbols that a fingerprint is part of: the first one, and any other at place `i` by chance, in `2 / (i + 2)` of
/// the cases.
struct Places {
    next: Option<u64>,
    count: u64,
    chance: u64,
}

impl Places {
    fn of(fingerprint: u64, count: usize) -> Self {
        Self { next: Some(0), count: count as u64, chance: fingerprint }
    }
}

impl Iterator for Places {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let at = self.next.filter(|at| *at < self.count)?;
        self.chance = mix(self.chance);
        self.next = place_after(at, self.chance);
        usize::try_from(at).ok()
    }
}

/// Draws the next place after `at`: no place up to `j` follows in `(at + 1)(at + 2) / ((j + 1)(j + 2))` of the cases.
/// Whole numbers only, so that both sides draw alike.
fn place_after(at: u64, chance: u64) -> Option<u64> {
    let span = u128::from(at + 1) * u128::from(at + 2);
    let bound = u64::try_from((span << u64::BITS) / (u128::from(chance) + 1)).ok()?;
    // The least j with (j + 1)(j + 2) > bound.
    let root = bound.isqrt();
    let reached = root.checked_mul(root + 1).is_none_or(|product| product > bound);
    if reached { root.checked_sub(1) } else { Some(root) }
}

fn check(fingerprint: u64) -> u32 {
    (mix(!fingerprint) >> u32::BITS) as u32
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014).
fn mix(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
