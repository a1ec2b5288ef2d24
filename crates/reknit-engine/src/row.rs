//! The row of an entity: whether it exists, its registers and counters, and where its texts and documents stand.

use reknit_crdt::{Counter, Crdt, Register};
use reknit_types::{CrdtKind, DecodeError, EventId, Name, Reader, Stamp, Writer};
use std::collections::BTreeMap;

/// Everything about an entity but the content of its texts and documents.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) cells: BTreeMap<(Name, CrdtKind), Cell>,
    /// Whether its cells have records of their own: those at hand are then some of them, see [`Row::gather`].
    pub(crate) apart: bool,
}

/// Whether an entity is there. Deleting and restoring are a register of their own: the greatest `(stamp, id)` wins,
/// and edits do not touch it, so that what is deleted stays deleted whatever arrives late.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lifecycle {
    /// The earliest known creation or edit.
    pub(crate) created: Option<Stamp>,
    /// The latest edit of any field.
    pub(crate) edited: Option<Stamp>,
    /// The deciding deletion or restoration.
    pub(crate) verdict: Option<Verdict>,
}

/// A deletion or restoration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Verdict {
    pub(crate) stamp: Stamp,
    pub(crate) event: EventId,
    pub(crate) deleted: bool,
}

/// One field, as far as the row holds it.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    /// The whole state.
    Register(Register),
    /// The whole state.
    Counter(Counter),
    /// A text or document: its state lies in `Snapshots` and `Deltas`.
    Folded(Folding),
}

/// How far a text or document is folded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Folding {
    /// Bytes of the snapshot.
    pub(crate) snapshot_bytes: u64,
    /// Deltas not yet in the snapshot.
    pub(crate) deltas: u64,
    /// Bytes of those.
    pub(crate) delta_bytes: u64,
}

impl Row {
    /// Whether the entity is hidden.
    pub(crate) fn deleted(&self) -> bool {
        self.lifecycle.verdict.is_some_and(|verdict| verdict.deleted)
    }

    /// How the field merges, if it was ever written. Should two peers have given one name to two kinds at the same
    /// time, the first in the order of kinds is the one shown.
    pub(crate) fn kind_of(&self, field: &Name) -> Option<CrdtKind> {
        CrdtKind::ALL.into_iter().find(|kind| self.cells.contains_key(&(field.clone(), *kind)))
    }

    /// Notes that the entity was created or edited at `stamp`.
    pub(crate) fn touch(&mut self, stamp: Stamp) {
        let life = &mut self.lifecycle;
        life.created = Some(life.created.map_or(stamp, |created| created.min(stamp)));
        life.edited = life.edited.max(Some(stamp));
    }

    /// Notes a deletion or restoration.
    pub(crate) fn judge(&mut self, verdict: Verdict) {
        self.lifecycle.verdict = self.lifecycle.verdict.max(Some(verdict));
    }

    /// The record in `Rows`.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(96 + 192 * self.cells.len());
        writer.u8(if self.apart { VERSION_APART } else { VERSION });
        self.lifecycle.encode(&mut writer);
        if !self.apart {
            writer.varint(self.cells.len() as u64);
            for ((field, kind), cell) in &self.cells {
                field.encode(&mut writer);
                writer.u8(kind.to_byte());
                cell.write(&mut writer);
            }
        }
        writer.into_bytes()
    }

    /// The row with this record.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let Head { lifecycle, cells } = head(&mut reader)?;
        let apart = cells.is_none();
        let cells = (0..cells.unwrap_or(0))
            .map(|_| {
                let field = Name::decode(&mut reader)?;
                let kind = CrdtKind::from_byte(reader.u8("field kind")?)?;
                Ok(((field, kind), Cell::read(kind, &mut reader)?))
            })
            .collect::<Result<_, DecodeError>>()?;
        reader.finish()?;
        Ok(Self { lifecycle, cells, apart })
    }
}

/// How the record of a row begins.
pub(crate) struct Head {
    pub(crate) lifecycle: Lifecycle,
    /// How many cells follow; `None` if they have records of their own.
    pub(crate) cells: Option<usize>,
}

/// Reads the beginning of the record of a row.
pub(crate) fn head(reader: &mut Reader<'_>) -> Result<Head, DecodeError> {
    let version = reader.u8("row version")?;
    if version != VERSION && version != VERSION_APART {
        let (found, known) = (u64::from(version), u64::from(VERSION_APART));
        return Err(DecodeError::Version { what: "a row", found, known });
    }
    let lifecycle = Lifecycle::decode(reader)?;
    let cells = if version == VERSION_APART { None } else { Some(reader.count(usize::MAX, "fields")?) };
    Ok(Head { lifecycle, cells })
}

