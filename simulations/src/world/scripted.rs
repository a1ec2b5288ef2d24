//! What follows from a scenario: people at work, faults drawn by chance, and samples of how the world stands.

use super::{Step, World};
use crate::network::PeerNo;
use crate::outcome::{EventSeen, PeerSample, Sample, Standing, Timeline};
use crate::people::Person;
use crate::scenario::seconds;
use std::collections::BTreeMap;
use std::time::Duration;

/// A person at a device, and when they stop.
#[derive(Debug)]
pub(super) struct Shift {
    person: Person,
    peer: PeerNo,
    until: Duration,
    rng: rand_chacha::ChaCha8Rng,
}

impl World {
    /// These people work for so long, from now on.
    pub(crate) fn employ(&mut self, people: &[Person], longest: Duration) {
        let start = self.now;
        for person in people.iter().filter(|person| person.per_second > 0.0) {
            let everybody: Vec<PeerNo> = (0..self.peers()).collect();
            let at = if person.at.is_empty() { &everybody } else { &person.at };
            let end = person.until.map_or(longest, |until| longest.min(seconds(until)));
            for peer in at {
                let number = self.shifts.len();
                let rng = self.chance.stream("person", number as u64);
                let shift = Shift { person: person.clone(), peer: *peer, until: start + end, rng };
                self.shifts.push(shift);
                self.plan_work(number, start + seconds(person.from));
            }
        }
        self.sample();
    }

    fn plan_work(&mut self, number: usize, from: Duration) {
        let shift = &mut self.shifts[number];
        let at = from.saturating_add(shift.person.wait(&mut shift.rng));
        if at <= shift.until {
            self.agenda.plan(at, Step::Work(number));
        }
    }

    pub(super) fn on_work(&mut self, number: usize) {
        let shift = &mut self.shifts[number];
        let (person, peer, mut rng) = (shift.person.clone(), shift.peer, shift.rng.clone());
        self.work(&person, peer, &mut rng);
        self.shifts[number].rng = rng;
        self.plan_work(number, self.now);
    }

    /// Notes how every peer stands, and again after a while.
    pub(crate) fn sample(&mut self) {
        let mut peers = vec![];
        for peer in 0..self.peers() {
            let connected = self.network.connected(peer).count() as u32;
            let standing = match self.peers[peer].running() {
                None => Standing::Down,
                Some(running) if running.asleep => Standing::Asleep,
                Some(_) => Standing::Up,
            };
            let (events, heads) =
                self.glance(peer).map_or((0, 0), |glance| (glance.events, glance.heads as u32));
            peers.push(PeerSample { standing, events, heads, connected });
        }
        let at_s = self.now.as_secs_f64();
        self.timeline.samples.push(Sample { at_s, peers });
        // A long run keeps no more samples than a short one: every second one goes, and gaps double.
        let most = (SAMPLED_PEERS_MAX / self.peers().max(1)).clamp(SAMPLES_MIN, SAMPLES_MAX);
        if self.timeline.samples.len() >= most {
            let mut keep = false;
            self.timeline.samples.retain(|_| {
                keep = !keep;
                keep
            });
            self.sample_gap *= 2;
        }
        self.agenda.plan(self.now + self.sample_gap, Step::Sample);
    }

    /// How the run went so far.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The newest events that any peer has, and who has them.
    pub fn newest_seen(&self, count: usize) -> Vec<EventSeen> {
        let mut seen: BTreeMap<_, EventSeen> = BTreeMap::new();
        for peer in 0..self.peers() {
            for event in self.newest(peer, count).unwrap_or_default() {
                let (header, id) = (event.header(), event.id());
                let entry = seen.entry((header.stamp, id)).or_insert_with(|| EventSeen {
                    id: id.short().to_string(),
                    author: self.numbers.get(&header.author).copied(),
                    seq: header.seq,
                    parents: header.parents.iter().map(|parent| parent.short().to_string()).collect(),
                    at: vec![],
                });
                entry.at.push(peer);
            }
        }
        seen.into_values().rev().take(count).collect()
    }
}

pub(super) const SAMPLE_GAP: Duration = Duration::from_millis(200);
const SAMPLES_MAX: usize = 400;
/// Of large meshes there are fewer samples: runs by the thousand stay in memory.
const SAMPLED_PEERS_MAX: usize = 20_000;
const SAMPLES_MIN: usize = 40;
