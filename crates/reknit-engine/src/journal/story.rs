//! What a redacted journal tells.

use super::read::End;
use super::records::{Next, Records};
use super::redacted::{Line, Standing};
use super::{
    JournalError, MAGIC, TAG_ENDED, TAG_FAILED, TAG_LINE, TAG_REDACTED, TAG_STANDING, TAG_WAKEUP, VERSION,
};
use reknit_types::{DecodeError, Reader};
use std::collections::{BTreeMap, VecDeque};

/// How things stood when a redacted journal ended, and what led to it.
#[derive(Debug)]
pub struct Story {
    /// The device, under the short name that it has in this journal.
    pub device: String,
    /// How many things happened.
    pub lines: usize,
    /// The time of the first of them and of the last, in milliseconds since the Unix epoch.
    pub span_ms: Option<(u64, u64)>,
    /// Who is connected, and since when.
    pub connected: BTreeMap<String, u64>,
    /// The streams that are open.
    pub streams: BTreeMap<u64, Stream>,
    /// The spaces, and since when each reason has held.
    pub spaces: BTreeMap<u32, Space>,
    /// The last things that happened, ticks left out.
    pub recent: VecDeque<Line>,
    /// When the engine wants to be called next.
    pub wakeup_ms: Option<u64>,
    /// What ended the engine.
    pub failed: Option<String>,
    /// How the journal ends.
    pub end: End,
}

/// An open stream.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    /// With whom, under its short name.
    pub peer: Option<String>,
    /// Since when.
    pub opened_ms: u64,
    /// What the peer said last, and when.
    pub heard: Option<(u64, String)>,
    /// What was said to it last, and when.
    pub said: Option<(u64, String)>,
}

/// A space.
#[derive(Debug, Clone, Default)]
pub struct Space {
    /// How it stands.
    pub standing: Standing,
    /// Since when it does.
    pub since_ms: u64,
    /// Since when each reason has held: its word, and which peer it is about.
    pub reasons: BTreeMap<(String, Option<String>), u64>,
}

impl Story {
    /// What the redacted journal of these bytes tells, as far as it is whole.
    ///
    /// # Errors
    /// [`JournalError`], if it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, JournalError> {
        let mut records = Records::new(bytes, MAGIC.len() + 1);
        let (Some(MAGIC), Some(&VERSION)) = (bytes.get(..MAGIC.len()), bytes.get(MAGIC.len())) else {
            return Err(JournalError::NotAJournal);
        };
        let at = records.at();
        let Next::Record(body) = records.take() else { return Err(JournalError::NoImage { at }) };
        let mut reader = Reader::new(body);
        if reader.u8("record")? != TAG_REDACTED {
            return Err(JournalError::NotRedacted);
        }
        let mut story = Self::of(reader.str(usize::MAX, "device")?.to_owned());
        story.end = loop {
            let at = records.at();
            match records.take() {
                Next::Record(&[TAG_ENDED]) => break End::Ended,
                Next::Record(body) if story.add(body).is_ok() => {}
                Next::Record(_) | Next::Damaged => break End::Damaged { at },
                Next::End => break End::Cut,
                Next::Torn => break End::Torn { at },
            }
        };
        Ok(story)
    }

    fn of(device: String) -> Self {
        Self {
            device,
            lines: 0,
            span_ms: None,
            connected: BTreeMap::new(),
            streams: BTreeMap::new(),
            spaces: BTreeMap::new(),
            recent: VecDeque::new(),
            wakeup_ms: None,
            failed: None,
            end: End::Cut,
        }
    }

    fn add(&mut self, body: &[u8]) -> Result<(), DecodeError> {
        let mut reader = Reader::new(body);
        match reader.u8("record")? {
            TAG_LINE => {
                let line = Line::decode(&mut reader)?;
                self.happen(line);
            }
            TAG_STANDING => {
                let now_ms = reader.varint("time")?;
                let standing = Standing::decode(&mut reader)?;
                self.spaces.entry(standing.space).or_default().stand(now_ms, standing);
            }
            TAG_WAKEUP => self.wakeup_ms = Some(reader.varint("time")?),
            TAG_FAILED => self.failed = Some(reader.str(usize::MAX, "error")?.to_owned()),
            _ => return Err(DecodeError::Invalid("record")),
        }
        reader.finish()
    }

    fn happen(&mut self, line: Line) {
        self.lines += 1;
        let first_ms = self.span_ms.map_or(line.now_ms, |(first_ms, _)| first_ms);
        self.span_ms = Some((first_ms, line.now_ms));
        match (&line.peer, line.link) {
            (Some(peer), None) if line.what == "connected" => {
                _ = self.connected.entry(peer.clone()).or_insert(line.now_ms);
            }
            (Some(peer), None) if line.what == "disconnected" => _ = self.connected.remove(peer),
            (_, Some(link)) => self.on_stream(link, &line),
            _ => {}
        }
        if !line.is_tick() {
            self.recent.push_back(line);
        }
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
    }

    fn on_stream(&mut self, link: u64, line: &Line) {
        if line.what == "the stream ended" || line.what.starts_with("close the stream") {
            self.streams.remove(&link);
            return;
        }
        let fresh = || Stream { opened_ms: line.now_ms, ..Stream::default() };
        let stream = self.streams.entry(link).or_insert_with(fresh);
        stream.peer = line.peer.clone().or(stream.peer.take());
        let last = if line.told { &mut stream.heard } else { &mut stream.said };
        *last = Some((line.now_ms, line.what.clone()));
    }
}

impl Space {
    fn stand(&mut self, now_ms: u64, standing: Standing) {
        let reasons = standing.reasons.iter().map(|(code, peer, _)| (code.clone(), peer.clone()));
        let since = |reason: &_| self.reasons.get(reason).copied().unwrap_or(now_ms);
        let reasons = reasons.map(|reason| (reason.clone(), since(&reason))).collect();
        (self.reasons, self.standing, self.since_ms) = (reasons, standing, now_ms);
    }
}

/// How much of what happened last is kept.
const RECENT_MAX: usize = 200;
