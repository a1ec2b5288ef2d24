//! What happened, and what happens.

use reknit::{Change, DeviceId, EntityId, EventId, LogEntry, LogOp, PeerEvent, Space, SpaceId};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// An event as people read it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EventView {
    pub(crate) id: EventId,
    pub(crate) author: DeviceId,
    pub(crate) author_name: String,
    /// Its place in the author's chain, from 1.
    pub(crate) seq: u64,
    pub(crate) stamp_ms: u64,
    /// `data` or `control`.
    pub(crate) kind: String,
    pub(crate) parents: Vec<EventId>,
    /// What it does.
    pub(crate) summary: String,
    pub(crate) payload_bytes: u32,
    /// Whether it carries its own signature, or is vouched for by a later event's.
    pub(crate) signed: bool,
}

impl From<LogEntry> for EventView {
    fn from(entry: LogEntry) -> Self {
        let author = entry.event.author;
        Self {
            id: entry.event.id,
            author,
            author_name: entry.author_name.unwrap_or_else(|| author.short()),
            seq: entry.event.seq,
            stamp_ms: entry.stamp_ms,
            kind: entry.kind.to_owned(),
            parents: entry.parents.iter().map(|parent| parent.id).collect(),
            summary: entry.unreadable.unwrap_or_else(|| summary(&entry.ops)),
            payload_bytes: entry.payload_bytes,
            signed: entry.signed,
        }
    }
}

/// `create songs/01JD..: title, plays; delete songs/01JE..`
fn summary(ops: &[LogOp]) -> String {
    let mut parts: Vec<String> = Vec::new();
    for entity in ops.chunk_by(|one, other| one.entity == other.entity) {
        if parts.len() == SUMMARY_ENTITIES_MAX {
            parts.push("..".to_owned());
            break;
        }
        parts.push(about_entity(entity));
    }
    if parts.is_empty() { "nothing".to_owned() } else { parts.join("; ") }
}

fn about_entity(ops: &[LogOp]) -> String {
    let [first, ..] = ops else { return String::new() };
    let (Some(collection), Some(entity)) = (&first.collection, &first.entity) else {
        return first.what.clone();
    };
    let whole = ops.iter().find(|op| op.field.is_none()).map_or("edit", |op| op.what.as_str());
    let mut fields: Vec<_> =
        ops.iter().filter_map(|op| op.field.as_ref().map(|field| field.as_str())).collect();
    fields.dedup();
    let colon = if fields.is_empty() { "" } else { ": " };
    format!("{whole} {collection}/{entity}{colon}{}", fields.join(", "))
}

/// A change to a space.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum WatchView {
    /// A transaction, here or elsewhere.
    Committed {
        event: EventId,
        author_name: String,
        stamp_ms: u64,
        /// Whether this device made it.
        local: bool,
        entities: Vec<EntityChangeView>,
    },
    /// Changes came faster than they were taken.
    Missed { events: u64 },
}

/// What a transaction did to an entity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EntityChangeView {
    pub(crate) collection: String,
    pub(crate) id: EntityId,
    /// `created`, `updated`, `deleted` or `restored`.
    pub(crate) what: String,
    /// The fields that changed, as they are now.
    pub(crate) fields: BTreeMap<String, Json>,
}

impl WatchView {
    /// The change with what it changed; `None` if it is about other collections only.
    pub(crate) fn of(change: Change, space: &Space, collection: Option<&str>) -> Option<Self> {
        match change {
            Change::Missed { events } => Some(Self::Missed { events }),
            Change::Committed { event, author_name, stamp_ms, local, entities } => {
                let wanted = |entity: &reknit::EntityChange| {
                    collection.is_none_or(|wanted| entity.collection.as_str() == wanted)
                };
                let entities: Vec<_> = entities
                    .into_iter()
                    .filter(wanted)
                    .map(|entity| EntityChangeView::of(entity, space))
                    .collect();
                let author_name = author_name.unwrap_or_else(|| event.author.short());
                let seen = Self::Committed { event: event.id, author_name, stamp_ms, local, entities };
                (!seen.is_empty()).then_some(seen)
            }
        }
    }

    fn is_empty(&self) -> bool {
        matches!(self, Self::Committed { entities, .. } if entities.is_empty())
    }
}

impl EntityChangeView {
    fn of(change: reknit::EntityChange, space: &Space) -> Self {
        // What cannot be read now is shown without values; reading it with `get` says why.
        let now = space.get(change.collection.as_str(), change.id).ok().flatten();
        let fields = change.fields.iter().map(|name| {
            let value = now.as_ref().and_then(|entity| entity.fields.get(name)).map(super::plain);
            (name.to_string(), value.unwrap_or_default())
        });
        let what = match change.what {
            reknit::ChangeKind::Created => "created",
            reknit::ChangeKind::Updated => "updated",
            reknit::ChangeKind::Deleted => "deleted",
            reknit::ChangeKind::Restored => "restored",
        };
        Self {
            fields: fields.collect(),
            collection: change.collection.to_string(),
            id: change.id,
            what: what.to_owned(),
        }
    }
}

