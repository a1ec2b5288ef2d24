//! Events that a member signs with its own key, and no engine would write: whatever a draft, a transaction or a control
//! action has is lied about before it is sealed.

use super::known::Known;
use super::lie::{Liar, Lie, damage, noise, tell};
use super::messages::show_signature;
use crate::people::NOTES;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use reknit_access::{Action, Control, InviteId, Role, SpaceKeys};
use reknit_crdt::{Counter, Document, Identity, Place, Register, Text};
use reknit_types::limits::{
    PARENTS_MAX, PAYLOAD_BYTES_MAX, STAMP_LEAD_MS_MAX, TRANSACTION_ENTITIES_MAX, TRANSACTION_OPS_MAX,
};
use reknit_types::{
    CrdtKind, DeviceKey, Dot, Draft, EntityEdit, EntityId, Epoch, EventId, Kind, Name, Op, Payload,
    PayloadKeys, Signature, SpaceId, Stamp, Tip, Transaction, Value, VerifiedEvent,
};

/// Who forges, and in which space.
pub(crate) struct Forge<'a> {
    pub(crate) space: SpaceId,
    pub(crate) keys: &'a SpaceKeys,
    pub(crate) key: &'a DeviceKey,
    pub(crate) now_ms: u64,
    pub(crate) known: &'a Known,
}

/// An event before it is sealed, taken apart.
struct Blank {
    space: SpaceId,
    prev: Option<Tip>,
    draft: Draft,
    content: Content,
}

/// What a payload says. It replaces that of the draft, unless that is lied about as a whole.
enum Content {
    Data(Transaction),
    Control(Control),
}

impl Forge<'_> {
    /// An event that would be in order but for one field, and which that is. `prev` is what it follows in its chain.
    pub(crate) fn event(
        &self,
        (prev, heads): (Option<Tip>, &[Dot]),
        rng: &mut ChaCha8Rng,
    ) -> Option<(VerifiedEvent, &'static str)> {
        let mut blank = self.blank((prev, heads), rng)?;
        let field = match &blank.content {
            Content::Control(_) => tell(&mut blank, rng, self.known)?,
            // A payload that another wrote is a lie already.
            Content::Data(_) if rng.random_ratio(1, 4) => "event.content",
            Content::Data(_) => tell(&mut blank, rng, self.known)?,
        };
        let event = self.seal(blank)?;
        Some((event, field))
    }

    /// An event that is in order.
    pub(crate) fn plain(&self, chain: (Option<Tip>, &[Dot]), rng: &mut ChaCha8Rng) -> Option<VerifiedEvent> {
        let mut blank = self.blank(chain, rng)?;
        let edits = vec![EntityEdit { collection: notes(), entity: some_entity(rng), ops: vec![Op::Create] }];
        blank.content = Content::Data(Transaction { edits });
        blank.draft.kind = Kind::Data;
        self.seal(blank)
    }

    fn blank(&self, (prev, heads): (Option<Tip>, &[Dot]), rng: &mut ChaCha8Rng) -> Option<Blank> {
        let latest = self.known.events.iter().map(|event| event.header().stamp).max();
        let stamp = Stamp::next(self.now_ms, latest, rng);
        let mut parents: Vec<Dot> = heads.to_vec();
        parents.sort_by_key(|dot| dot.id);
        parents.truncate(PARENTS_MAX);
        let content = match rng.random_ratio(1, 5) {
            true => Content::Control(self.control(rng)),
            false => Content::Data(self.transaction(rng)?),
        };
        let kind = match &content {
            Content::Data(_) => Kind::Data,
            Content::Control(_) => Kind::Control,
        };
        let draft = Draft { kind, parents, stamp, epoch: Epoch::FIRST, payload: Payload::Open(vec![]) };
        Some(Blank { space: self.space, prev, draft, content })
    }

    fn seal(&self, blank: Blank) -> Option<VerifiedEvent> {
        let Blank { space, prev, mut draft, content } = blank;
        if matches!(&draft.payload, Payload::Open(bytes) if bytes.is_empty()) {
            draft.payload = Payload::Open(content.encode());
        }
        let newest = self.keys.newest().1;
        let key = self.keys.payload_key(draft.kind, draft.epoch).unwrap_or(newest);
        let mut event = VerifiedEvent::seal(space, self.key, prev, draft, key).ok()?;
        event.sign(self.key);
        Some(event)
    }

    /// An edit of a note: another author's to the letter, or a fresh one of each kind of field.
    fn transaction(&self, rng: &mut ChaCha8Rng) -> Option<Transaction> {
        if rng.random_bool(0.6) {
            let edits: Vec<EntityEdit> =
                self.known.events.iter().filter_map(edits_of_notes).flatten().collect();
            if let Some(edit) = edits.choose(rng) {
                return Some(Transaction { edits: vec![edit.clone()] });
            }
        }
        let (entity, kind) = (some_entity(rng), *CrdtKind::ALL.choose(rng)?);
        let field = Name::new(field_of(kind)).ok()?;
        let place = Place { entity, field: &field };
        let delta = fresh_delta(kind, &place, Identity { author: self.key.id(), nonce: rng.next_u64() })?;
        let ops = vec![Op::Edit { field: field.clone(), kind, delta }];
        Some(Transaction { edits: vec![EntityEdit { collection: notes(), entity, ops }] })
    }

    fn control(&self, rng: &mut ChaCha8Rng) -> Control {
        let controls = self.known.events.iter().filter(|event| event.header().kind == Kind::Control);
        let ids: Vec<EventId> = controls.map(VerifiedEvent::id).collect();
        let invite = ids.choose(rng).copied().unwrap_or(EventId::from_bytes([9; 32]));
        let mut parents: Vec<EventId> = ids.choose(rng).copied().into_iter().collect();
        parents.sort();
        let action = make_up_actions(invite, rng).choose(rng).cloned();
        Control { parents, action: action.expect("there is one of every kind") }
    }
}

