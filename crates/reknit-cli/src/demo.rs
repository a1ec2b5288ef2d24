//! `reknit demo`: three peers, as three processes on this machine, meet, part, edit apart, and reknit.

mod actor;
mod picture;
mod record;
mod story;
mod svg;

use crate::args::DemoArgs;
use crate::clock::precise;
use crate::exit::{Exit, Failure};
use crate::output::{Output, Page};
use crate::table::Table;
use crate::view::{EntityView, readable, short};
use record::{Outcome, Recorder};
use std::process::ExitCode;
use std::time::Duration;

/// Ends with an error if the three do not end equal.
pub(crate) async fn run(output: Output, args: DemoArgs) -> Result<ExitCode, Failure> {
    let mut recorder = Recorder::new(output);
    let told = tokio::time::timeout(PATIENCE, story::tell(&mut recorder, !args.no_mdns)).await;
    let outcome = told.map_err(|_| {
        Failure::new(Exit::NotConverged, format!("the demo took longer than {}", precise(PATIENCE)))
    })??;
    output.result(&outcome, |page| show(&recorder, &outcome, page))?;
    if let Some(file) = args.svg {
        std::fs::write(&file, svg::draw(recorder.moments(), &outcome))
            .map_err(|cause| Failure::while_doing(format!("writing {}", file.display()), cause))?;
        output.note(format!("drawn into {}", file.display()));
    }
    Ok(if outcome.equal { ExitCode::SUCCESS } else { ExitCode::from(Exit::NotConverged.code()) })
}

fn show(recorder: &Recorder, outcome: &Outcome, page: Page<'_>) {
    page.line("");
    picture::draw(recorder.moments(), outcome).iter().for_each(|line| page.line(line));
    page.line("");
    let mut values =
        Table::new(&["", "Ada and Ben, while cut off", "Cleo, while cut off", "all three, healed"]);
    for field in outcome.healed.fields.keys() {
        let value = |entity: &EntityView| entity.fields.get(field).map_or_else(String::new, readable);
        values.row([
            field.clone(),
            value(&outcome.apart_two),
            value(&outcome.apart_one),
            value(&outcome.healed),
        ]);
    }
    values.lines(None).iter().for_each(|line| page.line(format!("  {line}")));
    page.line("");
    for receipt in &outcome.receipts {
        let witnesses = receipt.signed_by.join(" and ");
        page.line(format!(
            "  {:5} {:3} events, frontier {}, receipts signed by {witnesses}",
            receipt.who.name(),
            receipt.events,
            short(&receipt.frontier)
        ));
    }
    let verdict = if outcome.equal { "equal" } else { "NOT EQUAL" };
    page.line("");
    page.heading(format!("  {verdict}: healed in {}", precise(Duration::from_millis(outcome.heal_ms))));
}

const PATIENCE: Duration = Duration::from_secs(30);
