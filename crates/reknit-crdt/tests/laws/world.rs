//! Three devices that edit one field.

use proptest::prelude::*;
use reknit_crdt::{
    Applied, Counter, Crdt, Document, Edit, FieldValue, Identity, Origin, Place, Register, Text, load,
    rebuild,
};
use reknit_types::{CrdtKind, DeviceId, EntityId, EventId, Name, Stamp, Value};
use serde_json::json;
use std::collections::BTreeSet;

/// A place in something whose size is not known yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At(pub(crate) usize);

impl At {
    pub(crate) fn index(self, size: usize) -> usize {
        self.0 % size
    }
}

pub(crate) fn places() -> impl Strategy<Value = At> {
    any::<usize>().prop_map(At)
}

/// What one device does next.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Edits; the numbers choose what.
    Edit(u8, At),
    /// Hears of an event, and of all its causes first.
    Hear(At),
    /// Is closed and opened again.
    Reopen,
    /// Puts a copy aside.
    Backup,
    /// Goes back to the copy, under a fresh nonce.
    Restore,
}

/// Steps, each of one of the devices.
pub(crate) type Script = Vec<(usize, Step)>;

pub(crate) fn scripts(len: usize) -> impl Strategy<Value = Script> {
    let step = prop_oneof![
        8 => (any::<u8>(), places()).prop_map(|(choice, at)| Step::Edit(choice, at)),
        4 => places().prop_map(Step::Hear),
        1 => Just(Step::Reopen),
        1 => Just(Step::Backup),
        1 => Just(Step::Restore),
    ];
    prop::collection::vec((0..DEVICES, step), 1..len)
}

/// One edit, and the events its author knew.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) origin: Origin,
    pub(crate) delta: Vec<u8>,
    pub(crate) past: BTreeSet<usize>,
}

impl Event {
    pub(crate) fn edit(&self) -> Edit<'_> {
        Edit { origin: self.origin, delta: &self.delta }
    }
}

/// A field as its own type, to edit it, and as any field, to merge into it.
pub(crate) enum Field {
    Register(Register),
    Counter(Counter),
    Text(Box<Text>),
    Document(Box<Document>),
}

impl Field {
    pub(crate) fn new(kind: CrdtKind) -> Self {
        match kind {
            CrdtKind::Register => Self::Register(Register::new()),
            CrdtKind::Counter => Self::Counter(Counter::new()),
            CrdtKind::Text => Self::Text(Box::default()),
            CrdtKind::Document => Self::Document(Box::default()),
        }
    }

    fn load(kind: CrdtKind, saved: &[u8]) -> Self {
        match kind {
            CrdtKind::Register => Self::Register(Register::load(saved).unwrap()),
            CrdtKind::Counter => Self::Counter(Counter::load(saved).unwrap()),
            CrdtKind::Text => Self::Text(Box::new(Text::load(saved).unwrap())),
            CrdtKind::Document => Self::Document(Box::new(Document::load(saved).unwrap())),
        }
    }

    pub(crate) fn any(&mut self) -> &mut dyn Crdt {
        match self {
            Self::Register(field) => field,
            Self::Counter(field) => field,
            Self::Text(field) => field.as_mut(),
            Self::Document(field) => field.as_mut(),
        }
    }

    fn edit(&mut self, place: &Place<'_>, identity: &Identity, choice: u8, at: At) -> Option<Vec<u8>> {
        match self {
            Self::Register(_) => Some(Register::set(&Value::Int(i64::from(choice))).unwrap()),
            Self::Counter(counter) => Some(counter.add(place, identity, i64::from(choice) - 128)),
            Self::Text(text) => {
                text.open(place, identity);
                let insert = ["a", "bcd", "🎉", "", "é", "xyzzy"][usize::from(choice) % 6];
                let at = at.index(text.len() + 1);
                let delete = usize::from(choice / 6 % 3).min(text.len() - at);
                let mut expected: Vec<char> = text.to_string().chars().collect();
                expected.splice(at..at + delete, insert.chars());
                text.splice(at, delete, insert).unwrap();
                assert_eq!(text.to_string(), expected.into_iter().collect::<String>());
                text.take_delta()
            }
            Self::Document(document) => {
                document.open(place, identity);
                edit_document(document, choice, at);
                document.take_delta()
            }
        }
    }
}

