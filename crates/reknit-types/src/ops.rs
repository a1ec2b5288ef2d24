//! What an event does: operations on entities, grouped into one transaction.

use crate::codec::{DecodeError, Reader, Writer};
use crate::ids::EntityId;
use crate::limits::{NAME_BYTES_MAX, PAYLOAD_BYTES_MAX, TRANSACTION_ENTITIES_MAX, TRANSACTION_OPS_MAX};
use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// The name of a collection or a field: 1 to 128 bytes of printable text without spaces at its ends.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// A string cannot name a collection or a field.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} cannot be a name: use 1 to {NAME_BYTES_MAX} bytes without control characters or outer spaces")]
pub struct NameError(String);

impl Name {
    /// The name with this text.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let fits = (1..=NAME_BYTES_MAX).contains(&text.len());
        if !fits || text.trim() != text || text.chars().any(char::is_control) {
            return Err(NameError(text.chars().take(NAME_BYTES_MAX).collect()));
        }
        Ok(Self(text.into()))
    }

    /// The text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a collection of this name is Reknit's own: it begins with `reknit.`, and no app writes to it.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with(RESERVED_PREFIX)
    }

    /// Appends the name to `writer`.
    pub fn encode(&self, writer: &mut Writer) {
        writer.str(&self.0);
    }

    /// Takes a name off `reader`.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(reader.str(NAME_BYTES_MAX, "name")?).map_err(|_| DecodeError::Invalid("name"))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl TryFrom<&str> for Name {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// How a field merges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CrdtKind {
    /// One value; the last writer wins.
    Register,
    /// An integer that is added to.
    Counter,
    /// Text edited character by character (yrs).
    Text,
    /// Nested JSON with maps, lists and text (automerge).
    Document,
}

impl CrdtKind {
    /// Every kind, in the order of their bytes.
    pub const ALL: [Self; 4] = [Self::Register, Self::Counter, Self::Text, Self::Document];

    /// The byte this kind travels as.
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Register => 0,
            Self::Counter => 1,
            Self::Text => 2,
            Self::Document => 3,
        }
    }

    /// The kind with this byte.
    pub fn from_byte(byte: u8) -> Result<Self, DecodeError> {
        Self::ALL.get(usize::from(byte)).copied().ok_or(DecodeError::Invalid("field kind"))
    }

    /// The word people use for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Counter => "counter",
            Self::Text => "text",
            Self::Document => "document",
        }
    }
}

impl fmt::Display for CrdtKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One operation on one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// The entity begins to exist.
    Create,
    /// The entity is hidden; edits made meanwhile elsewhere do not bring it back.
    Delete,
    /// A deleted entity is shown again, with all edits it ever received.
    Restore,
    /// A field changes. What `delta` means is the affair of its kind.
    Edit {
        /// The field.
        field: Name,
        /// How it merges.
        kind: CrdtKind,
        /// The change, in the encoding of its kind.
        delta: Vec<u8>,
    },
}

/// What one transaction does to one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityEdit {
    /// The collection the entity lives in.
    pub collection: Name,
    /// The entity.
    pub entity: EntityId,
    /// Operations in the order they were made.
    pub ops: Vec<Op>,
}

/// The payload of a data event: everything one transaction did. Receivers see all of it or none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transaction {
    /// Edits in the order the entities were first touched.
    pub edits: Vec<EntityEdit>,
}

impl Transaction {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.varint(self.edits.len() as u64);
        for edit in &self.edits {
            edit.collection.encode(&mut writer);
            writer.raw(&edit.entity.to_bytes()).varint(edit.ops.len() as u64);
            edit.ops.iter().for_each(|op| encode_op(op, &mut writer));
        }
        writer.into_bytes()
    }

    /// The transaction with these canonical bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let count = reader.count(TRANSACTION_ENTITIES_MAX, "entities in a transaction")?;
        let mut room = TRANSACTION_OPS_MAX;
        let edits = (0..count).map(|_| decode_edit(&mut reader, &mut room)).collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self { edits })
    }
}

fn encode_op(op: &Op, writer: &mut Writer) {
    match op {
        Op::Create => writer.u8(OP_CREATE),
        Op::Delete => writer.u8(OP_DELETE),
        Op::Restore => writer.u8(OP_RESTORE),
        Op::Edit { field, kind, delta } => {
            writer.u8(OP_EDIT + kind.to_byte());
            field.encode(writer);
            writer.bytes(delta)
        }
    };
}