/// One control action of every kind, made up.
fn make_up_actions(invite: EventId, rng: &mut ChaCha8Rng) -> Vec<Action> {
    let (nonce, name) = (rng.random(), "enemy".to_owned());
    let mut all = vec![Action::Found { nonce, device_name: name.clone(), name }];
    loop {
        let last = all.last().expect("there is one from the start");
        let next = action_after(last, invite, rng);
        if matches!(next, Action::Found { .. }) {
            return all;
        }
        all.push(next);
    }
}

/// The kinds form a ring, which a new one must join.
fn action_after(action: &Action, invite: EventId, rng: &mut ChaCha8Rng) -> Action {
    let name = "enemy".to_owned();
    match action {
        Action::Found { .. } => {
            Action::Invite { key: InviteId::from_bytes(rng.random()), role: Role::Writer, expires_ms: None }
        }
        Action::Invite { .. } => {
            let proof = Signature::from_bytes([rng.random(); 64]);
            Action::Join { invite, proof, device_name: name }
        }
        Action::Join { .. } => Action::Found { nonce: rng.random(), name: name.clone(), device_name: name },
    }
}

/// The edits of notes in an event: what else people write has to add up.
fn edits_of_notes(event: &VerifiedEvent) -> Option<Vec<EntityEdit>> {
    let Payload::Open(payload) = event.payload() else { return None };
    let data = event.header().kind == Kind::Data;
    let transaction = Transaction::decode(payload).ok().filter(|_| data)?;
    Some(transaction.edits.into_iter().filter(|edit| edit.collection.as_str() == NOTES).collect())
}

/// What an honest author would write into an empty field.
fn fresh_delta(kind: CrdtKind, place: &Place<'_>, identity: Identity) -> Option<Vec<u8>> {
    match kind {
        CrdtKind::Register => Register::set(&Value::Int(66)).ok(),
        CrdtKind::Counter => Some(Counter::new().add(place, &identity, 66)),
        CrdtKind::Text => {
            let mut text = Text::new();
            text.open(place, &identity);
            text.splice(0, 0, "an enemy was here").ok()?;
            text.splice(3, 5, "a foe").ok()?;
            text.take_delta()
        }
        CrdtKind::Document => {
            let mut document = Document::new();
            document.open(place, &identity);
            document.set("/enemy", &serde_json::json!({ "was": ["here", 1, null] })).ok()?;
            document.take_delta()
        }
    }
}

