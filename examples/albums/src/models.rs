//! What a record collection holds.

use reknit::{Counter, Document, Model, Ref, Register, Text};
use serde::{Deserialize, Serialize};

/// Who made a record.
#[derive(Model)]
#[model(collection = "artists")]
pub(crate) struct Artist {
    #[model(index)]
    pub(crate) name: Register<String>,
}

/// A record.
#[derive(Model)]
#[model(collection = "albums")]
pub(crate) struct Album {
    #[model(index)]
    title: Register<String>,
    year: Register<i32>,
    artist: Register<Ref<Artist>>,
    /// The first version of this app knew records only.
    #[model(default)]
    form: Register<Form>,
    liner: Text,
    tracks: Document,
    plays: Counter,
}

/// What it comes as.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) enum Form {
    #[default]
    Record,
    Tape,
    Download {
        from: String,
    },
}

impl Album {
    pub(crate) fn new(title: String, year: i32, artist: Ref<Artist>) -> Self {
        Self {
            title: title.into(),
            year: year.into(),
            artist: artist.into(),
            form: Form::Record.into(),
            liner: Text::default(),
            tracks: Document::default(),
            plays: Counter::default(),
        }
    }
}
