//! How long to wait between attempts.

use crate::limits;
use std::time::Duration;

/// A wait that doubles with every failure, with jitter so that peers cut apart together do not call in step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait before the next attempt: between half of and the whole of the doubled delay, which grows up to `max`.
    pub(crate) fn on_failure(&mut self, max: Duration, jitter: &mut Jitter) -> Duration {
        let whole = limits::RETRY_MIN.saturating_mul(1 << self.failures.min(20)).min(max);
        self.failures = self.failures.saturating_add(1);
        whole / 2 + jitter.below(whole / 2)
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A seeded source of chance that is good enough to spread attempts out, and for nothing else (SplitMix64).
#[derive(Debug, Clone)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A duration from zero up to `bound`.
    pub(crate) fn below(&mut self, bound: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let millis = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis((z ^ (z >> 31)) % millis.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn wait_stays_between_half_and_whole_of_the_doubled_delay(seed: u64, failures in 0u32..60) {
            let mut jitter = Jitter::new(seed);
            let mut backoff = Backoff { failures };
            let whole = limits::RETRY_MIN.saturating_mul(1 << failures.min(20)).min(limits::RETRY_MAX);
            let wait = backoff.on_failure(limits::RETRY_MAX, &mut jitter);
            prop_assert!(wait >= whole / 2 && wait <= whole);
            backoff.reset();
            prop_assert!(backoff.on_failure(limits::RETRY_MAX, &mut jitter) <= limits::RETRY_MIN);
        }
    }
}
