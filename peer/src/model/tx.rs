//! Models inside a transaction.

use super::{Edit, Model, ModelError, Ref, schema};
use reknit_engine::{Tx, TxError};

/// What [`Tx`] can do with models.
pub trait ModelTx<'a> {
    /// Creates an entity that holds what `model` does.
    ///
    /// # Errors
    /// [`TxError::Caller`] with a [`ModelError`]: the space has the collection otherwise, or a field cannot be stored.
    /// Whatever the edits fail with.
    fn insert<M: Model>(&mut self, model: &M) -> Result<Ref<M>, TxError>;

    /// Creates an entity under an id of the caller's. If it is there already, its fields are made equal to those of
    /// `model`, and fields that the model does not know stay.
    ///
    /// # Errors
    /// As for [`ModelTx::insert`].
    fn insert_as<M: Model>(&mut self, reference: Ref<M>, model: &M) -> Result<(), TxError>;

    /// An entity, to be read and edited. It may be deleted; then it must be restored before it is edited.
    ///
    /// # Errors
    /// [`TxError::Caller`] with [`ModelError::NotFound`], or with [`ModelError::Schema`] if the space has the
    /// collection otherwise.
    fn edit<M: Model>(&mut self, reference: Ref<M>) -> Result<M::Mut<'_, 'a>, TxError>;
}

impl<'a> ModelTx<'a> for Tx<'a> {
    fn insert<M: Model>(&mut self, model: &M) -> Result<Ref<M>, TxError> {
        schema::declare::<M>(self)?;
        let entity = self.create(M::COLLECTION)?;
        let reference = Ref::new(entity.id());
        model.write(&mut Edit::new(entity))?;
        Ok(reference)
    }

    fn insert_as<M: Model>(&mut self, reference: Ref<M>, model: &M) -> Result<(), TxError> {
        schema::declare::<M>(self)?;
        model.write(&mut Edit::new(self.create_with_id(M::COLLECTION, reference.id())?))
    }

    fn edit<M: Model>(&mut self, reference: Ref<M>) -> Result<M::Mut<'_, 'a>, TxError> {
        schema::declare::<M>(self)?;
        let mut edit = Edit::new(self.entity(M::COLLECTION, reference.id())?);
        if !edit.is_known()? {
            let (collection, id) = (M::COLLECTION, reference.id());
            return Err(ModelError::NotFound { collection, id }.into());
        }
        Ok(edit.into())
    }
}