impl Cell {
    /// A cell that was never written.
    pub(crate) fn new(kind: CrdtKind) -> Self {
        match kind {
            CrdtKind::Register => Self::Register(Register::new()),
            CrdtKind::Counter => Self::Counter(Counter::new()),
            CrdtKind::Text | CrdtKind::Document => Self::Folded(Folding::default()),
        }
    }

    /// The record of a cell that lies apart from its row.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        self.write(&mut writer);
        writer.into_bytes()
    }

    /// The cell with this record.
    pub(crate) fn decode(kind: CrdtKind, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let cell = Self::read(kind, &mut reader)?;
        reader.finish()?;
        Ok(cell)
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Register(register) => writer.bytes(&register.save()),
            Self::Counter(counter) => writer.bytes(&counter.save()),
            Self::Folded(folding) => {
                writer.varint(folding.snapshot_bytes).varint(folding.deltas).varint(folding.delta_bytes)
            }
        };
    }

    fn read(kind: CrdtKind, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match kind {
            CrdtKind::Register => {
                let saved = reader.bytes(usize::MAX, "register")?;
                Self::Register(Register::load(saved).map_err(|_| DecodeError::Invalid("saved register"))?)
            }
            CrdtKind::Counter => {
                let saved = reader.bytes(usize::MAX, "counter")?;
                Self::Counter(Counter::load(saved).map_err(|_| DecodeError::Invalid("saved counter"))?)
            }
            CrdtKind::Text | CrdtKind::Document => Self::Folded(Folding {
                snapshot_bytes: reader.varint("snapshot size")?,
                deltas: reader.varint("deltas")?,
                delta_bytes: reader.varint("delta size")?,
            }),
        })
    }
}

impl Lifecycle {
    fn encode(&self, writer: &mut Writer) {
        let stamp = |writer: &mut Writer, stamp: &Option<Stamp>| {
            writer.flag(stamp.is_some());
            if let Some(stamp) = stamp {
                stamp.write(writer);
            }
        };
        stamp(writer, &self.created);
        stamp(writer, &self.edited);
        writer.flag(self.verdict.is_some());
        if let Some(verdict) = &self.verdict {
            verdict.stamp.write(writer);
            writer.raw(verdict.event.as_bytes()).flag(verdict.deleted);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let optional = |reader: &mut Reader<'_>| -> Result<Option<Stamp>, DecodeError> {
            if reader.flag("stamp")? { Stamp::read(reader).map(Some) } else { Ok(None) }
        };
        let (created, edited) = (optional(reader)?, optional(reader)?);
        let verdict = if reader.flag("verdict")? {
            let (stamp, event) = (Stamp::read(reader)?, EventId::decode(reader)?);
            Some(Verdict { stamp, event, deleted: reader.flag("deleted")? })
        } else {
            None
        };
        Ok(Self { created, edited, verdict })
    }
}

const VERSION: u8 = 3;
/// Of a row whose cells have records of their own.
const VERSION_APART: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(at: u128, deleted: bool) -> Verdict {
        Verdict { stamp: Stamp::from_u128(at), event: EventId::from_bytes([at as u8; 32]), deleted }
    }

    #[test]
    fn the_latest_verdict_decides_whatever_the_order() {
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let verdicts = [verdict(1, true), verdict(2, false), verdict(3, true)];
            let mut row = Row::default();
            order.into_iter().for_each(|at| row.judge(verdicts[at]));
            assert!(row.deleted());
        }
    }

    #[test]
    fn an_edit_does_not_bring_back_what_was_deleted() {
        let mut row = Row::default();
        row.judge(verdict(1, true));
        row.touch(Stamp::from_u128(2));
        assert!(row.deleted());
    }

    #[test]
    fn a_row_reads_back() {
        let mut row = Row::default();
        row.touch(Stamp::from_u128(5));
        row.judge(verdict(9, true));
        let folding = Folding { snapshot_bytes: 7, deltas: 2, delta_bytes: 30 };
        row.cells.insert((Name::new("body").unwrap(), CrdtKind::Text), Cell::Folded(folding));
        let again = Row::decode(&row.encode()).unwrap();
        assert_eq!(again.lifecycle, row.lifecycle);
        assert_eq!(again.encode(), row.encode());
    }
}
