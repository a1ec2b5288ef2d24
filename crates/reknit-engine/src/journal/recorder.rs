//! Writing a journal.

use super::input::{self, Handled};
use super::opening::Opening;
use super::outcome::Outcome;
use super::records::Seal;
use super::redacted::{Mask, Standing, error_words};
use super::{
    MAGIC, TAG_ENDED, TAG_ENTRY, TAG_FAILED, TAG_HANDLED, TAG_IDENTITY, TAG_IMAGE_END, TAG_INPUT, TAG_LINE,
    TAG_OPENING, TAG_REDACTED, TAG_SETTLED, TAG_STANDING, TAG_WAKEUP, VERSION,
};
use crate::effects::{Effects, Input};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::store::{Direction, EVERY_KEY, Reads, StoreError, Table};
use crate::tx::Ran;
use reknit_types::{DeviceId, Writer};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

/// Turns what an engine is fed into the bytes of a journal. Whoever has it takes the bytes from time to time, and puts
/// them behind those before.
///
/// ```
/// # use rand::SeedableRng;
/// # use reknit_engine::journal::{Journal, Opening, Recorder, replay};
/// # use reknit_engine::store::MemoryStore;
/// # use reknit_engine::{Config, Effects, Engine, Input, Numbers, RequestId};
/// # let device = reknit_types::DeviceKey::from_seed(&[1; 32]);
/// # let rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
/// # let config = Config { device, device_name: "laptop".into(), rng };
/// # let store = MemoryStore::new();
/// let mut recorder = Recorder::new(&Opening::new(&config, Numbers::default()));
/// let mut journal = recorder.take_bytes();
/// recorder.image(&store, &mut |bytes| journal.extend_from_slice(bytes))?;
///
/// let mut engine = Engine::open(config, &store)?;
/// let mut effects = Effects::default();
/// let input = recorder.note(5, Input::Create { request: RequestId(1), name: "home".into() });
/// engine.handle(5, input, &store, &mut effects)?;
/// recorder.note_handled(&engine);
/// engine.settle(5, &store, &mut effects)?;
/// recorder.note_settled(5, (&engine, &store), &effects)?;
/// journal.extend(recorder.take_bytes());
///
/// let replayed = replay(&Journal::decode(&journal)?)?;
/// assert!(replayed.rounds == 1 && replayed.difference.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Recorder {
    seal: Seal,
    bytes: Vec<u8>,
    /// What the input that is being handled leaves to be told.
    open: Option<Arc<OnceLock<Ran>>>,
    whole: bool,
    redacted: Option<Redacted>,
}

/// What a redacted journal needs.
#[derive(Debug)]
struct Redacted {
    mask: Mask,
    /// How every space was last said to stand, and when any was looked at.
    standings: BTreeMap<u32, Standing>,
    looked_ms: Option<u64>,
}

impl Recorder {
    /// A journal of an engine that is about to be opened so. [`Self::image`] comes next.
    pub fn new(opening: &Opening) -> Self {
        let bytes = [MAGIC, &[VERSION]].concat();
        let mut recorder = Self { seal: Seal::default(), bytes, open: None, whole: true, redacted: None };
        let mut writer = Writer::new();
        opening.encode(writer.u8(TAG_OPENING));
        recorder.record(writer.as_slice());
        recorder
    }

    /// A journal that holds no key, name, ticket or anything written, and no image: it tells what happened, with short
    /// names for devices and frontiers that are made with `key`. Draw it for this journal alone, and keep it nowhere.
    pub fn redacted(device: DeviceId, key: [u8; 32]) -> Self {
        let mask = Mask::new(key);
        let bytes = [MAGIC, &[VERSION]].concat();
        let device = mask.device(&device);
        let redacted = Some(Redacted { mask, standings: BTreeMap::new(), looked_ms: None });
        let mut recorder = Self { seal: Seal::default(), bytes, open: None, whole: true, redacted };
        recorder.record(Writer::new().u8(TAG_REDACTED).str(&device).as_slice());
        recorder
    }

    /// Shows the image of the store that the engine is opened over to `write`, piece by piece.
    ///
    /// # Errors
    /// As for [`Reads::scan`].
    pub fn image(&mut self, reads: &dyn Reads, write: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        if self.redacted.is_some() {
            return Ok(());
        }
        let mut count = 0;
        for table in Table::ALL.into_iter().filter(|table| is_of_engine(*table)) {
            reads.scan(table, EVERY_KEY, Direction::Forward, &mut |key, value| {
                let mut writer = Writer::with_capacity(key.len() + value.len() + 16);
                self.record(writer.u8(TAG_ENTRY).u8(table.number()).bytes(key).bytes(value).as_slice());
                count += 1;
                write(&std::mem::take(&mut self.bytes));
                ControlFlow::Continue(())
            })?;
        }
        self.record(Writer::new().u8(TAG_IMAGE_END).varint(count).as_slice());
        write(&self.take_bytes());
        Ok(())
    }