/// Edits that do not fit what is there are errors, and leave it alone.
fn edit_document(document: &mut Document, choice: u8, at: At) {
    let len = document.get("/list").unwrap().and_then(|list| Some(list.as_array()?.len())).unwrap_or(0);
    let key = ["/a", "/b", "/map", "/map/x"][at.index(4)];
    let _ = match choice % 12 {
        0 => document.set(key, &json!(choice)),
        1 => document.set(key, &json!({"x": 1.5, "y": [null, true, "s"]})),
        2 => document.set("/list", &json!([])),
        3..=5 => document.insert(&format!("/list/{}", at.index(len + 1)), &json!({"n": choice})),
        6 => document.remove(&format!("/list/{}", at.index(len + 1))),
        7 => document.remove(key),
        8 => document.increment("/count", i64::from(choice)),
        9 => document.set_text("/text", "merged"),
        10 => document.splice_text("/text", at.index(7), 0, "🎉é"),
        _ => document.splice_text("/text", at.index(6), 1, "z"),
    };
}

/// One device's copy of the field.
pub(crate) struct Device {
    field: Field,
    seen: BTreeSet<usize>,
    nonce: u64,
    backup: Option<(Vec<u8>, BTreeSet<usize>)>,
}

/// What came of a script.
pub(crate) struct World {
    pub(crate) kind: CrdtKind,
    pub(crate) name: Name,
    pub(crate) events: Vec<Event>,
    devices: Vec<Device>,
    nonces: u64,
}

impl World {
    pub(crate) fn run(kind: CrdtKind, script: &Script) -> Self {
        let device = |nonce| Device { field: Field::new(kind), seen: BTreeSet::new(), nonce, backup: None };
        let devices = (0..DEVICES as u64).map(device).collect();
        let name = Name::new("field").unwrap();
        let mut world = Self { kind, name, events: Vec::new(), devices, nonces: DEVICES as u64 };
        for (who, step) in script {
            world.step(*who, step);
        }
        world
    }

    pub(crate) fn place(&self) -> Place<'_> {
        Place { entity: EntityId::from_bytes([3; 16]), field: &self.name }
    }

    /// The value each device ends with, once it has heard of everything.
    pub(crate) fn final_values(&mut self) -> Vec<FieldValue> {
        for who in 0..DEVICES {
            for event in 0..self.events.len() {
                self.hear(who, event);
            }
        }
        self.devices.iter_mut().map(|device| device.field.any().value()).collect()
    }

    /// What a device is now.
    pub(crate) fn copy(&mut self, who: usize) -> Device {
        let device = &mut self.devices[who];
        let field = Field::load(self.kind, &device.field.any().save());
        Device { field, seen: device.seen.clone(), nonce: device.nonce, backup: None }
    }

    /// Puts a copy in a device's place, nonce and all.
    pub(crate) fn replace(&mut self, who: usize, copy: Device) {
        self.devices[who] = copy;
    }

    fn step(&mut self, who: usize, step: &Step) {
        let kind = self.kind;
        match step {
            Step::Edit(choice, at) => self.edit(who, *choice, *at),
            Step::Hear(event) if !self.events.is_empty() => self.hear(who, event.index(self.events.len())),
            Step::Hear(_) => {}
            Step::Reopen => {
                let device = &mut self.devices[who];
                device.field = Field::load(kind, &device.field.any().save());
            }
            Step::Backup => {
                let device = &mut self.devices[who];
                device.backup = Some((device.field.any().save(), device.seen.clone()));
            }
            Step::Restore => {
                let nonce = self.nonces;
                let device = &mut self.devices[who];
                if let Some((saved, seen)) = device.backup.clone() {
                    (device.field, device.seen, device.nonce) = (Field::load(kind, &saved), seen, nonce);
                    self.nonces += 1;
                }
            }
        }
    }

    pub(crate) fn edit(&mut self, who: usize, choice: u8, at: At) {
        let place = Place { entity: EntityId::from_bytes([3; 16]), field: &self.name };
        let device = &mut self.devices[who];
        let author = author(who);
        let identity = Identity { author, nonce: device.nonce };
        let Some(delta) = device.field.edit(&place, &identity, choice, at) else { return };
        let greatest = device.seen.iter().map(|event| self.events[*event].origin.stamp.to_u128()).max();
        let mut id = [who as u8; 32];
        id[..8].copy_from_slice(&(self.events.len() as u64).to_le_bytes());
        let stamp = Stamp::from_u128(greatest.unwrap_or(0) + 1);
        let origin = Origin { author, stamp, event: EventId::from_bytes(id) };
        // Registers take effect only now; for the others their own edit is known to them.
        device.field.any().apply(&place, &origin, &delta).unwrap();
        let past = device.seen.clone();
        device.seen.insert(self.events.len());
        self.events.push(Event { origin, delta, past });
    }

    pub(crate) fn hear(&mut self, who: usize, event: usize) {
        let causes = self.events[event].past.clone();
        for event in causes.into_iter().chain([event]) {
            if self.devices[who].seen.insert(event) {
                let place = Place { entity: EntityId::from_bytes([3; 16]), field: &self.name };
                let Event { origin, delta, .. } = &self.events[event];
                let answer = self.devices[who].field.any().apply(&place, origin, delta);
                assert!(matches!(answer, Ok(Applied::Merged | Applied::Known)), "{answer:?}");
            }
        }
    }
}