/// `room` is how many operations more the transaction may hold.
fn decode_edit(reader: &mut Reader<'_>, room: &mut usize) -> Result<EntityEdit, DecodeError> {
    let collection = Name::decode(reader)?;
    let entity = EntityId::from_bytes(reader.array("entity id")?);
    let count = reader.count(*room, "operations in a transaction")?;
    *room -= count;
    let ops = (0..count).map(|_| decode_op(reader)).collect::<Result<_, _>>()?;
    Ok(EntityEdit { collection, entity, ops })
}

fn decode_op(reader: &mut Reader<'_>) -> Result<Op, DecodeError> {
    match reader.u8("operation")? {
        OP_CREATE => Ok(Op::Create),
        OP_DELETE => Ok(Op::Delete),
        OP_RESTORE => Ok(Op::Restore),
        byte => {
            let kind = CrdtKind::from_byte(byte.wrapping_sub(OP_EDIT))?;
            let field = Name::decode(reader)?;
            Ok(Op::Edit { field, kind, delta: reader.bytes(PAYLOAD_BYTES_MAX, "delta")?.to_vec() })
        }
    }
}

const OP_CREATE: u8 = 0;
const OP_DELETE: u8 = 1;
const OP_RESTORE: u8 = 2;
const OP_EDIT: u8 = 16;

const RESERVED_PREFIX: &str = "reknit.";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ops() -> impl Strategy<Value = Op> {
        let edit = ("[a-z]{1,8}", 0u8..4, proptest::collection::vec(any::<u8>(), 0..40)).prop_map(
            |(field, kind, delta)| Op::Edit {
                field: Name::new(&field).unwrap(),
                kind: CrdtKind::from_byte(kind).unwrap(),
                delta,
            },
        );
        prop_oneof![Just(Op::Create), Just(Op::Delete), Just(Op::Restore), edit]
    }

    fn transactions() -> impl Strategy<Value = Transaction> {
        let edit = ("[a-z]{1,8}", any::<[u8; 16]>(), proptest::collection::vec(ops(), 0..5)).prop_map(
            |(collection, entity, ops)| EntityEdit {
                collection: Name::new(&collection).unwrap(),
                entity: EntityId::from_bytes(entity),
                ops,
            },
        );
        proptest::collection::vec(edit, 0..5).prop_map(|edits| Transaction { edits })
    }

    proptest! {
        #[test]
        fn transactions_round_trip(transaction in transactions()) {
            prop_assert_eq!(Transaction::decode(&transaction.encode()).unwrap(), transaction);
        }

        #[test]
        fn a_flipped_bit_never_decodes_to_the_same_transaction(
            transaction in transactions(), at: prop::sample::Index, bit in 0u8..8,
        ) {
            let mut bytes = transaction.encode();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert_ne!(Transaction::decode(&bytes), Ok(transaction));
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(transaction) = Transaction::decode(&bytes) {
                prop_assert_eq!(transaction.encode(), bytes);
            }
        }
    }

    #[test]
    fn a_transaction_of_too_many_operations_does_not_decode_however_they_are_spread() {
        let edit = |entity: u8, count| EntityEdit {
            collection: Name::new("notes").unwrap(),
            entity: EntityId::from_bytes([entity; 16]),
            ops: vec![Op::Create; count],
        };
        for spread in [vec![1, TRANSACTION_OPS_MAX - 1], vec![TRANSACTION_OPS_MAX]] {
            let edits = (0u8..).zip(spread).map(|(entity, count)| edit(entity, count));
            let mut transaction = Transaction { edits: edits.collect() };
            assert_eq!(Transaction::decode(&transaction.encode()).unwrap(), transaction);
            transaction.edits.push(edit(9, 1));
            assert!(matches!(
                Transaction::decode(&transaction.encode()),
                Err(DecodeError::TooLong { what: "operations in a transaction", .. })
            ));
        }
    }

    #[test]
    fn a_name_is_short_and_printable() {
        assert!(Name::new("title").is_ok());
        for text in ["", " title", "ti\ntle", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert!(Name::new(text).is_err(), "{text:?}");
        }
    }
}
