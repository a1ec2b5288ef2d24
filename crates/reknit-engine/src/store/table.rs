/// The tables of a store. The numbers are part of the file format: they are never reused, only added to.
///
/// The record formats belong to the engine; a store sees bytes. Keys of all but [`Table::Meta`], [`Table::Spaces`]
/// and [`Table::Known`] start with the local number of a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// Facts about the peer as a whole.
    Meta = 0,
    /// The spaces this peer holds, by local number: a few records each.
    Spaces = 1,
    /// Segments of consecutive events in the causal order in which they were admitted, by the local index of the first.
    Log = 2,
    /// The devices that wrote in a space, by the local number of the author.
    Authors = 3,
    /// Stretches of an author's chain that lie together in the log: author, first sequence number and first index to
    /// how many events.
    Runs = 4,
    /// The tips of each author.
    Frontier = 5,
    /// Entities: whether they are there, and their registers and counters.
    Rows = 6,
    /// Saved texts and documents, and the cells of rows too large for one record.
    Snapshots = 7,
    /// Deltas of texts and documents that are not yet folded into their snapshot.
    Deltas = 8,
    /// Frames with events whose stamps are ahead of the local clock, by when they are due.
    Held = 9,
    /// Forks of chains, and operations without effect with why.
    Evidence = 10,
    /// The last receipt of each member, with the frontier it is for.
    Receipts = 11,
    /// Addresses where each other device was last seen.
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
