//! Recorded editing sessions, in the two formats of the public editing-traces data sets.

use flate2::read::GzDecoder;
use serde::Deserialize;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The name of its file.
    pub name: String,
    /// The text before it.
    pub start: String,
    /// The text after it, if that is known.
    pub end: Option<String>,
    /// How many people took part.
    pub authors: usize,
    /// Each after its parents.
    pub transactions: Vec<Transaction>,
}

/// Edits made at once by one author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// By number, from 0.
    pub author: usize,
    /// The earlier transactions whose merge the author saw.
    pub parents: Vec<usize>,
    /// In this order, each on what those before it made of the text.
    pub patches: Vec<Patch>,
}

/// Why there is no trace, or no way to make it again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// There is no such file, or it cannot be read.
    #[error("reading {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What it holds is something else.
    #[error("{name} is not an editing trace: {reason}")]
    NotATrace {
        /// What people call it.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No peer could make it: a device always knows what it wrote itself.
    #[error(
        "in this trace, transaction {transaction} of author {author} does not follow the author's last one: a device \
         always knows what it wrote itself"
    )]
    Forgetful {
        /// The place of the transaction.
        transaction: usize,
        /// Its author.
        author: usize,
    },
}

/// Position, characters deleted there, text inserted there; in Unicode code points.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Patch(pub usize, pub usize, pub String);

impl Trace {
    /// Reads a trace, unpacking it if it is compressed, up to `limit` transactions.
    ///
    /// # Errors
    /// [`TraceError`], which names the file.
    pub fn read(file: &Path, limit: Option<usize>) -> Result<Self, TraceError> {
        let failed = |source| TraceError::Unreadable { path: file.to_owned(), source };
        let open = BufReader::new(File::open(file).map_err(failed)?);
        let packed = file.extension().is_some_and(|extension| extension == "gz");
        let mut reader: Box<dyn Read> = if packed { Box::new(GzDecoder::new(open)) } else { Box::new(open) };
        let mut json = Vec::new();
        reader.by_ref().take(TRACE_BYTES_MAX).read_to_end(&mut json).map_err(failed)?;
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let trace = Self::of(name, &json, limit);
        trace.map_err(|reason| TraceError::NotATrace { name: file.display().to_string(), reason })
    }

    /// As [`Trace::read`], of a file that has been read and unpacked.
    ///
    /// # Errors
    /// [`TraceError::NotATrace`].
    pub fn parse(name: &str, json: &[u8], limit: Option<usize>) -> Result<Self, TraceError> {
        let trace = Self::of(name.to_owned(), json, limit);
        trace.map_err(|reason| TraceError::NotATrace { name: name.to_owned(), reason })
    }

    fn of(name: String, json: &[u8], limit: Option<usize>) -> Result<Self, String> {
        let recorded: Recorded = serde_json::from_slice(json).map_err(|cause| cause.to_string())?;
        let concurrent = recorded.kind.as_deref() == Some("concurrent");
        let total = recorded.txns.len();
        let kept = limit.unwrap_or(total).min(total);
        let mut transactions = Vec::with_capacity(kept);
        for (place, txn) in recorded.txns.into_iter().take(kept).enumerate() {
            let parents = match txn.parents {
                Some(parents) => parents,
                None if concurrent => return Err(format!("transaction {place} has no parents")),
                None => place.checked_sub(1).into_iter().collect(),
            };
            if parents.iter().any(|parent| *parent >= place) {
                return Err(format!("transaction {place} comes before one of its parents"));
            }
            if txn.agent >= AUTHORS_MAX {
                return Err(format!("it has more than {AUTHORS_MAX} authors"));
            }
            transactions.push(Transaction { author: txn.agent, parents, patches: txn.patches });
        }
        let authors = transactions.iter().map(|transaction| transaction.author + 1).max().unwrap_or(1);
        let start = recorded.start_content;
        let end = match (kept == total, authors) {
            (true, _) => Some(recorded.end_content),
            (false, 1) => Some(type_out(&start, &transactions)?),
            // What a cut trace of several authors should come to, nobody recorded.
            (false, _) => None,
        };
        Ok(Self { name, start, end, authors, transactions })
    }

    /// Edits in all transactions.
    pub fn edits(&self) -> usize {
        self.transactions.iter().map(|transaction| transaction.patches.len()).sum()
    }
}

/// The text that one author's edits make of `start`.
fn type_out(start: &str, transactions: &[Transaction]) -> Result<String, String> {
    let mut text: Vec<char> = start.chars().collect();
    for Patch(position, deleted, inserted) in transactions.iter().flat_map(|transaction| &transaction.patches)
    {
        let end = position.saturating_add(*deleted);
        if end > text.len() {
            return Err(format!("an edit reaches beyond the {} characters of the text", text.len()));
        }
        text.splice(*position..end, inserted.chars());
    }
    Ok(text.into_iter().collect())
}

/// A file of either format.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    kind: Option<String>,
    #[serde(default)]
    start_content: String,
    end_content: String,
    txns: Vec<RecordedTxn>,
}

#[derive(Deserialize)]
struct RecordedTxn {
    #[serde(default)]
    agent: usize,
    parents: Option<Vec<usize>>,
    patches: Vec<Patch>,
}

/// Bytes of a trace once it is unpacked.
const TRACE_BYTES_MAX: u64 = 1 << 30;
/// Each author is a peer of its own in this process.
const AUTHORS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const SEQUENTIAL: &str = r#"{"startContent": "", "endContent": "hé!",
        "txns": [{"patches": [[0, 0, "hé"]]}, {"patches": [[2, 0, "?"]]}, {"patches": [[2, 1, "!"]]}]}"#;

    fn parse(json: &str, limit: Option<usize>) -> Result<Trace, String> {
        Trace::of("trace".into(), json.as_bytes(), limit)
    }

    #[test]
    fn a_sequential_trace_is_one_authors_chain() {
        let trace = parse(SEQUENTIAL, None).unwrap();
        assert_eq!((trace.authors, trace.edits(), trace.end.as_deref()), (1, 3, Some("hé!")));
        assert_eq!(trace.transactions[2].parents, [1]);
        assert_eq!(parse(SEQUENTIAL, Some(2)).unwrap().end.as_deref(), Some("hé?"));
    }

    #[test]
    fn a_concurrent_trace_names_authors_and_parents() {
        let json = r#"{"kind": "concurrent", "endContent": "ab", "numAgents": 2, "txns": [
            {"parents": [], "agent": 0, "patches": [[0, 0, "a"]]},
            {"parents": [0], "agent": 1, "patches": [[1, 0, "b"]]}]}"#;
        let trace = parse(json, None).unwrap();
        assert_eq!((trace.authors, trace.transactions[1].author), (2, 1));
    }

    #[test]
    fn what_is_no_trace_is_refused_with_the_reason() {
        assert!(parse("{}", None).is_err());
        let early = r#"{"endContent": "", "txns": [{"parents": [0], "patches": []}]}"#;
        assert!(parse(early, None).unwrap_err().contains("before one of its parents"));
        let beyond = r#"{"endContent": "", "txns": [{"patches": [[5, 0, "x"]]}, {"patches": []}]}"#;
        assert!(parse(beyond, Some(1)).unwrap_err().contains("beyond"));
    }
}
