//! The address book: which devices to stay connected to, where they may be, and when to try next.
//!
//! A state machine without IO: time is an argument, chance a seeded generator.

mod backoff;
mod known;
mod route;

pub(crate) use backoff::{Backoff, Jitter};
pub use route::Transport;
pub(crate) use route::{Trust, dialable, is_global, is_loopback, split_peer};

use crate::limits;
use known::KnownAddresses;
use libp2p::Multiaddr;
use reknit_types::DeviceId;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

/// Which addresses an attempt uses. Relayed ones start [`limits::RELAY_DELAY`] after the direct ones, or once those failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leg {
    Direct,
    Relayed,
}

/// A dial to make now. Its outcome must be reported: [`Book::on_up`] or [`Book::on_dial_failed`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dial {
    pub(crate) device: DeviceId,
    pub(crate) leg: Leg,
    pub(crate) addresses: Vec<Multiaddr>,
}

/// How a device is connected at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Direct,
    Relayed,
}

/// The devices to stay connected to.
#[derive(Debug)]
pub(crate) struct Book {
    entries: BTreeMap<DeviceId, Known>,
    jitter: Jitter,
}

#[derive(Debug)]
struct Known {
    addresses: KnownAddresses,
    backoff: Backoff,
    next: Next,
    up: Option<Up>,
    /// When a connection that had been stable ended.
    parted: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Up {
    reach: Reach,
    since: Duration,
}

/// What happens next for a device that is not connected directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    At(Duration),
    Dialling { direct: Progress, relayed: Progress },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    WaitsUntil(Duration),
    Running,
    Over,
}

impl Book {
    pub(crate) fn new(seed: u64) -> Self {
        Self { entries: BTreeMap::new(), jitter: Jitter::new(seed) }
    }

    /// Starts to stay connected to a device. False when the book is full.
    pub(crate) fn know(&mut self, device: DeviceId, now: Duration) -> bool {
        let full = self.entries.len() >= limits::KNOWN_DEVICES_MAX;
        match self.entries.entry(device) {
            Entry::Occupied(_) => true,
            Entry::Vacant(_) if full => false,
            Entry::Vacant(entry) => {
                entry.insert(Known {
                    addresses: KnownAddresses::default(),
                    backoff: Backoff::default(),
                    next: Next::At(now),
                    up: None,
                    parted: None,
                });
                true
            }
        }
    }

    pub(crate) fn forget(&mut self, device: &DeviceId) {
        self.entries.remove(device);
    }

    /// An address of the device, checked by [`dialable`]. True when it is new.
    pub(crate) fn learn(&mut self, device: &DeviceId, address: Multiaddr, now: Duration) -> bool {
        self.entries.get_mut(device).is_some_and(|known| known.addresses.learn(address, now))
    }

    /// Word from the device, by whatever way: it is there, so it is tried at once.
    pub(crate) fn on_word(&mut self, device: &DeviceId, now: Duration) {
        if let Some(known) = self.entries.get_mut(device) {
            known.retry_now(now);
        }
    }

    /// The network changed: what failed before may work now.
    pub(crate) fn on_network_change(&mut self, now: Duration) {
        for known in self.entries.values_mut() {
            known.retry_now(now);
        }
    }

    /// The device is connected, the best way being `reach`.
    pub(crate) fn on_up(&mut self, device: &DeviceId, reach: Reach, now: Duration) {
        let Some(known) = self.entries.get_mut(device) else { return };
        let since = known.up.map_or(now, |up| up.since);
        known.up = Some(Up { reach, since });
        if let Next::Dialling { .. } = known.next {
            let wait = match reach {
                Reach::Direct => Duration::ZERO,
                Reach::Relayed => known.backoff.on_failure(limits::RETRY_MAX, &mut self.jitter),
            };
            known.next = Next::At(now + wait);
        }
    }

    /// The address that a connection was made to works.
    pub(crate) fn on_worked(&mut self, device: &DeviceId, address: &Multiaddr, now: Duration) {
        if let Some(known) = self.entries.get_mut(device) {
            known.addresses.learn(address.clone(), now);
        }
    }

    /// The last connection with the device ended.
    pub(crate) fn on_down(&mut self, device: &DeviceId, now: Duration) {
        let Some(known) = self.entries.get_mut(device) else { return };
        let Some(up) = known.up.take() else { return };
        if now.saturating_sub(up.since) >= limits::STABLE_AFTER {
            known.backoff.reset();
            known.parted = Some(now);
        }
        let wait = known.backoff.on_failure(limits::RETRY_MAX, &mut self.jitter);
        known.next = Next::At(now + wait);
    }

