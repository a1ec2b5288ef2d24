//! Events on their way from bytes to proof: a [`Draft`] is sealed by its author; bytes from elsewhere become an
//! [`UnverifiedEvent`] and, with the rest of their run, a [`VerifiedEvent`]. Only the last may enter a history.

use crate::codec::DecodeError;
use crate::header::{Epoch, Header, Kind};
use crate::ids::{DeviceId, Dot, EventId, SpaceId, Tip};
use crate::keys::{DeviceKey, Signature};
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::seal::{PayloadKey, SEAL_OVERHEAD};
use crate::stamp::Stamp;
use std::collections::BTreeSet;
use thiserror::Error;

/// Why something is not an event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EventError {
    /// No header could look like this.
    #[error("malformed header: {0}")]
    Shape(#[from] DecodeError),
    /// The payload exceeds its bound.
    #[error("a payload of {0} bytes exceeds the limit of {PAYLOAD_BYTES_MAX}; split the transaction")]
    PayloadTooLarge(usize),
    /// The payload came opened, but the key that seals it is not held here.
    #[error("the key of epoch {0:?} is not held here")]
    MissingKey(Epoch),
    /// The event is not covered by a signature of its author.
    #[error("event {seq} of {author} is not signed by its author")]
    Unsigned {
        /// Who is said to have written it.
        author: DeviceId,
        /// Its place in the chain.
        seq: u64,
    },
    /// A stored event no longer has the id it was stored under.
    #[error("event {seq} of {author} is damaged: its hash is not the id it was stored under")]
    Damaged {
        /// Who wrote it.
        author: DeviceId,
        /// Its place in the chain.
        seq: u64,
    },
}

/// What an event carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Readable. The header's hash is over its sealed form, which whoever holds the key can compute.
    Open(Vec<u8>),
    /// As it travels to those without the key.
    Sealed(Vec<u8>),
    /// Erased: only its length and hash (of the sealed form) remain.
    Erased {
        /// Bytes it had when sealed.
        len: u32,
        /// BLAKE3 of what it was.
        hash: [u8; 32],
    },
}

/// The keys of a space, as far as this peer holds them.
pub trait PayloadKeys {
    /// The key that seals payloads of this kind in this epoch.
    fn payload_key(&self, kind: Kind, epoch: Epoch) -> Option<&PayloadKey>;
}

/// What an author decides of an event; the rest follows from its chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What the event is for.
    pub kind: Kind,
    /// The heads its author had, ascending by id. The header signs the ids alone; author and place of a parent travel
    /// beside it (frames and segments carry them), because that is how a parent is found: there is no index of ids.
    pub parents: Vec<Dot>,
    /// When it is written.
    pub stamp: Stamp,
    /// Which key seals the payload.
    pub epoch: Epoch,
    /// What it carries.
    pub payload: Payload,
}

/// An event whose header is rebuilt and hashed, and which nobody has vouched for yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedEvent {
    header: Header,
    id: EventId,
    parents: Vec<Dot>,
    payload: Payload,
}

impl UnverifiedEvent {
    /// The event that `author` would have made of `draft` after `prev`. Opens a sealed payload if its key is held.
    pub fn rebuild(
        space: SpaceId,
        author: DeviceId,
        prev: Option<Tip>,
        draft: Draft,
        keys: &dyn PayloadKeys,
    ) -> Result<Self, EventError> {
        let key = keys.payload_key(draft.kind, draft.epoch);
        if key.is_none() && matches!(draft.payload, Payload::Open(_)) {
            return Err(EventError::MissingKey(draft.epoch));
        }
        assemble(space, author, prev, draft, key)
    }

    /// The rebuilt header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The hash of the header.
    pub fn id(&self) -> EventId {
        self.id
    }

    /// The parents, in the order of the header, with where they are said to lie. Whoever admits the event checks that
    /// the parent with this id lies there.
    pub fn parents(&self) -> &[Dot] {
        &self.parents
    }

    /// What it carries.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The event as the end of its author's chain.
    pub fn tip(&self) -> Tip {
        Tip { seq: self.header.seq, id: self.id }
    }
}

fn assemble(
    space: SpaceId,
    author: DeviceId,
    prev: Option<Tip>,
    draft: Draft,
    key: Option<&PayloadKey>,
) -> Result<UnverifiedEvent, EventError> {
    let Draft { kind, parents, stamp, epoch, payload } = draft;
    let seq =
        prev.map_or(Some(1), |tip| tip.seq.checked_add(1)).ok_or(DecodeError::Invalid("sequence number"))?;
    let prev = prev.map(|tip| tip.id);
    let dots = parents;
    let parents = dots.iter().map(|dot| dot.id).collect();
    let (payload_len, payload_hash) = (0, [0; 32]);
    let mut header =
        Header { kind, space, author, seq, prev, parents, stamp, epoch, payload_len, payload_hash };
    header.check_shape()?;
    let mut core = header.encode_core();
    let payload = commit_to(payload, &mut header, &core, key)?;
    core.raw(&header.payload_len.to_le_bytes()).raw(&header.payload_hash);
    let id = EventId::of_header(&core.into_bytes());
    Ok(UnverifiedEvent { header, id, parents: dots, payload })
}

