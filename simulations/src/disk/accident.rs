//! What is on the platter when something went wrong.

use std::collections::BTreeMap;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::file::{File, Moment, PAGE_BYTES, Page, Replaced};

/// The unit that a disk writes as a whole or not at all.
pub const SECTOR_BYTES: usize = 512;

/// Which of the unsynced changes reached the platter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reached {
    /// Those up to this moment, as if each had been written at once.
    UpTo(Moment),
    /// Any, sector by sector, in any order. The newest change of a sector did with this probability.
    Any(f64),
}

/// A page at one time since the last sync.
struct Version {
    from: Moment,
    content: Page,
    cut: Option<u64>,
}

impl Reached {
    /// An accident with the unsynced changes of these moments at stake.
    pub(super) fn draw(oldest: Moment, newest: Moment, chance: &mut ChaCha8Rng) -> Self {
        match chance.random_range(0..8) {
            0 => Self::UpTo(oldest.saturating_sub(1)),
            1 => Self::UpTo(newest),
            2 => Self::UpTo(chance.random_range(oldest.saturating_sub(1)..=newest)),
            // One sector in many that is missing, and one in many that is there, are the hardest to notice.
            3 => Self::Any(0.98),
            4 => Self::Any(0.0),
            _ => Self::Any(chance.random()),
        }
    }

    fn choose(self, versions: &[Moment], chance: &mut ChaCha8Rng) -> usize {
        let newest = versions.len().saturating_sub(1);
        match self {
            Self::UpTo(moment) => versions.iter().rposition(|from| *from <= moment).unwrap_or(0),
            Self::Any(_) if newest == 0 => 0,
            Self::Any(likely) if chance.random_bool(likely) => newest,
            Self::Any(_) => chance.random_range(0..newest),
        }
    }
}

impl File {
    /// The moment of the oldest change that is not synced.
    pub(super) fn oldest_unsynced(&self) -> Option<Moment> {
        let page = self.replaced.first().map(|replaced| replaced.at);
        let length = self.lengths.first().map(|(at, _)| *at);
        page.into_iter().chain(length).min()
    }

    /// Leaves what the platter has.
    pub(super) fn lose_power(&mut self, reached: Reached, chance: &mut ChaCha8Rng) {
        let (made_at, length) = self.surviving_length(reached, chance);
        for (page, replaced) in self.take_history() {
            let survivor = self.survivor(page, replaced, made_at, (reached, chance));
            self.put(page, survivor);
        }
        for (page, platter) in std::mem::take(&mut self.lost) {
            self.put(page, platter);
        }
        self.put_length(length).expect("the file had this length");
        self.lengths.clear();
    }

    /// Writes some of what is not synced, and takes all of it for written, as file systems do after a failed sync. The
    /// content of the page cache stays or is dropped, which differs between file systems too. Lengths stay: a
    /// file system that cannot write those stops.
    pub(super) fn fail_sync(&mut self, chance: &mut ChaCha8Rng) {
        let reached = Reached::Any(chance.random());
        let is_dropped = chance.random_bool(0.5);
        for (page, replaced) in self.take_history() {
            let platter = self.survivor(page, replaced, Moment::MAX, (reached, chance));
            if is_dropped {
                self.put(page, platter);
            } else {
                self.lost.insert(page, platter);
            }
        }
        self.lengths.clear();
    }

    /// Flips a bit of a byte on the platter. Reads see it if they do not see a later version of the page.
    pub(super) fn flip(&mut self, byte: usize, bit: u32) {
        let page = byte / PAGE_BYTES;
        let flipped = |content: &Page| {
            let mut content = content.as_deref()?.to_vec();
            *content.get_mut(byte % PAGE_BYTES)? ^= 1u8.checked_shl(bit)?;
            Some(content.into())
        };
        if let Some(platter) = self.lost.get_mut(&page) {
            *platter = flipped(platter);
        } else if let Some(replaced) = self.replaced.iter_mut().find(|replaced| replaced.page == page) {
            replaced.before = flipped(&replaced.before);
        } else {
            let content = flipped(&self.page(page));
            self.put(page, content);
        }
    }

    /// The length that the platter has, and the moment at which the file was given it.
    fn surviving_length(&self, reached: Reached, chance: &mut ChaCha8Rng) -> (Moment, u64) {
        let made_at: Vec<_> = [0].into_iter().chain(self.lengths.iter().map(|(at, _)| *at)).collect();
        let chosen = reached.choose(&made_at, chance);
        let length = self.lengths.get(chosen).map_or(self.length(), |(_, before)| *before);
        (made_at.get(chosen).copied().unwrap_or_default(), length)
    }

    fn take_history(&mut self) -> BTreeMap<usize, Vec<Replaced>> {
        let mut history: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for replaced in std::mem::take(&mut self.replaced) {
            history.entry(replaced.page).or_default().push(replaced);
        }
        history
    }

    /// What the platter has of a page if it has the length that the file was given at `made_at`.
    fn survivor(
        &self,
        page: usize,
        replaced: Vec<Replaced>,
        made_at: Moment,
        (reached, chance): (Reached, &mut ChaCha8Rng),
    ) -> Page {
        let versions = self.versions(page, replaced);
        let chosen: Vec<_> = (0..PAGE_BYTES / SECTOR_BYTES)
            .map(|sector| {
                let start = page * PAGE_BYTES + sector * SECTOR_BYTES;
                let (first, possible) = possible(&versions, start as u64, made_at);
                first + reached.choose(&possible, chance)
            })
            .collect();
        let content = |index: usize| versions.get(index).and_then(|version| version.content.as_deref());
        match chosen.first() {
            Some(first) if chosen.iter().all(|index| index == first) => {
                return versions.get(*first).and_then(|version| version.content.clone());
            }
            _ => {}
        }
        let mut torn = vec![0; PAGE_BYTES];
        for (sector, index) in torn.chunks_mut(SECTOR_BYTES).enumerate().zip(chosen) {
            let start = sector.0 * SECTOR_BYTES;
            if let Some(content) = content(index) {
                sector.1.copy_from_slice(&content[start..start + SECTOR_BYTES]);
            }
        }
        Some(torn.into())
    }

    /// What a page was since the last sync, oldest first, and what it is.
    fn versions(&self, page: usize, replaced: Vec<Replaced>) -> Vec<Version> {
        let mut versions = Vec::with_capacity(replaced.len() + 1);
        let (mut from, mut cut) = (0, None);
        for replaced in replaced {
            versions.push(Version { from, content: replaced.before, cut });
            (from, cut) = (replaced.at, replaced.cut);
        }
        versions.push(Version { from, content: self.page(page), cut });
        versions
    }
}

/// The moments of the versions that a sector may have, and the index of the first: what was cut off is gone if the cut
/// reached the platter, and what was written over it only then can have. No file system shows bytes from before a cut after it.
fn possible(versions: &[Version], sector: u64, made_at: Moment) -> (usize, Vec<Moment>) {
    let is_cut = |version: &Version| version.cut.is_some_and(|length| length <= sector);
    let first = versions.iter().rposition(|version| is_cut(version) && version.from <= made_at).unwrap_or(0);
    let past = versions.iter().position(|version| is_cut(version) && version.from > made_at);
    let possible = versions.get(first..past.unwrap_or(versions.len())).unwrap_or_default();
    (first, possible.iter().map(|version| version.from).collect())
}
