//! The words of Reknit: ids, stamps, values, events and the bytes they travel as.
//!
//! This crate holds no state and does no IO. It never reads a clock or a source of randomness: time, chance and
//! identity are arguments. It decides what an event *is* and when one is genuine; what an event *does* is decided by
//! the crates above it.
//!
//! Read [`Header`] and [`VerifiedEvent`] first: a header names and orders an event, and only a verified event may
//! enter a peer's history.
//!
//! ```
//! use rand::SeedableRng;
//! use reknit_types::{DeviceKey, Draft, Epoch, Kind, PayloadKey, Payload, SpaceId, Stamp, VerifiedEvent};
//!
//! let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(7);
//! let key = DeviceKey::generate(&mut rng);
//! let space = SpaceId::found(key.id(), &[0; 32]);
//! let draft = Draft {
//!     kind: Kind::Data,
//!     parents: vec![],
//!     stamp: Stamp::next(1_700_000_000_000, None, &mut rng),
//!     epoch: Epoch::FIRST,
//!     payload: Payload::Open(b"ops".to_vec()),
//! };
//! let event = VerifiedEvent::seal(space, &key, None, draft, &PayloadKey::new([1; 32])).unwrap();
//! assert_eq!(event.header().seq, 1);
//! ```

pub mod codec;
mod event;
mod header;
mod ids;
mod keys;
pub mod limits;
mod ops;
mod seal;
mod stamp;
mod value;

pub use codec::{DecodeError, Reader, Writer};
pub use event::{Draft, EventError, Payload, PayloadKeys, Proof, UnverifiedEvent, VerifiedEvent, verify};
pub use header::{Epoch, Header, Kind};
pub use ids::{DeviceId, Dot, EntityId, EventId, ParseIdError, SpaceId, Tip};
pub use keys::{DeviceKey, Signature};
pub use ops::{CrdtKind, EntityEdit, Name, NameError, Op, Transaction};
pub use seal::{PayloadKey, SealError};
pub use stamp::Stamp;
pub use value::Value;