/// Puts length and hash of the sealed payload into the header; returns the payload, opened if that is possible.
fn commit_to(
    payload: Payload,
    header: &mut Header,
    core: &crate::codec::Writer,
    key: Option<&PayloadKey>,
) -> Result<Payload, EventError> {
    let (sealed, opened) = match (payload, key) {
        (Payload::Erased { len, hash }, _) => {
            (header.payload_len, header.payload_hash) = (len, hash);
            return Ok(Payload::Erased { len, hash });
        }
        (Payload::Open(plain), Some(key)) => {
            if plain.len() > PAYLOAD_BYTES_MAX {
                return Err(EventError::PayloadTooLarge(plain.len()));
            }
            (key.seal(core.as_slice(), &plain), Some(plain))
        }
        (Payload::Open(_), None) => return Err(EventError::MissingKey(header.epoch)),
        (Payload::Sealed(sealed), key) => {
            let opened = key.and_then(|key| key.open(core.as_slice(), &sealed).ok());
            (sealed, opened)
        }
    };
    if sealed.len() > PAYLOAD_BYTES_MAX + SEAL_OVERHEAD {
        return Err(EventError::PayloadTooLarge(sealed.len()));
    }
    header.payload_len = sealed.len() as u32;
    header.payload_hash = *blake3::hash(&sealed).as_bytes();
    Ok(opened.map_or(Payload::Sealed(sealed), Payload::Open))
}

/// What vouches for an event, and through its chain for all of its author's events before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The author's signature.
    Signature(Signature),
    /// The id under which this device stored the event once it was verified.
    Stored(EventId),
    /// Both: the stored id vouches, and the signature, checked when the event first came, is handed on unread.
    StoredSigned(EventId, Signature),
}

/// An event that is genuine: sealed here, covered by its author's signature, or reloaded under its own hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEvent {
    event: UnverifiedEvent,
    signature: Option<Signature>,
}

impl VerifiedEvent {
    /// Makes an event of `draft` as the successor of `prev`. It carries no signature yet: a chain needs one at its
    /// end, see [`Self::sign`].
    pub fn seal(
        space: SpaceId,
        key: &DeviceKey,
        prev: Option<Tip>,
        draft: Draft,
        payload_key: &PayloadKey,
    ) -> Result<Self, EventError> {
        let event = assemble(space, key.id(), prev, draft, Some(payload_key))?;
        Ok(Self { event, signature: None })
    }

    /// Signs the event, if `key` wrote it and no signature is there yet.
    pub fn sign(&mut self, key: &DeviceKey) {
        if self.signature.is_none() && key.id() == self.event.header.author {
            self.signature = Some(key.sign_event(&self.event.id));
        }
    }

    /// The signed part.
    pub fn header(&self) -> &Header {
        &self.event.header
    }

    /// The hash of the header.
    pub fn id(&self) -> EventId {
        self.event.id
    }

    /// The parents, in the order of the header, with where they are said to lie.
    pub fn parents(&self) -> &[Dot] {
        &self.event.parents
    }

    /// What it carries.
    pub fn payload(&self) -> &Payload {
        &self.event.payload
    }

    /// The author's signature, where this event carries one of its own.
    pub fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }

    /// Author, place and id.
    pub fn dot(&self) -> Dot {
        Dot { author: self.event.header.author, seq: self.event.header.seq, id: self.event.id }
    }

    /// The event as the end of its author's chain.
    pub fn tip(&self) -> Tip {
        self.event.tip()
    }
}

/// Verifies events in causal order, each with its proof if it has one. A proof vouches for the event and for those
/// its chain reaches back to, so a run of one author's events needs only its last one proven: the cost is a hash an
/// event and an Ed25519 verification a run.
pub fn verify(events: Vec<(UnverifiedEvent, Option<Proof>)>) -> Result<Vec<VerifiedEvent>, EventError> {
    let mut vouched = BTreeSet::new();
    for (event, proof) in events.iter().rev() {
        let proven = check_proof(event, proof.as_ref())?;
        if !proven && !vouched.contains(&event.id) {
            return Err(EventError::Unsigned { author: event.header.author, seq: event.header.seq });
        }
        vouched.extend(event.header.prev);
    }
    let signature = |proof| match proof {
        Some(Proof::Signature(signature) | Proof::StoredSigned(_, signature)) => Some(signature),
        Some(Proof::Stored(_)) | None => None,
    };
    Ok(events
        .into_iter()
        .map(|(event, proof)| VerifiedEvent { event, signature: signature(proof) })
        .collect())
}

fn check_proof(event: &UnverifiedEvent, proof: Option<&Proof>) -> Result<bool, EventError> {
    let (author, seq) = (event.header.author, event.header.seq);
    match proof {
        None => Ok(false),
        Some(Proof::Stored(id) | Proof::StoredSigned(id, _)) if *id == event.id => Ok(true),
        Some(Proof::Stored(_) | Proof::StoredSigned(..)) => Err(EventError::Damaged { author, seq }),
        Some(Proof::Signature(signature)) if author.signed_event(&event.id, signature) => Ok(true),
        Some(Proof::Signature(_)) => Err(EventError::Unsigned { author, seq }),
    }
}

#[cfg(test)]
mod tests;
