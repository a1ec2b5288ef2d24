//! References of a view, to be followed.

use super::view::Source;
use super::{Model, ModelError, Ref};
use crate::Error;

/// A reference that was read from an entity.
///
/// A view from a [`Snapshot`](crate::Snapshot) follows its references within it; others lead to what is there when
/// they are followed.
pub struct Link<A> {
    target: Result<Ref<A>, ModelError>,
    source: Source,
}

/// A reference that was read from an entity, if it has one.
pub struct OptionLink<A> {
    target: Result<Option<Ref<A>>, ModelError>,
    source: Source,
}

impl<A: Model> Link<A> {
    pub(super) fn new(target: Result<Ref<A>, ModelError>, source: Source) -> Self {
        Self { target, source }
    }

    /// What it refers to.
    ///
    /// # Errors
    /// [`ModelError`] if the field cannot be read.
    pub fn target(self) -> Result<Ref<A>, ModelError> {
        self.target
    }

    /// The entity that it refers to, which may be deleted.
    ///
    /// # Errors
    /// [`Error::Model`] with [`ModelError::NotFound`] if it is not here; [`Error::Store`].
    pub async fn load(self) -> Result<A::View, Error> {
        let target = self.target?;
        let missing = ModelError::NotFound { collection: A::COLLECTION, id: target.id() };
        self.source.load(target)?.ok_or(Error::Model(missing))
    }
}

impl<A: Model> OptionLink<A> {
    pub(super) fn new(target: Result<Option<Ref<A>>, ModelError>, source: Source) -> Self {
        Self { target, source }
    }

    /// What it refers to.
    ///
    /// # Errors
    /// [`ModelError`] if the field cannot be read.
    pub fn target(self) -> Result<Option<Ref<A>>, ModelError> {
        self.target
    }

    /// The entity that it refers to, which may be deleted; `None` if it refers to none.
    ///
    /// # Errors
    /// As for [`Link::load`].
    pub async fn load(self) -> Result<Option<A::View>, Error> {
        match self.target? {
            Some(target) => Link { target: Ok(target), source: self.source }.load().await.map(Some),
            None => Ok(None),
        }
    }
}
