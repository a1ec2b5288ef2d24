//! What makes a scenario one that cannot be run, each with its place.

use super::{Chaos, Planned, Repeated, Scenario};
use crate::action::Action;
use crate::enemy::{Enemy, EnemyKind};
use crate::link::{Latency, Link};
use crate::network::PeerNo;
use crate::people::Person;
use crate::world::Disks;
use std::fmt;

/// Something in a scenario that cannot be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it is, from the outside in.
    pub place: Vec<Place>,
    /// What is wrong, and what would be right.
    pub what: String,
}

/// One step on the way to a place in a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A field, by its name.
    Field(&'static str),
    /// An item of a list.
    Item(usize),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, place) in self.place.iter().enumerate() {
            match place {
                Place::Field(name) if number > 0 => write!(f, ".{name}")?,
                Place::Field(name) => f.write_str(name)?,
                Place::Item(item) => write!(f, "[{item}]")?,
            }
        }
        write!(f, ": {}", self.what)
    }
}

impl Scenario {
    /// Everything that is wrong with it. [`run`](crate::run) takes scenarios without faults only.
    pub fn faults(&self) -> Vec<Fault> {
        let (arrivals, in_memory) = (arrivals(self), self.disks == Disks::Memory);
        let mut found =
            Found { faults: vec![], place: vec![], peers: self.peers, arrivals, now: 0.0, in_memory };
        found.in_head(self);
        found.field("link", |found| found.in_link(&self.link));
        found.each("people", &self.people, Found::in_person);
        found.each("at", &self.at, Found::in_planned);
        found.each("repeat", &self.repeat, Found::in_repeated);
        found.each("enemies", &self.enemies, Found::in_enemy);
        if let Some(chaos) = &self.chaos {
            found.field("chaos", |found| found.in_chaos(chaos));
        }
        let budget_s = self.budget.time.as_secs_f64();
        found.field("budget", |found| found.number("time", budget_s, 0.0, SECONDS_MAX));
        found.faults
    }
}

/// The faults so far, and where we are.
struct Found {
    faults: Vec<Fault>,
    place: Vec<Place>,
    /// How many peers there are at the start.
    peers: usize,
    /// When others come to be.
    arrivals: Vec<f64>,
    /// When that happens which is looked at.
    now: f64,
    in_memory: bool,
}

impl Found {
    fn in_head(&mut self, scenario: &Scenario) {
        let name = &scenario.name;
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        if name.is_empty() || !name.chars().all(plain) {
            self.at("name", "letters, digits, '-' and '_' only: it becomes part of file names".to_owned());
        }
        if !(1..=PEERS_MAX).contains(&scenario.peers) {
            self.at("peers", format!("{} peers: 1 to {PEERS_MAX} can be simulated", scenario.peers));
        }
        if scenario.degree == Some(0) {
            self.at("degree", "at least 1, or nobody is connected".to_owned());
        }
        self.number("seconds", scenario.seconds, 0.0, SECONDS_MAX);
    }

    fn in_link(&mut self, link: &Link) {
        self.field("latency", |found| match link.latency {
            Latency::Fixed(ms) => found.number("fixed", ms, 0.0, LATENCY_MS_MAX),
            Latency::Uniform(least, most) => {
                found.number("uniform", least, 0.0, LATENCY_MS_MAX);
                found.number("uniform", most, least, LATENCY_MS_MAX);
            }
            Latency::LogNormal(median, spread) => {
                found.number("log_normal", median, 0.0, LATENCY_MS_MAX);
                found.number("log_normal", spread, 0.0, SPREAD_MAX);
            }
        });
        if link.bandwidth == Some(0) {
            self.at(
                "bandwidth",
                "at least a byte a second; a link that carries nothing is a partition".to_owned(),
            );
        }
        self.probability("loss", link.loss);
        self.probability("duplication", link.duplication);
        self.probability("reordering", link.reordering);
    }

