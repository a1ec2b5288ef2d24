//! Chance: independent streams that all follow from one seed.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The source of a simulation's chance.
///
/// Every use draws from a stream of its own, so that one more draw here leaves everything elsewhere as it was: that is
/// what makes a failure shrink.
#[derive(Debug, Clone, Copy)]
pub struct Chance {
    seed: u64,
}

impl Chance {
    /// Everything follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The stream for one use, by its name and number.
    pub fn stream(&self, name: &str, number: u64) -> ChaCha8Rng {
        ChaCha8Rng::from_seed(self.bytes(name, number))
    }

    /// Thirty-two bytes for one use.
    pub fn bytes(&self, name: &str, number: u64) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("reknit-sim chance v1");
        hasher.update(&self.seed.to_be_bytes()).update(&number.to_be_bytes()).update(name.as_bytes());
        hasher.finalize().into()
    }
}

/// How long to wait for what happens once a second on average, whenever it happened last, as in a Poisson process: divide by
/// how often it happens instead, or multiply by how seldom.
pub(crate) fn exponential(rng: &mut impl Rng) -> f64 {
    let unit: f64 = rng.random_range(f64::MIN_POSITIVE..1.0);
    -unit.ln()
}
