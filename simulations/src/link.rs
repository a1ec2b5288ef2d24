//! What lies between two devices: delay, bandwidth, loss, and what QUIC makes of them.
//!
//! A stream delivers everything in order, however much is lost: what loss costs is time. Each direction of a connection
//! sends a window a round trip, as CUBIC does (RFC 9438, with the constants that quinn has): slow start from ten packets,
//! a cut to 0.7 in a round that lost something, never below two packets. Lost packets go out again a little more than one
//! round trip later, or after a probe timeout if nothing of the round came through (RFC 9002, sections 6.1 and 6.2). A
//! connection on which nothing comes through for [`IDLE_MAX`] is dead.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long packets take one way.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Latency {
    /// Always the same, in milliseconds.
    Fixed(f64),
    /// Anything between the two, in milliseconds.
    Uniform(f64, f64),
    /// Log-normal with this median, in milliseconds, and this spread of its logarithm.
    LogNormal(f64, f64),
}

/// One direction between two devices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Link {
    /// How long packets take.
    pub latency: Latency,
    /// Bytes a second; none if it does not matter.
    pub bandwidth: Option<u64>,
    /// The probability that a packet is lost.
    pub loss: f64,
    /// The probability that a gossiped message comes twice. QUIC drops duplicates of packets by itself.
    pub duplication: f64,
    /// The probability that a gossiped message is late by up to ten times the latency, behind what was sent after it.
    pub reordering: f64,
}

impl Default for Link {
    /// A good network: 5 to 15 ms, nothing lost.
    fn default() -> Self {
        let latency = Latency::Uniform(5.0, 15.0);
        Self { latency, bandwidth: None, loss: 0.0, duplication: 0.0, reordering: 0.0 }
    }
}

impl Link {
    /// A link that takes so long one way, and loses packets with this probability.
    pub fn new(latency_ms: f64, loss: f64) -> Self {
        Self { latency: Latency::Fixed(latency_ms), loss, ..Self::default() }
    }
}

impl Latency {
    /// How long one packet takes.
    pub fn draw(&self, rng: &mut impl Rng) -> Duration {
        let ms = match *self {
            Self::Fixed(ms) => ms,
            Self::Uniform(least, most) if least < most => rng.random_range(least..most),
            Self::Uniform(least, _) => least,
            Self::LogNormal(median, spread) => median * (spread * normal(rng)).exp(),
        };
        millis(ms)
    }

    /// Half of them take longer.
    pub fn median(&self) -> Duration {
        match *self {
            Self::Fixed(ms) | Self::LogNormal(ms, _) => millis(ms),
            Self::Uniform(least, most) => millis(f64::midpoint(least, most)),
        }
    }
}

/// A standard normal number (Box and Muller 1958).
fn normal(rng: &mut impl Rng) -> f64 {
    let (a, b): (f64, f64) = (rng.random_range(f64::MIN_POSITIVE..1.0), rng.random());
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

fn millis(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms.max(0.0) / 1_000.0).unwrap_or(Duration::from_secs(3_600))
}

/// One direction of a connection: its window, and how far the current round is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sender {
    window: f64,
    /// Below this the window doubles a round.
    threshold: f64,
    round_began: Duration,
    round_ends: Duration,
    sent_in_round: f64,
    lost_in_round: bool,
    /// The wire is busy with earlier bytes until then.
    busy_until: Duration,
}

impl Default for Sender {
    fn default() -> Self {
        Self {
            window: WINDOW_FIRST,
            threshold: f64::INFINITY,
            round_began: Duration::ZERO,
            round_ends: Duration::ZERO,
            sent_in_round: 0.0,
            lost_in_round: false,
            busy_until: Duration::ZERO,
        }
    }
}

impl Sender {
    /// When the last of `bytes` that are handed over `now` arrives; `None` if so much is lost that the connection dies.
    pub(crate) fn send(
        &mut self,
        now: Duration,
        bytes: usize,
        (link, round_trip): (&Link, Duration),
        rng: &mut impl Rng,
    ) -> Option<Duration> {
        let round_trip = round_trip.max(ROUND_TRIP_MIN);
        let mut left = bytes.max(1) as f64;
        let mut at = now.max(self.busy_until).max(self.round_began);
        let mut silent = Duration::ZERO;
        loop {
            self.enter_round(at, round_trip);
            let room = self.window - self.sent_in_round;
            if room < 1.0 {
                at = self.round_ends;
                continue;
            }
            let part = left.min(room);
            self.sent_in_round += part;
            if let Some(bandwidth) = link.bandwidth {
                at += Duration::from_secs_f64(part / (bandwidth.max(1) as f64));
                self.busy_until = at;
            }
            let packets = (part / PACKET).ceil();
            let lost = lost_of(packets, link.loss, rng);
            left -= part - part * lost / packets;
            if lost == 0.0 && left < 0.5 {
                return Some(at + link.latency.draw(rng));
            }
            if lost == 0.0 {
                silent = Duration::ZERO;
                continue;
            }
            self.lost_in_round = true;
            let wait = if lost == packets { round_trip.mul_f64(PROBE) } else { round_trip.mul_f64(RESEND) };
            silent = if lost == packets { silent + wait } else { Duration::ZERO };
            if silent > IDLE_MAX {
                return None;
            }
            at += wait;
        }
    }

