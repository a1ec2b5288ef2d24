//! What a person who looks at a device must never see: half a transaction, an own write gone, a number that goes back.

use super::Checks;
use crate::network::PeerNo;
use crate::people::{ACCOUNTS, Edit, SEQUENCES, Work, entity_id};
use crate::world::HOME;
use reknit_crdt::FieldValue;
use reknit_engine::read::{Entity, Page, entities};
use reknit_engine::store::{Durability, Reads};
use reknit_engine::{EngineError, RequestId};
use reknit_types::{EntityId, Name, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What was promised to the person at one device.
#[derive(Default)]
pub(super) struct Promises {
    last_number: u64,
    under_way: BTreeMap<RequestId, u64>,
    /// What was asked for without waiting for the disk.
    fast: BTreeSet<RequestId>,
    /// The greatest number of the own sequence that was acknowledged, and the greatest that is on the disk for good.
    acknowledged: u64,
    durable: u64,
    /// The greatest number seen in each sequence.
    seen: BTreeMap<EntityId, i64>,
}

impl Promises {
    /// A write was acknowledged; whether it is promised to survive.
    pub(super) fn on_acknowledged(&mut self, request: RequestId) -> bool {
        let durable = !self.fast.remove(&request);
        if let Some(number) = self.under_way.remove(&request) {
            self.acknowledged = self.acknowledged.max(number);
            if durable {
                self.durable = self.acknowledged;
            }
        }
        durable
    }

    /// Events of others may be gone, since they can be fetched again: what was seen of them is no promise.
    pub(super) fn on_restarted(&mut self) {
        self.seen.clear();
        self.under_way.clear();
        self.fast.clear();
        self.acknowledged = self.durable;
    }

    pub(super) fn on_tampered(&mut self) {
        (self.acknowledged, self.durable) = (0, 0);
    }

    /// `forked` are the sequences of devices that came back from a backup: what they wrote before and after is concurrent, so
    /// either may win.
    fn look(
        &mut self,
        peer: PeerNo,
        reads: &dyn Reads,
        forked: &BTreeSet<EntityId>,
    ) -> Result<Option<(&'static str, String)>, EngineError> {
        let sum: i128 = all(reads, ACCOUNTS)?.iter().map(|account| counter(account, "balance")).sum();
        if sum != 0 {
            return Ok(Some(("whole-transactions", format!("the accounts at {peer} sum to {sum}"))));
        }
        for sequence in all(reads, SEQUENCES)?.into_iter().filter(|sequence| !forked.contains(&sequence.id)) {
            let number = register(&sequence, "number");
            let seen = self.seen.insert(sequence.id, number).unwrap_or(number);
            if number < seen {
                let what = format!("{peer} saw {seen} in {:?} and then {number}", sequence.id);
                return Ok(Some(("monotonic-reads", what)));
            }
        }
        let id = entity_id(Work::Sequence, peer as u64);
        let own = self.seen.get(&id).copied().unwrap_or(0);
        if !forked.contains(&id) && own < i64::try_from(self.acknowledged).unwrap_or(i64::MAX) {
            let what = format!("{peer} wrote {} and reads {own}", self.acknowledged);
            return Ok(Some(("read-your-writes", what)));
        }
        Ok(None)
    }
}

impl Checks {
    /// The number of the next write of a peer, if the work counts.
    pub(crate) fn next_number(&mut self, peer: PeerNo, work: Work) -> u64 {
        let promises = &mut self.peers[peer].promises;
        promises.last_number += u64::from(work == Work::Sequence);
        promises.last_number
    }

    pub(crate) fn on_submitted(&mut self, peer: PeerNo, request: RequestId, edit: &Edit) {
        let promises = &mut self.peers[peer].promises;
        if let Some(number) = edit.sequence() {
            promises.under_way.insert(request, number);
        }
        if edit.durability() == Durability::Fast {
            promises.fast.insert(request);
        }
    }

    /// Looks at what the person at a device sees.
    pub(crate) fn look(&mut self, peer: PeerNo, reads: &dyn Reads) {
        if self.peers[peer].hostile {
            return;
        }
        match self.peers[peer].promises.look(peer, reads, &self.forked) {
            Ok(None) => {}
            Ok(Some((rule, what))) => self.broke(rule, || what),
            Err(error) => self.broke("readable", || format!("{peer}: {error}")),
        }
    }
}

fn all(reads: &dyn Reads, collection: &str) -> Result<Vec<Entity>, EngineError> {
    let name = Name::new(collection).expect("the names of collections here are names");
    entities(reads, HOME, &name, Page::ALL)
}

fn field<'a>(entity: &'a Entity, name: &str) -> Option<&'a FieldValue> {
    entity.fields.iter().find(|(field, _)| field.as_str() == name).map(|(_, value)| value)
}

fn counter(entity: &Entity, name: &str) -> i128 {
    match field(entity, name) {
        Some(FieldValue::Counter(value)) => i128::from(*value),
        _ => 0,
    }
}

fn register(entity: &Entity, name: &str) -> i64 {
    match field(entity, name) {
        Some(FieldValue::Register(Some(Value::Int(value)))) => *value,
        _ => 0,
    }
}
