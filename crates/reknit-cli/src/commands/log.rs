//! `reknit log`

use super::Context;
use crate::args::LogArgs;
use crate::calls::Log;
use crate::clock::utc;
use crate::exit::Failure;
use crate::graph::{Node, draw};
use crate::output::Page;
use crate::table::flat;
use crate::view::{EventView, short};

pub(super) async fn run(context: &Context, args: LogArgs) -> Result<(), Failure> {
    let newest = usize::try_from(args.newest).unwrap_or(usize::MAX);
    let events = context.ask(Log { space: context.space.clone(), newest }).await?;
    if context.output.is_json() {
        return events.iter().try_for_each(|event| context.output.json_line(event));
    }
    context.output.result(&events, |page| show(&events, page))
}

fn show(events: &[EventView], page: Page<'_>) {
    let nodes: Vec<_> =
        events.iter().map(|event| Node { id: event.id, parents: event.parents.clone() }).collect();
    let drawings = draw(&nodes);
    let width = drawings.iter().map(|drawing| drawing.at.chars().count()).max().unwrap_or(0);
    for (event, drawing) in events.iter().zip(drawings) {
        if let Some(above) = drawing.above {
            page.line(above);
        }
        page.line(format!("{:width$}  {}", drawing.at, flat(&sentence(event))));
        if let Some(below) = drawing.below {
            page.line(below);
        }
    }
}

fn sentence(event: &EventView) -> String {
    format!(
        "{} {}  {} #{}  {}",
        short(&event.id),
        utc(event.stamp_ms),
        event.author_name,
        event.seq,
        event.summary
    )
}
