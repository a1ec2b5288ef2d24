//! Lying in one field.
//!
//! A value shows its fields one after the other, and the one that was chosen is changed. Whoever shows fields takes the
//! value apart with patterns that name every one of them: a field that is added to a message does not build here before
//! it is lied about as well.

use super::known::Known;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use reknit_types::{DeviceId, Dot, EventId, Tip};
use std::collections::BTreeSet;

/// Something that can be lied about.
pub(crate) trait Lie {
    /// Shows every field.
    fn show(&mut self, liar: &mut Liar<'_>);
}

/// Changes the one field that was chosen.
pub(crate) struct Liar<'a> {
    pub(crate) rng: &'a mut ChaCha8Rng,
    pub(crate) known: &'a Known,
    /// The place of the field that is changed, among all that are shown; none while they are listed.
    chosen: Option<usize>,
    shown: Vec<&'static str>,
}

/// Lies in one field of `value`; which one. `None` if there is nothing to lie about.
pub(crate) fn tell(value: &mut dyn Lie, rng: &mut ChaCha8Rng, known: &Known) -> Option<&'static str> {
    let shown = list(value, rng, known);
    let names: Vec<&'static str> = BTreeSet::from_iter(shown.iter().copied()).into_iter().collect();
    // By name first: a list of a thousand ids does not drown the rest.
    let name = *names.choose(rng)?;
    let places: Vec<usize> = (0..shown.len()).filter(|at| shown[*at] == name).collect();
    let chosen = places.choose(rng).copied();
    value.show(&mut Liar { rng, known, chosen, shown: vec![] });
    Some(name)
}

/// The names of all fields of `value`, as they are shown.
pub(crate) fn list(value: &mut dyn Lie, rng: &mut ChaCha8Rng, known: &Known) -> Vec<&'static str> {
    let mut liar = Liar { rng, known, chosen: None, shown: vec![] };
    value.show(&mut liar);
    liar.shown
}

