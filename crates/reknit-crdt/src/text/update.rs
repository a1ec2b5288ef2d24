//! Deltas as yrs writes and reads them: the lib0 v1 encoding of an update, of which a plain text uses a small part.

use super::delta::{Delta, Run, Span, Unit};
use reknit_types::{DecodeError, Reader, Writer};

/// The update that makes yrs do what the delta says.
pub(crate) fn encode(delta: &Delta) -> Vec<u8> {
    let mut writer = Writer::with_capacity(64);
    writer.varint(u64::from(!delta.runs.is_empty()));
    if !delta.runs.is_empty() {
        writer.varint(delta.runs.len() as u64).varint(delta.client).varint(u64::from(delta.start));
        delta.runs.iter().for_each(|run| encode_run(run, &mut writer));
    }
    encode_spans(&delta.spans, &mut writer);
    writer.into_bytes()
}

fn encode_run(run: &Run, writer: &mut Writer) {
    let left = if run.left.is_some() { HAS_LEFT } else { 0 };
    let right = if run.right.is_some() { HAS_RIGHT } else { 0 };
    writer.u8(STRING | left | right);
    for unit in [run.left, run.right].into_iter().flatten() {
        writer.varint(unit.client).varint(u64::from(unit.clock));
    }
    if run.left.is_none() && run.right.is_none() {
        writer.varint(1).str(ROOT);
    }
    writer.str(&run.text);
}

fn encode_spans(spans: &[Span], writer: &mut Writer) {
    // One entry a client: yrs keeps the last of several.
    let spans = tidy(spans.to_vec());
    let groups: Vec<&[Span]> = spans.chunk_by(|a, b| a.client == b.client).collect();
    writer.varint(groups.len() as u64);
    for group in groups {
        let client = group.first().map_or(0, |span| span.client);
        writer.varint(client).varint(group.len() as u64);
        for span in group {
            writer.varint(u64::from(span.clock)).varint(u64::from(span.len));
        }
    }
}

/// Spans without overlaps, in order.
fn tidy(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    let mut tidied: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match tidied.last_mut() {
            Some(last) if last.client == span.client && span.clock <= last.end() => {
                last.len = last.len.max(span.end().saturating_sub(last.clock));
            }
            _ => tidied.push(span),
        }
    }
    tidied
}

/// One block of an update.
pub(crate) struct Block {
    pub(crate) unit: Unit,
    pub(crate) len: u32,
    pub(crate) left: Option<Unit>,
    pub(crate) right: Option<Unit>,
    /// The characters, unless they are deleted.
    pub(crate) text: Option<String>,
}

/// The blocks and deleted spans of an update that yrs wrote about a plain text.
pub(crate) fn decode(update: &[u8]) -> Result<(Vec<Block>, Vec<Span>), DecodeError> {
    let mut reader = Reader::new(update);
    let mut blocks = Vec::new();
    for _ in 0..reader.count(usize::MAX, "clients")? {
        let count = reader.count(usize::MAX, "blocks")?;
        let client = reader.varint("client")?;
        let mut clock = number(&mut reader)?;
        for _ in 0..count {
            let block = decode_block(Unit { client, clock }, &mut reader)?;
            clock = clock.saturating_add(block.len);
            blocks.push(block);
        }
    }
    let mut spans = Vec::new();
    for _ in 0..reader.count(usize::MAX, "clients")? {
        let client = reader.varint("client")?;
        for _ in 0..reader.count(usize::MAX, "spans")? {
            let (clock, len) = (number(&mut reader)?, number(&mut reader)?);
            spans.push(Span { client, clock, len });
        }
    }
    reader.finish()?;
    Ok((blocks, spans))
}

fn decode_block(unit: Unit, reader: &mut Reader<'_>) -> Result<Block, DecodeError> {
    let info = reader.u8("block")?;
    let left = if info & HAS_LEFT != 0 { Some(decode_unit(reader)?) } else { None };
    let right = if info & HAS_RIGHT != 0 { Some(decode_unit(reader)?) } else { None };
    if info & CONTENT_MASK != 0 && left.is_none() && right.is_none() {
        reader.varint("parent")?;
        reader.str(usize::MAX, "parent")?;
    }
    let (len, text) = match info & CONTENT_MASK {
        GC | DELETED => (number(reader)?, None),
        STRING => {
            let text = reader.str(usize::MAX, "text")?.to_owned();
            (super::delta::units(&text), Some(text))
        }
        _ => return Err(DecodeError::Invalid("block")),
    };
    Ok(Block { unit, len, left, right, text })
}

fn decode_unit(reader: &mut Reader<'_>) -> Result<Unit, DecodeError> {
    Ok(Unit { client: reader.varint("client")?, clock: number(reader)? })
}

fn number(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    u32::try_from(reader.varint("number")?).map_err(|_| DecodeError::Invalid("number"))
}

/// The name of the one shared type of a text's yrs document.
pub(crate) const ROOT: &str = "t";
const HAS_LEFT: u8 = 0x80;
const HAS_RIGHT: u8 = 0x40;
const CONTENT_MASK: u8 = 0x1f;
const GC: u8 = 0;
const DELETED: u8 = 1;
const STRING: u8 = 4;
