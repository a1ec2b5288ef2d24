//! Receipts as they are kept: a peer's signed word that its frontier equalled ours.

use reknit_sync::{Frontier, Receipt};
use reknit_types::{DecodeError, Reader, Signature, Writer};

/// The last receipt exchanged with a peer.
#[derive(Debug, Clone)]
pub struct StoredReceipt {
    /// When it came, in milliseconds since the Unix epoch by the local clock.
    pub at_ms: u64,
    /// What the peer signed.
    pub receipt: Receipt,
    /// The frontier it speaks of: the next session with the peer says what changed since.
    pub frontier: Frontier,
}

impl StoredReceipt {
    /// The record in `Receipts`.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer
            .u8(VERSION)
            .varint(self.at_ms)
            .raw(&self.receipt.digest)
            .raw(self.receipt.signature.as_bytes());
        writer.raw(&self.frontier.encode());
        writer.into_bytes()
    }

    /// The receipt with this record.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8("receipt version")?;
        if version != VERSION {
            let (found, known) = (u64::from(version), u64::from(VERSION));
            return Err(DecodeError::Version { what: "a receipt", found, known });
        }
        let at_ms = reader.varint("time")?;
        let digest = reader.array("frontier digest")?;
        let signature = Signature::from_bytes(reader.array("signature")?);
        let frontier = Frontier::decode(reader.take_rest())?;
        Ok(Self { at_ms, receipt: Receipt { digest, signature }, frontier })
    }
}

const VERSION: u8 = 1;
