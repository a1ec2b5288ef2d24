//! The deltas of a document: which of them count, and what automerge makes of those.
//!
//! A delta is the session's nonce (8 bytes, little-endian) and 1 to 64 automerge changes, each after its length. What a
//! delta claims to cost, and whether that can be read off it at all, is taken from `reknit-crdt`: without that check a few
//! bytes would unpack to more operations than there is memory for, here as there.

use super::identity::Place;
use super::rows::FieldEdit;
use automerge::legacy::{Key, ObjectId, Op, OpType};
use automerge::{ActorId, Automerge, Change, ChangeHash, ObjId, ObjType, ROOT, ReadDoc as _, ScalarValue};
use automerge::{TextEncoding, Value, ValueRef};
use data_encoding::BASE64;
use reknit_crdt::limits::{DOCUMENT_CHANGES_MAX, DOCUMENT_DEPTH_MAX};
use reknit_crdt::{Edit, Origin, Void};
use reknit_types::limits::PAYLOAD_BYTES_MAX;
use reknit_types::{CrdtKind, DecodeError, DeviceId, EventId, Reader, Stamp};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Whether a delta of this author at this place is void by itself; why.
pub(super) fn check_alone(place: &Place<'_>, author: DeviceId, delta: &[u8]) -> Result<(), String> {
    let (nonce, changes) = split(delta).map_err(|error| error.to_string())?;
    let origin = Origin { author, stamp: Stamp::from_u128(0), event: EventId::from_bytes([0; 32]) };
    let at = reknit_crdt::Place { entity: place.entity, field: place.field };
    // Only what it says of the claims counts: the rest is decided here.
    if let Err(Void::Shape(error)) = reknit_crdt::check(CrdtKind::Document, &at, &Edit { origin, delta }) {
        return Err(error.to_string());
    }
    for bytes in changes {
        let change = unpack(|| Change::try_from(bytes).ok()).ok_or("automerge cannot decode it")?;
        if *change.actor_id() != actor(place, author, nonce) {
            return Err("it uses another author's actor".to_owned());
        }
    }
    Ok(())
}

/// What the document reads, as JSON, once all its deltas are in, which are in canonical order.
pub(super) fn merge(place: &Place<'_>, edits: &[FieldEdit]) -> Json {
    let decoded = edits.iter().filter(|edit| check_alone(place, edit.author, &edit.delta).is_ok());
    let deltas: Vec<Vec<Told>> = decoded.filter_map(|edit| decode(&edit.delta)).collect();
    let all_at_once = || {
        let mut history = History::new(false);
        history.take_all(&deltas);
        let mut doc = empty();
        apply(&mut doc, &history.chosen).then_some(doc)
    };
    let doc = all_at_once().unwrap_or_else(|| {
        // Automerge refuses one of them: what it refuses is void alone, so each is tried by itself.
        let mut history = History::new(true);
        history.take_all(&deltas);
        history.doc
    });
    read(&doc, &ROOT, ObjType::Map, 0)
}

/// A change that says only what documents say.
struct Told {
    change: Change,
    /// The operations of other changes that it refers to.
    refers_to: BTreeSet<(ActorId, u64)>,
}

/// What became of a change or a delta.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Merged,
    /// It is here already.
    Known,
    /// Its place is taken.
    Taken,
    Waits,
    Void,
}

#[derive(Default)]
struct Chain {
    changes: u64,
    /// The last operation of each change, by its first.
    ops: BTreeMap<u64, u64>,
}

/// The changes that count so far.
struct History {
    /// Whether each delta is put to automerge before it counts.
    careful: bool,
    doc: Automerge,
    chosen: Vec<Change>,
    /// The last operation of each change.
    last_ops: BTreeMap<ChangeHash, u64>,
    chains: BTreeMap<ActorId, Chain>,
}

impl History {
    fn new(careful: bool) -> Self {
        let (last_ops, chains) = (BTreeMap::new(), BTreeMap::new());
        Self { careful, doc: empty(), chosen: vec![], last_ops, chains }
    }