    fn in_person(&mut self, person: &Person) {
        self.now = person.from;
        self.field("at", |found| person.at.iter().for_each(|peer| found.peer(*peer)));
        self.number("per_second", person.per_second, 0.0, PER_SECOND_MAX);
        self.number("from", person.from, 0.0, SECONDS_MAX);
        if let Some(until) = person.until {
            self.number("until", until, person.from, SECONDS_MAX);
        }
        if !(1..=BURST_MAX).contains(&person.burst) {
            self.at("burst", format!("1 to {BURST_MAX} edits at once"));
        }
        if person.entities == 0 {
            self.at("entities", "at least 1".to_owned());
        }
        if person.bytes > BYTES_MAX {
            self.at("bytes", format!("at most {BYTES_MAX} bytes in an edit"));
        }
    }

    fn in_planned(&mut self, planned: &Planned) {
        self.number("time", planned.time, 0.0, SECONDS_MAX);
        self.now = planned.time;
        self.each("actions", &planned.actions, Self::in_action);
    }

    fn in_repeated(&mut self, repeated: &Repeated) {
        self.number("from", repeated.from, 0.0, SECONDS_MAX);
        self.number("until", repeated.until, repeated.from, SECONDS_MAX);
        self.number("every", repeated.every, EVERY_MIN, SECONDS_MAX);
        if repeated.turns.is_empty() {
            self.at("turns", "at least one turn".to_owned());
        }
        let mut times = turn_times(repeated);
        self.each("turns", &repeated.turns, |found, turn| {
            found.now = times.next().unwrap_or(f64::INFINITY);
            for (number, action) in turn.iter().enumerate() {
                found.inside(Place::Item(number), |found| found.in_action(action));
            }
        });
    }

    fn in_enemy(&mut self, enemy: &Enemy) {
        self.now = enemy.from;
        self.field("at", |found| enemy.at.iter().for_each(|peer| found.peer(*peer)));
        match enemy.kind {
            EnemyKind::Stranger if !enemy.at.is_empty() => {
                self.at(
                    "at",
                    "strangers are no peers: they come besides, as many as `count` says".to_owned(),
                );
            }
            EnemyKind::Stranger if !(1..=PEERS_MAX).contains(&enemy.count) => {
                self.at("count", format!("{} strangers: 1 to {PEERS_MAX} can be simulated", enemy.count));
            }
            EnemyKind::Stranger => {}
            _ if enemy.at.is_empty() => self.at("at", "which peers turn hostile?".to_owned()),
            _ => {}
        }
        self.number("per_second", enemy.per_second, 0.0, PER_SECOND_MAX);
        self.probability("lies", enemy.lies);
        self.number("from", enemy.from, 0.0, SECONDS_MAX);
        if let Some(until) = enemy.until {
            self.number("until", until, enemy.from, SECONDS_MAX);
        }
    }

    fn in_chaos(&mut self, chaos: &Chaos) {
        self.number("every", chaos.every, 0.0, SECONDS_MAX);
        self.number("lasts", chaos.lasts, 0.0, SECONDS_MAX);
        for (name, wanted) in [("power", chaos.power), ("disks", chaos.disks), ("restores", chaos.restores)] {
            if wanted && self.in_memory {
                self.at(name, NO_DISK.to_owned());
            }
        }
    }

    fn in_action(&mut self, action: &Action) {
        action.clone().named_mut().into_iter().for_each(|peer| self.peer(*peer));
        if action.is_about_disk() && self.in_memory {
            self.here(NO_DISK.to_owned());
        }
        match action {
            Action::Cut(a, b) | Action::Mend(a, b) | Action::Link(a, b, _) if a == b => {
                self.here(format!("from {a} to {a}: two different peers are needed"));
            }
            Action::Link(_, _, link) => self.field("link", |found| found.in_link(link)),
            Action::Links(link) => self.field("links", |found| found.in_link(link)),
            Action::GossipLoss(loss) => self.probability("gossip_loss", *loss),
            Action::Relays(relays) if *relays > PEERS_MAX => {
                self.here(format!("{relays} relays: at most {PEERS_MAX}"));
            }
            Action::Drift(_, ppm) if ppm.unsigned_abs() > DRIFT_PPM_MAX => {
                self.here(format!("{ppm} microseconds a second: at most {DRIFT_PPM_MAX} either way"));
            }
            _ => {}
        }
    }

