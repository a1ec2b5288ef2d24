//! Stamps: ULIDs used as a hybrid logical clock (Kulkarni et al., Logical Physical Clocks, 2014).

use crate::codec::{DecodeError, Reader, Writer};
use rand::Rng;
use std::fmt;
use ulid::Ulid;

/// When an event was written, as its author's clock and its causes allow: greater than the stamp of every parent,
/// else wall time. A causal successor therefore always has the greater stamp.
///
/// In a new millisecond the upper 32 of the 80 random bits are drawn; successors within it count upwards below them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(Ulid);

impl Stamp {
    /// The stamp of an event written at `now_ms` (milliseconds since the Unix epoch) after the stamp `after`, the
    /// greatest among its parents.
    pub fn next(now_ms: u64, after: Option<Self>, rng: &mut impl Rng) -> Self {
        let now_ms = now_ms.min(MS_MAX);
        match after {
            Some(after) if after.ms() >= now_ms => Self(Ulid(after.0.0.saturating_add(1))),
            _ => Self(Ulid::from_parts(now_ms, u128::from(rng.next_u32()) << COUNTER_BITS)),
        }
    }

    /// Milliseconds since the Unix epoch.
    pub const fn ms(self) -> u64 {
        (self.0.0 >> RANDOM_BITS) as u64
    }

    /// The 80 bits below the milliseconds.
    pub const fn fraction(self) -> u128 {
        self.0.0 & ((1 << RANDOM_BITS) - 1)
    }

    /// The stamp with these parts; `None` if either is out of range (48 and 80 bits).
    pub const fn from_parts(ms: u64, fraction: u128) -> Option<Self> {
        if ms > MS_MAX || fraction >> RANDOM_BITS != 0 {
            return None;
        }
        Some(Self(Ulid(((ms as u128) << RANDOM_BITS) | fraction)))
    }

    /// The stamp as an integer; integers order as stamps do.
    pub const fn to_u128(self) -> u128 {
        self.0.0
    }

    /// The stamp with this integer.
    pub const fn from_u128(bits: u128) -> Self {
        Self(Ulid(bits))
    }

    /// Appends the form in which stamps are stored: the time and what was drawn, 10 bytes, then the count as a varint, most
    /// often one more.
    pub fn write(self, writer: &mut Writer) {
        let (drawn, count) = (self.0.0 >> COUNTER_BITS, self.0.0 & COUNTER_MAX);
        writer.raw(&drawn.to_be_bytes()[size_of::<u128>() - DRAWN_BYTES..]).varint(count as u64);
    }

    /// Reads what [`Stamp::write`] appended.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes end early or the count is out of range.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut drawn = [0; size_of::<u128>()];
        drawn[size_of::<u128>() - DRAWN_BYTES..]
            .copy_from_slice(&reader.array::<DRAWN_BYTES>("time of a stamp")?);
        let count = u128::from(reader.varint("count of a stamp")?);
        if count > COUNTER_MAX {
            return Err(DecodeError::Invalid("count of a stamp"));
        }
        Ok(Self(Ulid((u128::from_be_bytes(drawn) << COUNTER_BITS) | count)))
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stamp({self})")
    }
}

/// The low bits of a fresh stamp's fraction are zero, and count the successors within its millisecond.
pub(crate) const COUNTER_BITS: u32 = 48;
const COUNTER_MAX: u128 = (1 << COUNTER_BITS) - 1;
/// What lies above the count.
const DRAWN_BYTES: usize = 10;
const RANDOM_BITS: u32 = 80;
const MS_MAX: u64 = (1 << 48) - 1;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    proptest! {
        #[test]
        fn a_successor_is_greater_whatever_the_clock_says(now in 0u64..1 << 48, parent: u128, seed: u64) {
            prop_assume!(parent != u128::MAX);
            let parent = Stamp::from_u128(parent);
            let next = Stamp::next(now, Some(parent), &mut ChaCha20Rng::seed_from_u64(seed));
            prop_assert!(next > parent);
            prop_assert!(next.ms() >= now);
        }

        #[test]
        fn a_stored_stamp_reads_back(drawn in 0u128..1 << 80, count in prop_oneof![0u128..300, 0..=COUNTER_MAX]) {
            let stamp = Stamp::from_u128((drawn << COUNTER_BITS) | count);
            let mut writer = Writer::new();
            stamp.write(&mut writer);
            let bytes = writer.into_bytes();
            prop_assert_eq!(Stamp::read(&mut Reader::new(&bytes)), Ok(stamp));
            prop_assert!(count >= 128 || bytes.len() == 11);
        }

        #[test]
        fn parts_join_to_the_same_stamp(bits: u128) {
            let stamp = Stamp::from_u128(bits);
            prop_assert_eq!(Stamp::from_parts(stamp.ms(), stamp.fraction()), Some(stamp));
        }
    }
}
