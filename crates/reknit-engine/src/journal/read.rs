//! Reading a journal.

use super::input::{Handled, Noted};
use super::opening::Opening;
use super::outcome::Outcome;
use super::records::{Next, Records};
use super::{
    JournalError, MAGIC, TAG_ENDED, TAG_ENTRY, TAG_FAILED, TAG_HANDLED, TAG_IDENTITY, TAG_IMAGE_END,
    TAG_INPUT, TAG_OPENING, TAG_REDACTED, TAG_SETTLED, VERSION,
};
use crate::store::{Batch, Durability, KEY_BYTES_MAX, MemoryStore, Store, Table, VALUE_BYTES_MAX};
use reknit_types::{DecodeError, Reader};

/// A journal, as far as it is whole.
#[derive(Debug)]
pub struct Journal {
    /// How the engine was opened.
    pub opening: Opening,
    /// The store it was opened over.
    pub store: MemoryStore,
    /// Its rounds.
    pub rounds: Vec<Round>,
    /// How the journal ends.
    pub end: End,
}

/// A round of an engine.
#[derive(Debug)]
pub struct Round {
    /// What it was fed.
    pub steps: Vec<Step>,
    /// What came of it.
    pub end: RoundEnd,
}

/// One thing that an engine was fed.
#[derive(Debug)]
pub enum Step {
    /// An input.
    Input {
        /// The time it was given, in milliseconds since the Unix epoch.
        now_ms: u64,
        /// What it was.
        input: Box<Noted>,
        /// What followed it.
        #[doc(hidden)]
        handled: Option<Box<HandledStep>>,
    },
    /// An identity was drawn.
    Identity,
}

/// What is known only after an input was handled.
#[derive(Debug)]
pub struct HandledStep(pub(crate) Handled);

/// What came of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoundEnd {
    /// It was settled, and led to this.
    Settled {
        /// The time, in milliseconds since the Unix epoch.
        now_ms: u64,
        /// What it led to.
        outcome: Outcome,
    },
    /// The engine could not go on.
    Failed(String),
    /// The journal ends in its middle: the process died, maybe of it.
    Unfinished,
}

/// How a journal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In order: the peer stopped, or went on in another file.
    Ended,
    /// After a whole record: the peer still runs, was killed, or gave up writing.
    Cut,
    /// Inside a record, which begins at this byte: the peer was killed, or the disk was full.
    Torn {
        /// Bytes that are whole.
        at: usize,
    },
    /// The record at this byte is not what was written.
    Damaged {
        /// Bytes that are whole.
        at: usize,
    },
}

impl Journal {
    /// The journal of these bytes: everything before the first record that is torn or damaged.
    ///
    /// # Errors
    /// [`JournalError`], if not even one round could be replayed.
    pub fn decode(bytes: &[u8]) -> Result<Self, JournalError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(JournalError::NotAJournal)?;
        match rest.first() {
            Some(&VERSION) => {}
            Some(&found) => return Err(JournalError::Newer { found, known: VERSION }),
            None => return Err(JournalError::NoImage { at: bytes.len() }),
        }
        let mut records = Records::new(bytes, MAGIC.len() + 1);
        let opening = read_opening(&mut records)?;
        let store = read_image(&mut records)?;
        let mut rounds = Rounds::default();
        let end = loop {
            let at = records.at();
            match records.take() {
                Next::Record(&[TAG_ENDED]) => break End::Ended,
                Next::Record(body) if rounds.add(body).is_ok() => {}
                Next::Record(_) | Next::Damaged => break End::Damaged { at },
                Next::End => break End::Cut,
                Next::Torn => break End::Torn { at },
            }
        };
        Ok(Self { opening, store, rounds: rounds.finish(), end })
    }

    /// How many inputs it has.
    pub fn inputs(&self) -> usize {
        self.rounds.iter().map(|round| round.steps.len()).sum()
    }
}

fn read_opening(records: &mut Records<'_>) -> Result<Opening, JournalError> {
    let at = records.at();
    let Next::Record(body) = records.take() else { return Err(JournalError::NoImage { at }) };
    let mut reader = Reader::new(body);
    match reader.u8("record")? {
        TAG_OPENING => {}
        TAG_REDACTED => return Err(JournalError::Redacted),
        _ => return Err(DecodeError::Invalid("opening").into()),
    }
    let opening = Opening::decode(&mut reader)?;
    reader.finish()?;
    Ok(opening)
}

fn read_image(records: &mut Records<'_>) -> Result<MemoryStore, JournalError> {
    let (mut store, mut batch, mut count) = (MemoryStore::new(), Batch::new(), 0u64);
    loop {
        let at = records.at();
        let Next::Record(body) = records.take() else { return Err(JournalError::NoImage { at }) };
        let mut reader = Reader::new(body);
        match reader.u8("record")? {
            TAG_ENTRY => read_entry(&mut reader, &mut batch)?,
            TAG_IMAGE_END if reader.varint("entries of an image")? == count => {
                commit(&mut store, batch)?;
                return Ok(store);
            }
            _ => return Err(DecodeError::Invalid("image").into()),
        }
        reader.finish()?;
        count += 1;
        if batch.bytes() >= VALUE_BYTES_MAX {
            commit(&mut store, std::mem::take(&mut batch))?;
        }
    }
}

fn read_entry(reader: &mut Reader<'_>, batch: &mut Batch) -> Result<(), DecodeError> {
    let number = reader.u8("table")?;
    let table = Table::ALL.into_iter().find(|table| table.number() == number);
    let table = table.ok_or(DecodeError::Invalid("table"))?;
    let key = reader.bytes(KEY_BYTES_MAX, "key")?;
    batch.put(table, key, reader.bytes(VALUE_BYTES_MAX, "value")?);
    Ok(())
}

fn commit(store: &mut MemoryStore, batch: Batch) -> Result<(), JournalError> {
    Ok(store.commit(batch, Durability::Durable).map_err(crate::error::EngineError::from)?)
}

#[derive(Default)]
struct Rounds {
    done: Vec<Round>,
    steps: Vec<Step>,
}

impl Rounds {
    fn add(&mut self, body: &[u8]) -> Result<(), DecodeError> {
        let mut reader = Reader::new(body);
        match reader.u8("record")? {
            TAG_INPUT => {
                let now_ms = reader.varint("time")?;
                let input = Box::new(Noted::decode(&mut reader)?);
                self.steps.push(Step::Input { now_ms, input, handled: None });
            }
            TAG_HANDLED => match self.steps.last_mut() {
                Some(Step::Input { handled: handled @ None, .. }) => {
                    *handled = Some(Box::new(HandledStep(Handled::decode(&mut reader)?)));
                }
                _ => return Err(DecodeError::Invalid("order of records")),
            },
            TAG_IDENTITY => self.steps.push(Step::Identity),
            TAG_SETTLED => {
                let now_ms = reader.varint("time")?;
                self.end(RoundEnd::Settled { now_ms, outcome: Outcome::decode(&mut reader)? });
            }
            TAG_FAILED => self.end(RoundEnd::Failed(reader.str(usize::MAX, "error")?.to_owned())),
            _ => return Err(DecodeError::Invalid("record")),
        }
        reader.finish()
    }

    fn end(&mut self, end: RoundEnd) {
        self.done.push(Round { steps: std::mem::take(&mut self.steps), end });
    }

    fn finish(mut self) -> Vec<Round> {
        if !self.steps.is_empty() {
            self.end(RoundEnd::Unfinished);
        }
        self.done
    }
}
