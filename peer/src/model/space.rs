//! Models in a space.

use super::schema::{SCHEMA_COLLECTION, declare, schema_of};
use super::view::Source;
use super::{Model, Ref, Schema, View};
use crate::{Entity, Error, Page, Snapshot, Space};

impl Space {
    /// An entity, read as its model says; `None` if it was never seen here. A deleted entity says that it is.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn view<M: Model>(&self, reference: Ref<M>) -> Result<Option<M::View>, Error> {
        let found = self.get(M::COLLECTION, reference.id())?;
        Ok(found.map(|entity| self.as_view::<M>(entity)))
    }

    /// The entities of a model, those deleted left out, by time of creation.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn models<M: Model>(&self) -> Result<Vec<M::View>, Error> {
        self.models_in::<M>(Page::ALL)
    }

    /// A page of the entities of a model.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn models_in<M: Model>(&self, page: Page) -> Result<Vec<M::View>, Error> {
        let found = self.scan(M::COLLECTION, page)?;
        Ok(found.into_iter().map(|entity| self.as_view::<M>(entity)).collect())
    }

    /// An entity that was read already, as its model says.
    pub fn as_view<M: Model>(&self, entity: Entity) -> M::View {
        View::new(entity, Source::Space(self.clone())).into()
    }

    /// Writes what a model says about its collection into the space, if it is not there yet. The first use of the
    /// model to write does so by itself.
    ///
    /// # Errors
    /// [`Error::Model`] with [`ModelError::Schema`](super::ModelError::Schema) if the space has the collection
    /// otherwise; [`Error::NotPermitted`]; [`Error::Stopped`].
    pub async fn register<M: Model>(&self) -> Result<(), Error> {
        self.transact(|tx| declare::<M>(tx)).await
    }

    /// What models say about the collections of the space, by the name of the collection.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn schema(&self) -> Result<Vec<Schema>, Error> {
        self.snapshot()?.schema()
    }
}

impl Snapshot {
    /// An entity, read as its model says; `None` if it was never seen here.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn view<M: Model>(&self, reference: Ref<M>) -> Result<Option<M::View>, Error> {
        let found = self.get(M::COLLECTION, reference.id())?;
        Ok(found.map(|entity| self.as_view::<M>(entity)))
    }

    /// A page of the entities of a model, by time of creation.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn models_in<M: Model>(&self, page: Page) -> Result<Vec<M::View>, Error> {
        let found = self.scan(M::COLLECTION, page)?;
        Ok(found.into_iter().map(|entity| self.as_view::<M>(entity)).collect())
    }

    /// What models say about the collections of the space, by the name of the collection.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn schema(&self) -> Result<Vec<Schema>, Error> {
        let found = self.scan(SCHEMA_COLLECTION, Page::ALL)?;
        let mut schemas: Vec<_> = found.iter().filter_map(schema_of).collect();
        schemas.sort_by(|left, right| left.collection.cmp(&right.collection));
        Ok(schemas)
    }

    fn as_view<M: Model>(&self, entity: Entity) -> M::View {
        View::new(entity, Source::Snapshot(self.clone())).into()
    }
}
