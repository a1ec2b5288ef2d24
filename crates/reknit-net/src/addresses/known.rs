//! The addresses known for one device.

use crate::limits;
use libp2p::Multiaddr;
use std::time::Duration;

/// One address and how it has done.
#[derive(Debug, Clone)]
struct Known {
    address: Multiaddr,
    confirmed: Duration,
    failures: u32,
}

/// A bounded set of addresses, in the order they were learned.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownAddresses {
    known: Vec<Known>,
}

impl KnownAddresses {
    /// Learns an address, or that it is still in use. True when it is new.
    pub(crate) fn learn(&mut self, address: Multiaddr, now: Duration) -> bool {
        if let Some(known) = self.known.iter_mut().find(|known| known.address == address) {
            known.confirmed = now;
            known.failures = 0;
            return false;
        }
        if self.known.len() >= limits::ADDRESSES_PER_DEVICE_MAX {
            self.drop_worst();
        }
        self.known.push(Known { address, confirmed: now, failures: 0 });
        true
    }

    /// An address did not lead to the device. It is forgotten once it has failed often and long, unless it is the last.
    pub(crate) fn on_failed(&mut self, address: &Multiaddr, now: Duration) {
        let Some(known) = self.known.iter_mut().find(|known| known.address == *address) else { return };
        known.failures = known.failures.saturating_add(1);
        let stale = known.failures >= limits::ADDRESS_FAILURES_MAX
            && now.saturating_sub(known.confirmed) >= limits::ADDRESS_AGE_MAX;
        if stale && self.known.len() > 1 {
            self.known.retain(|known| known.address != *address);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Multiaddr> {
        self.known.iter().map(|known| &known.address)
    }

    fn drop_worst(&mut self) {
        let worst = self
            .known
            .iter()
            .enumerate()
            .max_by_key(|(_, known)| (known.failures, std::cmp::Reverse(known.confirmed)))
            .map(|(at, _)| at);
        if let Some(at) = worst {
            self.known.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: usize) -> Multiaddr {
        format!("/ip4/10.0.0.1/tcp/{port}").parse().unwrap()
    }

    #[test]
    fn a_full_set_gives_up_its_worst_address() {
        let mut known = KnownAddresses::default();
        for port in 1..=limits::ADDRESSES_PER_DEVICE_MAX {
            assert!(known.learn(address(port), Duration::from_secs(port as u64)));
        }
        known.on_failed(&address(5), Duration::from_secs(99));
        known.learn(address(99), Duration::from_secs(99));
        assert_eq!(known.iter().count(), limits::ADDRESSES_PER_DEVICE_MAX);
        assert!(known.iter().all(|known| *known != address(5)));
    }

    #[test]
    fn failing_address_ages_out_but_the_last_one_stays() {
        let mut known = KnownAddresses::default();
        known.learn(address(1), Duration::ZERO);
        known.learn(address(2), Duration::ZERO);
        for _ in 0..limits::ADDRESS_FAILURES_MAX * 2 {
            known.on_failed(&address(1), Duration::from_secs(1));
        }
        assert_eq!(known.iter().count(), 2, "young addresses are given more time");
        for port in [1, 2] {
            for _ in 0..limits::ADDRESS_FAILURES_MAX {
                known.on_failed(&address(port), limits::ADDRESS_AGE_MAX);
            }
        }
        assert_eq!(known.iter().collect::<Vec<_>>(), [&address(2)]);
    }

    #[test]
    fn seeing_an_address_again_clears_its_failures() {
        let mut known = KnownAddresses::default();
        known.learn(address(1), Duration::ZERO);
        known.learn(address(2), Duration::ZERO);
        for _ in 1..limits::ADDRESS_FAILURES_MAX {
            known.on_failed(&address(1), limits::ADDRESS_AGE_MAX);
        }
        assert!(!known.learn(address(1), limits::ADDRESS_AGE_MAX));
        known.on_failed(&address(1), limits::ADDRESS_AGE_MAX * 3);
        assert_eq!(known.iter().count(), 2);
    }
}
