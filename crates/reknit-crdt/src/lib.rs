//! The mergeable fields of Reknit: [`Register`], [`Counter`], [`Text`] (yrs) and [`Document`] (automerge), behind one
//! trait.
//!
//! A field's state takes *deltas*, in any causal order, any number of times and in any batches, and ends with the same
//! value. This crate never reads a clock or a source of randomness, and does no IO: time, chance and identity are
//! arguments. It does not know what an event is: the engine above takes deltas out of events and hands them to
//! [`Crdt::apply_all`].
//!
//! Read [`Crdt`] first, then [`Identity`]: whose edit a delta is, is a pure function of the delta, its author and its
//! place.
//!
//! # What a peer may get wrong, or lie about
//!
//! * A delta that does not decode, exceeds a limit, uses another identity than its author's, or says what no honest
//!   author could (text between units that never were next to each other, automerge operations that documents do not
//!   use) is [`Void`]: it changes nothing, at any peer.
//! * A delta that builds on what is not here yet is [`Applied::Waiting`]; it is kept in the state, and merges when what
//!   it builds on has. Events arrive after their causes, so only a liar's deltas ever wait.
//! * An author that forks its own chain inside one session can put two different edits at one place of one identity.
//!   Whichever arrives second is answered [`Applied::Contested`], and so is all that follows: the value would depend on
//!   the order of arrival. The value of a contested field is what [`rebuild`] makes of all its deltas: they are applied
//!   in the order of `(stamp, event id)`, and an edit whose place is taken is skipped. So the value is a pure function
//!   of the set of events in every case.
//!
//! ```
//! use reknit_crdt::{Crdt, FieldValue, Identity, Origin, Place, Text};
//! use reknit_types::{DeviceId, EntityId, EventId, Name, Stamp};
//!
//! let name = Name::new("body").unwrap();
//! let place = Place { entity: EntityId::from_bytes([1; 16]), field: &name };
//! let author = DeviceId::from_bytes([7; 32]);
//!
//! let mut here = Text::new();
//! here.open(&place, &Identity { author, nonce: 42 });
//! here.splice(0, 0, "hello").unwrap();
//! let delta = here.take_delta().unwrap();
//!
//! let mut there = Text::new();
//! let origin = Origin { author, stamp: Stamp::from_u128(1), event: EventId::from_bytes([9; 32]) };
//! there.apply(&place, &origin, &delta).unwrap();
//! assert_eq!(there.value(), FieldValue::Text("hello".to_owned()));
//! ```

mod alone;
mod contract;
mod counter;
mod document;
mod error;
mod identity;
pub mod limits;
mod register;
mod saved;
mod text;
mod waiting;

pub use alone::check;
pub use contract::{Applied, Crdt, Edit, FieldValue, cost, empty, load, rebuild};
pub use counter::Counter;
pub use document::{Document, DocumentError};
pub use error::{LoadError, Void};
pub use identity::{Identity, Origin, Place};
pub use register::{Register, RegisterError};
pub use text::{Text, TextError};
