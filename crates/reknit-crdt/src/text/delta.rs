//! The delta of a text: runs of characters with their neighbours, and spans of deleted characters.
//!
//! Only what a plain text needs can be said in it. What reaches yrs is always encoded here, from checked parts.

use crate::limits::{TEXT_CLOCK_MAX, TEXT_PARTS_MAX};
use reknit_types::limits::PAYLOAD_BYTES_MAX;
use reknit_types::{DecodeError, Reader, Writer};

/// A UTF-16 unit of a text: who inserted it, and its place among the author's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Unit {
    pub(crate) client: u64,
    pub(crate) clock: u32,
}

/// Characters inserted together between two units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) left: Option<Unit>,
    pub(crate) right: Option<Unit>,
    pub(crate) text: String,
}

/// Consecutive units of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) client: u64,
    pub(crate) clock: u32,
    pub(crate) len: u32,
}

/// What one transaction did to a text. `client` inserted the runs, from `start` on without a gap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Delta {
    pub(crate) client: u64,
    pub(crate) start: u32,
    /// The clock after the runs.
    pub(crate) end: u32,
    pub(crate) runs: Vec<Run>,
    pub(crate) spans: Vec<Span>,
}

impl Run {
    pub(crate) fn units(&self) -> u32 {
        units(&self.text)
    }
}

impl Span {
    pub(crate) fn end(&self) -> u32 {
        self.clock.saturating_add(self.len)
    }
}

impl Delta {
    pub(crate) fn new(client: u64, start: u32) -> Self {
        Self { client, start, end: start, runs: Vec::new(), spans: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.spans.is_empty()
    }

    /// Whether `next` can be merged together with this, as one delta.
    pub(crate) fn continues_with(&self, next: &Self) -> bool {
        next.runs.is_empty() || self.runs.is_empty() || (self.client == next.client && self.end == next.start)
    }

    /// Adds what was done next.
    pub(crate) fn append(&mut self, next: Self) {
        if self.is_empty() || (self.runs.is_empty() && !next.runs.is_empty()) {
            (self.client, self.start, self.end) = (next.client, next.start, next.start);
        }
        next.runs.into_iter().for_each(|run| self.push_run(run));
        next.spans.into_iter().for_each(|span| self.push_span(span));
    }

    /// Adds a run at the end; one that continues the last is joined to it.
    pub(crate) fn push_run(&mut self, run: Run) {
        let last_unit = Unit { client: self.client, clock: self.end.saturating_sub(1) };
        self.end = self.end.saturating_add(run.units());
        match self.runs.last_mut() {
            Some(last) if run.left == Some(last_unit) && run.right == last.right => {
                last.text.push_str(&run.text)
            }
            _ => self.runs.push(run),
        }
    }

    /// Adds a deleted span; one that touches the last is joined to it.
    pub(crate) fn push_span(&mut self, span: Span) {
        match self.spans.last_mut() {
            Some(last) if last.client == span.client && last.end() == span.clock => last.len += span.len,
            Some(last) if last.client == span.client && span.end() == last.clock => {
                *last = Span { len: last.len + span.len, ..span };
            }
            _ => self.spans.push(span),
        }
    }

    /// The bytes of the delta; `nonce` is the session's that `client` is derived from.
    pub(crate) fn encode(&self, nonce: u64) -> Vec<u8> {
        let others = self.others();
        let mut writer = Writer::with_capacity(48);
        writer.raw(&nonce.to_le_bytes()).varint(others.len() as u64);
        for client in &others {
            let [bytes @ .., _] = client.to_le_bytes();
            writer.raw(&bytes);
        }
        let names = Names { own: self.client, others: &others };
        writer.varint(self.runs.len() as u64);
        if !self.runs.is_empty() {
            writer.varint(u64::from(self.start));
        }
        let mut clock = self.start;
        for run in &self.runs {
            names.encode_run(run, clock, &mut writer);
            clock = clock.saturating_add(run.units());
        }
        writer.varint(self.spans.len() as u64);
        for span in &self.spans {
            names.encode_unit(Unit { client: span.client, clock: span.clock }, &mut writer);
            writer.varint(u64::from(span.len));
        }
        writer.into_bytes()
    }

    /// The delta of a client: `derive` gives it for a nonce.
    pub(crate) fn decode(bytes: &[u8], derive: impl FnOnce(u64) -> u64) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let client = derive(u64::from_le_bytes(reader.array("nonce")?));
        let mut others = Vec::new();
        for _ in 0..reader.count(TEXT_PARTS_MAX, "clients")? {
            let [a, b, c, d, e, f, g] = reader.array("client")?;
            others.push(u64::from_le_bytes([a, b, c, d, e, f, g, 0]));
        }
        if others.iter().any(|other| *other > CLIENT_MAX || *other == client) {
            return Err(DecodeError::Invalid("client"));
        }
        let names = Names { own: client, others: &others };
        let run_count = reader.count(TEXT_PARTS_MAX, "runs")?;
        let start = if run_count == 0 { 0 } else { clock(&mut reader)? };
        let mut delta = Self::new(client, start);
        for _ in 0..run_count {
            let run = names.decode_run(delta.end, &mut reader)?;
            delta.end = delta.end.saturating_add(run.units());
            delta.runs.push(run);
        }
        if delta.end > TEXT_CLOCK_MAX {
            let (found, limit) = (u64::from(delta.end), u64::from(TEXT_CLOCK_MAX));
            return Err(DecodeError::TooLong { what: "clock", found, limit });
        }
        for _ in 0..reader.count(TEXT_PARTS_MAX, "deleted spans")? {
            delta.spans.push(names.decode_span(&mut reader)?);
        }
        reader.finish()?;
        Ok(delta)
    }

