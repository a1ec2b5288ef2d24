//! What a replay came to.

use super::stage::Stage;
use crate::clock::precise;
use crate::exit::Failure;
use crate::output::Page;
use crate::table::Table;
use indicatif::{HumanBytes, HumanCount};
use reknit_traces::{Plan, Trace};
use serde::Serialize;
use std::time::Duration;

/// Figures, and whether the text came out right.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    trace: String,
    authors: usize,
    readers: usize,
    meetings: usize,
    transactions: usize,
    edits: usize,
    /// Edits of all authors by the time it took to make them.
    edits_per_second: f64,
    writing_ms: u64,
    /// With all meetings, until everybody was equal.
    total_ms: u64,
    /// Sent by all peers together.
    wire_bytes: u64,
    /// The largest store.
    store_bytes: u64,
    characters: usize,
    /// Whether everybody's text is the same, and the recorded one where that is known.
    pub(super) all_match: bool,
    /// Whose is not.
    differing: Vec<String>,
}

impl Report {
    pub(super) async fn of(
        stage: &Stage,
        trace: &Trace,
        plan: &Plan,
        (writing, total): (Duration, Duration),
    ) -> Result<Self, Failure> {
        let texts = stage.texts()?;
        let first = texts.first().map(|(_, text)| text.clone()).unwrap_or_default();
        let wanted = trace.end.as_ref().unwrap_or(&first);
        let differs = |(_, text): &&(String, String)| text != wanted;
        let differing: Vec<_> = texts.iter().filter(differs).map(|(name, _)| name.clone()).collect();
        let (mut wire_bytes, mut store_bytes) = (0, 0);
        for player in stage.authors.iter().chain(&stage.readers) {
            player.peer.flush().await?;
            let network = player.peer.status().await?.network;
            wire_bytes += network.map_or(0, |network| network.bytes_sent);
            store_bytes = store_bytes.max(player.store_bytes());
        }
        let edits = trace.edits();
        Ok(Self {
            trace: trace.name.clone(),
            authors: stage.authors.len(),
            readers: stage.readers.len(),
            meetings: plan.meetings(),
            transactions: trace.transactions.len(),
            edits,
            edits_per_second: edits as f64 / writing.as_secs_f64().max(f64::EPSILON),
            writing_ms: millis(writing),
            total_ms: millis(total),
            wire_bytes,
            store_bytes,
            characters: wanted.chars().count(),
            all_match: differing.is_empty(),
            differing,
        })
    }

    pub(super) fn show(&self, page: Page<'_>) {
        let writing = Duration::from_millis(self.writing_ms);
        let total = Duration::from_millis(self.total_ms);
        let mut table = Table::pairs();
        table
            .row(["trace", &self.trace])
            .row([
                "peers",
                &format!("{} authors, {} readers, {} meetings", self.authors, self.readers, self.meetings),
            ])
            .row(["edits", &HumanCount(self.edits as u64).to_string()])
            .row(["edits/s", &format!("{:.0} ({} of writing)", self.edits_per_second, precise(writing))])
            .row(["in all", &precise(total)])
            .row(["on the wire", &HumanBytes(self.wire_bytes).to_string()])
            .row(["on disk", &format!("{} a peer at most", HumanBytes(self.store_bytes))])
            .row(["text", &self.verdict()]);
        page.table(&table);
    }

    fn verdict(&self) -> String {
        let characters = HumanCount(self.characters as u64);
        if self.all_match {
            format!("{characters} characters, as recorded, at every peer")
        } else {
            format!("NOT AS RECORDED at {}", self.differing.join(", "))
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
