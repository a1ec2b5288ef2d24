//! The engine, and the journal of what it is fed.

use crate::error::Error;
use rand::TryRng;
use rand::rngs::SysRng;
use reknit_engine::journal::{Opening, Recorder};
use reknit_engine::store::{Batch, Reads, View};
use reknit_engine::{Config, Effects, Engine, EngineError, Input, Numbers, Successor};
use reknit_types::DeviceId;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// What a journal holds, and how much.
///
/// A journal is two files. When the newer one has `bytes / 2` of rounds, it takes the place of the older one, and a new one
/// begins: with an image of all records of the store, so that it replays by itself. So it takes at most `bytes`, and twice
/// what the store's records take. Making the image reads the whole store, during which the peer does nothing else, and at
/// that moment all sessions end and begin anew: in memory the peer then knows no more than the image does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalOptions {
    /// Bytes of rounds kept, in both files together.
    pub bytes: u64,
    /// Whether to leave out all that is secret: keys, names, tickets and everything written. Such a journal tells who was
    /// connected, what was said in every session, and why peers were not equal. It cannot be fed to an engine again, has
    /// no image, and ends no sessions.
    pub redacted: bool,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self { bytes: JOURNAL_BYTES, redacted: false }
    }
}

impl JournalOptions {
    /// Keeps so many bytes of rounds.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// Leaves out all that is secret.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        self.redacted = true;
        self
    }
}

/// An engine, and the journal of what it is fed, if one is kept.
pub(crate) struct Recorded {
    engine: Engine,
    journal: Option<Journal>,
}

impl Recorded {
    /// Opens an engine over what a store holds.
    pub(crate) fn open(
        config: Config,
        reads: &dyn Reads,
        journal: Option<&(PathBuf, JournalOptions)>,
    ) -> Result<Self, Error> {
        let begin = |(path, options): &(PathBuf, JournalOptions)| {
            let opening = Opening::new(&config, Numbers::default());
            let place = Place { path: path.clone(), options: *options, mask: fresh_mask() };
            Journal::begin(place, (&opening, reads))
                .map_err(|cause| Error::Journal { path: path.clone(), cause })
        };
        let journal = journal.map(begin).transpose()?;
        Ok(Self { engine: Engine::open(config, reads)?, journal })
    }

    /// As [`Engine::handle`].
    pub(crate) fn handle(
        &mut self,
        now_ms: u64,
        input: Input,
        reads: &dyn Reads,
        effects: &mut Effects,
    ) -> Result<(), EngineError> {
        let Some(journal) = &mut self.journal else {
            return self.engine.handle(now_ms, input, reads, effects);
        };
        let input = journal.recorder.note(now_ms, input);
        self.engine.handle(now_ms, input, reads, effects)?;
        journal.recorder.note_handled(&self.engine);
        Ok(())
    }

    /// As [`Engine::settle`].
    pub(crate) fn settle(
        &mut self,
        now_ms: u64,
        reads: &dyn Reads,
        effects: &mut Effects,
    ) -> Result<(), EngineError> {
        self.engine.settle(now_ms, reads, effects)?;
        if let Some(journal) = &mut self.journal {
            let view = View::new(reads, &effects.batch);
            journal.recorder.note_settled(now_ms, (&self.engine, &view), effects)?;
        }
        Ok(())
    }

    /// As [`Engine::draw_identity`].
    pub(crate) fn draw_identity(&mut self) -> (reknit_crdt::Identity, rand_chacha::ChaCha20Rng) {
        if let Some(journal) = &mut self.journal {
            journal.recorder.note_identity();
        }
        self.engine.draw_identity()
    }

    /// As [`Engine::is_full`].
    pub(crate) fn is_full(&self, effects: &Effects) -> bool {
        self.engine.is_full(effects)
    }

    /// As [`Engine::next_wakeup_ms`].
    pub(crate) fn next_wakeup_ms(&self) -> Option<u64> {
        self.engine.next_wakeup_ms()
    }

    /// As [`Engine::tidy`]. Journals end before it.
    pub(crate) fn tidy(&mut self, reads: &dyn Reads) -> Result<Batch, EngineError> {
        self.journal = None;
        self.engine.tidy(reads)
    }

    /// Notes that the engine cannot go on.
    pub(crate) fn note_failed(&mut self, error: &EngineError) {
        if let Some(journal) = &mut self.journal {
            journal.recorder.note_failed(error);
        }
    }

    /// Puts what was noted into the file.
    pub(crate) fn write_journal(&mut self) {
        let Some(journal) = &mut self.journal else { return };
        if let Err(cause) = journal.write().and_then(|()| journal.go_on_if_redacted()) {
            self.give_up(&cause);
        }
    }

