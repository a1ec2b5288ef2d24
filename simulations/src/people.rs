//! What people do at their devices: workloads, and the promises that a person would notice broken.

use crate::chance::exponential;
use crate::network::PeerNo;
use crate::scenario::seconds;
use crate::world::World;
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use reknit_engine::store::Durability;
use reknit_engine::{Tx, TxError};
use reknit_types::EntityId;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;

/// People who work alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// At which peers; at all if empty.
    #[serde(default)]
    pub at: Vec<PeerNo>,
    /// What they do.
    pub work: Work,
    /// How often each of them does it, on average; zero for never.
    pub per_second: f64,
    /// How many edits they make at once.
    #[serde(default = "one")]
    pub burst: u32,
    /// How many entities they work on: one is a hot key.
    #[serde(default = "ten")]
    pub entities: u64,
    /// Bytes of what they write, where that can be chosen.
    #[serde(default = "sixteen")]
    pub bytes: usize,
    /// When they begin.
    #[serde(default)]
    pub from: f64,
    /// When they stop; at the end if none.
    #[serde(default)]
    pub until: Option<f64>,
}

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Registers are set.
    Registers,
    /// Counters are added to.
    Counters,
    /// Texts are edited anywhere.
    Texts,
    /// Texts are typed: characters at a cursor that seldom moves.
    Typing,
    /// Documents are edited: maps, lists and numbers inside.
    Documents,
    /// Entities are created, edited, deleted and restored.
    Lifecycle,
    /// Amounts are moved between accounts, both in one transaction: whoever looks must always find a sum of zero.
    Transfers,
    /// Everybody counts up a register of their own: nobody must ever see one go back.
    Sequence,
    /// Any of these.
    Mixed,
}

impl Work {
    const EACH: [Self; 8] = [
        Self::Registers,
        Self::Counters,
        Self::Texts,
        Self::Typing,
        Self::Documents,
        Self::Lifecycle,
        Self::Transfers,
        Self::Sequence,
    ];
}

/// An edit that was drawn: it is made when the transaction runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edit {
    work: Work,
    entity: u64,
    other: u64,
    bytes: usize,
    number: u64,
    peer: PeerNo,
    draw: u64,
}

impl World {
    /// One of these people makes the next edits.
    pub(crate) fn work(&mut self, person: &Person, peer: PeerNo, rng: &mut ChaCha8Rng) {
        for _ in 0..person.burst {
            let work = match person.work {
                Work::Mixed => Work::EACH[rng.random_range(0..Work::EACH.len())],
                work => work,
            };
            let entities = person.entities.max(1);
            let entity = rng.random_range(0..entities);
            let other = (entity + 1 + rng.random_range(0..entities.max(2) - 1)) % entities.max(2);
            let number = self.checks.next_number(peer, work);
            let edit = Edit { work, entity, other, bytes: person.bytes, number, peer, draw: rng.next_u64() };
            if let Some(request) = self.submit_for(peer, edit.durability(), move |tx| edit.make(tx)) {
                self.checks.on_submitted(peer, request, &edit);
            }
        }
    }
}

impl Person {
    /// How long until the next time, drawn: times are independent of each other, as in a Poisson process.
    pub(crate) fn wait(&self, rng: &mut impl Rng) -> Duration {
        seconds(exponential(rng) / self.per_second)
    }
}

impl Edit {
    /// Now and then a person does not wait for the disk.
    pub(crate) fn durability(&self) -> Durability {
        if self.draw >> 62 == 0 { Durability::Fast } else { Durability::Durable }
    }

    /// The number of a write in a sequence.
    pub(crate) fn sequence(&self) -> Option<u64> {
        (self.work == Work::Sequence).then_some(self.number)
    }

