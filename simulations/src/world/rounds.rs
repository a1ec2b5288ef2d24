//! Rounds of engines: what goes in, and what becomes of what comes out.

use super::{HOME, Step, World};
use crate::disk::{Crash, SimulatedDisk};
use crate::network::PeerNo;
use crate::peer::{Round, State, session_rng};
use reknit_engine::{EngineError, Input, Notice, Output, Reply, SpaceStatus};
use std::time::Duration;

impl World {
    /// Starts the peer of a device over what is on its disk. If that fails it is tried again later.
    pub(super) fn start(&mut self, peer: PeerNo) {
        let rng = session_rng(&self.chance, peer, self.peers[peer].sessions);
        match self.peers[peer].start(rng) {
            Ok(()) => {
                self.trace.note(self.now, format_args!("{peer} starts"));
                self.checks.on_started(peer);
                self.plan_round(peer);
                self.dial_all(peer);
            }
            Err(error) => {
                self.trace.note(self.now, format_args!("{peer} does not start: {error}"));
                self.peers[peer].state = State::Down(error);
                self.peers[peer].disk.crash(Crash::Process);
                self.agenda.plan(self.now + RESTART_AFTER, Step::Restart(peer));
            }
        }
    }

    pub(super) fn on_restart(&mut self, peer: PeerNo) {
        if self.peers[peer].running().is_none() && !self.peers[peer].left {
            self.start(peer);
        }
    }

    /// Puts something into the inbox of a peer; it is lost if the peer does not run.
    pub(crate) fn input(&mut self, peer: PeerNo, input: Input) {
        if let Some(running) = self.peers[peer].running_mut() {
            running.inbox.push_back(input);
            self.plan_round(peer);
        }
    }

    pub(super) fn plan_round(&mut self, peer: PeerNo) {
        let session = self.peers[peer].sessions;
        let now = self.now;
        let Some(running) = self.peers[peer].running_mut().filter(|running| !running.asleep) else { return };
        if !running.round_planned {
            running.round_planned = true;
            let at = running.busy_until.max(now);
            self.agenda.plan(at, Step::Round(peer, session));
        }
    }

    pub(super) fn on_tick(&mut self, peer: PeerNo, session: u64) {
        let now = self.now;
        let current = self.peers[peer].sessions == session;
        let Some(running) = self.peers[peer].running_mut().filter(|running| current && !running.asleep)
        else {
            return;
        };
        if running.tick_planned.is_some_and(|at| at <= now) {
            running.tick_planned = None;
            self.input(peer, Input::Tick);
        }
    }

    pub(super) fn on_round(&mut self, peer: PeerNo, session: u64) {
        if self.peers[peer].sessions != session || !self.peers[peer].acts() {
            return;
        }
        let now = self.now;
        if let Some(running) = self.peers[peer].running_mut() {
            running.round_planned = false;
        }
        let Some(round) = self.peers[peer].round(now) else { return };
        let Round { outputs, inputs, batch_bytes, durable, failed } = round;
        self.traffic.rounds += 1;
        self.trace
            .note(now, format_args!("{peer} round: {inputs} in, {batch_bytes} B, {} out", outputs.len()));
        self.checks.on_round(peer, batch_bytes);
        let receipts = receipts(&outputs);
        for output in outputs {
            self.release(peer, output);
        }
        for receipt in receipts {
            let own = self.glance(peer).map(|glance| glance.frontier_digest);
            self.checks.on_receipt(peer, receipt, own);
        }
        // A store whose commit failed is not read again before it is reopened.
        if let Some(error) = failed {
            return self.on_failed_round(peer, &error);
        }
        self.checks.after_round(peer, &self.peers[peer]);
        if self.checks.draws(LOOK_ONE_IN)
            && !self.peers[peer].disk.simulated().is_some_and(SimulatedDisk::ails)
            && let Some(reads) = self.peers[peer].disk.reads()
        {
            self.checks.look(peer, reads);
        }
        if batch_bytes > 0 {
            self.hold_to_invariants(peer);
        }
        if self.checks.draws(REBUILD_ONE_IN)
            && !self.peers[peer].disk.simulated().is_some_and(SimulatedDisk::ails)
        {
            self.compare_rebuilt(peer);
        }
        if self.checks.knows_hostility() && self.checks.draws(PROVE_ONE_IN) {
            self.checks.members_only(peer, &self.peers[peer]);
            self.checks.bounded_held(peer, &self.peers[peer]);
        }
        let wakes_at = self.peers[peer].wakes_at(now);
        let Some(running) = self.peers[peer].running_mut() else { return };
        running.busy_until = now + if durable { DURABLE_ROUND } else { ROUND };
        let more = !running.inbox.is_empty();
        // A tick that would come at once comes a millisecond later: the engine's own time has no finer steps.
        let wakes_at = wakes_at.map(|at| at.max(now + TICK_MIN));
        if let Some(at) = wakes_at
            && running.tick_planned.is_none_or(|planned| at < planned)
        {
            running.tick_planned = Some(at);
            self.agenda.plan(at, Step::Tick(peer, session));
        }
        if more {
            self.plan_round(peer);
        }
    }

    /// A failed commit stops the peer. Where the power was to fail, that is what happened.
    fn on_failed_round(&mut self, peer: PeerNo, error: &EngineError) {
        self.checks.on_failed(peer, error);
        if self.peers[peer].disk.simulated().is_none() && !self.checks.is_hostile(peer) {
            let what = || format!("{peer} fails without a disk that could: {error}");
            self.checks.broke("keeps-running", what);
        }
        let loses_power = std::mem::take(&mut self.peers[peer].loses_power);
        let how = if loses_power { Crash::Power } else { Crash::Process };
        if loses_power && let Some(disk) = self.peers[peer].disk.simulated() {
            disk.mend();
        }
        self.stop(peer, &error.to_string(), how);
    }