    /// Whether the journal goes on in another file, and with another engine.
    pub(crate) fn is_journal_full(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::is_full)
    }

    /// As [`Engine::retire`].
    pub(crate) fn retire(
        &mut self,
        now_ms: u64,
        reads: &dyn Reads,
        effects: &mut Effects,
    ) -> Result<Successor, EngineError> {
        self.engine.retire(now_ms, reads, effects)
    }

    /// Goes on with another engine, and another file; returns what to feed the engine first.
    pub(crate) fn replace(&mut self, next: Successor, reads: &dyn Reads) -> Result<Vec<Input>, EngineError> {
        let Successor { config, numbers, inputs } = next;
        self.begin_next_file(&Opening::new(&config, numbers), reads);
        self.engine = Engine::open_after(numbers, config, reads)?;
        Ok(inputs)
    }

    fn begin_next_file(&mut self, opening: &Opening, reads: &dyn Reads) {
        let Some(full) = self.journal.take() else { return };
        let place = full.place.clone();
        // What is left goes to the file that it belongs to.
        drop(full);
        match Journal::begin(place.clone(), (opening, reads)) {
            Ok(journal) => self.journal = Some(journal),
            Err(cause) => warn(&place.path, &cause),
        }
    }

    fn give_up(&mut self, cause: &io::Error) {
        if let Some(journal) = self.journal.take() {
            warn(&journal.place.path, cause);
        }
    }
}

fn warn(path: &Path, cause: &io::Error) {
    let path = path.display();
    tracing::warn!(%path, %cause, "the journal is given up; the peer goes on without");
}

/// Where a journal is, and what it holds.
#[derive(Clone)]
struct Place {
    path: PathBuf,
    options: JournalOptions,
    /// What short names are made with, if it is redacted. It is written nowhere.
    mask: [u8; 32],
}

/// The journal's newer file.
struct Journal {
    recorder: Recorder,
    file: File,
    place: Place,
    device: DeviceId,
    /// Bytes in the file after its beginning.
    rounds: u64,
}

impl Journal {
    /// Begins a file; what is there already is kept as the older one.
    fn begin(place: Place, (opening, reads): (&Opening, &dyn Reads)) -> io::Result<Self> {
        let device = opening.device();
        let recorder = match place.options.redacted {
            true => Recorder::redacted(device, place.mask),
            false => Recorder::new(opening),
        };
        let next = beside(&place.path, ".next");
        let mut journal = Self { recorder, file: create(&next)?, place, device, rounds: 0 };
        journal.write_image(reads)?;
        take_place(&next, &journal.place.path)?;
        Ok(journal)
    }

    fn write_image(&mut self, reads: &dyn Reads) -> io::Result<()> {
        let mut out = BufWriter::with_capacity(IMAGE_BUFFER_BYTES, &mut self.file);
        out.write_all(&self.recorder.take_bytes())?;
        let mut written = Ok(());
        let shown = self.recorder.image(reads, &mut |bytes| {
            if written.is_ok() {
                written = out.write_all(bytes);
            }
        });
        shown.map_err(io::Error::other)?;
        written?;
        out.flush()
    }

    fn is_full(&self) -> bool {
        self.rounds >= self.place.options.bytes / 2
    }

    /// What is redacted goes on in another file as it is: it has no image, and no engine takes another's place.
    fn go_on_if_redacted(&mut self) -> io::Result<()> {
        if !self.place.options.redacted || !self.is_full() {
            return Ok(());
        }
        self.recorder.note_ended();
        self.write()?;
        let next = beside(&self.place.path, ".next");
        self.file = create(&next)?;
        self.recorder = Recorder::redacted(self.device, self.place.mask);
        self.rounds = 0;
        take_place(&next, &self.place.path)
    }

    fn write(&mut self) -> io::Result<()> {
        let bytes = self.recorder.take_bytes();
        self.rounds += bytes.len() as u64;
        self.file.write_all(&bytes)?;
        if self.recorder.is_whole() { Ok(()) } else { Err(io::Error::other("an input is too long for it")) }
    }
}

impl Drop for Journal {
    /// A panic leaves the round that it came in open: the inputs that led to it are there.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.recorder.note_ended();
        }
        if let Err(cause) = self.write() {
            tracing::debug!(%cause, "the end of the journal was not written");
        }
    }
}

/// Puts the file at `next` in the place of the one at `path`, which is kept.
fn take_place(next: &Path, path: &Path) -> io::Result<()> {
    if fs::exists(path)? {
        fs::rename(path, beside(path, ".before"))?;
    }
    fs::rename(next, path)
}

fn fresh_mask() -> [u8; 32] {
    let mut mask = [0; 32];
    SysRng.try_fill_bytes(&mut mask).expect("the system has randomness");
    mask
}

/// Creates a file that only this user may read.
fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Bytes of rounds that a journal keeps, unless told otherwise.
const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;
const IMAGE_BUFFER_BYTES: usize = 256 * 1024;
