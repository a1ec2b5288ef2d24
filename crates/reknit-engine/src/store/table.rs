/// The tables of a store. The numbers are part of the file format: they are never reused, only added to.
///
/// The record formats belong to the engine; a store sees bytes. Keys of all but [`Table::Meta`], [`Table::Spaces`]
/// and [`Table::Known`] start with the local number of a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// Facts about the peer as a whole.
    Meta = 0,
    /// The spaces this peer holds, by local number.
    Spaces = 1,
    /// Events in the causal order in which they were admitted, by local index.
    Log = 2,
    /// The authors of a space, by local number.
    Authors = 3,
    /// Author and sequence number to local index: the chains.
    Runs = 4,
    /// The tips of each author, and the heads.
    Frontier = 5,
    /// Current values of entities.
    Rows = 6,
    /// CRDT snapshots.
    Snapshots = 7,
    /// CRDT deltas not yet folded into their snapshot.
    Deltas = 8,
    /// Events that wait for something, with what they wait for.
    Held = 9,
    /// Proofs that an author forked its chain.
    Evidence = 10,
    /// Signed statements that two peers had equal frontiers.
    Receipts = 11,
    /// What each other peer is known to have.
    Known = 12,
}

impl Table {
    /// Every table, in the order of its number.
    pub const ALL: [Self; 13] = [
        Self::Meta,
        Self::Spaces,
        Self::Log,
        Self::Authors,
        Self::Runs,
        Self::Frontier,
        Self::Rows,
        Self::Snapshots,
        Self::Deltas,
        Self::Held,
        Self::Evidence,
        Self::Receipts,
        Self::Known,
    ];

    /// The number that stands for this table on disk.
    pub const fn number(self) -> u8 {
        self as u8
    }
}
