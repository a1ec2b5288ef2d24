//! Many runs at a time, each on a thread of its own.

use crate::choice::Chosen;
use crate::guarded;
use reknit_sim::outcome::Outcome;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Instant;

/// A run to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    /// The place of the scenario among those that were asked for.
    pub(crate) scenario: usize,
    pub(crate) seed: u64,
}

/// A run that was made.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) task: Task,
    pub(crate) outcome: Outcome,
    /// How long it took; if it was made twice, on average.
    pub(crate) real_s: f64,
}

/// How to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    pub(crate) jobs: usize,
    pub(crate) twice: bool,
}

/// Makes all of these runs; `on_done` gets each as soon as it is there.
pub(crate) fn run_all(chosen: &[Chosen], tasks: &[Task], how: How, mut on_done: impl FnMut(Done)) {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = sync_channel(how.jobs);
    std::thread::scope(|scope| {
        for _ in 0..how.jobs.min(tasks.len()) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = Instant::now();
                    let Chosen { scenario, recording, .. } = &chosen[task.scenario];
                    let outcome = guarded::run((scenario, recording.as_ref()), task.seed, how.twice);
                    let runs = if how.twice { 2.0 } else { 1.0 };
                    let real_s = began.elapsed().as_secs_f64() / runs;
                    if sender.send(Done { task: *task, outcome, real_s }).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        receiver.iter().for_each(&mut on_done);
    });
}
