//! What one side still waits to see, and when it saw the last of it.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    measure::now_ns,
    work::{FIELDS, Key, Work},
};

/// Fed by a system's subscription; every value is compared with the one that the work ends with.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    wanted: Mutex<Wanted>,
    /// Mirrors `wanted.missing.len()`, so that an idle subscription costs one load.
    missing: AtomicUsize,
    all_seen: Notify,
}

#[derive(Debug, Default)]
struct Wanted {
    missing: HashMap<Key, String>,
    last_seen_ns: u64,
}

impl Checker {
    /// Forgets what was wanted before.
    pub(crate) fn expect(&self, work: Work) {
        let mut wanted = self.lock();
        wanted.missing = work.final_values().into_iter().collect();
        wanted.last_seen_ns = 0;
        self.missing.store(wanted.missing.len(), Ordering::Release);
    }

    /// The fields of this entity that are still missing.
    pub(crate) fn wanted(&self, entity: u32) -> Vec<u8> {
        if self.missing.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        let wanted = self.lock();
        let fields = u8::try_from(FIELDS).expect("FIELDS is below 256");
        (0..fields).filter(|field| wanted.missing.contains_key(&(entity, *field))).collect()
    }

    #[cfg(feature = "iroh-docs")]
    pub(crate) fn wants(&self, entity: u32, field: u8) -> bool {
        self.missing.load(Ordering::Acquire) != 0 && self.lock().missing.contains_key(&(entity, field))
    }

    /// A subscriber has this value in its hands.
    pub(crate) fn seen(&self, entity: u32, field: u8, value: &str) {
        if self.missing.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut wanted = self.lock();
        if wanted.missing.get(&(entity, field)).is_none_or(|expected| expected != value) {
            return;
        }
        wanted.missing.remove(&(entity, field));
        wanted.last_seen_ns = now_ns();
        self.missing.store(wanted.missing.len(), Ordering::Release);
        if wanted.missing.is_empty() {
            self.all_seen.notify_waiters();
        }
    }

    /// What was wanted and has not been seen.
    pub(crate) fn unseen(&self) -> HashMap<Key, String> {
        self.lock().missing.clone()
    }

    /// When the last wanted value was seen; `None` when the time has passed before that.
    pub(crate) async fn wait(&self, timeout: Duration) -> Option<u64> {
        let all_seen = async {
            loop {
                let notified = self.all_seen.notified();
                if self.missing.load(Ordering::Acquire) == 0 {
                    return;
                }
                notified.await;
            }
        };
        tokio::time::timeout(timeout, all_seen).await.ok()?;
        Some(self.lock().last_seen_ns)
    }

    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_final_value_counts_as_seen() {
        let work = Work::new(1, 2, 0, 2);
        let checker = Checker::default();
        checker.expect(work);
        checker.seen(0, 0, "something older");
        assert_eq!(checker.wait(Duration::ZERO).await, None);
        assert_eq!(checker.unseen().len(), 2);
        assert_eq!(checker.wanted(0), vec![0]);
        for edit in work.edits() {
            checker.seen(edit.entity, edit.field, &edit.value);
        }
        assert!(checker.wait(Duration::ZERO).await.is_some());
        assert!(checker.wanted(0).is_empty());
    }
}