    /// A dial failed altogether.
    pub(crate) fn on_dial_failed(&mut self, device: &DeviceId, leg: Leg, now: Duration) {
        let Some(known) = self.entries.get_mut(device) else { return };
        let Next::Dialling { mut direct, mut relayed } = known.next else { return };
        match leg {
            Leg::Direct => {
                direct = Progress::Over;
                if let Progress::WaitsUntil(_) = relayed {
                    relayed = Progress::WaitsUntil(now);
                }
            }
            Leg::Relayed => relayed = Progress::Over,
        }
        known.next = if (direct, relayed) == (Progress::Over, Progress::Over) {
            Next::At(now + known.backoff.on_failure(known.retry_max(now), &mut self.jitter))
        } else {
            Next::Dialling { direct, relayed }
        };
    }

    /// One address of the device did not lead to it.
    pub(crate) fn on_address_failed(&mut self, device: &DeviceId, address: &Multiaddr, now: Duration) {
        if let Some(known) = self.entries.get_mut(device) {
            known.addresses.on_failed(address, now);
        }
    }

    /// The dials to make now.
    pub(crate) fn take_due(&mut self, now: Duration) -> Vec<Dial> {
        let mut room = limits::DIALS_MAX.saturating_sub(self.dialling());
        let mut dials = Vec::new();
        for (device, known) in &mut self.entries {
            if let Next::At(at) = known.next
                && at <= now
                && room > 0
                && known.start(now)
            {
                room -= 1;
            }
            known.take_legs(*device, now, &mut dials);
        }
        dials
    }

    /// When [`Book::take_due`] has something to do next.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let has_room = self.dialling() < limits::DIALS_MAX;
        self.entries.values().filter_map(|known| known.next_due(has_room)).min()
    }

    fn dialling(&self) -> usize {
        self.entries.values().filter(|known| matches!(known.next, Next::Dialling { .. })).count()
    }
}

impl Known {
    fn is_direct(&self) -> bool {
        self.up.is_some_and(|up| up.reach == Reach::Direct)
    }

    /// A device that was here a moment ago is most likely cut off, and looked for often: no one will say when the link is
    /// back.
    fn retry_max(&self, now: Duration) -> Duration {
        let recent = self.parted.is_some_and(|parted| now.saturating_sub(parted) < limits::PARTED_RECENTLY);
        if recent { limits::RETRY_PARTED_MAX } else { limits::RETRY_MAX }
    }

    fn retry_now(&mut self, now: Duration) {
        self.backoff.reset();
        if let Next::At(at) = self.next {
            self.next = Next::At(at.min(now));
        }
    }

    fn of_leg(&self, leg: Leg) -> Vec<Multiaddr> {
        let relayed = leg == Leg::Relayed;
        self.addresses
            .iter()
            .filter(|it| (Transport::of(it) == Transport::Relay) == relayed)
            .cloned()
            .collect()
    }

    fn has_leg(&self, leg: Leg) -> bool {
        let relayed = leg == Leg::Relayed;
        self.addresses.iter().any(|it| (Transport::of(it) == Transport::Relay) == relayed)
    }

    /// Whether there is anything to try: a relayed connection is only ever replaced by a direct one.
    fn can_start(&self) -> bool {
        !self.is_direct() && (self.has_leg(Leg::Direct) || (self.up.is_none() && self.has_leg(Leg::Relayed)))
    }

    fn start(&mut self, now: Duration) -> bool {
        if !self.can_start() {
            return false;
        }
        let has_direct = self.has_leg(Leg::Direct);
        let direct = if has_direct { Progress::WaitsUntil(now) } else { Progress::Over };
        let relayed = if self.up.is_some() || !self.has_leg(Leg::Relayed) {
            Progress::Over
        } else if has_direct {
            Progress::WaitsUntil(now + limits::RELAY_DELAY)
        } else {
            Progress::WaitsUntil(now)
        };
        self.next = Next::Dialling { direct, relayed };
        true
    }

    fn take_legs(&mut self, device: DeviceId, now: Duration, dials: &mut Vec<Dial>) {
        let Next::Dialling { mut direct, mut relayed } = self.next else { return };
        for (leg, progress) in [(Leg::Direct, &mut direct), (Leg::Relayed, &mut relayed)] {
            if let Progress::WaitsUntil(at) = *progress
                && at <= now
            {
                *progress = Progress::Running;
                dials.push(Dial { device, leg, addresses: self.of_leg(leg) });
            }
        }
        self.next = Next::Dialling { direct, relayed };
    }

    fn next_due(&self, has_room: bool) -> Option<Duration> {
        match self.next {
            Next::At(at) => (has_room && self.can_start()).then_some(at),
            Next::Dialling { direct, relayed } => [direct, relayed]
                .into_iter()
                .filter_map(|progress| match progress {
                    Progress::WaitsUntil(at) => Some(at),
                    Progress::Running | Progress::Over => None,
                })
                .min(),
        }
    }
}

#[cfg(test)]
mod tests;
