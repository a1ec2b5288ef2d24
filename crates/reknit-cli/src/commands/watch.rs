//! `reknit watch`

use super::Context;
use crate::args::WatchArgs;
use crate::calls::Watch;
use crate::clock::{now_ms, time_of_day};
use crate::door::Door;
use crate::exit::{Exit, Failure};
use crate::home::Reach;
use crate::output::Page;
use crate::table::flat;
use crate::view::{WatchView, readable};
use futures::StreamExt;
use std::time::Duration;

pub(super) async fn run(context: &Context, args: WatchArgs) -> Result<(), Failure> {
    context.with(Reach::Online, async |door| follow(context, door, args).await).await
}

async fn follow(context: &Context, door: &Door, args: WatchArgs) -> Result<(), Failure> {
    let question = Watch { space: context.space.clone(), collection: args.collection };
    let mut changes = door.follow(question).await?;
    let mut left = args.count.unwrap_or(usize::MAX);
    let mut end = std::pin::pin!(end(args.lasts));
    if context.output.is_live() {
        context.output.note("watching; press Ctrl-C to end");
    }
    while left > 0 {
        let change = tokio::select! {
            change = changes.next() => change,
            () = &mut end => return Ok(()),
        };
        let Some(change) = change.transpose()? else {
            let gone = "the peer has stopped: start it with `reknit up`, then watch again";
            return Err(Failure::new(Exit::Unreachable, gone));
        };
        context.output.result(&change, |page| show(&change, page))?;
        left -= 1;
    }
    Ok(())
}

/// Ends when the user says so, or after a time.
async fn end(lasts: Option<Duration>) {
    let interrupted = tokio::signal::ctrl_c();
    match lasts {
        Some(time) => drop(tokio::time::timeout(time, interrupted).await),
        None => drop(interrupted.await),
    }
}

fn show(change: &WatchView, page: Page<'_>) {
    let time = time_of_day(now_ms());
    match change {
        WatchView::Missed { events } => {
            page.line(format!("{time}  {events} events came faster than they could be shown"));
        }
        WatchView::Committed { author_name, entities, .. } => {
            for entity in entities {
                let values: Vec<_> =
                    entity.fields.iter().map(|(name, value)| format!("{name}={}", readable(value))).collect();
                page.line(flat(&format!(
                    "{time}  {author_name}  {}  {}/{}  {}",
                    entity.what,
                    entity.collection,
                    entity.id,
                    values.join("  ")
                )));
            }
        }
    }
}