    fn enter_round(&mut self, at: Duration, round_trip: Duration) {
        if at < self.round_ends {
            return;
        }
        if self.lost_in_round {
            self.window = (self.window * CUT).max(WINDOW_MIN);
            self.threshold = self.window;
        } else if self.sent_in_round >= self.window - 1.0 {
            let grown = if self.window < self.threshold { self.window * 2.0 } else { self.window + PACKET };
            self.window = grown.min(WINDOW_MAX);
        }
        self.round_began = at;
        self.round_ends = at + round_trip;
        self.sent_in_round = 0.0;
        self.lost_in_round = false;
    }
}

/// How many of `packets` are lost.
fn lost_of(packets: f64, loss: f64, rng: &mut impl Rng) -> f64 {
    if loss <= 0.0 {
        return 0.0;
    }
    let mut lost = 0.0;
    let mut packet = 0.0;
    while packet < packets {
        lost += f64::from(u8::from(rng.random_bool(loss.min(1.0))));
        packet += 1.0;
    }
    lost
}

/// How long a handshake takes, one round trip that is tried again after each loss; `None` if it is given up.
pub(crate) fn handshake(link: &Link, back: &Link, rng: &mut impl Rng) -> Option<Duration> {
    let mut waited = Duration::ZERO;
    let mut timeout = PROBE_FIRST;
    while waited < HANDSHAKE_MAX {
        // One packet there, and the three that carry the certificate back.
        if lost_of(1.0, link.loss, rng) + lost_of(3.0, back.loss, rng) == 0.0 {
            return Some(waited + link.latency.draw(rng) + back.latency.draw(rng));
        }
        waited += timeout;
        timeout *= 2;
    }
    None
}

/// A connection on which nothing comes through for so long is dead.
pub const IDLE_MAX: Duration = Duration::from_millis(7_500);
/// A connection that is not there after so long is given up.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// The first probe timeout, before anything is known of the round trip (RFC 9002, section 6.2.2: three times 333 ms).
pub(crate) const PROBE_FIRST: Duration = Duration::from_secs(1);
const ROUND_TRIP_MIN: Duration = Duration::from_micros(100);
/// Bytes of a packet.
const PACKET: f64 = 1_200.0;
const WINDOW_FIRST: f64 = 12_000.0;
const WINDOW_MIN: f64 = 2_400.0;
/// What flow control lets be under way.
const WINDOW_MAX: f64 = 8.0 * 1024.0 * 1024.0;
const CUT: f64 = 0.7;
/// Round trips until packets that others overtook are sent again.
const RESEND: f64 = 1.125;
/// Round trips until a probe, when nothing came through.
const PROBE: f64 = 1.5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    fn time(link: &Link, bytes: usize, seed: u64) -> Option<Duration> {
        let round_trip = link.latency.median() * 2;
        Sender::default().send(
            Duration::ZERO,
            bytes,
            (link, round_trip),
            &mut Chance::new(seed).stream("t", 0),
        )
    }

    #[test]
    fn a_small_message_takes_one_latency_and_a_large_one_as_many_rounds_as_its_windows() {
        let link = Link::new(100.0, 0.0);
        assert_eq!(time(&link, 100, 1), Some(Duration::from_millis(100)));
        // 12 + 24 + 48 KB are three rounds.
        assert_eq!(time(&link, 84_000, 1), Some(Duration::from_millis(500)));
    }

    #[test]
    fn bandwidth_bounds_what_a_link_carries() {
        let link = Link { bandwidth: Some(10_000), ..Link::new(1.0, 0.0) };
        let took = time(&link, 1_000_000, 1).unwrap();
        assert!((100..101).contains(&took.as_secs()), "{took:?}");
    }

    #[test]
    fn loss_costs_time_and_a_link_that_loses_everything_kills_the_connection() {
        let took = |loss| {
            (0..200).map(|seed| time(&Link::new(100.0, loss), 84_000, seed).unwrap()).sum::<Duration>()
        };
        let (none, some, much) = (took(0.0), took(0.02), took(0.3));
        assert!(none < some && some * 2 < much, "{none:?} {some:?} {much:?}");
        assert_eq!(time(&Link::new(100.0, 1.0), 100, 1), None);
    }

    #[test]
    fn what_is_sent_together_shares_the_window() {
        let link = Link::new(100.0, 0.0);
        let (mut sender, mut rng) = (Sender::default(), Chance::new(1).stream("t", 0));
        let mut last = Duration::ZERO;
        for _ in 0..840 {
            last = sender.send(Duration::ZERO, 100, (&link, Duration::from_millis(200)), &mut rng).unwrap();
        }
        assert_eq!(last, Duration::from_millis(500));
    }
}