fn field_of(kind: CrdtKind) -> &'static str {
    match kind {
        CrdtKind::Register => "title",
        CrdtKind::Counter => "count",
        CrdtKind::Text => "body",
        CrdtKind::Document => "tracks",
    }
}

fn some_entity(rng: &mut ChaCha8Rng) -> EntityId {
    crate::people::entity_id(crate::people::Work::Texts, rng.random_range(0..4))
}

fn notes() -> Name {
    Name::new(NOTES).expect("the names of collections here are names")
}

impl Lie for Blank {
    fn show(&mut self, liar: &mut Liar<'_>) {
        let Self { space, prev, draft, content } = self;
        let mut bytes = *space.as_bytes();
        liar.digest("event.space", &mut bytes);
        *space = SpaceId::from_bytes(bytes);
        if let Some(tip) = prev {
            liar.tip(["event.seq", "event.prev"], tip);
        }
        liar.presence("event.prev.none", prev, |rng, _| Tip {
            seq: 1,
            id: EventId::from_bytes(rng.random()),
        });
        draft.show(liar);
        content.show(liar);
        if liar.is_chosen("event.payload.damaged") {
            let mut bytes = content.encode();
            damage(&mut bytes, liar.rng);
            draft.payload = Payload::Open(bytes);
        }
    }
}

impl Lie for Draft {
    fn show(&mut self, liar: &mut Liar<'_>) {
        let Self { kind, parents, stamp, epoch, payload } = self;
        liar.other("event.kind", kind, &[Kind::Data, Kind::Control]);
        let before = parents.clone();
        liar.list("event.parents", parents, PARENTS_MAX);
        for parent in parents.iter_mut() {
            liar.dot(["event.parents.author", "event.parents.seq", "event.parents.id"], parent);
        }
        if liar.is_chosen("event.parents.ancestors") {
            parents.extend(liar.known.dots().filter(|dot| !before.contains(dot)).take(3));
        }
        parents.sort_by_key(|dot| dot.id);
        parents.dedup();
        show_stamp(liar, stamp);
        let Epoch(bytes) = epoch;
        liar.digest("event.epoch", bytes);
        if liar.is_chosen("event.payload") {
            *payload = match liar.rng.random_range(0..4) {
                0 => Payload::Sealed(noise(liar.rng, 64)),
                1 => Payload::Open(noise(liar.rng, 64)),
                2 => Payload::Open(vec![liar.rng.random(); large(liar.rng)]),
                _ => Payload::Erased { len: 9, hash: liar.rng.random() },
            };
        }
        match payload {
            Payload::Open(bytes) | Payload::Sealed(bytes) if !bytes.is_empty() => {
                liar.blob("event.payload.bytes", bytes);
            }
            Payload::Open(_) | Payload::Sealed(_) => {}
            Payload::Erased { len, hash } => {
                liar.number32("event.payload.len", len);
                liar.digest("event.payload.hash", hash);
            }
        }
    }
}

/// Before its causes, a moment before it would be held, held for a minute, for a year, for ever.
fn show_stamp(liar: &mut Liar<'_>, stamp: &mut Stamp) {
    if !liar.is_chosen("event.stamp") {
        return;
    }
    let ms = stamp.ms();
    let moved = match liar.rng.random_range(0..7) {
        0 => ms.saturating_sub(3_600_000),
        1 => 0,
        2 => ms + STAMP_LEAD_MS_MAX - 1_000,
        3 => ms + STAMP_LEAD_MS_MAX + 5_000,
        4 => ms + STAMP_LEAD_MS_MAX + 60_000,
        5 => ms + 365 * 86_400_000,
        _ => (1 << 48) - 1,
    };
    let fraction = if liar.rng.random_bool(0.5) { (1 << 80) - 1 } else { stamp.fraction() };
    *stamp = Stamp::from_parts(moved, fraction).unwrap_or(*stamp);
}

impl Content {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Data(transaction) => transaction.encode(),
            Self::Control(control) => control.encode(),
        }
    }
}

impl Lie for Content {
    fn show(&mut self, liar: &mut Liar<'_>) {
        match self {
            Self::Data(transaction) => transaction.show(liar),
            Self::Control(control) => control.show(liar),
        }
    }
}

