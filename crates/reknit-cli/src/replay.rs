//! `reknit replay`: a recorded editing session, made again by real peers.
//!
//! Every transaction of the trace becomes one transaction of a peer, made on exactly the history that its author had
//! seen. A [`Plan`] says who meets whom and when; `stage` holds the peers and lets them.

mod report;
mod stage;

use crate::args::ReplayArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Output, Total};
use reknit_traces::{Plan, Step, Trace, TraceError};
use report::Report;
use stage::{Stage, Team};
use std::io::ErrorKind;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Ends with an error if the text does not come out as recorded at every peer.
pub(crate) async fn run(output: Output, args: ReplayArgs) -> Result<ExitCode, Failure> {
    let trace = Trace::read(&args.trace, args.limit)?;
    let plan = Plan::of(&trace)?;
    output.note(format!(
        "{} transactions by {} authors, {} couriers between them, {} meetings",
        trace.transactions.len(),
        trace.authors,
        plan.couriers,
        plan.meetings()
    ));
    // An only author writes while a reader follows; several meet only when the plan says so.
    let readers = if trace.authors == 1 { 1 } else { plan.couriers };
    let team = Team { authors: trace.authors, readers };
    let mut stage = Stage::set(team, args.durability.into(), &trace.start).await?;
    let began = Instant::now();
    let writing = if trace.authors == 1 {
        follow_live(output, &mut stage, &trace, &plan).await?
    } else {
        act(output, &mut stage, &trace, &plan).await?
    };
    stage.gather().await?;
    let report = Report::of(&stage, &trace, &plan, (writing, began.elapsed())).await?;
    stage.strike().await?;
    output.result(&report, |page| report.show(page))?;
    Ok(if report.all_match { ExitCode::SUCCESS } else { ExitCode::from(Exit::Error.code()) })
}

/// One author and a reader who is connected all the time. Returns how long the author wrote.
async fn follow_live(
    output: Output,
    stage: &mut Stage,
    trace: &Trace,
    plan: &Plan,
) -> Result<Duration, Failure> {
    let bar = output.bar("replay", Total::Things(trace.transactions.len() as u64));
    let began = Instant::now();
    for step in &plan.steps {
        if let Step::Write { author, transactions, .. } = step {
            stage.write(*author, trace, transactions, &bar).await?;
        }
    }
    bar.finish_and_clear();
    Ok(began.elapsed())
}

/// Several authors, cut off from each other except when two of the stage meet. Returns how long they wrote in all.
async fn act(output: Output, stage: &mut Stage, trace: &Trace, plan: &Plan) -> Result<Duration, Failure> {
    stage.scatter().await;
    let bar = output.bar("replay", Total::Things(trace.transactions.len() as u64));
    let mut writing = Duration::ZERO;
    for step in &plan.steps {
        match step {
            Step::Write { author, transactions, .. } => {
                let began = Instant::now();
                stage.write(*author, trace, transactions, &bar).await?;
                writing += began.elapsed();
            }
            Step::Meet { one, other } => stage.meet(*one, *other).await?,
        }
    }
    bar.finish_and_clear();
    Ok(writing)
}

impl From<TraceError> for Failure {
    fn from(error: TraceError) -> Self {
        let exit = match &error {
            TraceError::Unreadable { source, .. } if source.kind() == ErrorKind::NotFound => Exit::NotFound,
            TraceError::Unreadable { .. } => Exit::Error,
            _ => Exit::Usage,
        };
        Self::new(exit, error.to_string())
    }
}
