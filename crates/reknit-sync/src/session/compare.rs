//! Finding out what each side lacks: hello and frontiers.

use super::forks::Doubt;
use super::{History, Output, PROTOCOL_VERSION, Role, Session, Stage, contains, meet};
use crate::close::CloseReason;
use crate::frontier::Frontier;
use crate::message::{Against, Entry, Hello, Message};
use crate::missing::Range;
use reknit_types::{DeviceId, Tip};

impl Session {
    pub(super) fn on_hello(
        &mut self,
        now_ms: u64,
        hello: &Hello,
        history: &dyn History,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        if hello.version != PROTOCOL_VERSION {
            return Err(CloseReason::Version);
        }
        self.traffic.their_events = Some(hello.events);
        self.traffic.their_clock_lead_ms =
            Some((i128::from(hello.now_ms) - i128::from(now_ms)).clamp(CLOCK_MIN, CLOCK_MAX) as i64);
        self.since = now_ms;
        match (self.role, std::mem::replace(&mut self.stage, Stage::AwaitingFrontier)) {
            (Role::Initiator, Stage::HelloSent(sent)) if sent.digest() == hello.digest => {
                self.open(now_ms, &sent, history)
            }
            (Role::Initiator, Stage::HelloSent(_)) => Ok(()),
            (Role::Responder, Stage::Fresh) => self.answer_hello(now_ms, hello, history, out),
            _ => Err(CloseReason::OutOfTurn),
        }
    }

    fn answer_hello(
        &mut self,
        now_ms: u64,
        hello: &Hello,
        history: &dyn History,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        self.say_hello(now_ms, history, out);
        let frontier = history.frontier();
        if frontier.digest() == hello.digest {
            return self.open(now_ms, frontier, history);
        }
        let base = hello.base.and_then(|digest| Some((digest, history.past_frontier(&digest)?)));
        let (against, base) = match base {
            Some((digest, base)) => (Against::Base(digest), base),
            None => (Against::Nothing, Frontier::default()),
        };
        out.push(Output::Send(Message::Frontier { against, entries: frontier.delta(&base) }));
        self.stage = Stage::AwaitingReply(frontier.clone());
        Ok(())
    }

    pub(super) fn on_frontier(
        &mut self,
        now_ms: u64,
        (against, entries): (Against, Vec<Entry>),
        history: &dyn History,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        self.since = now_ms;
        match (std::mem::replace(&mut self.stage, Stage::Open), against) {
            (Stage::AwaitingFrontier, Against::Nothing) => {
                let mut theirs = Frontier::default();
                theirs.apply(entries);
                self.reply(now_ms, &theirs, history, out)
            }
            (Stage::AwaitingFrontier, Against::Base(digest)) => {
                let mut theirs = history.past_frontier(&digest).ok_or(CloseReason::OutOfTurn)?;
                theirs.apply(entries);
                self.reply(now_ms, &theirs, history, out)
            }
            (Stage::AwaitingReply(mut theirs), Against::Yours) => {
                theirs.apply(entries);
                self.open(now_ms, &theirs, history)?;
                let unknown = self.forks.question(theirs);
                out.push(Output::Send(Message::Unknown(unknown)));
                Ok(())
            }
            _ => Err(CloseReason::OutOfTurn),
        }
    }

    /// The initiator tells what it has, relative to what it was just told.
    fn reply(
        &mut self,
        now_ms: u64,
        theirs: &Frontier,
        history: &dyn History,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        let entries = history.frontier().delta(theirs);
        out.push(Output::Send(Message::Frontier { against: Against::Yours, entries }));
        self.open(now_ms, theirs, history)?;
        self.forks.expect_unknown(history.frontier().clone());
        Ok(())
    }

    /// Both frontiers are known: what the peer lacks is to be sent, what it alone has is to come.
    fn open(&mut self, now_ms: u64, theirs: &Frontier, history: &dyn History) -> Result<(), CloseReason> {
        self.stage = Stage::Open;
        self.active_at = now_ms;
        let ours = history.frontier();
        for (author, tips) in theirs.iter().filter(|(author, _)| ours.tips(author).is_empty()) {
            tips.iter().for_each(|tip| self.shown.promise(*author, *tip, 0));
        }
        for (author, tips) in ours.iter() {
            let their_tips = theirs.tips(author);
            if tips != their_tips {
                self.compare_author(author, tips, their_tips, history)?;
            }
        }
        Ok(())
    }

    fn compare_author(
        &mut self,
        author: &DeviceId,
        ours: &[Tip],
        theirs: &[Tip],
        history: &dyn History,
    ) -> Result<(), CloseReason> {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for tip in theirs {
            if contains(history, author, tip)? { known.push(*tip) } else { unknown.push(*tip) }
        }
        let longest = ours.iter().map(|tip| tip.seq).max().unwrap_or(0);
        unknown.iter().for_each(|tip| self.shown.promise(*author, *tip, longest));
        let mut doubtful = false;
        for tip in ours {
            let mut after = 0;
            for known in &known {
                after = after.max(meet(history, author, tip, known)?);
            }
            if after == tip.seq {
                continue;
            }
            let range = Range { after, up_to: *tip };
            if unknown.is_empty() {
                self.add_missing(author, range, history)?;
            } else {
                doubtful = true;
                self.forks.doubt(Doubt { author: *author, range });
            }
        }
        if doubtful {
            self.forks.unknown_tips(*author, unknown);
        }
        Ok(())
    }

    /// Adds a stretch without what other stretches of the author already hold.
    pub(super) fn add_missing(
        &mut self,
        author: &DeviceId,
        mut range: Range,
        history: &dyn History,
    ) -> Result<(), CloseReason> {
        for held in self.missing.ranges(author) {
            let met = meet(history, author, &range.up_to, &held.up_to)?;
            if met > held.after {
                range.after = range.after.max(met);
            }
        }
        self.missing.add(*author, range);
        Ok(())
    }
}

const CLOCK_MIN: i128 = i64::MIN as i128;
const CLOCK_MAX: i128 = i64::MAX as i128;