/// Something that happened to the peer, as `reknit up` tells it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct HappeningView {
    /// What, for programs.
    pub(crate) code: String,
    /// What, for people.
    pub(crate) text: String,
    /// The other device, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) device: Option<DeviceId>,
    /// The space, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) space: Option<SpaceId>,
}

impl HappeningView {
    /// Something about this peer itself.
    pub(crate) fn own(code: &str, text: impl Into<String>) -> Self {
        Self { code: code.to_owned(), text: text.into(), device: None, space: None }
    }

    fn of_device(code: &str, device: DeviceId, text: impl Into<String>) -> Self {
        Self { device: Some(device), ..Self::own(code, text) }
    }

    fn of_space(code: &str, space: SpaceId, text: impl Into<String>) -> Self {
        Self { space: Some(space), ..Self::own(code, text) }
    }

    fn of_both(code: &str, (space, device): (SpaceId, DeviceId), text: impl Into<String>) -> Self {
        Self { device: Some(device), ..Self::of_space(code, space, text) }
    }

    /// `name` tells what people call a device.
    pub(crate) fn of(event: PeerEvent, name: impl Fn(DeviceId) -> String) -> Self {
        match event {
            PeerEvent::PeerConnected { device, address, transport } => {
                let text = format!("{} is connected over {transport}, at {address}", name(device));
                Self::of_device("connected", device, text)
            }
            PeerEvent::PeerDisconnected { device, reason } => {
                Self::of_device("disconnected", device, format!("{} is gone: {reason}", name(device)))
            }
            PeerEvent::PeerFound { device, by } => Self::of_device(
                &format!("found_by_{by}"),
                device,
                format!("{} was found by {by}", name(device)),
            ),
            PeerEvent::SpaceLeft { space } => {
                Self::of_space("space_left", space, "gave up a space".to_owned())
            }
            PeerEvent::SpaceChanged { space, name, members } => {
                let plural = if members == 1 { "" } else { "s" };
                Self::of_space("space_changed", space, format!("{name} has {members} member{plural}"))
            }
            PeerEvent::Converged { space, device, frontier } => {
                let frontier = super::short(&frontier);
                let text = format!("{} has the same events, frontier {frontier}", name(device));
                Self::of_both("converged", (space, device), text)
            }
            PeerEvent::Held { space, device, .. } => {
                let text = format!("events from {} are ahead of this device's clock and wait", name(device));
                Self::of_both("held", (space, device), text)
            }
            PeerEvent::Refused { space, device, reason } => {
                let text = format!("events from {} were refused: {reason}", name(device));
                Self::of_both("refused", (space, device), text)
            }
            PeerEvent::SessionEnded { space, device, reason } => {
                let text = format!("the session with {} ended: {reason}", name(device));
                Self::of_both("session_ended", (space, device), text)
            }
            PeerEvent::SchemaConflict { space, collection, differences } => {
                let said: Vec<_> = differences.iter().map(ToString::to_string).collect();
                let text = format!("two apps have {collection} otherwise: {}", said.join("; "));
                Self::of_space("schema_conflict", space, text)
            }
            PeerEvent::MdnsUnavailable { reason } => {
                let text = format!("peers nearby cannot be found by themselves here: {reason}");
                Self::own("mdns_unavailable", text)
            }
            PeerEvent::ListenFailed { address, reason } => {
                Self::own("listen_failed", format!("cannot listen at {address}: {reason}"))
            }
            PeerEvent::Failed { reason } => Self::own("failed", reason),
            other => Self::own("other", format!("{other:?}")),
        }
    }
}

/// Entities that a summary names.
const SUMMARY_ENTITIES_MAX: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use reknit::Name;

    #[test]
    fn a_summary_names_entities_once_with_their_fields() {
        let id = EntityId::from_bytes([1; 16]);
        let op = |what: &str, field: Option<&str>| LogOp {
            what: what.to_owned(),
            collection: Name::new("songs").ok(),
            entity: Some(id),
            field: field.and_then(|field| Name::new(field).ok()),
        };
        let ops = [op("create", None), op("register", Some("title")), op("counter", Some("plays"))];
        assert_eq!(summary(&ops), format!("create songs/{id}: title, plays"));
        assert_eq!(summary(&ops[1..2]), format!("edit songs/{id}: title"));
        let control =
            LogOp { what: "join as \"laptop\"".into(), collection: None, entity: None, field: None };
        assert_eq!(summary(&[control]), "join as \"laptop\"");
    }
}