    /// The other clients that the delta names, in order.
    fn others(&self) -> Vec<u64> {
        let neighbours = self.runs.iter().flat_map(|run| [run.left, run.right]).flatten();
        let named = neighbours.map(|unit| unit.client).chain(self.spans.iter().map(|span| span.client));
        let mut others: Vec<u64> = named.filter(|client| *client != self.client).collect();
        others.sort_unstable();
        others.dedup();
        others
    }
}

/// UTF-16 units of a text.
pub(crate) fn units(text: &str) -> u32 {
    let units: usize = text.chars().map(char::len_utf16).sum();
    u32::try_from(units).unwrap_or(u32::MAX)
}

/// How clients are written: 0 is the author, `n` the `n`-th other.
struct Names<'a> {
    own: u64,
    others: &'a [u64],
}

impl Names<'_> {
    fn encode_run(&self, run: &Run, clock: u32, writer: &mut Writer) {
        let previous = clock.checked_sub(1).map(|clock| Unit { client: self.own, clock });
        let left = match run.left {
            None => NONE,
            left if left == previous => PREVIOUS,
            Some(_) => NAMED,
        };
        let right = if run.right.is_some() { NAMED } else { NONE };
        writer.u8(left | right << RIGHT_SHIFT);
        if let Some(unit) = run.left.filter(|_| left == NAMED) {
            self.encode_unit(unit, writer);
        }
        if let Some(unit) = run.right {
            self.encode_unit(unit, writer);
        }
        writer.str(&run.text);
    }

    fn decode_run(&self, clock: u32, reader: &mut Reader<'_>) -> Result<Run, DecodeError> {
        let tag = reader.u8("run")?;
        let left = match tag & LEFT_MASK {
            NONE => None,
            PREVIOUS => {
                let clock = clock.checked_sub(1).ok_or(DecodeError::Invalid("run"))?;
                Some(Unit { client: self.own, clock })
            }
            NAMED => Some(self.decode_unit(reader)?),
            _ => return Err(DecodeError::Invalid("run")),
        };
        let right = match tag >> RIGHT_SHIFT {
            NONE => None,
            NAMED => Some(self.decode_unit(reader)?),
            _ => return Err(DecodeError::Invalid("run")),
        };
        if [left, right].into_iter().flatten().any(|unit| unit.client == self.own && unit.clock >= clock) {
            return Err(DecodeError::Invalid("neighbour"));
        }
        let text = reader.str(PAYLOAD_BYTES_MAX, "text")?.to_owned();
        if text.is_empty() {
            return Err(DecodeError::Invalid("run"));
        }
        Ok(Run { left, right, text })
    }

    fn encode_unit(&self, unit: Unit, writer: &mut Writer) {
        let at = self.others.binary_search(&unit.client).map_or(0, |at| at as u64 + 1);
        writer.varint(at).varint(u64::from(unit.clock));
    }

    fn decode_unit(&self, reader: &mut Reader<'_>) -> Result<Unit, DecodeError> {
        let client = match reader.varint("client")? {
            0 => self.own,
            at => usize::try_from(at - 1)
                .ok()
                .and_then(|at| self.others.get(at).copied())
                .ok_or(DecodeError::Invalid("client"))?,
        };
        Ok(Unit { client, clock: clock(reader)? })
    }

    fn decode_span(&self, reader: &mut Reader<'_>) -> Result<Span, DecodeError> {
        let Unit { client, clock: start } = self.decode_unit(reader)?;
        let len = clock(reader)?;
        if len == 0 {
            return Err(DecodeError::Invalid("deleted span"));
        }
        Ok(Span { client, clock: start, len })
    }
}

fn clock(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    let found = reader.varint("clock")?;
    let limit = u64::from(TEXT_CLOCK_MAX);
    u32::try_from(found).ok().filter(|clock| *clock <= TEXT_CLOCK_MAX).ok_or(DecodeError::TooLong {
        what: "clock",
        found,
        limit,
    })
}

/// Client ids have 53 bits, as in Yjs.
pub(crate) const CLIENT_MAX: u64 = (1 << 53) - 1;
const NONE: u8 = 0;
const PREVIOUS: u8 = 1;
const NAMED: u8 = 2;
const LEFT_MASK: u8 = 3;
const RIGHT_SHIFT: u32 = 2;
