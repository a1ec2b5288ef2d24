//! Keys of every table: where a record lies. Integers are big-endian, so that keys sort as their parts do.

use reknit_types::{CrdtKind, DeviceId, EntityId, Name};

/// The local number of a space: short, because it prefixes nearly every key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SpaceNo(pub u32);

/// The local number of an author within a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AuthorNo(pub(crate) u32);

/// Which entity, across the collections of a peer's spaces. Orders by entity first, because that tells most keys apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowKey {
    pub(crate) entity: EntityId,
    pub(crate) space: SpaceNo,
    pub(crate) collection: Name,
}

/// Which field of which entity, merged in which way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CellKey {
    pub(crate) row: RowKey,
    pub(crate) field: Name,
    pub(crate) kind: CrdtKind,
}

impl SpaceNo {
    /// Every key of the space in a table starts with this.
    pub(crate) const fn prefix(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

impl RowKey {
    /// The key in `Rows`.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut key = collection_prefix(self.space, &self.collection);
        key.extend_from_slice(&self.entity.to_bytes());
        key
    }
}

impl CellKey {
    /// The key in `Snapshots`, and the prefix of the cell's keys in `Deltas`.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut key = self.row.bytes();
        push_name(&mut key, &self.field);
        key.push(self.kind.to_byte());
        key
    }

    /// The key in `Deltas` of the delta that operation `op` of the event at `index` made.
    pub(crate) fn delta_bytes(&self, index: u64, op: u32) -> Vec<u8> {
        let mut key = self.bytes();
        key.extend_from_slice(&index.to_be_bytes());
        key.extend_from_slice(&op.to_be_bytes());
        key
    }
}

/// The index of the event that made the delta with this key, and the number of the operation in it.
pub(crate) fn delta_place(key: &[u8]) -> Option<(u64, u32)> {
    let (rest, op) = key.split_last_chunk::<4>()?;
    let (_, index) = rest.split_last_chunk::<8>()?;
    Some((u64::from_be_bytes(*index), u32::from_be_bytes(*op)))
}

/// The key in `Snapshots` of a cell that lies apart from its row. That of a text or document has a byte more than the key
/// of its saved state.
pub(crate) fn cell_record_key(row: &RowKey, field: &Name, kind: CrdtKind) -> Vec<u8> {
    let mut key = row.bytes();
    push_name(&mut key, field);
    key.push(kind.to_byte());
    if is_saved_apart(kind) {
        key.push(0);
    }
    key
}

/// Field and kind of a key in `Snapshots`, without that of the row; `None` if it is that of a saved text or document.
pub(crate) fn parse_cell_record_key(rest: &[u8]) -> Option<(Name, CrdtKind)> {
    let (field, kind, rest) = split_cell_key(rest)?;
    (rest.len() == usize::from(is_saved_apart(kind))).then_some((field, kind))
}

/// Field and kind of a key in `Snapshots` or `Deltas`, without that of the row, and what follows them.
pub(crate) fn split_cell_key(rest: &[u8]) -> Option<(Name, CrdtKind, &[u8])> {
    let (field, rest) = split_name(rest)?;
    let (kind, rest) = rest.split_first()?;
    Some((field, CrdtKind::from_byte(*kind).ok()?, rest))
}

/// Whether the field has its state in `Snapshots` and `Deltas`.
pub(crate) fn is_saved_apart(kind: CrdtKind) -> bool {
    matches!(kind, CrdtKind::Text | CrdtKind::Document)
}

/// Every row of the collection starts with this.
pub(crate) fn collection_prefix(space: SpaceNo, collection: &Name) -> Vec<u8> {
    let mut key = space.prefix().to_vec();
    push_name(&mut key, collection);
    key
}

/// The collection and entity of a key in `Rows`.
pub(crate) fn parse_row_key(key: &[u8]) -> Option<RowKey> {
    split_row_key(key).filter(|(_, rest)| rest.is_empty()).map(|(key, _)| key)
}

/// The key of a row that a key in `Snapshots` or `Deltas` begins with, and what follows it.
pub(crate) fn split_row_key(key: &[u8]) -> Option<(RowKey, &[u8])> {
    let (space, rest) = key.split_first_chunk::<4>()?;
    let (collection, rest) = split_name(rest)?;
    let (entity, rest) = rest.split_first_chunk::<16>()?;
    let space = SpaceNo(u32::from_be_bytes(*space));
    Some((RowKey { space, collection, entity: EntityId::from_bytes(*entity) }, rest))
}

/// The key in `Log` of the segment whose first event has this index.
pub(crate) fn log_key(space: SpaceNo, index: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&space.prefix());
    key[4..].copy_from_slice(&index.to_be_bytes());
    key
}

/// The index in a key of `Log`.
pub(crate) fn parse_log_key(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(*key.last_chunk::<8>()?))
}

/// The key in `Runs` of the run that starts with event `seq` of the author, at `index`.
pub(crate) fn run_key(space: SpaceNo, author: AuthorNo, seq: u64, index: u64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&author_key(space, author));
    key[8..16].copy_from_slice(&seq.to_be_bytes());
    key[16..].copy_from_slice(&index.to_be_bytes());
    key
}