    /// What waits is tried again once all the others are in, as long as that helps.
    fn take_all<'a>(&mut self, deltas: &'a [Vec<Told>]) {
        let mut waiting: Vec<&'a [Told]> = vec![];
        for delta in deltas {
            if self.take(delta) == Fate::Waits {
                waiting.push(delta);
            }
        }
        self.release(&mut waiting);
    }

    fn release(&mut self, waiting: &mut Vec<&[Told]>) {
        let mut helped = true;
        while helped && !waiting.is_empty() {
            helped = false;
            waiting.retain(|delta| {
                let fate = self.take(delta);
                helped |= fate == Fate::Merged;
                fate == Fate::Waits
            });
        }
    }

    /// Takes the changes of a delta: all of them, or none.
    fn take(&mut self, delta: &[Told]) -> Fate {
        let held = self.chosen.len();
        let mut fate = Fate::Known;
        for told in delta {
            match self.judge(told) {
                Fate::Merged => {
                    self.add(&told.change);
                    fate = Fate::Merged;
                }
                Fate::Known => {}
                other => {
                    fate = other;
                    break;
                }
            }
        }
        if self.careful && fate == Fate::Merged {
            let mut doc = self.doc.clone();
            if apply(&mut doc, &self.chosen[held..]) { self.doc = doc } else { fate = Fate::Void }
        }
        if fate != Fate::Merged {
            while self.chosen.len() > held {
                self.undo();
            }
        }
        fate
    }

    fn judge(&self, told: &Told) -> Fate {
        let change = &told.change;
        if self.last_ops.contains_key(&change.hash()) {
            return Fate::Known;
        }
        let here = self.chains.get(change.actor_id()).map_or(0, |chain| chain.changes);
        if change.seq() <= here {
            return Fate::Taken;
        }
        let Some(after) = change.deps().iter().map(|dep| self.last_ops.get(dep).copied()).try_fold(0, later)
        else {
            return Fate::Waits;
        };
        // Whoever leaps ahead would use numbers up.
        if change.start_op().get() != after.saturating_add(1) {
            return Fate::Void;
        }
        let holds = |(actor, op): &(ActorId, u64)| {
            let before = self.chains.get(actor).and_then(|chain| chain.ops.range(..=op).next_back());
            before.is_some_and(|(_, last)| op <= last)
        };
        let complete = change.seq() == here + 1 && told.refers_to.iter().all(holds);
        if complete { Fate::Merged } else { Fate::Waits }
    }

    fn add(&mut self, change: &Change) {
        let chain = self.chains.entry(change.actor_id().clone()).or_default();
        chain.changes += 1;
        chain.ops.insert(change.start_op().get(), change.max_op());
        self.last_ops.insert(change.hash(), change.max_op());
        self.chosen.push(change.clone());
    }

    fn undo(&mut self) {
        let Some(change) = self.chosen.pop() else { return };
        self.last_ops.remove(&change.hash());
        if let Some(chain) = self.chains.get_mut(change.actor_id()) {
            chain.changes -= 1;
            chain.ops.remove(&change.start_op().get());
        }
    }
}

fn later(latest: u64, found: Option<u64>) -> Option<u64> {
    found.map(|found| found.max(latest))
}

/// Whether automerge takes the changes, and holds them as they were written.
fn apply(doc: &mut Automerge, changes: &[Change]) -> bool {
    unpack(|| {
        doc.apply_changes(changes.iter().cloned()).ok()?;
        let held: BTreeSet<ChangeHash> = doc.get_changes(&[]).iter().map(Change::hash).collect();
        changes.iter().all(|change| held.contains(&change.hash())).then_some(())
    })
    .is_some()
}

/// Automerge panics over some bytes that nobody but a liar writes.
fn unpack<T>(run: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok().flatten()
}

fn empty() -> Automerge {
    Automerge::new_with_encoding(TextEncoding::UnicodeCodePoint)
}

/// Half of the hash.
fn actor(place: &Place<'_>, author: DeviceId, nonce: u64) -> ActorId {
    ActorId::from(&place.hash(author, nonce)[..16])
}

fn split(delta: &[u8]) -> Result<(u64, Vec<&[u8]>), DecodeError> {
    let mut reader = Reader::new(delta);
    let nonce = u64::from_le_bytes(reader.array("nonce")?);
    let count = reader.count(DOCUMENT_CHANGES_MAX, "changes")?;
    let changes = (0..count).map(|_| reader.bytes(PAYLOAD_BYTES_MAX, "change")).collect::<Result<_, _>>()?;
    reader.finish()?;
    if count == 0 { Err(DecodeError::Invalid("delta without changes")) } else { Ok((nonce, changes)) }
}

