//! A bounded map that forgets what was used longest ago, to within a quarter of its capacity.

use std::collections::BTreeMap;

/// At most `capacity` entries, except those that are pinned.
#[derive(Debug)]
pub(crate) struct Lru<K, V> {
    entries: BTreeMap<K, (u64, V)>,
    by_use: BTreeMap<u64, K>,
    clock: u64,
    capacity: usize,
}

impl<K: Ord + Clone, V> Lru<K, V> {
    /// An empty map.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: BTreeMap::new(), by_use: BTreeMap::new(), clock: 0, capacity }
    }

    /// The value of `key`, which now counts as used. One used a short while ago keeps its place, so that a map whose
    /// entries all fit is not sorted anew at each use.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let (used, value) = self.entries.get_mut(key)?;
        if self.clock - *used > self.capacity as u64 / 4 {
            let owned = self.by_use.remove(used).expect("every entry is listed under its last use");
            self.clock += 1;
            *used = self.clock;
            self.by_use.insert(self.clock, owned);
        }
        Some(value)
    }

    /// Whether `key` is what was used last.
    pub(crate) fn is_newest(&self, key: &K) -> bool {
        self.by_use.last_key_value().is_some_and(|(_, newest)| newest == key)
    }

    /// Sets the value of `key`, which now counts as used.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.clock += 1;
        if let Some((used, _)) = self.entries.insert(key.clone(), (self.clock, value)) {
            self.by_use.remove(&used);
        }
        self.by_use.insert(self.clock, key);
    }

    /// Takes the value of `key` out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let (used, value) = self.entries.remove(key)?;
        self.by_use.remove(&used);
        Some(value)
    }

    /// Drops the entries for whose keys `keep` does not say so.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K) -> bool) {
        self.entries.retain(|key, _| keep(key));
        let entries = &self.entries;
        self.by_use.retain(|_, key| entries.contains_key(key));
    }

    /// Drops the entries used longest ago until the map is within its capacity; those for which `keep` says so stay.
    pub(crate) fn trim(&mut self, mut keep: impl FnMut(&V) -> bool) {
        let excess = self.entries.len().saturating_sub(self.capacity);
        let stale: Vec<u64> = self
            .by_use
            .iter()
            .filter(|(_, key)| self.entries.get(*key).is_some_and(|(_, value)| !keep(value)))
            .map(|(used, _)| *used)
            .take(excess)
            .collect();
        for used in stale {
            if let Some(key) = self.by_use.remove(&used) {
                self.entries.remove(&key);
            }
        }
    }

    #[cfg(test)]
    fn keys(&self) -> Vec<K> {
        self.entries.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_used_longest_ago_goes_first() {
        let mut map = Lru::new(2);
        for key in 0..3 {
            map.insert(key, key);
        }
        map.get_mut(&0);
        map.trim(|_| false);
        assert_eq!(map.keys(), [0, 2]);
    }

    #[test]
    fn what_is_kept_stays_beyond_the_capacity() {
        let mut map = Lru::new(1);
        for key in 0..4 {
            map.insert(key, key);
        }
        map.trim(|value| *value < 2);
        assert_eq!(map.keys(), [0, 1]);
    }
}