    fn hold_to_invariants(&mut self, peer: PeerNo) {
        for invariant in self.invariants.clone() {
            if let Err(what) = (invariant.holds)(self, peer) {
                self.checks.broke(invariant.rule, || format!("at {peer}: {what}"));
            }
        }
    }

    /// Whether an engine that is built from the disk stands as the one that runs.
    fn compare_rebuilt(&mut self, peer: PeerNo) {
        let now_ms = self.peers[peer].clock.now_ms(self.now);
        let rng = session_rng(&self.chance, peer, u64::MAX >> 32);
        let (Some(running), Some(rebuilt)) =
            (self.peers[peer].look(now_ms, HOME), self.peers[peer].look_rebuilt(now_ms, HOME, rng))
        else {
            return;
        };
        self.checks.compare_rebuilt(peer, &standing(&running), &standing(&rebuilt));
    }

    fn release(&mut self, peer: PeerNo, output: Output) {
        match output {
            Output::Reply { request, reply } => {
                if let Ok(Reply::Committed(Some(dot))) = &reply {
                    self.checks.on_acknowledged(peer, request, *dot);
                }
                if let Some(running) = self.peers[peer].running_mut() {
                    running.replies.insert(request, reply);
                }
            }
            Output::Open { link, device, opening, context } => {
                self.open(peer, link, (device, opening, context));
            }
            Output::Accept { link, context } => self.accept(peer, link, context),
            Output::Send { link, message } => self.send(peer, link, &message),
            Output::Close { link, reason } => self.close(peer, link, reason),
            Output::Publish { topic, sealed } => self.publish(peer, topic, sealed),
            Output::Notice(notice) => self.on_notice(peer, notice),
        }
    }

    fn on_notice(&mut self, peer: PeerNo, notice: Notice) {
        self.note_answer(peer, &notice);
        match notice {
            Notice::Space(info) => {
                if let Some(running) = self.peers[peer].running_mut() {
                    running.note_space(info);
                }
            }
            Notice::Committed(committed) => {
                self.traffic.delivered += u64::from(!committed.local);
                let now_ms = self.peers[peer].clock.now_ms(self.now);
                self.checks.on_committed(peer, &committed, now_ms);
            }
            Notice::Left { space } => {
                if let Some(running) = self.peers[peer].running_mut() {
                    running.spaces.remove(&space);
                    running.topics.retain(|_, no| *no != space);
                }
            }
            Notice::Refused { from, dot, reason, .. } => {
                self.trace
                    .note(self.now, format_args!("{peer} refuses {dot:?} from {}: {reason}", from.short()));
            }
            Notice::Held { from, until_ms, .. } => {
                self.trace
                    .note(self.now, format_args!("{peer} holds events of {} until {until_ms}", from.short()));
            }
            Notice::Unlinked { device, why, .. } => {
                self.trace
                    .note(self.now, format_args!("{peer} ends its session with {}: {why}", device.short()));
            }
            Notice::Converged { device, .. } => {
                self.trace.note(self.now, format_args!("{peer} has the receipt of {}", device.short()));
            }
        }
    }

    /// A peer ends, and is started again a little later, as whoever supervises it would.
    pub(super) fn stop(&mut self, peer: PeerNo, why: &str, how: Crash) {
        self.end(peer, why, how);
        self.agenda.plan(self.now + RESTART_AFTER, Step::Restart(peer));
    }

    /// A peer ends and stays down. Others notice in time.
    pub(super) fn end(&mut self, peer: PeerNo, why: &str, how: Crash) {
        self.trace.note(self.now, format_args!("{peer} stops: {why}"));
        self.peers[peer].state = State::Down(why.to_owned());
        self.peers[peer].disk.crash(how);
        self.leave_connections(peer);
    }
}

/// The digests of receipts that a round gave rise to, if it took in nothing besides: what the peer has then is what it
/// had when it got them.
fn receipts(outputs: &[Output]) -> Vec<[u8; 32]> {
    if outputs.iter().any(|output| matches!(output, Output::Notice(Notice::Committed(_)))) {
        return vec![];
    }
    let receipt = |output: &Output| match output {
        Output::Notice(Notice::Converged { space: HOME, receipt, .. }) => Some(receipt.digest),
        _ => None,
    };
    outputs.iter().filter_map(receipt).collect()
}

/// What of a space's status must be the same for an engine that has just been opened.
fn standing(status: &Result<SpaceStatus, EngineError>) -> String {
    match status {
        Ok(status) => {
            let (mut heads, digest) = (status.heads.clone(), status.frontier_digest);
            heads.sort();
            let counts = (status.events, status.authors, status.voids, status.held);
            let forks = (&status.forked, &status.forks);
            format!("{:?} {counts:?} {digest:?} {heads:?} {forks:?}", (&status.id, &status.name, status.role))
        }
        Err(error) => error.to_string(),
    }
}

const LOOK_ONE_IN: u32 = 16;
const REBUILD_ONE_IN: u32 = 256;
const PROVE_ONE_IN: u32 = 64;
/// What a round takes, and one that waits for the disk.
const ROUND: Duration = Duration::from_micros(50);
const DURABLE_ROUND: Duration = Duration::from_micros(200);
const TICK_MIN: Duration = Duration::from_millis(1);
const RESTART_AFTER: Duration = Duration::from_secs(2);
