//! `reknit space`, `reknit invite`, `reknit join`

use super::Context;
use crate::args::{Expiry, InviteArgs, JoinArgs};
use crate::calls::{
    Invite, InviteReply, Join, SpaceInfo, SpaceLeave, SpaceNew, Spaces, Status, UntilConverged,
};
use crate::clock::{ago, now_ms};
use crate::door::Door;
use crate::exit::Failure;
use crate::home::Reach;
use crate::output::Page;
use crate::table::Table;
use crate::view::{SpaceView, StatusView, short};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use std::io::{IsTerminal, Read};
use std::time::Duration;

pub(super) async fn new(context: &Context, name: String) -> Result<(), Failure> {
    let space = context.ask(SpaceNew { name }).await?;
    context.output.result(&space, |page| {
        page.line(format!("created the space {} ({})", space.name, short(&space.id)));
        page.line("next: `reknit put COLLECTION field=text`, and `reknit invite` for others");
    })
}

pub(super) async fn list(context: &Context) -> Result<(), Failure> {
    let spaces = context.ask(Spaces {}).await?;
    context.output.result(&spaces, |page| {
        if spaces.is_empty() {
            return page.line("no spaces yet: `reknit space new NAME` or `reknit join TICKET`");
        }
        let mut table = Table::new(&["name", "id", "role", "members", "events", "frontier"]);
        for space in &spaces {
            table.row([
                space.name.clone(),
                short(&space.id),
                space.role.clone().unwrap_or_else(|| "-".to_owned()),
                space.members.len().to_string(),
                space.events.to_string(),
                short(&space.frontier),
            ]);
        }
        page.table(&table);
    })
}

pub(super) async fn info(context: &Context) -> Result<(), Failure> {
    let space = context.ask(SpaceInfo { space: context.space.clone() }).await?;
    context.output.result(&space, |page| describe(&space, page))
}

fn describe(space: &SpaceView, page: Page<'_>) {
    let mut facts = Table::pairs();
    facts
        .row(["name", &space.name])
        .row(["id", &space.id.to_string()])
        .row(["role", space.role.as_deref().unwrap_or("none")])
        .row(["events", &format!("{} by {} authors", space.events, space.authors)])
        .row(["heads", &space.heads.to_string()])
        .row(["frontier", &space.frontier]);
    if space.held > 0 {
        facts.row(["held", &format!("{} frames of events ahead of this device's clock", space.held)]);
    }
    page.table(&facts);
    page.line("");
    let mut members = Table::new(&["member", "role", "since", "device"]);
    for member in &space.members {
        members.row([
            member.name.clone(),
            member.role.clone(),
            ago(member.since_ms, now_ms()),
            short(&member.device),
        ]);
    }
    page.table(&members);
}

pub(super) async fn leave(context: &Context) -> Result<(), Failure> {
    let left = context.ask(SpaceLeave { space: context.space.clone() }).await?;
    context.output.result(&left, |page| page.line(format!("gave up the space {}", left.name)))
}

pub(super) async fn invite(context: &Context, args: InviteArgs) -> Result<(), Failure> {
    let expires_ms = match args.expires {
        Expiry::Never => None,
        Expiry::After(time) => Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
    };
    let call = Invite { space: context.space.clone(), role: args.role.as_str().to_owned(), expires_ms };
    let reply = context.ask(call).await?;
    if reply.addresses == 0 {
        context.output.warn(
            "no peer is running, so the ticket names no address: those who join will find this device on the local \
             network only. Run `reknit up` first for one that works from elsewhere.",
        );
    }
    context.output.note(format!(
        "Whoever has this ticket can join {} as a {}. Hand it over in private.",
        reply.space, reply.role
    ));
    let shows_qr = args.qr || (!args.no_qr && std::io::stdout().is_terminal());
    context.output.result(&reply, |page| {
        page.line(&reply.ticket);
        if shows_qr {
            page.line(qr_code(&reply, page.columns()));
        }
    })
}

/// Two modules of the code in one character; in words why not, if a terminal of so many columns would break its lines.
fn qr_code(reply: &InviteReply, columns: Option<usize>) -> String {
    let Ok(code) = QrCode::with_error_correction_level(&reply.qr_text, EcLevel::L) else {
        return "(too long for a QR code)".to_owned();
    };
    let drawn = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    let width = drawn.lines().next().map_or(0, |line| line.chars().count());
    match columns {
        Some(columns) if columns < width => format!("(its QR code needs a terminal of {width} columns)"),
        _ => drawn,
    }
}

pub(super) async fn join(context: &Context, args: JoinArgs) -> Result<(), Failure> {
    let ticket = if args.ticket == "-" { read_ticket()? } else { args.ticket };
    let timeout_ms = u64::try_from(args.timeout.as_millis()).unwrap_or(u64::MAX);
    let call = Join { ticket, timeout_ms };
    let space = context.with(Reach::Online, async |door| join_and_show(context, door, call).await).await?;
    context.output.result(&space, |page| {
        let role = space.role.as_deref().unwrap_or("member");
        page.line(format!("joined the space {} as a {role}: {} events", space.name, space.events));
    })
}

async fn join_and_show(context: &Context, door: &Door, call: Join) -> Result<SpaceView, Failure> {
    let spinner = context.output.spinner("joining");
    let joining = door.call(call);
    let mut joining = std::pin::pin!(joining);
    let joined = loop {
        tokio::select! {
            joined = &mut joining => break joined,
            () = tokio::time::sleep(LOOK_AGAIN) => {
                if let Ok(StatusView { network: Some(network), .. }) = door.call(Status {}).await {
                    let received = indicatif::HumanBytes(network.bytes_received);
                    spinner.set_message(format!("{received} received"));
                }
            }
        }
    };
    if let (Ok(space), false) = (&joined, door.is_running()) {
        // This peer ends with the command. If nobody hears of the new member now, they will the next time it is up.
        let (space, timeout_ms) = (Some(space.id.to_string()), FAREWELL_MS);
        let _ = door.call(UntilConverged { space, peers: 1, timeout_ms }).await;
    }
    spinner.finish_and_clear();
    joined
}

fn read_ticket() -> Result<String, Failure> {
    let mut ticket = String::new();
    let read = std::io::stdin().take(TICKET_BYTES_MAX).read_to_string(&mut ticket);
    read.map_err(|cause| Failure::while_doing("reading the ticket from stdin", cause))?;
    Ok(ticket)
}

/// How long a peer that joined waits for others to hear of it.
const FAREWELL_MS: u64 = 3_000;
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Far more than any ticket has.
const TICKET_BYTES_MAX: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_becomes_a_square_of_blocks() {
        let reply = InviteReply {
            space: "music".into(),
            role: "writer".into(),
            ticket: "reknit1abc".into(),
            qr_text: "REKNIT1ABC".into(),
            addresses: 1,
        };
        let code = qr_code(&reply, None);
        let widths: Vec<_> = code.lines().map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{code}");
        assert_eq!(widths[0].div_ceil(2), widths.len());
        assert!(qr_code(&reply, Some(10)).contains("columns"));
    }
}
