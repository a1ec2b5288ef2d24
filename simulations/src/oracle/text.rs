//! The deltas of a text: what they say, and which of them count.
//!
//! A delta is the session's nonce (8 bytes, little-endian), the other clients that it names (a count, 7 bytes each), its
//! runs and the spans it deletes. Runs: a count; if there are any, the clock of the first unit; each a tag, the neighbours
//! it names, and its characters. The tag's low two bits tell the left neighbour (0 none, 1 the unit before in this chain,
//! 2 named), the bits above it the right one (0 or 2). Spans: a count, then for each its first unit and its length. A unit
//! is a client (0 the author's own, n the n-th of the others) and a clock. Clocks count UTF-16 units.

use super::identity::Place;
use super::rows::FieldEdit;
use super::yata::{Run, Span, Unit, Yata};
use reknit_crdt::limits::{TEXT_CLOCK_MAX, TEXT_PARTS_MAX};
use reknit_types::limits::PAYLOAD_BYTES_MAX;
use reknit_types::{DecodeError, DeviceId, Reader};

/// What one event did to a text.
#[derive(Debug, Clone)]
pub(super) struct Delta {
    client: u64,
    /// The clock of the first unit of the runs.
    start: u32,
    /// The clock after the last.
    end: u32,
    runs: Vec<Run>,
    spans: Vec<Span>,
}

/// What became of a delta.
enum Fate {
    Merged,
    Skipped,
    Waits,
    Void,
}

/// What the text reads once all its deltas are in, which are in canonical order.
pub(super) fn merge(place: &Place<'_>, edits: &[FieldEdit]) -> String {
    let mut yata = Yata::default();
    let mut waiting: Vec<Delta> = vec![];
    for edit in edits {
        let Ok(delta) = decode(place, edit.author, &edit.delta) else { continue };
        match take(&mut yata, &delta) {
            Fate::Waits => waiting.push(delta),
            Fate::Merged => release(&mut yata, &mut waiting),
            Fate::Skipped | Fate::Void => {}
        }
    }
    yata.text()
}

/// Tries again what waits, as long as that helps.
fn release(yata: &mut Yata, waiting: &mut Vec<Delta>) {
    let mut helped = true;
    while helped && !waiting.is_empty() {
        helped = false;
        waiting.retain(|delta| match take(yata, delta) {
            Fate::Waits => true,
            Fate::Merged => {
                helped = true;
                false
            }
            Fate::Skipped | Fate::Void => false,
        });
    }
}

fn take(yata: &mut Yata, delta: &Delta) -> Fate {
    let inserts = !delta.runs.is_empty();
    let here = yata.clock(delta.client);
    // It may build on its author's units up to its own last one, and on what is here of others.
    let reaches = |own_end: u32, unit: Unit| {
        unit.clock < if unit.client == delta.client { own_end } else { yata.clock(unit.client) }
    };
    let own_end = if inserts { delta.end } else { here };
    let neighbours = delta.runs.iter().flat_map(|run| [run.left, run.right]).flatten();
    let named = neighbours.chain(delta.spans.iter().map(Span::last));
    if delta.start > here && inserts || !named.into_iter().all(|unit| reaches(own_end, unit)) {
        return Fate::Waits;
    }
    if !delta.runs.iter().all(|run| were_neighbours(yata, delta, run)) {
        return Fate::Void;
    }
    let taken = inserts && delta.start < here;
    if taken && !delta.spans.iter().map(Span::last).all(|unit| reaches(here, unit)) {
        return Fate::Waits;
    }
    if !taken {
        delta.runs.iter().for_each(|run| yata.insert(delta.client, run));
    }
    delta.spans.iter().for_each(|span| yata.delete(span));
    if taken { Fate::Skipped } else { Fate::Merged }
}

/// Whether one of the run's neighbours was inserted next to the other, or the text was empty once. The delta's own units
/// are as it says.
fn were_neighbours(yata: &Yata, delta: &Delta, run: &Run) -> bool {
    let origins = |unit: Unit| {
        if unit.client == delta.client && unit.clock >= delta.start {
            let own = delta.runs.iter().rev().find(|own| own.clock <= unit.clock)?;
            Some(own.origins(delta.client, unit.clock))
        } else {
            yata.origins(unit)
        }
    };
    let typed_left_of = run.right.and_then(origins).is_some_and(|(left, _)| left == run.left);
    let typed_right_of = run.left.and_then(origins).is_some_and(|(_, right)| right == run.right);
    typed_left_of || typed_right_of || (run.left, run.right) == (None, None)
}