    /// Notes an input before it is handled. Handle what is returned, then call [`Self::note_handled`].
    pub fn note(&mut self, now_ms: u64, input: Input) -> Input {
        let mut writer = Writer::new();
        if let Some(redacted) = &self.redacted {
            redacted.mask.input(now_ms, &input).encode(writer.u8(TAG_LINE));
            self.record(writer.as_slice());
            return input;
        }
        input::encode(&input, writer.u8(TAG_INPUT).varint(now_ms));
        self.record(writer.as_slice());
        match input {
            Input::Transact { request, space, run, durability } => {
                let told = Arc::new(OnceLock::new());
                self.open = Some(Arc::clone(&told));
                let run: crate::effects::Run = Box::new(move |tx| {
                    let (result, ran) = tx.witness(run);
                    told.get_or_init(|| ran);
                    result
                });
                Input::Transact { request, space, run, durability }
            }
            Input::Commit { .. } => {
                self.open = Some(Arc::default());
                input
            }
            input => input,
        }
    }

    /// Notes that the input was handled.
    pub fn note_handled(&mut self, engine: &Engine) {
        let Some(told) = self.open.take() else { return };
        let ran = Arc::into_inner(told).and_then(OnceLock::into_inner);
        let mut writer = Writer::new();
        Handled { ran, drawn: engine.rng.get_word_pos() }.encode(writer.u8(TAG_HANDLED));
        self.record(writer.as_slice());
    }

    /// Notes that [`Engine::draw_identity`] is called.
    pub fn note_identity(&mut self) {
        if self.redacted.is_none() {
            self.record(&[TAG_IDENTITY]);
        }
    }

    /// Notes what came of the round, once the engine has settled it and before it is committed to the store.
    ///
    /// # Errors
    /// [`EngineError::Store`] and [`EngineError::Damaged`], of a redacted journal alone: it tells how spaces stand.
    pub fn note_settled(
        &mut self,
        now_ms: u64,
        (engine, reads): (&Engine, &dyn Reads),
        effects: &Effects,
    ) -> Result<(), EngineError> {
        if let Some(redacted) = &mut self.redacted {
            let bodies = redacted.settled(now_ms, (engine, reads), effects)?;
            bodies.iter().for_each(|body| self.record(body));
            return Ok(());
        }
        let mut writer = Writer::new();
        Outcome::of(effects).encode(writer.u8(TAG_SETTLED).varint(now_ms));
        self.record(writer.as_slice());
        Ok(())
    }

    /// Notes that the engine cannot go on.
    pub fn note_failed(&mut self, error: &EngineError) {
        let words = match &self.redacted {
            Some(_) => error_words(error).to_owned(),
            None => error.to_string(),
        };
        self.record(Writer::new().u8(TAG_FAILED).str(&words).as_slice());
    }

    /// Notes that nothing follows.
    pub fn note_ended(&mut self) {
        self.record(&[TAG_ENDED]);
    }

    /// What was not taken yet.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Whether everything was noted. If not, something was too long, and the journal ends before it.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    fn record(&mut self, body: &[u8]) {
        self.whole = self.whole && self.seal.append(body, &mut self.bytes);
    }
}

impl Redacted {
    /// The records of a round: what followed, how spaces stand if that is new, and when the engine wants to be called.
    fn settled(
        &mut self,
        now_ms: u64,
        (engine, reads): (&Engine, &dyn Reads),
        effects: &Effects,
    ) -> Result<Vec<Vec<u8>>, EngineError> {
        let mut bodies = vec![];
        for line in effects.outputs.iter().map(|output| self.mask.output(now_ms, output)) {
            let mut writer = Writer::new();
            line.encode(writer.u8(TAG_LINE));
            bodies.push(writer.into_bytes());
        }
        if self.looked_ms.is_some_and(|looked_ms| looked_ms.abs_diff(now_ms) < LOOK_AGAIN_MS) {
            return Ok(bodies);
        }
        self.looked_ms = Some(now_ms);
        for status in engine.statuses(now_ms, reads)? {
            let standing = self.mask.standing(&status);
            if self.standings.get(&standing.space) != Some(&standing) {
                let mut writer = Writer::new();
                standing.encode(writer.u8(TAG_STANDING).varint(now_ms));
                bodies.push(writer.into_bytes());
                self.standings.insert(standing.space, standing);
            }
        }
        if let Some(wakeup_ms) = engine.next_wakeup_ms() {
            bodies.push([&[TAG_WAKEUP], Writer::new().varint(wakeup_ms).as_slice()].concat());
        }
        Ok(bodies)
    }
}

/// How long how spaces stand is not looked at again.
const LOOK_AGAIN_MS: u64 = 1_000;

/// What the engine reads. The rest is the runtime's.
fn is_of_engine(table: Table) -> bool {
    !matches!(table, Table::Meta | Table::Known)
}