/// First sequence number and first index in a key of `Runs`.
pub(crate) fn parse_run_key(key: &[u8]) -> Option<(u64, u64)> {
    let (rest, index) = key.split_last_chunk::<8>()?;
    Some((u64::from_be_bytes(*rest.last_chunk::<8>()?), u64::from_be_bytes(*index)))
}

/// The key of an author in `Authors` and `Frontier`.
pub(crate) fn author_key(space: SpaceNo, author: AuthorNo) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&space.prefix());
    key[4..].copy_from_slice(&author.0.to_be_bytes());
    key
}

/// The number in a key of `Authors` or `Frontier`.
pub(crate) fn parse_author_key(key: &[u8]) -> Option<AuthorNo> {
    Some(AuthorNo(u32::from_be_bytes(*key.last_chunk::<4>()?)))
}

/// The key in `Spaces` of one of the records about a space.
pub(crate) fn space_key(space: SpaceNo, record: SpaceRecordKind) -> [u8; 5] {
    let [a, b, c, d] = space.prefix();
    [a, b, c, d, record as u8]
}

/// The records that `Spaces` holds about each space.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SpaceRecordKind {
    /// Id, next index and heads: changes with every commit.
    State = 0,
    /// The keys that seal its payloads.
    Keys = 1,
    /// The fold of its control events.
    Membership = 2,
    /// The ticket by which this device joined, or is about to.
    Ticket = 3,
}

impl SpaceRecordKind {
    pub(crate) const ALL: [Self; 4] = [Self::State, Self::Keys, Self::Membership, Self::Ticket];
}

/// The key in `Receipts` of the last receipt exchanged with a device.
pub(crate) fn receipt_key(space: SpaceNo, device: &DeviceId) -> [u8; 36] {
    let mut key = [0; 36];
    key[..4].copy_from_slice(&space.prefix());
    key[4..].copy_from_slice(device.as_bytes());
    key
}

/// The key in `Held` of a frame that is held until `until_ms`.
pub(crate) fn held_key(space: SpaceNo, until_ms: u64, hash: &[u8; 32]) -> Vec<u8> {
    let mut key = space.prefix().to_vec();
    key.extend_from_slice(&until_ms.to_be_bytes());
    key.extend_from_slice(hash);
    key
}

/// The key in `Evidence` of the fork of an author's chain at `seq`.
pub(crate) fn fork_key(space: SpaceNo, author: &DeviceId, seq: u64) -> Vec<u8> {
    let mut key = fork_prefix(space).to_vec();
    key.extend_from_slice(author.as_bytes());
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

/// Every fork of the space is in `Evidence` under a key that starts with this.
pub(crate) fn fork_prefix(space: SpaceNo) -> [u8; 5] {
    let [a, b, c, d] = space.prefix();
    [a, b, c, d, EVIDENCE_FORK]
}

/// Whose chain forks, and at which sequence number, by a key that [`fork_key`] made.
pub(crate) fn parse_fork_key(key: &[u8]) -> Option<(DeviceId, u64)> {
    let (author, seq) = key.get(5..)?.split_first_chunk::<32>()?;
    Some((DeviceId::from_bytes(*author), u64::from_be_bytes(seq.try_into().ok()?)))
}

/// The key in `Evidence` of a void operation of the event at `index`.
pub(crate) fn void_key(space: SpaceNo, index: u64, op: u32) -> Vec<u8> {
    let mut key = space.prefix().to_vec();
    key.push(EVIDENCE_VOID);
    key.extend_from_slice(&index.to_be_bytes());
    key.extend_from_slice(&op.to_be_bytes());
    key
}

/// Names are at most 128 bytes, so a byte holds their length; the length first keeps a name from being the prefix of
/// another.
fn push_name(key: &mut Vec<u8>, name: &Name) {
    key.push(name.as_str().len() as u8);
    key.extend_from_slice(name.as_str().as_bytes());
}

fn split_name(key: &[u8]) -> Option<(Name, &[u8])> {
    let (len, rest) = key.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*len))?;
    Some((Name::new(std::str::from_utf8(name).ok()?).ok()?, rest))
}

pub(crate) const EVIDENCE_FORK: u8 = 1;
pub(crate) const EVIDENCE_VOID: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_row_key_reads_back(space: u32, name in "[a-z]{1,20}", entity: [u8; 16]) {
            let key = RowKey {
                space: SpaceNo(space),
                collection: Name::new(&name).unwrap(),
                entity: EntityId::from_bytes(entity),
            };
            prop_assert_eq!(parse_row_key(&key.bytes()), Some(key));
        }

        #[test]
        fn runs_sort_by_author_then_place(a: (u32, u64, u64), b: (u32, u64, u64)) {
            let key = |(author, seq, index)| run_key(SpaceNo(1), AuthorNo(author), seq, index);
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
            prop_assert_eq!(parse_run_key(&key(a)), Some((a.1, a.2)));
        }
    }
}
