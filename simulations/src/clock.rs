//! The clocks of simulated devices: right, skewed, drifting, jumping.

use std::time::Duration;

/// What a device's clock shows at the start of a simulation if it is right, in milliseconds since the Unix epoch.
pub const EPOCH_MS: u64 = 1_700_000_000_000;

/// The clock of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceClock {
    /// What it showed when it was last set, in microseconds since the Unix epoch.
    set_to_us: u64,
    /// When that was.
    set_at: Duration,
    /// Microseconds that it gains in a second; negative if it is slow.
    drift_ppm: i32,
}

impl Default for DeviceClock {
    fn default() -> Self {
        Self { set_to_us: EPOCH_MS * 1_000, set_at: Duration::ZERO, drift_ppm: 0 }
    }
}

impl DeviceClock {
    /// What it shows, in milliseconds since the Unix epoch.
    pub fn now_ms(&self, now: Duration) -> u64 {
        self.now_us(now) / 1_000
    }

    /// Moves it by so much, ahead or back, from one moment to the next.
    pub fn jump(&mut self, now: Duration, by_ms: i64) {
        self.set_to_us = self.now_us(now).saturating_add_signed(by_ms.saturating_mul(1_000));
        self.set_at = now;
    }

    /// Makes it gain so many microseconds a second from now on, or lose them. At most a tenth.
    pub fn drift(&mut self, now: Duration, ppm: i32) {
        self.set_to_us = self.now_us(now);
        self.set_at = now;
        self.drift_ppm = ppm.clamp(-DRIFT_PPM_MAX, DRIFT_PPM_MAX);
    }

    /// The first moment, not before `now`, at which it shows at least `ms`.
    pub fn when(&self, now: Duration, ms: u64) -> Duration {
        let wanted_us = ms.saturating_mul(1_000);
        let shown_us = self.now_us(now);
        let Some(left_us) = wanted_us.checked_sub(shown_us).filter(|left| *left > 0) else { return now };
        // Rounded up, so that the clock has got there: at worst a microsecond in a million late.
        let pace = u128::from(1_000_000u32.saturating_add_signed(self.drift_ppm));
        let wait_us = (u128::from(left_us) * 1_000_000).div_ceil(pace) + 1;
        now.saturating_add(Duration::from_micros(u64::try_from(wait_us).unwrap_or(u64::MAX)))
    }

    fn now_us(&self, now: Duration) -> u64 {
        let past_us = i64::try_from(now.saturating_sub(self.set_at).as_micros()).unwrap_or(i64::MAX);
        let gained_us = i128::from(past_us) * i128::from(self.drift_ppm) / 1_000_000;
        let shown = i128::from(self.set_to_us) + i128::from(past_us) + gained_us;
        u64::try_from(shown.max(0)).unwrap_or(u64::MAX)
    }
}

const DRIFT_PPM_MAX: i32 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_jumps_and_drifts_and_says_when_it_will_show_a_time() {
        let mut clock = DeviceClock::default();
        let at = Duration::from_secs;
        assert_eq!(clock.now_ms(at(5)), EPOCH_MS + 5_000);
        clock.jump(at(5), -3_000);
        assert_eq!(clock.now_ms(at(6)), EPOCH_MS + 3_000);
        clock.drift(at(6), 50_000);
        assert_eq!(clock.now_ms(at(26)), EPOCH_MS + 24_000);
        let when = clock.when(at(26), EPOCH_MS + 45_000);
        assert!(clock.now_ms(when) == EPOCH_MS + 45_000 && when < at(47), "{when:?}");
        assert_eq!(clock.when(at(26), EPOCH_MS), at(26));
    }

    #[test]
    fn a_clock_never_reaches_a_time_later_than_it_said() {
        for ppm in [-100_000, -77, 0, 1, 33_333, 100_000] {
            let mut clock = DeviceClock::default();
            clock.drift(Duration::from_millis(17), ppm);
            for ms in [1, 2, 999, 1_000, 86_400_000] {
                let when = clock.when(Duration::from_millis(20), EPOCH_MS + ms);
                assert!(clock.now_ms(when) >= EPOCH_MS + ms);
            }
        }
    }
}
