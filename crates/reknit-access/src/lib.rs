//! Who may do what in a space: control events, membership as a fold over them, invites and tickets, and the keys.
//!
//! This crate holds no store and does no IO. It never reads a clock or a source of randomness: time, chance and
//! identity are arguments. It never decides by the order in which events arrived: whether an event is authorised
//! follows from the event's own past, and [`Membership`] is the same whatever causal order built it.
//!
//! Read [`Control`] and [`Membership`] first, then [`Ticket`].
//!
//! ```
//! use rand::SeedableRng;
//! use reknit_access::{Action, Control, Membership, Role, SpaceKeys, invite};
//! use reknit_types::{DeviceKey, Draft, Epoch, Kind, Payload, SpaceId, Stamp, VerifiedEvent};
//!
//! let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(7);
//! let (founder, keys, nonce) = (DeviceKey::generate(&mut rng), SpaceKeys::generate(&mut rng), [0; 32]);
//! let space = SpaceId::found(founder.id(), &nonce);
//! let mut membership = Membership::new(space);
//!
//! let action = Action::Found { nonce, name: "garden".into(), device_name: "laptop".into() };
//! let control = Control { parents: vec![], action };
//! let draft = Draft {
//!     kind: Kind::Control,
//!     parents: vec![],
//!     stamp: Stamp::next(1_700_000_000_000, None, &mut rng),
//!     epoch: Epoch::FIRST,
//!     payload: Payload::Open(control.encode()),
//! };
//! let event = VerifiedEvent::seal(space, &founder, None, draft, keys.control()).unwrap();
//! membership.check(event.header(), Some(&control)).unwrap();
//! membership.apply(event.id(), event.header(), &control);
//! assert_eq!(membership.member(&founder.id()).unwrap().role, Role::Admin);
//!
//! let (_secret, action) = invite(Role::Writer, None, &mut rng);
//! let _next = Control { parents: membership.parents_for(founder.id(), &action), action };
//! ```

mod control;
mod invite;
mod keys;
pub mod limits;
mod membership;
mod role;
mod ticket;

pub use control::{Action, Control};
pub use invite::{INVITE_SEED_BYTES, InviteId, InviteSecret, invite};
pub use keys::{SpaceKeys, SpaceSecret};
pub use membership::{Invite, Member, Membership, Refusal};
pub use role::{ParseRoleError, Role};
pub use ticket::{PeerHint, Ticket, TicketError};