/// How events reach somebody.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// Whichever deliverable event has the least of these numbers comes next.
    pub(crate) order: Vec<u32>,
    /// Events that come again, after the event at the first place.
    pub(crate) again: Vec<(At, At)>,
    /// How many come at once.
    pub(crate) batches: Vec<usize>,
    /// Whether the field is saved and loaded after each batch.
    pub(crate) reopens: bool,
}

pub(crate) fn deliveries() -> impl Strategy<Value = Delivery> {
    let order = prop::collection::vec(any::<u32>(), 64);
    let again = prop::collection::vec((places(), places()), 0..6);
    (order, again, prop::collection::vec(1usize..12, 1..8), any::<bool>())
        .prop_map(|(order, again, batches, reopens)| Delivery { order, again, batches, reopens })
}

impl Delivery {
    /// The events in the order of their delivery; causes first, if `causal`.
    pub(crate) fn arrange<'a>(&self, events: &'a [Event], causal: bool) -> Vec<Edit<'a>> {
        let mut rest: BTreeSet<usize> = (0..events.len()).collect();
        let mut arranged = Vec::new();
        while !rest.is_empty() {
            let ready = rest.iter().filter(|event| !causal || events[**event].past.is_disjoint(&rest));
            let next = *ready.min_by_key(|event| self.order[**event % self.order.len()]).unwrap();
            rest.remove(&next);
            arranged.push(events[next].edit());
        }
        for (what, after) in &self.again {
            if !arranged.is_empty() {
                let (what, after) = (what.index(arranged.len()), after.index(arranged.len()));
                arranged.insert(what.max(after) + 1, arranged[what]);
            }
        }
        arranged
    }

    /// The state after all that, and whether any delta was answered otherwise than an honest one may be.
    pub(crate) fn deliver(
        &self,
        kind: CrdtKind,
        place: &Place<'_>,
        edits: &[Edit<'_>],
    ) -> (Box<dyn Crdt>, bool) {
        let mut state = reknit_crdt::empty(kind);
        let (mut rest, mut odd) = (edits, false);
        for size in self.batches.iter().cycle() {
            let (batch, after) = rest.split_at((*size).min(rest.len()));
            let answers = match batch {
                [edit] => vec![state.apply(place, &edit.origin, edit.delta)],
                _ => state.apply_all(place, batch),
            };
            assert_eq!(answers.len(), batch.len());
            odd |= answers.iter().any(|answer| !matches!(answer, Ok(Applied::Merged | Applied::Known)));
            if self.reopens {
                state = load(kind, &state.save()).unwrap();
            }
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        (state, odd)
    }

    /// The value after all that, by replay if the field is contested.
    pub(crate) fn settle(&self, kind: CrdtKind, place: &Place<'_>, edits: &[Edit<'_>]) -> FieldValue {
        let (state, _) = self.deliver(kind, place, edits);
        if state.is_contested() { rebuild(kind, place, edits).value() } else { state.value() }
    }
}

pub(crate) fn author(who: usize) -> DeviceId {
    DeviceId::from_bytes([who as u8 + 1; 32])
}

const DEVICES: usize = 3;
