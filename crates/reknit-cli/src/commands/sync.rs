//! `reknit sync`

use super::Context;
use crate::args::{SyncArgs, Until};
use crate::calls::UntilConverged;
use crate::clock::precise;
use crate::exit::Failure;
use crate::home::Reach;
use crate::view::{ReceiptView, short};
use std::time::Instant;

pub(super) async fn run(context: &Context, args: SyncArgs) -> Result<(), Failure> {
    let Until::Converged = args.until;
    let call = UntilConverged {
        space: context.space.clone(),
        peers: args.peers,
        timeout_ms: u64::try_from(args.timeout.as_millis()).unwrap_or(u64::MAX),
    };
    let began = Instant::now();
    let receipts: Vec<ReceiptView> = context
        .with(Reach::Online, async |door| {
            let spinner = context.output.spinner("syncing");
            let receipts = door.call(call).await;
            spinner.finish_and_clear();
            receipts
        })
        .await?;
    context.output.result(&receipts, |page| {
        for receipt in &receipts {
            page.line(format!(
                "equal with {} at frontier {}",
                short(&receipt.device),
                short(&receipt.frontier)
            ));
        }
        page.line(format!("converged with {} in {}", receipts.len(), precise(began.elapsed())));
    })
}