    fn peer(&mut self, peer: PeerNo) {
        let there = self.peers + self.arrivals.iter().filter(|at| **at <= self.now).count();
        if peer >= there {
            let last = there.saturating_sub(1);
            self.here(format!("there is no peer {peer} at {} s: peers are 0 to {last}", self.now));
        }
    }

    fn probability(&mut self, name: &'static str, value: f64) {
        self.number(name, value, 0.0, 1.0);
    }

    fn number(&mut self, name: &'static str, value: f64, least: f64, most: f64) {
        if !(least..=most).contains(&value) {
            self.at(name, format!("{value} is not between {least} and {most}"));
        }
    }

    fn each<T>(&mut self, name: &'static str, items: &[T], mut check: impl FnMut(&mut Self, &T)) {
        for (number, item) in items.iter().enumerate() {
            self.field(name, |found| found.inside(Place::Item(number), |found| check(found, item)));
        }
    }

    fn field(&mut self, name: &'static str, check: impl FnOnce(&mut Self)) {
        self.inside(Place::Field(name), check);
    }

    fn inside(&mut self, place: Place, check: impl FnOnce(&mut Self)) {
        self.place.push(place);
        check(self);
        self.place.pop();
    }

    fn at(&mut self, name: &'static str, what: String) {
        self.field(name, |found| found.here(what));
    }

    fn here(&mut self, what: String) {
        self.faults.push(Fault { place: self.place.clone(), what });
    }
}

/// When peers come to be.
fn arrivals(scenario: &Scenario) -> Vec<f64> {
    let added = |actions: &[Action]| actions.iter().filter(|action| action.adds_peer()).count();
    let mut times = vec![];
    for enemy in &scenario.enemies {
        match enemy.kind {
            EnemyKind::Stranger => times.extend(std::iter::repeat_n(0.0, enemy.count)),
            EnemyKind::Forker => times.extend(enemy.at.iter().map(|_| enemy.from)),
            _ => {}
        }
    }
    for planned in &scenario.at {
        times.extend(std::iter::repeat_n(planned.time, added(&planned.actions)));
    }
    for repeated in &scenario.repeat {
        for (turn, time) in repeated.turns.iter().cycle().zip(turn_times(repeated)) {
            times.extend(std::iter::repeat_n(time, added(turn)));
        }
    }
    times
}

/// When each turn happens.
fn turn_times(repeated: &Repeated) -> impl Iterator<Item = f64> {
    let (until, every) = (repeated.until, repeated.every);
    std::iter::successors(Some(repeated.from), move |time| Some(time + every)).take_while(move |time| {
        // Whether there are sensible times at all is found elsewhere.
        *time <= until && every >= EVERY_MIN && until <= SECONDS_MAX
    })
}

const NO_DISK: &str = "nothing happens to peers that keep their data in memory: they need disks = \"redb\"";
const PEERS_MAX: usize = 10_000;
/// A virtual year.
const SECONDS_MAX: f64 = 366.0 * 86_400.0;
/// Actions closer to each other than this are many more than anybody means.
const EVERY_MIN: f64 = 0.001;
const LATENCY_MS_MAX: f64 = 3_600_000.0;
const SPREAD_MAX: f64 = 5.0;
const PER_SECOND_MAX: f64 = 100_000.0;
const BURST_MAX: u32 = 100_000;
const BYTES_MAX: usize = 1 << 20;
const DRIFT_PPM_MAX: u32 = 100_000;