impl Lie for Transaction {
    fn show(&mut self, liar: &mut Liar<'_>) {
        let Self { edits } = self;
        liar.list("transaction.edits", edits, TRANSACTION_ENTITIES_MAX);
        for EntityEdit { collection, entity, ops } in edits.iter_mut().take(SHOWN_MAX) {
            if liar.is_chosen("transaction.collection") {
                *collection = Name::new("enemies").unwrap_or_else(|_| collection.clone());
            }
            let mut bytes = entity.to_bytes();
            liar.digest("transaction.entity", &mut bytes);
            *entity = EntityId::from_bytes(bytes);
            if liar.is_chosen("transaction.too-many") {
                *ops = vec![Op::Create; TRANSACTION_OPS_MAX + 1];
            }
            liar.list("transaction.ops", ops, 64);
            ops.iter_mut().take(SHOWN_MAX).for_each(|op| op.show(liar));
        }
    }
}

impl Lie for Op {
    fn show(&mut self, liar: &mut Liar<'_>) {
        liar.other("op", self, &[Self::Create, Self::Delete, Self::Restore]);
        match self {
            Self::Create | Self::Delete | Self::Restore => {}
            Self::Edit { field, kind, delta } => {
                if liar.is_chosen("op.field") {
                    let other = CrdtKind::ALL.choose(liar.rng).copied().unwrap_or(CrdtKind::Text);
                    *field = Name::new(field_of(other)).unwrap_or_else(|_| field.clone());
                }
                liar.other("op.kind", kind, &CrdtKind::ALL);
                if liar.is_chosen("op.delta") {
                    damage(delta, liar.rng);
                }
                if liar.is_chosen("op.delta.again") {
                    // A flip leaves most of it in order: such a delta gets furthest.
                    (0..2).for_each(|_| flip(delta, liar.rng));
                }
                if liar.is_chosen("op.delta.large") {
                    *delta = vec![liar.rng.random(); large(liar.rng).min(PAYLOAD_BYTES_MAX - 4_096)];
                }
            }
        }
    }
}

/// Very many bytes, seldom as many as there may be: every peer seals them anew whenever it reads them.
fn large(rng: &mut ChaCha8Rng) -> usize {
    if rng.random_ratio(1, 16) { PAYLOAD_BYTES_MAX } else { rng.random_range(4_096..65_536) }
}

fn flip(bytes: &mut [u8], rng: &mut ChaCha8Rng) {
    if !bytes.is_empty() {
        let at = rng.random_range(0..bytes.len());
        bytes[at] ^= 1 << rng.random_range(0..8);
    }
}

impl Lie for Control {
    fn show(&mut self, liar: &mut Liar<'_>) {
        let Self { parents, action } = self;
        liar.list("control.parents", parents, reknit_access::limits::CONTROL_PARENTS_MAX);
        parents.iter_mut().for_each(|parent| liar.event("control.parents.id", parent));
        match action {
            Action::Found { nonce, name, device_name } => {
                liar.digest("control.found.nonce", nonce);
                show_label(liar, "control.found.name", name);
                show_label(liar, "control.found.device_name", device_name);
            }
            Action::Invite { key, role, expires_ms } => {
                let mut bytes = *key.as_bytes();
                liar.digest("control.invite.key", &mut bytes);
                *key = InviteId::from_bytes(bytes);
                liar.other(
                    "control.invite.role",
                    role,
                    &[Role::Relay, Role::Reader, Role::Writer, Role::Admin],
                );
                liar.presence("control.invite.expires_ms", expires_ms, |rng, _| rng.next_u64());
            }
            Action::Join { invite, proof, device_name } => {
                liar.event("control.join.invite", invite);
                show_signature(liar, "control.join.proof", proof);
                show_label(liar, "control.join.device_name", device_name);
            }
        }
    }
}

fn show_label(liar: &mut Liar<'_>, field: &'static str, label: &mut String) {
    if liar.is_chosen(field) {
        *label = match liar.rng.random_range(0..4) {
            0 => String::new(),
            1 => "x".repeat(liar.rng.random_range(100..5_000)),
            2 => "a\u{0}b\n".to_owned(),
            _ => " outer ".to_owned(),
        };
    }
}

const SHOWN_MAX: usize = 8;
