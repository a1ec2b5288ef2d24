//! `reknit status`, `reknit why`

use super::Context;
use crate::calls::{Status, Why};
use crate::clock::{ago, now_ms};
use crate::exit::Failure;
use crate::home::Reach;
use crate::output::Page;
use crate::table::{Table, flat};
use crate::view::{LinkView, SpaceView, StatusView, short};
use indicatif::HumanBytes;

pub(super) async fn status(context: &Context) -> Result<(), Failure> {
    let (status, running) = context
        .with(Reach::Offline, async |door| Ok((door.call(Status {}).await?, door.is_running())))
        .await?;
    context.output.result(&status, |page| show(&status, running, page))
}

fn show(status: &StatusView, running: bool, page: Page<'_>) {
    let mut facts = Table::pairs();
    facts
        .row(["device", &format!("{} ({})", status.name, short(&status.device))])
        .row(["peer", if running { "running" } else { "not running: `reknit up` starts it" }])
        .row(["store", &HumanBytes(status.store_bytes).to_string()]);
    if let Some(network) = &status.network {
        let (sent, received) = (HumanBytes(network.bytes_sent), HumanBytes(network.bytes_received));
        facts.row(["network", &format!("{sent} sent, {received} received")]);
        for address in &network.addresses {
            facts.row(["reached at", address]);
        }
        if let Some(reason) = &network.mdns_problem {
            facts.row(["mDNS", &format!("not available: {reason}")]);
        }
    }
    page.table(&facts);
    status.spaces.iter().for_each(|space| show_space(space, page));
}

fn show_space(space: &SpaceView, page: Page<'_>) {
    page.line("");
    page.heading(format!(
        "{}: {} events, frontier {}",
        flat(&space.name),
        space.events,
        short(&space.frontier)
    ));
    if space.held > 0 {
        page.line(format!(
            "  {} frames of events wait until this device's clock gets to their time",
            space.held
        ));
    }
    let mut table = Table::new(&["  member", "link", "they lack", "we lack", "last receipt"]);
    for link in &space.links {
        table.row([
            format!("  {}", link.name),
            link_state(link),
            link.they_lack.to_string(),
            link.we_lack.to_string(),
            link.last_receipt
                .as_ref()
                .map_or_else(|| "none".to_owned(), |receipt| ago(receipt.at_ms, now_ms())),
        ]);
    }
    if space.links.is_empty() {
        page.line("  no other members yet: `reknit invite`")
    } else {
        page.table(&table)
    }
}

fn link_state(link: &LinkView) -> String {
    match &link.waiting {
        _ if !link.connected => "not connected".to_owned(),
        _ if link.converged => "equal".to_owned(),
        Some(waiting) => format!("{}, waits for {waiting}", link.phase),
        None => "connected".to_owned(),
    }
}

pub(super) async fn why(context: &Context) -> Result<(), Failure> {
    let reasons = context.ask(Why { space: context.space.clone() }).await?;
    context.output.result(&reasons, |page| {
        if reasons.is_empty() {
            return page.line("nothing is in the way: every connected member has what this peer has");
        }
        let mut table = Table::new(&["member", "events", "code", "why"]);
        for reason in &reasons {
            let who = reason.device.as_ref().map_or_else(|| "-".to_owned(), short);
            table.row([who, reason.events.to_string(), reason.code.clone(), reason.text.clone()]);
        }
        page.table(&table);
    })
}
