//! The saved form of a membership: its control events without their proofs, ascending by id, naming each other by
//! their place in that list.

use super::{Deed, Membership, Node};
use crate::control::{decode_label, decode_optional, encode_optional, newer};
use crate::invite::InviteId;
use crate::limits::{CONTROL_EVENTS_MAX, CONTROL_PARENTS_MAX};
use crate::role::Role;
use reknit_types::{DecodeError, DeviceId, EventId, Reader, SpaceId, Stamp, Writer};
use std::collections::BTreeMap;

impl Membership {
    /// The state to save, so that opening a space need not replay its log. Equal states have equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let places: BTreeMap<&EventId, u64> = self.nodes.keys().zip(0..).collect();
        let place = |id: &EventId| places.get(id).copied().unwrap_or(u64::MAX);
        let mut writer = Writer::with_capacity(64 + 192 * self.nodes.len());
        writer.u8(VERSION).raw(self.space.as_bytes()).varint(self.nodes.len() as u64);
        self.nodes.keys().for_each(|id| _ = writer.raw(id.as_bytes()));
        for node in self.nodes.values() {
            writer.raw(node.author.as_bytes()).raw(&node.stamp.to_u128().to_be_bytes());
            writer.varint(node.parents.len() as u64);
            node.parents.iter().for_each(|parent| _ = writer.varint(place(parent)));
            match &node.deed {
                Deed::Found { name, device_name } => _ = writer.u8(FOUND).str(name).str(device_name),
                Deed::Invite { key, role, expires_ms } => {
                    writer.u8(INVITE).raw(key.as_bytes());
                    role.encode(&mut writer);
                    encode_optional(*expires_ms, &mut writer);
                }
                Deed::Join { invite, device_name } => {
                    writer.u8(JOIN).varint(place(invite)).str(device_name);
                }
            }
        }
        writer.into_bytes()
    }

    /// The state that [`Self::encode`] saved.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8("membership")?;
        if version != VERSION {
            return Err(newer("the saved membership", version, VERSION));
        }
        let mut membership = Self::new(SpaceId::decode(&mut reader)?);
        let count = reader.count(CONTROL_EVENTS_MAX, "control events")?;
        let ids: Vec<_> = (0..count).map(|_| EventId::decode(&mut reader)).collect::<Result<_, _>>()?;
        if !ids.is_sorted_by(|a, b| a < b) {
            return Err(DecodeError::Invalid("order of control events"));
        }
        let nodes: Vec<_> = ids.iter().map(|_| decode_node(&mut reader, &ids)).collect::<Result<_, _>>()?;
        reader.finish()?;
        check_causality(&ids, &nodes)?;
        let mut causal: Vec<_> = ids.into_iter().zip(nodes).collect();
        causal.sort_by_key(|(id, node)| (node.stamp, *id));
        for (id, node) in causal {
            membership.insert(id, node).ok_or(DecodeError::Invalid("invite of a join"))?;
        }
        Ok(membership)
    }
}

/// Stamps rise from parents to children, so nothing is its own ancestor.
fn check_causality(ids: &[EventId], nodes: &[Node]) -> Result<(), DecodeError> {
    let stamps: BTreeMap<_, _> = ids.iter().zip(nodes.iter().map(|node| node.stamp)).collect();
    let rises =
        |node: &Node| node.parents.iter().all(|parent| stamps.get(parent).is_some_and(|at| *at < node.stamp));
    if nodes.iter().all(rises) { Ok(()) } else { Err(DecodeError::Invalid("stamp of a control event")) }
}

fn decode_node(reader: &mut Reader<'_>, ids: &[EventId]) -> Result<Node, DecodeError> {
    let author = DeviceId::decode(reader)?;
    let stamp = Stamp::from_u128(u128::from_be_bytes(reader.array("stamp")?));
    let count = reader.count(CONTROL_PARENTS_MAX, "control parents")?;
    let parents: Vec<_> = (0..count).map(|_| decode_place(reader, ids)).collect::<Result<_, _>>()?;
    if !parents.is_sorted_by(|a, b| a < b) {
        return Err(DecodeError::Invalid("order of control parents"));
    }
    let deed = match reader.u8("control action")? {
        FOUND => Deed::Found {
            name: decode_label(reader, "space name")?,
            device_name: decode_label(reader, "device name")?,
        },
        INVITE => Deed::Invite {
            key: InviteId::decode(reader)?,
            role: Role::decode(reader)?,
            expires_ms: decode_optional(reader, "expiry")?,
        },
        JOIN => Deed::Join {
            invite: decode_place(reader, ids)?,
            device_name: decode_label(reader, "device name")?,
        },
        tag => return Err(newer("the saved control actions", tag, JOIN)),
    };
    Ok(Node { author, stamp, parents, deed })
}

fn decode_place(reader: &mut Reader<'_>, ids: &[EventId]) -> Result<EventId, DecodeError> {
    let place = usize::try_from(reader.varint("control event")?).ok();
    place.and_then(|place| ids.get(place)).copied().ok_or(DecodeError::Invalid("control event"))
}

const VERSION: u8 = 1;
const FOUND: u8 = 1;
const INVITE: u8 = 2;
const JOIN: u8 = 3;