/// What a delta of this author at this place says; an error if it is void by itself.
pub(super) fn decode(place: &Place<'_>, author: DeviceId, bytes: &[u8]) -> Result<Delta, DecodeError> {
    let mut reader = Reader::new(bytes);
    let nonce = u64::from_le_bytes(reader.array("nonce")?);
    let client = place.number(author, nonce) & CLIENT_MAX;
    let mut clients = vec![client];
    for _ in 0..reader.count(TEXT_PARTS_MAX, "clients")? {
        let mut other = [0; 8];
        other[..7].copy_from_slice(&reader.array::<7>("client")?);
        clients.push(u64::from_le_bytes(other));
    }
    if clients.iter().skip(1).any(|other| *other > CLIENT_MAX || *other == client) {
        return Err(DecodeError::Invalid("client"));
    }
    let mut decoding = Decoding { clients, reader };
    let (start, runs) = decoding.runs()?;
    let end = runs.last().map_or(start, Run::end);
    if end > TEXT_CLOCK_MAX {
        return Err(DecodeError::Invalid("clock"));
    }
    let spans = decoding.spans()?;
    decoding.reader.finish()?;
    Ok(Delta { client, start, end, runs, spans })
}

struct Decoding<'a> {
    /// The author's own first.
    clients: Vec<u64>,
    reader: Reader<'a>,
}

impl Decoding<'_> {
    fn runs(&mut self) -> Result<(u32, Vec<Run>), DecodeError> {
        let count = self.reader.count(TEXT_PARTS_MAX, "runs")?;
        let start = if count > 0 { self.clock()? } else { 0 };
        let (mut clock, mut runs) = (start, Vec::with_capacity(count));
        for _ in 0..count {
            let run = self.run(clock)?;
            clock = run.end();
            runs.push(run);
        }
        Ok((start, runs))
    }

    fn run(&mut self, clock: u32) -> Result<Run, DecodeError> {
        let own = self.clients[0];
        let tag = self.reader.u8("run")?;
        let left = match tag & 3 {
            0 => None,
            1 if clock > 0 => Some(Unit { client: own, clock: clock - 1 }),
            2 => Some(self.unit()?),
            _ => return Err(DecodeError::Invalid("left neighbour")),
        };
        let right = match tag >> 2 {
            0 => None,
            2 => Some(self.unit()?),
            _ => return Err(DecodeError::Invalid("right neighbour")),
        };
        if [left, right].into_iter().flatten().any(|unit| unit.client == own && unit.clock >= clock) {
            return Err(DecodeError::Invalid("neighbour that comes later"));
        }
        let text = self.reader.str(PAYLOAD_BYTES_MAX, "text")?;
        let units: Vec<u16> = text.encode_utf16().collect();
        if units.is_empty() {
            Err(DecodeError::Invalid("run"))
        } else {
            Ok(Run { clock, left, right, units })
        }
    }

    fn spans(&mut self) -> Result<Vec<Span>, DecodeError> {
        let count = self.reader.count(TEXT_PARTS_MAX, "spans")?;
        let span = |decoding: &mut Self| {
            let (first, len) = (decoding.unit()?, decoding.clock()?);
            if len == 0 { Err(DecodeError::Invalid("span")) } else { Ok(Span { first, len }) }
        };
        (0..count).map(|_| span(self)).collect()
    }

    fn unit(&mut self) -> Result<Unit, DecodeError> {
        let at = usize::try_from(self.reader.varint("client")?).ok();
        let client = at.and_then(|at| self.clients.get(at)).copied();
        Ok(Unit { client: client.ok_or(DecodeError::Invalid("client"))?, clock: self.clock()? })
    }

    fn clock(&mut self) -> Result<u32, DecodeError> {
        let clock = u32::try_from(self.reader.varint("clock")?).ok();
        clock.filter(|clock| *clock <= TEXT_CLOCK_MAX).ok_or(DecodeError::Invalid("clock"))
    }
}

/// Clients have 53 bits.
const CLIENT_MAX: u64 = (1 << 53) - 1;