    fn make(self, tx: &mut Tx<'_>) -> Result<(), TxError> {
        let id = entity_id(self.work, self.entity);
        match self.work {
            Work::Registers | Work::Mixed => {
                let text = letters(self.draw, self.bytes);
                tx.entity(NOTES, id)?.set("title", text)?;
            }
            Work::Counters => _ = tx.entity(NOTES, id)?.add("count", (self.draw % 7) as i64 - 3)?,
            Work::Texts => self.edit_text(tx, id)?,
            Work::Typing => self.typed(tx, id)?,
            Work::Documents => self.edit_document(tx, id)?,
            Work::Lifecycle => self.live_and_die(tx, id)?,
            Work::Transfers => {
                let amount = (self.draw % 100) as i64;
                tx.entity(ACCOUNTS, id)?.add("balance", -amount)?;
                tx.entity(ACCOUNTS, entity_id(self.work, self.other))?.add("balance", amount)?;
            }
            Work::Sequence => {
                let own = entity_id(Work::Sequence, self.peer as u64);
                tx.entity(SEQUENCES, own)?.set("number", self.number as i64)?;
            }
        }
        Ok(())
    }

    fn edit_text(self, tx: &mut Tx<'_>, id: EntityId) -> Result<(), TxError> {
        let mut entity = tx.entity(NOTES, id)?;
        let mut text = entity.text("body")?;
        let len = text.len()?;
        let at = if len == 0 { 0 } else { (self.draw >> 8) as usize % (len + 1) };
        let delete =
            if self.draw.is_multiple_of(3) { (self.draw >> 32) as usize % (len - at + 1).min(20) } else { 0 };
        let insert = if delete > 0 && self.draw.is_multiple_of(2) {
            String::new()
        } else {
            letters(self.draw, self.bytes)
        };
        text.splice(at, delete, &insert)?;
        Ok(())
    }

    /// Mostly at the end, now and then somewhere else or back a character.
    fn typed(self, tx: &mut Tx<'_>, id: EntityId) -> Result<(), TxError> {
        let mut entity = tx.entity(NOTES, id)?;
        let mut text = entity.text("body")?;
        let len = text.len()?;
        match self.draw % 16 {
            0 if len > 0 => text.delete(len - 1, 1)?,
            1 => text.insert((self.draw >> 8) as usize % (len + 1), &letters(self.draw, 1))?,
            _ => text.push(&letters(self.draw, 1))?,
        };
        Ok(())
    }

    fn edit_document(self, tx: &mut Tx<'_>, id: EntityId) -> Result<(), TxError> {
        let mut entity = tx.entity(NOTES, id)?;
        let mut document = entity.document("tracks")?;
        let song = format!("/song-{}", self.draw % 5);
        let there = document.get(&song)?.is_some();
        match self.draw % 4 {
            0 => document.increment("/played", 1)?,
            1 if there => document.set(&format!("{song}/title"), letters(self.draw, self.bytes))?,
            2 if there => document.remove(&song)?,
            _ => document.set(&song, json!({ "title": letters(self.draw, 4), "parts": [1, "two", [3]] }))?,
        };
        Ok(())
    }

    fn live_and_die(self, tx: &mut Tx<'_>, id: EntityId) -> Result<(), TxError> {
        let mut entity = tx.entity(LIVES, id)?;
        match (entity.exists()?, self.draw % 4) {
            (true, 0 | 1) => entity.delete()?,
            (true, _) => _ = entity.set("state", (self.draw % 9) as i64)?.add("edits", 1)?,
            (false, 0) => _ = tx.create(LIVES)?.set("state", "new")?,
            (false, _) => {
                entity.restore()?;
                entity.add("edits", 1)?;
            }
        }
        Ok(())
    }
}

/// The id of an entity that everybody knows.
pub(crate) fn entity_id(work: Work, number: u64) -> EntityId {
    let mut bytes = [0; 16];
    bytes[0] = match work {
        Work::Transfers => 2,
        Work::Sequence => 3,
        Work::Lifecycle => 4,
        _ => 1,
    };
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    EntityId::from_bytes(bytes)
}

/// So many letters.
fn letters(draw: u64, count: usize) -> String {
    let mut state = draw;
    let mut next = || {
        // Xorshift (Marsaglia 2003): these letters need no better chance.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'a' + (state % 26) as u8)
    };
    (0..count).map(|_| next()).collect()
}

pub(crate) const NOTES: &str = "notes";
pub(crate) const ACCOUNTS: &str = "accounts";
pub(crate) const SEQUENCES: &str = "sequences";
const LIVES: &str = "lives";

fn one() -> u32 {
    1
}

fn ten() -> u64 {
    10
}

fn sixteen() -> usize {
    16
}
