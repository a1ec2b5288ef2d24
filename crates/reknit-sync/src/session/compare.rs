//! Finding out what each side lacks: hello and frontiers.

use super::forks::Doubt;
use super::learning::Learner;
use super::{History, Output, PROTOCOL_VERSION, Role, Session, Stage, contains, meet};
use crate::close::CloseReason;
use crate::delta::Delta;
use crate::frontier::Frontier;
use crate::message::{Against, Hello, Message};
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
        match (self.role, std::mem::replace(&mut self.stage, Stage::Fresh)) {
            (Role::Initiator, Stage::HelloSent(sent)) if sent.digest() == hello.digest => {
                self.open(now_ms, &sent, history)
            }
            (Role::Initiator, Stage::HelloSent(sent)) => {
                self.stage = Stage::AwaitingFrontier(Box::new(Learner::new(sent, hello.digest)));
                Ok(())
            }
            (Role::Responder, Stage::Fresh) => {
                self.say_hello(now_ms, history, out);
                if history.frontier().digest() == hello.digest {
                    return self.open(now_ms, history.frontier(), history);
                }
                self.tell(hello, history, out);
                Ok(())
            }
            _ => Err(CloseReason::OutOfTurn),
        }
    }

    pub(super) fn on_frontier(
        &mut self,
        now_ms: u64,
        (against, delta): (Against, &Delta),
        history: &dyn History,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        self.since = now_ms;
        if against != Against::Yours {
            return match self.learn((against, delta), history, out)? {
                Some(theirs) => self.reply(now_ms, &theirs, history, out),
                None => Ok(()),
            };
        }
        let Stage::AwaitingReply(teller) = std::mem::replace(&mut self.stage, Stage::Open) else {
            return Err(CloseReason::OutOfTurn);
        };
        let theirs = teller.into_frontier().apply(delta).ok_or(CloseReason::BadFrontier)?;
        self.open(now_ms, &theirs, history)?;
        let unknown = self.forks.question(theirs);
        out.push(Output::Send(Message::Unknown(unknown)));
        Ok(())
    }

    /// The initiator tells what it has, relative to what it was just told.
    pub(super) fn reply(
        &mut self,
        now_ms: u64,
        theirs: &Frontier,
        history: &dyn History,
        out: &mut Vec<Output>,
    ) -> Result<(), CloseReason> {
        let delta = history.frontier().delta(theirs);
        out.push(Output::Send(Message::Frontier { against: Against::Yours, delta }));
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
        for tip in ours.iter().filter(|tip| theirs.binary_search(tip).is_err()) {
            let mut after = 0;
            for known in &known {
                // Nothing of ours follows a tip of ours: at the most all before it is shared.
                if after + 1 >= tip.seq {
                    break;
                }
                after = after.max(meet(history, author, tip, known)?);
            }
            let range = Range { after, up_to: *tip };
            if unknown.is_empty() {
                self.forks.sure(Doubt { author: *author, range });
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
            if range.len() <= 1 {
                break;
            }
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
