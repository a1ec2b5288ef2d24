//! The event log as people read it.

use crate::status::EventRef;
use reknit_access::{Action, Control};
use reknit_engine::SpaceInfo;
use reknit_types::{EntityId, Kind, Name, Op, Payload, Transaction, VerifiedEvent};
use serde::Serialize;

/// One event.
#[derive(Debug, Clone, Serialize)]
pub struct LogEntry {
    /// The event.
    pub event: EventRef,
    /// What people call its author.
    pub author_name: Option<String>,
    /// When it was written, by its author's clock, in milliseconds since the Unix epoch.
    pub stamp_ms: u64,
    /// `data` or `control`.
    pub kind: &'static str,
    /// The events it follows.
    pub parents: Vec<EventRef>,
    /// Bytes of its payload as it travels sealed.
    pub payload_bytes: u32,
    /// Whether it carries a signature of its own. One signature covers the chain behind it.
    pub signed: bool,
    /// What it did.
    pub ops: Vec<LogOp>,
    /// Why `ops` cannot be told, if they cannot.
    pub unreadable: Option<String>,
}

/// One operation of an event.
#[derive(Debug, Clone, Serialize)]
pub struct LogOp {
    /// What was done: `create`, `delete`, `restore`, `register`, `counter`, `text`, `document`, or a control action.
    pub what: String,
    /// The collection it was done in.
    pub collection: Option<Name>,
    /// The entity it was done to.
    pub entity: Option<EntityId>,
    /// The field that was edited.
    pub field: Option<Name>,
}

pub(crate) fn entry(event: &VerifiedEvent, info: &SpaceInfo) -> LogEntry {
    let header = event.header();
    let author = info.members.iter().find(|member| member.device == header.author);
    let (ops, unreadable) = match ops_of(event) {
        Ok(ops) => (ops, None),
        Err(why) => (vec![], Some(why)),
    };
    LogEntry {
        event: EventRef::from(&event.dot()),
        author_name: author.map(|member| member.name.clone()),
        stamp_ms: header.stamp.ms(),
        kind: if header.kind == Kind::Data { "data" } else { "control" },
        parents: event.parents().iter().map(EventRef::from).collect(),
        payload_bytes: header.payload_len,
        signed: event.signature().is_some(),
        ops,
        unreadable,
    }
}

fn ops_of(event: &VerifiedEvent) -> Result<Vec<LogOp>, String> {
    let payload = match event.payload() {
        Payload::Open(payload) => payload,
        Payload::Sealed(_) => return Err("sealed under a key that is not held here".to_owned()),
        Payload::Erased { .. } => return Err("erased".to_owned()),
    };
    if event.header().kind == Kind::Control {
        let control = Control::decode(payload).map_err(|error| error.to_string())?;
        return Ok(vec![LogOp {
            what: action_text(&control.action),
            collection: None,
            entity: None,
            field: None,
        }]);
    }
    let transaction = Transaction::decode(payload).map_err(|error| error.to_string())?;
    let ops = transaction.edits.iter().flat_map(|edit| {
        edit.ops.iter().map(|op| {
            let (what, field) = op_text(op);
            let (collection, entity) = (Some(edit.collection.clone()), Some(edit.entity));
            LogOp { what: what.to_owned(), collection, entity, field }
        })
    });
    Ok(ops.collect())
}

fn op_text(op: &Op) -> (&'static str, Option<Name>) {
    match op {
        Op::Create => ("create", None),
        Op::Delete => ("delete", None),
        Op::Restore => ("restore", None),
        Op::Edit { field, kind, .. } => (kind.as_str(), Some(field.clone())),
    }
}

fn action_text(action: &Action) -> String {
    match action {
        Action::Found { name, .. } => format!("found {name:?}"),
        Action::Invite { role, .. } => format!("invite a {role}"),
        Action::Join { device_name, .. } => format!("join as {device_name:?}"),
    }
}
