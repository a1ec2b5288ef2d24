//! Typed models: a struct that says what the entities of a collection hold.
//!
//! `#[derive(Model)]` on a struct whose fields are [`Register`], [`Counter`], [`Text`] and [`Document`] gives
//!
//! * creation from the plain struct, with [`ModelTx::insert`] inside a transaction;
//! * a view for reading (`AlbumView`), from [`Space::view`](crate::Space::view) and
//!   [`Space::models`](crate::Space::models);
//! * a handle for editing inside a transaction (`AlbumMut`), from [`ModelTx::edit`];
//! * a function for each field (`Album::title()`) that makes [`Predicate`]s, checked by the compiler.
//!
//! ```
//! use reknit::{Counter, Document, Model, ModelTx, Peer, Ref, Register, Text};
//!
//! #[derive(Model)]
//! #[model(collection = "artists")]
//! struct Artist {
//!     name: Register<String>,
//! }
//!
//! #[derive(Model)]
//! #[model(collection = "albums")]
//! struct Album {
//!     #[model(index)]
//!     title: Register<String>,
//!     year: Register<i32>,
//!     liner: Text,
//!     tracks: Document,
//!     plays: Counter,
//!     artist: Register<Ref<Artist>>,
//!     subtitle: Register<Option<String>>,
//!     /// Stored as `lbl`, whatever the field is called; entities without one have the default.
//!     #[model(id = "lbl", default = "self-released".to_owned())]
//!     label: Register<String>,
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> anyhow::Result<()> {
//! # let peer = Peer::ephemeral().offline().start().await?;
//! let space = peer.create_space("music").await?;
//! let album = space
//!     .transact(|tx| {
//!         let artist = tx.insert(&Artist { name: "Nina".into() })?;
//!         tx.insert(&Album {
//!             title: "Blue".into(),
//!             year: 1971.into(),
//!             liner: "Rain, mostly.".into(),
//!             tracks: serde_json::json!({ "a": [{ "title": "Carey" }] }).into(),
//!             plays: 0.into(),
//!             artist: artist.into(),
//!             subtitle: None.into(),
//!             label: "Reprise".into(),
//!         })
//!     })
//!     .await?;
//! space
//!     .transact(move |tx| {
//!         let mut album = tx.edit(album)?;
//!         album.title().set("Bluer")?;
//!         album.plays().add(1)?;
//!         album.tracks().set("a.0.title", "Carey (live)")
//!     })
//!     .await?;
//! let album = space.view(album)?.expect("it was just created");
//! assert_eq!(album.title()?, "Bluer");
//! assert_eq!(album.artist().load().await?.name()?, "Nina");
//! # Ok(())
//! # }
//! ```
//!
//! What a register holds is any type with serde's traits, by value:
//!
//! ```compile_fail,E0277
//! # use reknit::{Model, Register};
//! enum Genre { Folk, Jazz }
//!
//! #[derive(Model)]
//! struct Album { genre: Register<Genre> }
//! ```
//!
//! The functions for predicates are the struct's own: an app that wants methods of these names on the plain struct gives
//! them others. Writes without a model, as those of the command line, are not held to any.
//!
//! # What changes when the struct does
//!
//! A field is stored under its id: its name, unless `#[model(id = "..")]` says otherwise. So a field that is renamed keeps
//! its data if its id stays. Fields that a model does not know are left alone by everything it does. A register that
//! older entities lack reads as its default, or as `None` if it is an `Option`; else reading it is [`ModelError::Missing`].
//! Counters, texts and documents that were never written read as empty.
//!
//! What a model says about its collection is written into the space when the model is first used to write
//! there; see [`Schema`].

mod conflicts;
mod edit;
mod error;
mod link;
mod plain;
mod predicate;
mod probe;
mod reference;
mod schema;
mod space;
mod spec;
mod stored;
mod tx;
mod view;

pub(crate) use conflicts::tell_of_conflicts;
pub use edit::{CounterFieldMut, DocumentFieldMut, Edit, RegisterFieldMut, TextFieldMut};
pub use error::{FieldPlace, ModelError};
pub use link::{Link, OptionLink};
pub use plain::{Counter, Document, Register, Text};
pub use predicate::{
    CounterField, DocumentField, DocumentPath, Field, Ordered, Path, Predicate, ReferenceField,
    RegisterField, TextField,
};
#[doc(hidden)]
pub use probe::{AnyType, Probe};
pub use reference::Ref;
pub use schema::{Declared, Difference, FieldDeclaration, Schema, SchemaConflict, Standpoint};
#[doc(hidden)]
pub use serde_json::Value as Json;
pub use spec::{FieldSpec, ValueType};
pub use stored::{ValueError, from_value, to_value};
pub use tx::ModelTx;
pub use view::View;

use crate::TxError;

/// A struct that says what the entities of a collection hold. Derive it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a model",
    note = "a reference leads to a struct with `#[derive(reknit::Model)]`"
)]
pub trait Model: Sized + 'static {
    /// The collection its entities live in.
    const COLLECTION: &'static str;
    /// Its fields, in the order of the struct.
    const FIELDS: &'static [FieldSpec];
    /// An entity, read.
    type View: From<View<Self>> + Send;
    /// An entity, to be edited inside a transaction.
    type Mut<'t, 'a: 't>: From<Edit<'t, 'a, Self>>;

    /// What it says about its collection.
    fn declared() -> &'static Declared;

    /// Writes every field into an entity that was just created.
    ///
    /// # Errors
    /// [`ModelError::Unstorable`] inside [`TxError::Caller`]; whatever the edits fail with.
    fn write(&self, edit: &mut Edit<'_, '_, Self>) -> Result<(), TxError>;

    /// The plain struct of an entity.
    ///
    /// # Errors
    /// [`ModelError`] if a field cannot be read.
    fn read(view: &View<Self>) -> Result<Self, ModelError>;
}