fn decode(delta: &[u8]) -> Option<Vec<Told>> {
    split(delta).ok()?.1.into_iter().map(|bytes| unpack(|| tell(bytes))).collect()
}

/// A change, if it is one that a document writes: it has operations, nothing beside them, and the encoding that automerge
/// gives it; each operation is one that documents use, and refers to what comes before it.
fn tell(bytes: &[u8]) -> Option<Told> {
    let change = Change::try_from(bytes).ok()?;
    let whole = change.decode();
    let bare = whole.time == 0 && whole.message.is_none() && whole.extra_bytes.is_empty();
    if !bare || whole.operations.is_empty() {
        return None;
    }
    let first = change.start_op().get();
    let mut refers_to = BTreeSet::new();
    for (number, op) in (first..).zip(&whole.operations) {
        if !is_document(op) {
            return None;
        }
        let object = if let ObjectId::Id(id) = &op.obj { Some(id) } else { None };
        let element = if let Key::Seq(element) = &op.key { element.as_opid() } else { None };
        for id in object.into_iter().chain(element).chain(op.pred.iter()) {
            if id.0 >= number {
                return None;
            }
            if id.1 != whole.actor_id || id.0 < first {
                refers_to.insert((id.1.clone(), id.0));
            }
        }
    }
    (Change::from(whole).raw_bytes() == bytes).then_some(Told { change, refers_to })
}

/// Documents write values and objects into maps and lists, delete, and count; nothing is both inserted and in place of
/// something, and nothing but an insertion is at the head of a list.
fn is_document(op: &Op) -> bool {
    let nowhere = match (&op.key, op.insert) {
        (Key::Map(_), insert) => insert,
        (Key::Seq(_), true) => !op.pred.is_empty(),
        (Key::Seq(element), false) => element.as_opid().is_none(),
    };
    let used = match &op.action {
        OpType::Make(ObjType::Table) | OpType::MarkBegin(_) | OpType::MarkEnd(_) => false,
        OpType::Put(ScalarValue::Unknown { .. }) => false,
        OpType::Delete | OpType::Increment(_) => !op.insert && !op.pred.is_empty(),
        OpType::Make(_) | OpType::Put(_) => true,
    };
    used && !nowhere
}

/// An object as JSON; null if it lies deeper than a document may nest.
fn read(doc: &Automerge, object: &ObjId, kind: ObjType, depth: usize) -> Json {
    if depth >= DOCUMENT_DEPTH_MAX {
        return Json::Null;
    }
    let inner = |value: &ValueRef<'_>, id: ObjId| match value.clone().into_value() {
        Value::Object(kind) => read(doc, &id, kind, depth + 1),
        Value::Scalar(scalar) => json_of(&scalar),
    };
    match kind {
        ObjType::Map | ObjType::Table => {
            let entries = doc.map_range(object, ..);
            entries.map(|entry| (entry.key.to_string(), inner(&entry.value, entry.id()))).collect()
        }
        ObjType::List => doc.list_range(object, ..).map(|item| inner(&item.value, item.id())).collect(),
        ObjType::Text => doc.text(object).map_or(Json::Null, Json::String),
    }
}

fn json_of(scalar: &ScalarValue) -> Json {
    match scalar {
        ScalarValue::Null => Json::Null,
        ScalarValue::Boolean(value) => Json::Bool(*value),
        ScalarValue::Int(value) => Json::from(*value),
        ScalarValue::Uint(value) => Json::from(*value),
        // Null, if it is not finite.
        ScalarValue::F64(value) => Json::from(*value),
        ScalarValue::Str(text) => Json::from(text.as_str()),
        ScalarValue::Counter(counter) => Json::from(i64::from(counter)),
        ScalarValue::Bytes(bytes) => json!({ "$bytes": BASE64.encode(bytes) }),
        ScalarValue::Timestamp(ms) => json!({ "$timestamp": ms }),
        ScalarValue::Unknown { type_code, bytes } => {
            json!({ "$unknown": type_code, "$bytes": BASE64.encode(bytes) })
        }
    }
}