impl Liar<'_> {
    /// Whether this is the field to lie in.
    pub(crate) fn is_chosen(&mut self, field: &'static str) -> bool {
        self.shown.push(field);
        self.chosen == Some(self.shown.len() - 1)
    }

    pub(crate) fn number(&mut self, field: &'static str, value: &mut u64) {
        if !self.is_chosen(field) {
            return;
        }
        let lie = match self.rng.random_range(0..8) {
            0 => 0,
            1 => 1,
            2 => u64::MAX,
            3 => value.wrapping_add(1),
            4 => value.wrapping_sub(1),
            5 => self.rng.next_u64(),
            6 => self.rng.random_range(0..1 << 20),
            _ => value.wrapping_mul(2),
        };
        *value = if lie == *value { !lie } else { lie };
    }

    pub(crate) fn number32(&mut self, field: &'static str, value: &mut u32) {
        let mut wide = u64::from(*value);
        self.number(field, &mut wide);
        *value = u32::try_from(wide).unwrap_or(u32::MAX);
    }

    pub(crate) fn byte(&mut self, field: &'static str, value: &mut u8) {
        if self.is_chosen(field) {
            *value ^= self.rng.random_range(1..=u8::MAX);
        }
    }

    /// A digest or an id: all zeros, chance, another that is known, or a bit off.
    pub(crate) fn digest<const N: usize>(&mut self, field: &'static str, value: &mut [u8; N]) {
        if !self.is_chosen(field) {
            return;
        }
        match self.rng.random_range(0..4) {
            0 => value.fill(0),
            1 => self.rng.fill_bytes(value),
            2 => {
                let known = self.known.digests.choose(self.rng).copied().unwrap_or_default();
                value.iter_mut().zip(known.iter().cycle()).for_each(|(byte, other)| *byte = *other);
            }
            _ => {
                let at = self.rng.random_range(0..N);
                value[at] ^= 1 << self.rng.random_range(0..8);
            }
        }
    }

    pub(crate) fn event(&mut self, field: &'static str, value: &mut EventId) {
        let mut bytes = *value.as_bytes();
        self.digest(field, &mut bytes);
        *value = EventId::from_bytes(bytes);
    }

    pub(crate) fn device(&mut self, field: &'static str, value: &mut DeviceId) {
        if !self.is_chosen(field) {
            return;
        }
        *value = match self.known.devices.choose(self.rng).filter(|_| self.rng.random_bool(0.7)) {
            Some(known) if known != value => *known,
            _ => DeviceId::from_bytes(self.rng.random()),
        };
    }

    /// One of the places where an event can lie.
    pub(crate) fn dot(&mut self, [author, seq, id]: [&'static str; 3], value: &mut Dot) {
        let Dot { author: device, seq: number, id: event } = value;
        self.device(author, device);
        self.number(seq, number);
        self.event(id, event);
    }

    pub(crate) fn tip(&mut self, [seq, id]: [&'static str; 2], value: &mut Tip) {
        let Tip { seq: number, id: event } = value;
        self.number(seq, number);
        self.event(id, event);
    }

    /// What may be there or not.
    pub(crate) fn presence<T>(
        &mut self,
        field: &'static str,
        value: &mut Option<T>,
        make: impl FnOnce(&mut ChaCha8Rng, &Known) -> T,
    ) {
        if self.is_chosen(field) {
            *value = match value {
                Some(_) => None,
                None => Some(make(self.rng, self.known)),
            };
        }
    }

    /// Another variant than it is.
    pub(crate) fn other<T: PartialEq + Clone>(&mut self, field: &'static str, value: &mut T, all: &[T]) {
        if self.is_chosen(field) {
            let others: Vec<&T> = all.iter().filter(|other| *other != value).collect();
            if let Some(other) = others.choose(self.rng) {
                *value = (*other).clone();
            }
        }
    }

    /// A list: emptied, doubled, against its order, with one missing or twice, or longer than the `limit`.
    pub(crate) fn list<T: Clone>(&mut self, field: &'static str, list: &mut Vec<T>, limit: usize) {
        if !self.is_chosen(field) {
            return;
        }
        let at = self.rng.random_range(0..list.len().max(1));
        match self.rng.random_range(0..24) {
            0..4 => list.clear(),
            4..8 => list.extend(list.clone()),
            8..12 if list.len() > 1 => list.reverse(),
            12..16 if !list.is_empty() => _ = list.remove(at),
            23 if !list.is_empty() => {
                *list = list.iter().cycle().take(limit + 1).cloned().collect();
            }
            _ => {
                let twice = list.get(at).cloned();
                list.extend(twice);
            }
        }
    }

    /// Bytes that mean something to somebody: flipped, cut, longer, gone, or others.
    pub(crate) fn blob(&mut self, field: &'static str, bytes: &mut Vec<u8>) {
        if self.is_chosen(field) {
            damage(bytes, self.rng);
        }
    }
}

/// Bytes flipped, cut, inserted, doubled, emptied, or replaced by chance.
pub(crate) fn damage(bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
    let at = rng.random_range(0..bytes.len().max(1));
    match rng.random_range(0..16) {
        0..6 if !bytes.is_empty() => {
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << rng.random_range(0..8);
            }
        }
        6..9 => bytes.truncate(at),
        9..12 => {
            let inserted: Vec<u8> = (0..rng.random_range(1..9)).map(|_| rng.random()).collect();
            let at = at.min(bytes.len());
            bytes.splice(at..at, inserted);
        }
        12 => bytes.extend(bytes.clone()),
        13 => bytes.clear(),
        14 if !bytes.is_empty() => _ = bytes.remove(at),
        _ => *bytes = noise(rng, 64),
    }
}

/// So many bytes at most, of chance.
pub(crate) fn noise(rng: &mut ChaCha8Rng, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; rng.random_range(1..=most)];
    rng.fill_bytes(&mut bytes);
    bytes
}
