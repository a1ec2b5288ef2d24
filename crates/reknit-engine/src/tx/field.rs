//! Texts and documents inside a transaction.

use super::Tx;
use crate::cells::Live;
use crate::error::TxError;
use crate::layout::CellKey;
use reknit_crdt::{Document, Text};
use serde_json::Value as Json;

/// A text, to be read and edited. Positions count Unicode scalar values.
pub struct TextMut<'t, 'a> {
    tx: &'t mut Tx<'a>,
    cell: CellKey,
}

/// A document, to be read and edited. A path is a JSON pointer (RFC 6901), as in `/tracks/0/title`; the empty path
/// is the whole document.
pub struct DocumentMut<'t, 'a> {
    tx: &'t mut Tx<'a>,
    cell: CellKey,
}

impl<'t, 'a> TextMut<'t, 'a> {
    pub(super) fn new(tx: &'t mut Tx<'a>, cell: CellKey) -> Self {
        Self { tx, cell }
    }

    /// Characters in the text.
    ///
    /// # Errors
    /// [`TxError::Read`] if the store fails.
    pub fn len(&mut self) -> Result<usize, TxError> {
        Ok(self.text()?.len())
    }

    /// Whether the text holds no characters.
    ///
    /// # Errors
    /// [`TxError::Read`] if the store fails.
    pub fn is_empty(&mut self) -> Result<bool, TxError> {
        Ok(self.text()?.is_empty())
    }

    /// The whole text.
    ///
    /// # Errors
    /// [`TxError::Read`] if the store fails.
    pub fn read(&mut self) -> Result<String, TxError> {
        Ok(self.text()?.to_string())
    }

    /// Deletes `delete` characters at `position` and inserts `insert` there.
    ///
    /// # Errors
    /// [`TxError::Text`] if the text is shorter.
    pub fn splice(&mut self, position: usize, delete: usize, insert: &str) -> Result<&mut Self, TxError> {
        self.text()?.splice(position, delete, insert)?;
        Ok(self)
    }

    /// Inserts before the character at `position`.
    ///
    /// # Errors
    /// As for [`Self::splice`].
    pub fn insert(&mut self, position: usize, insert: &str) -> Result<&mut Self, TxError> {
        self.splice(position, 0, insert)
    }

    /// Deletes `count` characters at `position`.
    ///
    /// # Errors
    /// As for [`Self::splice`].
    pub fn delete(&mut self, position: usize, count: usize) -> Result<&mut Self, TxError> {
        self.splice(position, count, "")
    }

    /// Appends.
    ///
    /// # Errors
    /// As for [`Self::splice`].
    pub fn push(&mut self, text: &str) -> Result<&mut Self, TxError> {
        let end = self.len()?;
        self.splice(end, 0, text)
    }

    /// Makes the text read `whole`, by the fewest edits: what others do to the parts that stay the same merges.
    ///
    /// # Errors
    /// As for [`Self::splice`].
    pub fn replace(&mut self, whole: &str) -> Result<&mut Self, TxError> {
        self.text()?.diff_to(whole)?;
        Ok(self)
    }

    fn text(&mut self) -> Result<&mut Text, TxError> {
        match &mut self.tx.field_mut(&self.cell)?.live {
            Live::Text(text) => Ok(text),
            Live::Document(_) => Err(TxError::Read("a text was opened as a document".to_owned())),
        }
    }
}

impl<'t, 'a> DocumentMut<'t, 'a> {
    pub(super) fn new(tx: &'t mut Tx<'a>, cell: CellKey) -> Self {
        Self { tx, cell }
    }

    /// The whole document.
    ///
    /// # Errors
    /// [`TxError::Read`] if the store fails.
    pub fn read(&mut self) -> Result<Json, TxError> {
        Ok(self.document()?.to_json())
    }

    /// What is at `path`; `None` if nothing is.
    ///
    /// # Errors
    /// [`TxError::Document`] if `path` is malformed.
    pub fn get(&mut self, path: &str) -> Result<Option<Json>, TxError> {
        Ok(self.document()?.get(path)?)
    }

    /// Writes `value` at `path`: over a key or an element, or at the end of a list (as its length or `-`).
    ///
    /// # Errors
    /// [`TxError::Document`] if the object that holds the end of the path does not exist.
    pub fn set(&mut self, path: &str, value: impl Into<Json>) -> Result<&mut Self, TxError> {
        self.document()?.set(path, &value.into())?;
        Ok(self)
    }

    /// Inserts `value` into a list, before the element that `path` names.
    ///
    /// # Errors
    /// [`TxError::Document`] if there is no such list or place.
    pub fn insert(&mut self, path: &str, value: impl Into<Json>) -> Result<&mut Self, TxError> {
        self.document()?.insert(path, &value.into())?;
        Ok(self)
    }

    /// Removes what is at `path`.
    ///
    /// # Errors
    /// [`TxError::Document`] if nothing is there.
    pub fn remove(&mut self, path: &str) -> Result<&mut Self, TxError> {
        self.document()?.remove(path)?;
        Ok(self)
    }

    /// Adds `by` to the counter at `path`, which begins to exist if nothing is there.
    ///
    /// # Errors
    /// [`TxError::Document`] if something else is there.
    pub fn increment(&mut self, path: &str, by: i64) -> Result<&mut Self, TxError> {
        self.document()?.increment(path, by)?;
        Ok(self)
    }

    /// Writes text that merges character by character at `path`, in place of what is there.
    ///
    /// # Errors
    /// [`TxError::Document`] if the object that holds the end of the path does not exist.
    pub fn set_text(&mut self, path: &str, text: &str) -> Result<&mut Self, TxError> {
        self.document()?.set_text(path, text)?;
        Ok(self)
    }

    /// Deletes `delete` characters at `position` of the text at `path`, and inserts `insert` there.
    ///
    /// # Errors
    /// [`TxError::Document`] if there is no such text or it is shorter.
    pub fn splice_text(
        &mut self,
        path: &str,
        position: usize,
        delete: usize,
        insert: &str,
    ) -> Result<&mut Self, TxError> {
        self.document()?.splice_text(path, position, delete, insert)?;
        Ok(self)
    }

    fn document(&mut self) -> Result<&mut Document, TxError> {
        match &mut self.tx.field_mut(&self.cell)?.live {
            Live::Document(document) => Ok(document),
            Live::Text(_) => Err(TxError::Read("a document was opened as a text".to_owned())),
        }
    }
}
