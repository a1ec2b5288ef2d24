//! The deterministic state machine of a Reknit peer, and the port through which it reads and writes its store.
//!
//! The engine composes the crates below it: it routes an input to the part whose affair it is (`reknit-access` judges
//! rights, `reknit-crdt` merges, `reknit-sync` talks) and gathers what follows as [`Effects`]: one batch to commit,
//! then everything else. It never reads a clock or a source of randomness, opens a file or a connection, or waits.
//!
//! Read [`Engine`] first, then [`store::Store`].
//!
//! ```
//! use rand::SeedableRng;
//! use rand_chacha::ChaCha20Rng;
//! use reknit_engine::store::{Durability, MemoryStore, Store};
//! use reknit_engine::{Config, Effects, Engine, Input, RequestId};
//! use reknit_types::DeviceKey;
//!
//! let mut store = MemoryStore::new();
//! let device = DeviceKey::from_seed(&[1; 32]);
//! let config = Config { device, device_name: "laptop".into(), rng: ChaCha20Rng::seed_from_u64(1) };
//! let mut engine = Engine::open(config, &store)?;
//!
//! let mut effects = Effects::default();
//! let input = Input::Create { request: RequestId(1), name: "home".into() };
//! engine.handle(1_700_000_000_000, input, &store, &mut effects)?;
//! engine.settle(1_700_000_000_000, &store, &mut effects)?;
//! store.commit(std::mem::take(&mut effects.batch), Durability::Durable)?;
//! assert!(!effects.outputs.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admit;
mod announcing;
mod apart;
mod apply;
mod cells;
mod check;
mod commits;
mod contested;
mod effects;
mod engine;
mod error;
mod held;
mod history;
mod incoming;
mod joining;
pub mod journal;
mod layout;
mod leaving;
mod links;
mod log;
mod lru;
mod prepare;
pub mod read;
mod receipt;
mod restart;
mod row;
pub mod rows;
mod set_back;
mod space;
mod status;
mod stopping;
pub mod store;
mod tx;
mod write;

pub use apply::{EntityChange, What};
pub use check::{check_record, check_store};
pub use commits::{Commits, Ledger};
pub use effects::{
    Committed, Effects, Incoming, Input, LinkContext, LinkId, MemberInfo, Notice, Output, Reply, RequestId,
    Run, SpaceInfo,
};
pub use engine::{Config, Engine};
pub use error::{EngineError, Refused, TxError};
pub use layout::SpaceNo;
pub use receipt::StoredReceipt;
pub use restart::{Numbers, Successor};
pub use status::{Fork, Glance, PeerStatus, Reason, SpaceStatus, Why};
pub use tx::{DocumentMut, EntityMut, LongTx, TextMut, Tx, TxState};
